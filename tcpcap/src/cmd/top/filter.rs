//! Which rows are wanted.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::settings::parse_network;

/// What a row is looked for by.
pub(super) struct Looks {
    /// Its source or network as it is shown.
    pub(super) name: String,
    /// The same, to be compared with networks.
    pub(super) network: Option<IpNet>,
    /// What else stands there in words.
    pub(super) words: Vec<String>,
}

/// Words that must all fit: the beginning of an address, a network, or a part of any word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter(Vec<Word>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Word {
    /// In lower case.
    text: String,
    address: Option<IpAddr>,
    network: Option<IpNet>,
}

impl Filter {
    pub(super) fn new(text: &str) -> Self {
        Self(text.split_whitespace().map(Word::new).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn lets(&self, looks: &Looks) -> bool {
        self.0.iter().all(|word| word.fits(looks))
    }
}

impl Word {
    fn new(text: &str) -> Self {
        // While somebody types it, a network ends with its slash.
        let text = text.trim_end_matches('/').to_lowercase();
        let network = text.contains('/').then(|| parse_network(&text).ok()).flatten();
        Self { address: text.parse().ok(), network, text }
    }

    fn fits(&self, looks: &Looks) -> bool {
        if let Some(wanted) = &self.network {
            return looks.network.is_some_and(|network| wanted.contains(&network) || network.contains(wanted));
        }
        let holds = |address: IpAddr| looks.network.is_some_and(|network| network.contains(&address));
        looks.name.to_lowercase().starts_with(&self.text)
            || self.address.is_some_and(holds)
            || looks.words.iter().any(|word| word.to_lowercase().contains(&self.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lets(filter: &str, network: &str) -> bool {
        let network: IpNet = network.parse().unwrap();
        let name = crate::control::Named(&network).to_string();
        let words = vec!["blocked".to_owned(), "port-scan".to_owned(), "nmap".to_owned()];
        Filter::new(filter).lets(&Looks { name, network: Some(network), words })
    }

    #[test]
    fn a_row_is_found_by_beginning_network_and_words() {
        for filter in [
            "",
            " ",
            "1",
            "192.0.2.",
            "192.0.2.7",
            "192.0.2.0/24",
            "192.0.2.9/24",
            "192.0.2.7/32",
            "192.0.2.7/",
            "BLOCK",
            "scan",
            "nmap 192",
            "0.0.0.0/0",
        ] {
            assert!(lets(filter, "192.0.2.7/32"), "{filter}");
        }
        for filter in ["2.7", "192.0.3.", "192.0.3.0/24", "::/0", "free", "nmap 10", "192.0.2.7/99"] {
            assert!(!lets(filter, "192.0.2.7/32"), "{filter}");
        }
    }

    #[test]
    fn an_address_finds_the_network_that_holds_it() {
        for filter in ["2001:db8::1", "2001:DB8:", "2001:db8::/32", "2001:db8::5/128"] {
            assert!(lets(filter, "2001:db8::/64"), "{filter}");
        }
        assert!(lets("10.1.2.3", "10.0.0.0/8") && !lets("11.1.2.3", "10.0.0.0/8"));
    }
}
