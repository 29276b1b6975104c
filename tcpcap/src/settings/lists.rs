//! Deny networks and feeds.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de};

use super::parse_network;
use crate::lists::{self, FeedConfig, MAX_FEEDS};

/// Longest name of a feed, in characters: it stands in log lines and tables.
const MAX_NAME_CHARS: usize = 64;

/// A network that a list may name.
pub(super) fn parse_deny(text: &str) -> Result<IpNet, String> {
    let network = parse_network(text)?;
    lists::check(&network).map_err(|unfit| format!("`{text}` cannot be denied: it {unfit}"))?;
    Ok(network)
}

#[derive(Debug)]
pub(super) struct Deny(pub(super) IpNet);

impl<'de> Deserialize<'de> for Deny {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        parse_deny(&String::deserialize(d)?).map(Self).map_err(de::Error::custom)
    }
}

/// A `[[feeds]]` table as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Feed {
    path: PathBuf,
    name: Option<String>,
}

/// All `[[feeds]]` tables, checked.
#[derive(Debug, Default)]
pub(super) struct Feeds(pub(super) Vec<FeedConfig>);

impl<'de> Deserialize<'de> for Feeds {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        check(Vec::deserialize(d)?).map(Self).map_err(de::Error::custom)
    }
}

fn check(feeds: Vec<Feed>) -> Result<Vec<FeedConfig>, String> {
    if feeds.len() > MAX_FEEDS {
        return Err(format!("{} feeds are more than {MAX_FEEDS}", feeds.len()));
    }
    let mut names = BTreeSet::new();
    feeds
        .into_iter()
        .map(|Feed { path, name }| {
            // A service's working directory is nobody's choice.
            if !path.is_absolute() {
                return Err(format!("the feed's path `{}` does not start at /", path.display()));
            }
            let name: Arc<str> = match name {
                Some(name) => name.into(),
                None => path.file_name().map(|name| name.to_string_lossy().into()).unwrap_or_default(),
            };
            if name.is_empty() || name.chars().count() > MAX_NAME_CHARS || name.contains(char::is_control) {
                return Err(format!("the feed's name {name:?} is not 1 to {MAX_NAME_CHARS} printable characters"));
            }
            if !names.insert(Arc::clone(&name)) {
                return Err(format!("two feeds are named `{name}`: give one of them another `name`"));
            }
            Ok(FeedConfig { name, path })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::file::File;

    fn feeds(text: &str) -> Vec<(String, String)> {
        let file = File::parse(text).unwrap();
        file.feeds.0.iter().map(|f| (f.name.to_string(), f.path.display().to_string())).collect()
    }

    #[test]
    fn a_deny_network_that_is_too_broad_is_an_error_with_its_line_and_the_reason() {
        let (line, text) = File::parse("observe = true\ndeny = [\"192.0.2.0/24\", \"16.0.0.0/4\"]\n").unwrap_err();
        assert_eq!(line, 2);
        assert!(text.contains("16.0.0.0/4") && text.contains("1 in 16 of all IPv4") && text.contains("/8"), "{text}");
        for (bad, why) in
            [("0.0.0.0/0", "all of IPv4"), ("2000::/3", "/16"), ("127.0.0.1", "loopback"), ("x", "neither")]
        {
            assert!(parse_deny(bad).unwrap_err().contains(why), "{bad}");
        }
    }

    #[test]
    fn deny_networks_of_file_and_command_line_add_up() {
        let file = File::parse("deny = [\"192.0.2.7\", \"2001:db8::/32\"]").unwrap();
        assert_eq!(file.deny.iter().map(|n| n.0.to_string()).collect::<Vec<_>>(), ["192.0.2.7/32", "2001:db8::/32"]);
        assert_eq!(parse_deny("198.51.100.9/24").unwrap().to_string(), "198.51.100.0/24");
    }

    #[test]
    fn a_feed_is_named_after_its_file_unless_it_says_otherwise() {
        let named = feeds(
            "[[feeds]]\npath = \"/etc/tcpcap/feeds/drop.txt\"\n[[feeds]]\nname = \"mine\"\npath = \"/srv/drop.txt\"\n",
        );
        let expected = [("drop.txt", "/etc/tcpcap/feeds/drop.txt"), ("mine", "/srv/drop.txt")];
        assert_eq!(named, expected.map(|(n, p)| (n.to_owned(), p.to_owned())));
        assert!(feeds("").is_empty());
    }

    #[test]
    fn two_feeds_of_one_name_are_an_error_that_names_it() {
        let (line, text) =
            File::parse("observe = true\n[[feeds]]\npath = \"/a/drop.txt\"\n\n[[feeds]]\npath = \"/b/drop.txt\"\n")
                .unwrap_err();
        assert!((2..=6).contains(&line), "{line}");
        assert!(text.contains("two feeds are named `drop.txt`"), "{text}");
    }

    #[test]
    fn a_feed_needs_an_absolute_path_and_a_printable_name() {
        for (text, why) in [
            ("[[feeds]]\nname = \"x\"", "path"),
            ("[[feeds]]\npath = \"drop.txt\"", "does not start at /"),
            ("[[feeds]]\npath = \"/\"", "name"),
            ("[[feeds]]\npath = \"/a\"\nname = \"\"", "name"),
            ("[[feeds]]\npath = \"/a\"\nname = \"a\\nb\"", "printable"),
            ("[[feeds]]\npath = \"/a\"\nurl = \"x\"", "url"),
        ] {
            let (_, problem) = File::parse(text).unwrap_err();
            assert!(problem.contains(why), "{text}: {problem}");
        }
        let many: String = (0..=MAX_FEEDS).map(|i| format!("[[feeds]]\npath = \"/{i}\"\n")).collect();
        assert!(File::parse(&many).unwrap_err().1.contains("more than 64"));
    }
}
