//! Who is never blocked.

use std::{collections::BTreeSet, fmt, net::IpAddr};

use ipnet::IpNet;

use crate::Source;

/// The never-block set: what the operator allows, and what the host needs to stay reachable.
#[derive(Clone, Debug, Default)]
pub struct Protected {
    own_networks: Vec<IpNet>,
    allowed: Vec<IpNet>,
    own: BTreeSet<IpAddr>,
    gateways: BTreeSet<IpAddr>,
}

/// Why a source is never blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// It is, or holds, an address of this host.
    Own(IpAddr),
    /// It lies in, or holds, a network that this host answers for.
    OwnNetwork(IpNet),
    /// It is, or holds, the next hop of a default route.
    Gateway(IpAddr),
    /// The operator allows it.
    Allowed(IpNet),
}

impl Protected {
    /// A set of the configured networks alone.
    #[must_use]
    pub fn new(own_networks: Vec<IpNet>, allowed: Vec<IpNet>) -> Self {
        Self { own_networks, allowed, own: BTreeSet::new(), gateways: BTreeSet::new() }
    }

    /// Replaces what was found on the host itself.
    pub fn set_host(&mut self, own: impl IntoIterator<Item = IpAddr>, gateways: impl IntoIterator<Item = IpAddr>) {
        self.own = own.into_iter().collect();
        self.gateways = gateways.into_iter().collect();
    }

    /// Why the source must not be blocked, if so. A prefix is protected as a whole when one of its addresses is: an
    /// allowed address within it would pass in the kernel anyway, but its owner would suffer for its neighbours.
    #[must_use]
    pub fn protects(&self, source: Source) -> Option<Protection> {
        let network = source.network();
        let overlaps = |other: &&IpNet| other.contains(&network) || network.contains(*other);
        let within = |ip: &&IpAddr| network.contains(*ip);
        self.own
            .iter()
            .find(within)
            .map(|ip| Protection::Own(*ip))
            .or_else(|| self.own_networks.iter().find(overlaps).map(|n| Protection::OwnNetwork(*n)))
            .or_else(|| self.gateways.iter().find(within).map(|ip| Protection::Gateway(*ip)))
            .or_else(|| self.allowed.iter().find(overlaps).map(|n| Protection::Allowed(*n)))
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(ip) => write!(f, "{ip} is an address of this host"),
            Self::OwnNetwork(network) => write!(f, "{network} is this host's own"),
            Self::Gateway(ip) => write!(f, "{ip} is a default gateway"),
            Self::Allowed(network) => write!(f, "{network} is allowed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tcpcap_common::Addr;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn source(text: &str) -> Source {
        Source::of(Addr::from(ip(text)), Addr::from(ip(if text.contains(':') { "2001:db8::1" } else { "192.0.2.1" })))
    }

    fn protected() -> Protected {
        let nets = |list: &[&str]| list.iter().map(|n| n.parse().unwrap()).collect();
        let mut p = Protected::new(nets(&["198.51.100.0/24"]), nets(&["10.0.0.0/8", "2001:db8:a:b::5/128"]));
        p.set_host([ip("192.0.2.1"), ip("2001:db8:77::1")], [ip("192.0.2.254"), ip("fe80::1")]);
        p
    }

    #[test]
    fn own_addresses_gateways_and_allowed_networks_are_protected_and_say_why() {
        for (who, why) in [
            ("192.0.2.1", "192.0.2.1 is an address of this host"),
            ("198.51.100.77", "198.51.100.0/24 is this host's own"),
            ("192.0.2.254", "192.0.2.254 is a default gateway"),
            ("10.9.8.7", "10.0.0.0/8 is allowed"),
        ] {
            assert_eq!(protected().protects(source(who)).unwrap().to_string(), why);
        }
        assert_eq!(protected().protects(source("203.0.113.1")), None);
    }

    #[test]
    fn a_prefix_that_holds_a_protected_address_is_protected() {
        assert_eq!(protected().protects(source("2001:db8:77::9")), Some(Protection::Own(ip("2001:db8:77::1"))));
        assert_eq!(protected().protects(source("fe80::99")), Some(Protection::Gateway(ip("fe80::1"))));
        assert!(matches!(protected().protects(source("2001:db8:a:b::6")), Some(Protection::Allowed(_))));
        assert_eq!(protected().protects(source("2001:db8:a:c::6")), None);
    }

    #[test]
    fn a_changed_host_replaces_what_was_known_and_keeps_what_is_configured() {
        let mut p = protected();
        p.set_host([ip("192.0.2.2")], []);
        assert_eq!(p.protects(source("192.0.2.1")), None);
        assert_eq!(p.protects(source("192.0.2.254")), None);
        assert!(p.protects(source("192.0.2.2")).is_some());
        assert!(p.protects(source("10.0.0.1")).is_some());
    }
}
