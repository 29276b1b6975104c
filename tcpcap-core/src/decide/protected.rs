//! Who is never blocked.

use std::{collections::BTreeSet, fmt, net::IpAddr};

use ipnet::IpNet;

use crate::Source;

/// The never-block set: what the operator allows, and what the host and its operators need to stay in touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protected {
    own_networks: Vec<IpNet>,
    allowed: Vec<IpNet>,
    own: BTreeSet<IpAddr>,
    gateways: BTreeSet<IpAddr>,
    resolvers: BTreeSet<IpAddr>,
    sessions: BTreeSet<IpAddr>,
    controls: BTreeSet<IpAddr>,
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
    /// It is, or holds, a name server that this host asks.
    Resolver(IpAddr),
    /// Somebody is logged in from there.
    Session(IpAddr),
    /// tcpcap is controlled from there.
    Control(IpAddr),
    /// The operator allows it.
    Allowed(IpNet),
}

impl Protected {
    /// A set of the configured networks alone.
    #[must_use]
    pub fn new(own_networks: Vec<IpNet>, allowed: Vec<IpNet>) -> Self {
        Self { own_networks, allowed, ..Self::default() }
    }

    /// Replaces what was found on the host itself.
    pub fn set_host(&mut self, own: impl IntoIterator<Item = IpAddr>, gateways: impl IntoIterator<Item = IpAddr>) {
        self.own = plain(own);
        self.gateways = plain(gateways);
    }

    /// Replaces the name servers.
    pub fn set_resolvers(&mut self, resolvers: impl IntoIterator<Item = IpAddr>) {
        self.resolvers = plain(resolvers);
    }

    /// Replaces the peers of SSH sessions.
    pub fn set_sessions(&mut self, peers: impl IntoIterator<Item = IpAddr>) {
        self.sessions = plain(peers);
    }

    /// Replaces the addresses that tcpcap is controlled from.
    pub fn set_controls(&mut self, peers: impl IntoIterator<Item = IpAddr>) {
        self.controls = plain(peers);
    }

    /// Replaces what the operator allows.
    pub fn set_allowed(&mut self, allowed: Vec<IpNet>) {
        self.allowed = allowed;
    }

    /// Networks that this host answers for.
    #[must_use]
    pub fn own_networks(&self) -> &[IpNet] {
        &self.own_networks
    }

    /// What the operator allows.
    #[must_use]
    pub fn allowed(&self) -> &[IpNet] {
        &self.allowed
    }

    /// Why the source must not be blocked, if so. A prefix is protected as a whole when one of its addresses is: an
    /// allowed address within it would pass in the kernel anyway, but its owner would suffer for its neighbours.
    #[must_use]
    pub fn protects(&self, source: Source) -> Option<Protection> {
        self.protects_network(source.network())
    }

    /// Why the network must not be blocked as it is, if so: it holds a protected address, or it overlaps with a
    /// protected network.
    #[must_use]
    pub fn protects_network(&self, network: IpNet) -> Option<Protection> {
        let overlaps = |other: &&IpNet| other.contains(&network) || network.contains(*other);
        let (first, last) = (network.network(), network.broadcast());
        let within = |set: &BTreeSet<IpAddr>| set.range(first..=last).next().copied();
        within(&self.own)
            .map(Protection::Own)
            .or_else(|| self.own_networks.iter().find(overlaps).map(|n| Protection::OwnNetwork(*n)))
            .or_else(|| self.singles().skip(1).find_map(|(set, why)| within(set).map(why)))
            .or_else(|| self.allowed.iter().find(overlaps).map(|n| Protection::Allowed(*n)))
    }

    /// Why an operator's network must not be blocked, if so: as [`Protected::protects_network`], but an allowed network
    /// within it is no hindrance, for it passes through a hole.
    #[must_use]
    pub fn keeps_out(&self, network: IpNet) -> Option<Protection> {
        self.protects_network(network)
            .filter(|why| !matches!(why, Protection::Allowed(allowed) if !allowed.contains(&network)))
            .or_else(|| self.allowed.iter().find(|allowed| allowed.contains(&network)).map(|n| Protection::Allowed(*n)))
    }

