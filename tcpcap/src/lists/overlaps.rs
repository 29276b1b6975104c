//! Whether a network overlaps any of some others, asked a million times.

use ipnet::IpNet;

use super::Entry;

/// Networks, each with a word about it. To ask costs a binary search.
#[derive(Clone, Debug)]
pub struct Overlaps<T> {
    // Two families, as an IPv6 network may lie around the place that IPv4 has among the keys.
    v4: Vec<(Entry, T)>,
    v6: Vec<(Entry, T)>,
}

impl<T> Overlaps<T> {
    /// Of networks that overlap each other the broadest is kept, of equal ones the first.
    pub fn new(networks: impl IntoIterator<Item = (IpNet, T)>) -> Self {
        let all = networks.into_iter().map(|(net, word)| (Entry::new(net), word));
        let (v4, v6) = all.partition(|(entry, _)| entry.is_v4());
        Self { v4: broadest(v4), v6: broadest(v6) }
    }

    /// A network that shares an address with this one, and the word about it.
    #[must_use]
    pub fn find(&self, network: &IpNet) -> Option<(IpNet, &T)> {
        let asked = Entry::new(*network);
        let family = if asked.is_v4() { &self.v4 } else { &self.v6 };
        // As no two overlap, their ends are in order too. The first that does not end before it:
        let at = family.partition_point(|(entry, _)| entry.last() < asked.first());
        let (entry, word) = family.get(at)?;
        (entry.first() <= asked.last()).then(|| (entry.network(), word))
    }
}

/// In order, without what lies within another.
fn broadest<T>(mut family: Vec<(Entry, T)>) -> Vec<(Entry, T)> {
    family.sort_by_key(|(entry, _)| *entry);
    family.dedup_by(|(later, _), (kept, _)| kept.holds(later));
    family
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn overlaps(list: &[&'static str]) -> Overlaps<&'static str> {
        Overlaps::new(list.iter().map(|text| (net(text), *text)))
    }

    #[test]
    fn a_network_that_holds_an_address_or_lies_within_a_network_is_found_with_its_word() {
        let some = overlaps(&["192.0.2.7/32", "10.0.0.0/8", "10.1.0.0/16", "2001:db8::1/128"]);
        for (asked, word) in [
            ("192.0.2.0/24", Some("192.0.2.7/32")),
            ("192.0.2.7/32", Some("192.0.2.7/32")),
            ("192.0.2.8/29", None),
            ("192.0.2.0/30", None),
            ("10.200.0.0/16", Some("10.0.0.0/8")),
            ("10.1.2.3/32", Some("10.0.0.0/8")),
            ("8.0.0.0/6", Some("10.0.0.0/8")),
            ("2001:db8::/64", Some("2001:db8::1/128")),
            ("2001:db8::2/128", None),
            ("::/0", Some("2001:db8::1/128")),
        ] {
            assert_eq!(some.find(&net(asked)).map(|(_, word)| *word), word, "{asked}");
        }
        assert!(overlaps(&[]).find(&net("0.0.0.0/0")).is_none());
    }

    fn any_net() -> impl Strategy<Value = IpNet> {
        // Close together, so that they overlap.
        (any::<bool>(), 0u32..256, 20u8..=32).prop_map(|(v4, bits, len)| {
            if v4 {
                IpNet::new(std::net::Ipv4Addr::from(0x0a00_0000 | bits << 4).into(), len).unwrap().trunc()
            } else {
                IpNet::new(std::net::Ipv6Addr::from(u128::from(bits) << 100).into(), len).unwrap().trunc()
            }
        })
    }

    proptest! {
        #[test]
        fn it_finds_one_exactly_if_one_overlaps(all in prop::collection::vec(any_net(), 0..20), asked in any_net()) {
            let overlap = |other: &IpNet| other.contains(&asked) || asked.contains(other);
            let found = Overlaps::new(all.iter().map(|n| (*n, ()))).find(&asked).map(|(net, ())| net);
            prop_assert_eq!(found.is_some(), all.iter().any(overlap));
            if let Some(found) = found {
                prop_assert!(overlap(&found) && all.contains(&found));
            }
        }
    }
}
