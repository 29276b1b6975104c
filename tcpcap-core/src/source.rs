//! Whom we count and block.

use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use tcpcap_common::Addr;
use tcpcap_common::addr::{ipv6_mask, source_of};

/// Length of the prefix that an IPv6 source is: the least that a provider gives one customer (RFC 6177, BCP 157).
pub const IPV6_PREFIX_LEN: u8 = 64;

/// One IPv4 address, one IPv6 prefix, or one IPv6 neighbour with its whole address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source(pub Addr);

impl Source {
    /// The source that a packet between these two addresses is counted for.
    #[must_use]
    pub fn of(from: Addr, to: Addr) -> Self {
        const MASK: [u32; 4] = ipv6_mask(IPV6_PREFIX_LEN as u32);
        Self(source_of(from, to, &MASK))
    }

    /// The prefix that holds it, as a source; an IPv4 address is its own.
    #[must_use]
    pub fn prefix(self) -> Self {
        const MASK: [u32; 4] = ipv6_mask(IPV6_PREFIX_LEN as u32);
        if self.0.is_v4() {
            return self;
        }
        let mut prefix = self.0;
        prefix.0.iter_mut().zip(MASK).for_each(|(word, mask)| *word &= mask);
        Self(prefix)
    }

    /// Every address that this source stands for. An IPv6 address with bits beyond the prefix is a neighbour's.
    #[must_use]
    pub fn network(self) -> IpNet {
        match self.0.to_ip() {
            IpAddr::V4(ip) => Ipv4Net::from(ip).into(),
            IpAddr::V6(ip) => {
                let prefix = Ipv6Net::new_assert(ip, IPV6_PREFIX_LEN);
                if prefix.network() == ip { prefix.into() } else { Ipv6Net::from(ip).into() }
            }
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let network = self.network();
        if network.prefix_len() == network.max_prefix_len() {
            fmt::Display::fmt(&network.addr(), f)
        } else {
            fmt::Display::fmt(&network, f)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(s: &str) -> Addr {
        s.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn a_source_shows_as_address_prefix_or_neighbour() {
        for (from, shown) in [
            ("192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:ffff::99", "2001:db8:ffff::99"),
        ] {
            assert_eq!(Source::of(addr(from), addr("2001:db8:ffff::1")).to_string(), shown);
        }
    }

    #[test]
    fn the_network_of_a_source_holds_what_it_stands_for() {
        let own = addr("2001:db8:ffff::1");
        assert_eq!(Source::of(addr("192.0.2.7"), own).network(), "192.0.2.7/32".parse().unwrap());
        assert_eq!(Source::of(addr("2001:db8:1:2::9"), own).network(), "2001:db8:1:2::/64".parse().unwrap());
        assert_eq!(Source::of(addr("2001:db8:ffff::99"), own).network(), "2001:db8:ffff::99/128".parse().unwrap());
    }
}