    /// Every protected address and why it is, each once. What lies in [`Protected::allowed`] and in own networks is not
    /// among them.
    pub fn iter(&self) -> impl Iterator<Item = (IpAddr, Protection)> {
        self.singles().enumerate().flat_map(move |(i, (set, why))| {
            let named = move |ip: &&IpAddr| self.singles().take(i).any(|(before, _)| before.contains(*ip));
            set.iter().filter(move |ip| !named(ip)).map(move |ip| (*ip, why(*ip)))
        })
    }

    /// The addresses that are protected and were not before, and why they are.
    pub fn added_since(&self, before: &Self) -> impl Iterator<Item = (IpAddr, Protection)> {
        self.iter().filter(|(ip, _)| !before.singles().any(|(set, _)| set.contains(ip)))
    }

    /// The sets of single addresses, what one is in first, and what being in one means.
    fn singles(&self) -> impl Iterator<Item = (&BTreeSet<IpAddr>, fn(IpAddr) -> Protection)> {
        [
            (&self.own, Protection::Own as fn(IpAddr) -> Protection),
            (&self.gateways, Protection::Gateway),
            (&self.resolvers, Protection::Resolver),
            (&self.sessions, Protection::Session),
            (&self.controls, Protection::Control),
        ]
        .into_iter()
    }

    /// The networks that are protected as a whole.
    pub fn networks(&self) -> impl Iterator<Item = &IpNet> {
        self.own_networks.iter().chain(&self.allowed)
    }
}

/// IPv4 addresses as such, however they were written.
fn plain(addresses: impl IntoIterator<Item = IpAddr>) -> BTreeSet<IpAddr> {
    addresses.into_iter().map(|ip| ip.to_canonical()).collect()
}

impl Protection {
    /// Whether a list's entry that holds it is left out as a whole: the network is this host's own then. All others pass
    /// through a hole in what holds them.
    #[must_use]
    pub const fn keeps_lists_out(&self) -> bool {
        matches!(self, Self::Own(_) | Self::OwnNetwork(_) | Self::Gateway(_))
    }

    /// The name used in output.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Own(_) | Self::OwnNetwork(_) => "own",
            Self::Gateway(_) => "gateway",
            Self::Resolver(_) => "resolver",
            Self::Session(_) => "session",
            Self::Control(_) => "control",
            Self::Allowed(_) => "allowed",
        }
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(ip) => write!(f, "{ip} is an address of this host"),
            Self::OwnNetwork(network) => write!(f, "{} is this host's own", Alone(network)),
            Self::Gateway(ip) => write!(f, "{ip} is a default gateway"),
            Self::Resolver(ip) => write!(f, "{ip} is a resolver of this host"),
            Self::Session(ip) => write!(f, "{ip} has an SSH session on this host"),
            Self::Control(ip) => write!(f, "{ip} is where tcpcap is controlled from"),
            Self::Allowed(network) => write!(f, "{} is allowed", Alone(network)),
        }
    }
}

/// A network; a single address without its length.
struct Alone<'a>(&'a IpNet);

