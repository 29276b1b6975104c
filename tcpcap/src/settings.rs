//! What `tcpcap run` is told: flags over environment over configuration file over defaults.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de};
use tcpcap_core::{Preset, decide};

use crate::{failure::Failure, kernel::ModeChoice, surface::log};

/// Where metrics are served unless told otherwise: on this host alone, on the port that the original used.
const DEFAULT_LISTEN: &str = "127.0.0.1:2112";

/// What was typed.
#[derive(Args, Debug, Default)]
pub struct RunArgs {
    /// Interface to watch; repeatable [default: those of the default routes]
    #[arg(long = "iface", value_name = "IF", env = "INTERFACE_NAME", value_delimiter = ',')]
    pub interfaces: Vec<String>,

    /// How to hook into the network card [default: auto]
    #[arg(long, value_enum)]
    pub mode: Option<ModeChoice>,

    /// Do everything but drop: count what would have been dropped
    #[arg(long)]
    pub observe: bool,

    /// How much is a scan: strict (3 ports in 60 s), balanced, relaxed [default: balanced]
    #[arg(long, value_name = "PRESET")]
    pub preset: Option<Preset>,

    /// Address or network that is never blocked; repeatable
    #[arg(long, value_name = "CIDR", value_parser = parse_network, value_delimiter = ',')]
    pub allow: Vec<IpNet>,

    /// Address or network that this host answers for beside the addresses of its interfaces; repeatable
    #[arg(long, value_name = "CIDR", env = "PUBLIC_IP", value_parser = parse_network, value_delimiter = ',')]
    pub own: Vec<IpNet>,

    /// How long a first block lasts; each repeat doubles it, up to 24h [default: 10m]
    #[arg(long, value_name = "TIME", value_parser = parse_ttl)]
    pub block_for: Option<Duration>,

    /// Where to serve metrics [default: 127.0.0.1:2112]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,

    /// How log lines look [default: human]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub log_format: Option<log::Format>,

    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// The configuration file. Every key has the flag of the same meaning.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    interfaces: Vec<String>,
    mode: Option<ModeChoice>,
    observe: bool,
    preset: Option<FromText<Preset>>,
    allow: Vec<Network>,
    own: Vec<Network>,
    block_for: Option<Ttl>,
    listen: Option<SocketAddr>,
    log_format: Option<log::Format>,
}

/// What the daemon does.
#[derive(Debug)]
pub struct Settings {
    /// Interfaces to watch; empty: those of the default routes.
    pub interfaces: Vec<String>,
    /// How to attach.
    pub mode: ModeChoice,
    /// Drop nothing.
    pub observe: bool,
    /// The detector's thresholds.
    pub preset: Preset,
    /// Never blocked.
    pub allow: Vec<IpNet>,
    /// Own beside the interfaces' addresses.
    pub own: Vec<IpNet>,
    /// First block.
    pub block_for: Duration,
    /// Metrics.
    pub listen: SocketAddr,
    /// Log.
    pub log_format: log::Format,
}

impl RunArgs {
    /// Merges what was typed with the configuration file and the defaults. Lists in the file and on the command line
    /// add up for `allow` and `own`; for interfaces the command line replaces.
    ///
    /// # Errors
    /// The file cannot be read or is wrong.
    pub fn resolve(self) -> Result<Settings, Failure> {
        let file = self.config.as_deref().map(File::read).transpose()?.unwrap_or_default();
        let networks =
            |ours: Vec<IpNet>, theirs: Vec<Network>| ours.into_iter().chain(theirs.into_iter().map(|n| n.0)).collect();
        Ok(Settings {
            interfaces: if self.interfaces.is_empty() { file.interfaces } else { self.interfaces },
            mode: self.mode.or(file.mode).unwrap_or_default(),
            observe: self.observe || file.observe,
            preset: self.preset.or(file.preset.map(|p| p.0)).unwrap_or_default(),
            allow: networks(self.allow, file.allow),
            own: networks(self.own, file.own),
            block_for: self.block_for.or(file.block_for.map(|t| t.0)).unwrap_or(decide::FIRST_TTL),
            listen: match self.listen.or(file.listen) {
                Some(listen) => listen,
                None => DEFAULT_LISTEN
                    .parse()
                    .map_err(|e| Failure::failed(format!("{DEFAULT_LISTEN}: {e}"), "use --listen"))?,
            },
            log_format: self.log_format.or(file.log_format).unwrap_or_default(),
        })
    }
}

