//! A network in a list, small enough for a million of them.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use tcpcap_common::Addr;
use tcpcap_core::{Source, source::IPV6_PREFIX_LEN};

/// Bits that IPv4 addresses have before their own: they are v4-mapped.
const V4_BITS: u8 = 96;
const V4_PREFIX: u128 = 0xffff << 32;

/// A network, and the number of the list that names it. The order is that of addresses; a network comes right before what
/// it holds; of the same network, the first list comes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    // Two words, as u128 would align to 16 and cost 32 bytes an entry.
    high: u64,
    low: u64,
    len: u8,
    list: u16,
}

const _: () = assert!(size_of::<Entry>() == 24);

impl Entry {
    /// The network without its host bits. A v4-mapped IPv6 network is the IPv4 network.
    #[must_use]
    pub fn new(network: IpNet) -> Self {
        let (bits, len) = match network {
            IpNet::V4(net) => (V4_PREFIX | u128::from(u32::from(net.addr())), V4_BITS + net.prefix_len()),
            IpNet::V6(net) => (u128::from(net.addr()), net.prefix_len()),
        };
        Self::from_bits(bits & mask(len), len)
    }

    #[expect(clippy::cast_possible_truncation, reason = "halves of a u128")]
    pub(super) const fn from_bits(bits: u128, len: u8) -> Self {
        Self { high: (bits >> 64) as u64, low: bits as u64, len, list: 0 }
    }

    /// The number of its list, in order of precedence.
    pub(super) const fn list(&self) -> u16 {
        self.list
    }

    pub(super) const fn of_list(self, list: u16) -> Self {
        Self { list, ..self }
    }

    /// The first address, IPv4 as v4-mapped.
    pub(super) const fn first(&self) -> u128 {
        (self.high as u128) << 64 | self.low as u128
    }

    /// The last address.
    pub(super) const fn last(&self) -> u128 {
        self.first() | !mask(self.len)
    }

    /// First address and length, which are the network.
    pub(super) const fn place(&self) -> (u128, u8) {
        (self.first(), self.len)
    }

    pub(super) const fn is_v4(&self) -> bool {
        self.len >= V4_BITS && self.first() >> 32 == 0xffff
    }

    pub(super) const fn holds(&self, other: &Self) -> bool {
        self.len <= other.len && other.first() & mask(self.len) == self.first()
    }

    /// The first address as the maps' key.
    #[must_use]
    pub fn key(&self) -> Addr {
        Addr::from_octets(self.first().to_be_bytes())
    }

    /// Length of the prefix in the key, 0 to 128; an IPv4 network's is 96 more than its own.
    #[must_use]
    pub fn key_len(&self) -> u32 {
        u32::from(self.len)
    }

    /// The source that this network is exactly, if so: an IPv4 address or an IPv6 /64. Any other belongs into the trie.
    #[must_use]
    pub fn source(&self) -> Option<Source> {
        let exact = if self.is_v4() { self.len == 128 } else { self.len == IPV6_PREFIX_LEN };
        exact.then(|| Source(self.key()))
    }

    /// As people write it.
    #[must_use]
    pub fn network(&self) -> IpNet {
        match to_ip(self.first()) {
            // A prefix that ends before these bits is not v4-mapped: it has a zero among them.
            IpAddr::V4(ip) => Ipv4Net::new_assert(ip, self.len - V4_BITS).into(),
            IpAddr::V6(ip) => Ipv6Net::new_assert(ip, self.len).into(),
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (list {})", self.network(), self.list)
    }
}

/// The bits of a prefix of 0 to 128.
pub(super) const fn mask(len: u8) -> u128 {
    if len == 0 { 0 } else { u128::MAX << (128 - len) }
}

pub(super) fn to_bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => V4_PREFIX | u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "an IPv4 address is the last 32 bits")]
pub(super) fn to_ip(bits: u128) -> IpAddr {
    if bits >> 32 == 0xffff { Ipv4Addr::from(bits as u32).into() } else { Ipv6Addr::from(bits).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> Entry {
        Entry::new(text.parse().unwrap())
    }

    #[test]
    fn a_network_survives_the_round_trip_without_its_host_bits() {
        for (text, shown) in [
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("192.0.2.77/24", "192.0.2.0/24"),
            ("192.0.2.77/32", "192.0.2.77/32"),
            ("::/0", "::/0"),
            ("2001:db8::9/64", "2001:db8::/64"),
            ("2001:db8::9/128", "2001:db8::9/128"),
            ("::ffff:192.0.2.9/120", "192.0.2.0/24"),
            ("::fffe:0:0/95", "::fffe:0:0/95"),
        ] {
            assert_eq!(entry(text).network().to_string(), shown);
        }
    }

    #[test]
    fn exact_sources_are_ipv4_addresses_and_ipv6_prefixes_of_64() {
        for (text, exact) in [
            ("192.0.2.7/32", true),
            ("192.0.2.6/31", false),
            ("2001:db8:1:2::/64", true),
            ("2001:db8:1:2::1/128", false),
            ("2001:db8:1::/48", false),
            ("2001:db8:1:2::/65", false),
        ] {
            assert_eq!(entry(text).source().map(Source::network), exact.then(|| entry(text).network()), "{text}");
        }
    }

    #[test]
    fn the_key_of_an_ipv4_network_is_v4_mapped() {
        let e = entry("192.0.2.0/24");
        assert_eq!((e.key(), e.key_len()), (Addr::from("192.0.2.0".parse::<IpAddr>().unwrap()), 120));
    }

    #[test]
    fn a_network_comes_right_before_what_it_holds() {
        let mut all =
            ["10.1.0.0/16", "10.0.0.0/8", "9.0.0.0/8", "10.0.0.0/32", "11.0.0.1/32", "2001:db8::/32"].map(entry);
        all.sort_unstable();
        let shown = all.map(|e| e.network().to_string());
        assert_eq!(shown, ["9.0.0.0/8", "10.0.0.0/8", "10.0.0.0/32", "10.1.0.0/16", "11.0.0.1/32", "2001:db8::/32"]);
        assert!(all[1].holds(&all[2]) && all[1].holds(&all[1]) && !all[2].holds(&all[1]) && !all[0].holds(&all[1]));
    }
}