impl fmt::Display for Alone<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.prefix_len() == self.0.max_prefix_len() {
            true => self.0.addr().fmt(f),
            false => self.0.fmt(f),
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
        p.set_resolvers([ip("192.0.2.53")]);
        p.set_sessions([ip("192.0.2.9"), ip("::ffff:192.0.2.10"), ip("192.0.2.53"), ip("2001:db8:99::1")]);
        p.set_controls([ip("192.0.2.9"), ip("192.0.2.11")]);
        p
    }

    #[test]
    fn what_is_protected_says_why() {
        for (who, why) in [
            ("192.0.2.1", "192.0.2.1 is an address of this host"),
            ("198.51.100.77", "198.51.100.0/24 is this host's own"),
            ("192.0.2.254", "192.0.2.254 is a default gateway"),
            ("192.0.2.53", "192.0.2.53 is a resolver of this host"),
            ("192.0.2.9", "192.0.2.9 has an SSH session on this host"),
            ("192.0.2.10", "192.0.2.10 has an SSH session on this host"),
            ("192.0.2.11", "192.0.2.11 is where tcpcap is controlled from"),
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
    fn an_operators_network_may_be_around_an_allowed_one_and_not_within_it() {
        let p = protected();
        let keeps_out = |network: &str| p.keeps_out(network.parse().unwrap()).map(|why| why.name());
        assert_eq!(keeps_out("8.0.0.0/5"), None, "10.0.0.0/8 passes through a hole");
        assert_eq!(keeps_out("10.1.0.0/16"), Some("allowed"));
        assert_eq!(keeps_out("192.0.2.0/24"), Some("own"));
        assert_eq!(keeps_out("192.0.2.254/32"), Some("gateway"));
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

    #[test]
    fn a_network_is_protected_when_it_holds_or_lies_in_something_that_is() {
        for (network, why) in [
            ("192.0.2.0/28", Some(Protection::Own(ip("192.0.2.1")))),
            ("192.0.2.52/31", Some(Protection::Resolver(ip("192.0.2.53")))),
            ("192.0.2.8/30", Some(Protection::Session(ip("192.0.2.9")))),
            ("192.0.2.11/32", Some(Protection::Control(ip("192.0.2.11")))),
            ("2001:db8:99::/48", Some(Protection::Session(ip("2001:db8:99::1")))),
            ("198.51.100.128/25", Some(Protection::OwnNetwork("198.51.100.0/24".parse().unwrap()))),
            ("10.1.0.0/16", Some(Protection::Allowed("10.0.0.0/8".parse().unwrap()))),
            ("8.0.0.0/6", Some(Protection::Allowed("10.0.0.0/8".parse().unwrap()))),
            ("0.0.0.0/0", Some(Protection::Own(ip("192.0.2.1")))),
            ("::/0", Some(Protection::Own(ip("2001:db8:77::1")))),
            ("192.0.2.12/30", None),
            ("192.0.2.255/32", None),
            ("2001:db8:98::/48", None),
        ] {
            assert_eq!(protected().protects_network(network.parse().unwrap()), why, "{network}");
        }
    }

    #[test]
    fn each_protected_address_is_listed_once() {
        let listed: Vec<_> = protected().iter().map(|(ip, why)| format!("{ip} {}", why.name())).collect();
        assert_eq!(
            listed,
            [
                "192.0.2.1 own",
                "2001:db8:77::1 own",
                "192.0.2.254 gateway",
                "fe80::1 gateway",
                "192.0.2.53 resolver",
                "192.0.2.9 session",
                "192.0.2.10 session",
                "2001:db8:99::1 session",
                "192.0.2.11 control",
            ]
        );
    }

    #[test]
    fn what_is_new_is_told_apart_from_what_is_protected_for_another_reason() {
        let (before, mut after) = (protected(), protected());
        assert_eq!(before, after);
        after.set_sessions([ip("192.0.2.53"), ip("203.0.113.5")]);
        assert_ne!(before, after);
        let added: Vec<_> = after.added_since(&before).collect();
        assert_eq!(added, [(ip("203.0.113.5"), Protection::Session(ip("203.0.113.5")))]);
    }

    #[test]
    fn a_single_address_is_named_without_its_length() {
        let allowed = |network: &str| Protection::Allowed(network.parse().unwrap()).to_string();
        assert_eq!(allowed("192.0.2.1/32"), "192.0.2.1 is allowed");
        assert_eq!(allowed("2001:db8::/48"), "2001:db8::/48 is allowed");
    }

    #[test]
    fn what_the_operator_allows_can_change() {
        let mut p = protected();
        p.set_allowed(vec!["203.0.113.0/24".parse().unwrap()]);
        assert_eq!(p.protects(source("10.9.8.7")), None);
        assert!(matches!(p.protects(source("203.0.113.7")), Some(Protection::Allowed(_))));
        assert_eq!(p.allowed().len(), 1);
    }
}