impl File {
    fn read(path: &Path) -> Result<Self, Failure> {
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
    fn parse(text: &str) -> Result<Self, (usize, String)> {
        toml::from_str(text).map_err(|e| {
            let at = e.span().map_or(0, |s| s.start).min(text.len());
            (1 + text[..at].matches('\n').count(), e.message().to_owned())
        })
    }
}

/// `192.0.2.7`, `192.0.2.0/24` or their IPv6 likes. Bits behind the prefix are cleared.
pub(crate) fn parse_network(text: &str) -> Result<IpNet, String> {
    let network = match text.parse::<IpAddr>() {
        Ok(ip) => IpNet::from(ip),
        Err(_) => text
            .parse::<IpNet>()
            .map_err(|_| format!("`{text}` is neither an address nor a network such as 192.0.2.0/24"))?,
    };
    Ok(network.trunc())
}

/// A time to live that the policy can double.
fn parse_ttl(text: &str) -> Result<Duration, String> {
    let ttl = humantime::parse_duration(text).map_err(|e| format!("`{text}` is no time such as 10m: {e}"))?;
    if ttl < Duration::from_secs(1) || ttl > decide::MAX_TTL {
        return Err(format!("{text} is not between 1s and 24h"));
    }
    Ok(ttl)
}

#[derive(Debug)]
struct Network(IpNet);

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        parse_network(&String::deserialize(d)?).map(Self).map_err(de::Error::custom)
    }
}

#[derive(Debug)]
struct Ttl(Duration);

impl<'de> Deserialize<'de> for Ttl {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        parse_ttl(&String::deserialize(d)?).map(Self).map_err(de::Error::custom)
    }
}

#[derive(Debug)]
struct FromText<T>(T);

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
    fn defaults_are_safe() {
        let s = RunArgs::default().resolve().unwrap();
        assert_eq!((s.mode, s.observe, s.preset), (ModeChoice::Auto, false, Preset::Balanced));
        assert!(s.listen.ip().is_loopback());
        assert_eq!(s.block_for, Duration::from_secs(600));
    }

    #[test]
    fn networks_may_be_addresses_and_lose_their_host_bits() {
        assert_eq!(parse_network("192.0.2.7").unwrap().to_string(), "192.0.2.7/32");
        assert_eq!(parse_network("192.0.2.7/24").unwrap().to_string(), "192.0.2.0/24");
        assert_eq!(parse_network("2001:db8::1").unwrap().to_string(), "2001:db8::1/128");
        for bad in ["", "192.0.2", "192.0.2.0/33", "example.org"] {
            assert!(parse_network(bad).unwrap_err().contains(bad));
        }
    }

    #[test]
    fn a_block_cannot_be_endless_or_empty() {
        assert_eq!(parse_ttl("90s").unwrap(), Duration::from_secs(90));
        for bad in ["0s", "25h", "ten", ""] {
            parse_ttl(bad).unwrap_err();
        }
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

    #[test]
    fn the_command_line_wins_over_the_file_and_lists_add_up() {
        let dir = std::env::temp_dir().join(format!("tcpcap-settings-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("config.toml");
        fs::write(
            &path,
            "interfaces = [\"a\"]\npreset = \"strict\"\nallow = [\"10.0.0.0/8\"]\nlisten = \"127.0.0.1:1\"\n",
        )
        .unwrap();
        let args = RunArgs {
            interfaces: vec!["b".into()],
            allow: vec![parse_network("192.0.2.1").unwrap()],
            preset: Some(Preset::Relaxed),
            config: Some(path),
            ..RunArgs::default()
        };
        let s = args.resolve().unwrap();
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!((s.interfaces, s.preset), (vec!["b".to_owned()], Preset::Relaxed));
        assert_eq!((s.allow.len(), s.listen.port()), (2, 1));
    }

    #[test]
    fn a_missing_file_is_a_usage_error() {
        let args = RunArgs { config: Some("/nonexistent/tcpcap.toml".into()), ..RunArgs::default() };
        let f = args.resolve().unwrap_err();
        assert!(f.cause.contains("/nonexistent/tcpcap.toml"));
        assert_eq!(f.exit_code, 2);
    }
}
