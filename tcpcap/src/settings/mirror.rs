//! The tables `[mirror.*]`: where else blocks are written.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, de};

use crate::mirror::{Config, DEFAULT_PRIORITY, DEFAULT_TABLE, Hook};

/// As far as kernel and nft tell names apart.
const LONGEST_NAME: usize = 31;
/// Between these lie all priorities that have a name, with room on both sides.
const PRIORITIES: std::ops::RangeInclusive<i32> = -1_000..=1_000;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct MirrorTable {
    nftables: Nftables,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Nftables {
    enabled: bool,
    #[serde(deserialize_with = "table_name")]
    table: String,
    #[serde(deserialize_with = "hook")]
    hook: Hook,
    #[serde(deserialize_with = "priority")]
    priority: i32,
    nft: PathBuf,
    include_feeds: bool,
}

impl Default for Nftables {
    fn default() -> Self {
        Self {
            enabled: false,
            table: DEFAULT_TABLE.to_owned(),
            hook: Hook::default(),
            priority: DEFAULT_PRIORITY,
            nft: Config::default().nft,
            include_feeds: false,
        }
    }
}

impl MirrorTable {
    /// The mirror, if there is to be one.
    pub(super) fn resolve(self) -> Option<Config> {
        let Nftables { enabled, table, hook, priority, nft, include_feeds } = self.nftables;
        enabled.then(|| Config { table, hook, priority, nft, include_feeds, ..Config::default() })
    }
}

fn table_name<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    let name = String::deserialize(d)?;
    let fits = name.len() <= LONGEST_NAME
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if fits {
        return Ok(name);
    }
    Err(de::Error::custom(format!(
        "`{name}` is no name for a table: a letter, then letters, digits and _, at most {LONGEST_NAME}"
    )))
}

fn hook<'de, D: Deserializer<'de>>(d: D) -> Result<Hook, D::Error> {
    let text = String::deserialize(d)?;
    [Hook::Prerouting, Hook::Input]
        .into_iter()
        .find(|hook| hook.name() == text)
        .ok_or_else(|| de::Error::custom(format!("`{text}` is no hook for the mirror: prerouting or input")))
}

fn priority<'de, D: Deserializer<'de>>(d: D) -> Result<i32, D::Error> {
    let priority = i32::deserialize(d)?;
    if PRIORITIES.contains(&priority) {
        return Ok(priority);
    }
    Err(de::Error::custom(format!(
        "priority {priority} is not between {} and {}",
        PRIORITIES.start(),
        PRIORITIES.end()
    )))
}

#[cfg(test)]
mod tests {
    use super::super::file::File;
    use super::*;

    fn mirror(text: &str) -> Option<Config> {
        File::parse(text).unwrap().mirror.resolve()
    }

    #[test]
    fn there_is_no_mirror_unless_it_is_enabled() {
        assert_eq!(mirror(""), None);
        assert_eq!(mirror("[mirror.nftables]\ntable = \"x\"\n"), None);
        assert_eq!(mirror("[mirror.nftables]\nenabled = true\n"), Some(Config::default()));
    }

    #[test]
    fn each_key_of_the_mirror_is_taken() {
        let text = "[mirror.nftables]\nenabled = true\ntable = \"a_1\"\nhook = \"input\"\npriority = -5\n\
                    nft = \"/opt/nft\"\ninclude_feeds = true\n";
        let want = Config {
            table: "a_1".into(),
            hook: Hook::Input,
            priority: -5,
            nft: "/opt/nft".into(),
            include_feeds: true,
            ..Config::default()
        };
        assert_eq!(mirror(text), Some(want));
    }

    #[test]
    fn what_nft_would_refuse_is_refused_with_its_line() {
        for (line, told) in [
            ("table = \"my table\"", "`my table` is no name"),
            ("table = \"\"", "is no name"),
            ("hook = \"forward\"", "prerouting or input"),
            ("priority = 2000", "between -1000 and 1000"),
            ("priority = \"raw\"", "expected i32"),
            ("enabeld = true", "`enabled`"),
        ] {
            let (number, problem) = File::parse(&format!("[mirror.nftables]\n{line}\n")).unwrap_err();
            assert!(number == 2 && problem.contains(told), "{number}: {problem}");
        }
    }
}
