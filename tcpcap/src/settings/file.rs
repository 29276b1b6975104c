//! The configuration file, which all verbs share: each takes of it what it has a use for.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de};
use tcpcap_core::Preset;

use super::{
    ScopeChoice,
    lists::{Deny, Feeds},
    mirror::MirrorTable,
    parse_network, parse_ttl,
    thresholds::{CapsTable, Detect},
};
use crate::{
    failure::Failure,
    kernel::{EgressChoice, ModeChoice},
    surface::log,
};

/// The configuration file. Every key has the flag of the same meaning, but for the tables: single thresholds, caps and
/// feeds and the mirror are nothing to type.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct File {
    pub(super) interfaces: Vec<String>,
    pub(super) mode: Option<ModeChoice>,
    pub(super) egress: Option<EgressChoice>,
    pub(super) observe: bool,
    pub(super) preset: Option<FromText<Preset>>,
    pub(super) allow: Vec<Network>,
    pub(super) own: Vec<Network>,
    pub(super) deny: Vec<Deny>,
    pub(super) feeds: Feeds,
    pub(super) block_for: Option<Ttl>,
    pub(super) scope: Option<ScopeChoice>,
    pub(super) state: Option<PathBuf>,
    pub(super) detach: bool,
    pub(super) listen: Option<SocketAddr>,
    pub(super) socket: Option<PathBuf>,
    pub(super) log_format: Option<log::Format>,
    pub(super) detect: Detect,
    pub(super) caps: CapsTable,
    pub(super) mirror: MirrorTable,
}

impl File {
    /// Reads and checks it all, whoever needs how much of it.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let text = fs::read_to_string(path).map_err(|e| {
            Failure::usage(
                format!("cannot read the configuration {}: {e}", path.display()),
                "check --config and the file's permissions",
            )
        })?;
        Self::parse(&text).map_err(|(line, problem)| {
            Failure::usage(
                format!("{}:{line}: {problem}", path.display()),
                "correct that line; `tcpcap run --help` lists what can be set",
            )
        })
    }

    /// The line of the first problem, and the problem.
    pub(super) fn parse(text: &str) -> Result<Self, (usize, String)> {
        toml::from_str(text).map_err(|e| {
            let at = e.span().map_or(0, |s| s.start).min(text.len());
            (1 + text[..at].matches('\n').count(), e.message().to_owned())
        })
    }
}

#[derive(Debug)]
pub(super) struct Network(pub(super) IpNet);

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        parse_network(&String::deserialize(d)?).map(Self).map_err(de::Error::custom)
    }
}

#[derive(Debug)]
pub(super) struct Ttl(pub(super) Duration);

impl<'de> Deserialize<'de> for Ttl {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        parse_ttl(&String::deserialize(d)?).map(Self).map_err(de::Error::custom)
    }
}

#[derive(Debug)]
pub(super) struct FromText<T>(pub(super) T);

impl<'de, T: std::str::FromStr<Err: std::fmt::Display>> Deserialize<'de> for FromText<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map(Self).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> (usize, String) {
        File::parse(text).unwrap_err()
    }

    #[test]
    fn a_wrong_value_in_the_file_is_named_with_its_line() {
        let (line, text) = problem("observe = true\nallow = [\"10.0.0.0/8\", \"nonsense\"]\n");
        assert_eq!(line, 2);
        assert!(text.contains("nonsense"), "{text}");
        let (line, text) = problem("\n\npreset = \"wild\"\n");
        assert_eq!(line, 3);
        assert!(text.contains("wild") && text.contains("balanced"), "{text}");
        assert_eq!(problem("block_for = \"48h\"").0, 1);
    }

    #[test]
    fn an_unknown_key_in_the_file_is_an_error_that_lists_the_known_ones() {
        let (line, text) = problem("observe = true\npresett = \"strict\"\n");
        assert_eq!(line, 2);
        assert!(text.contains("presett") && text.contains("`preset`"), "{text}");
    }
}
