//! What the table is made of: its sets, and which of them a network belongs into.

use std::collections::BTreeMap;

use ipnet::{IpNet, Ipv6Net};
use tcpcap_core::{IPV6_PREFIX_LEN, Scope, Time};

/// The end of what has none.
pub(super) const NEVER: Time = Time::from_nanos(u64::MAX);
/// The only chain.
pub(super) const CHAIN: &str = "blocks";
/// Begins the comment of each rule, and says whose table it is. The number changes with the sets and rules.
pub(super) const MARKER: &str = "tcpcap mirror 1";
/// Begins the comments of each version of tcpcap.
pub(super) const ANY_MARKER: &str = "tcpcap mirror ";

/// What a set holds, each with its end.
pub(super) type Elements = BTreeMap<IpNet, Time>;

/// Whether the rules drop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// They do.
    #[default]
    Enforce,
    /// They only count.
    Observe,
}

impl Mode {
    /// How a rule's comment names it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Enforce => "drop",
            Self::Observe => "observe",
        }
    }
}

/// What a set is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Its networks pass, whatever else holds them.
    Allowed,
    /// Sources, looked up by hash: IPv4 addresses, IPv6 prefixes of the one length that sources have.
    Sources(Scope),
    /// Networks of any other length, looked up by interval.
    Networks(Scope),
}

/// A set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SetId {
    index: u8,
}

struct Spec {
    name: &'static str,
    v6: bool,
    role: Role,
}

const fn spec(name: &'static str, v6: bool, role: Role) -> Spec {
    Spec { name, v6, role }
}

/// In the order of their rules: allowed ones first.
const SPECS: [Spec; 10] = [
    spec("allowed4", false, Role::Allowed),
    spec("allowed6", true, Role::Allowed),
    spec("blocked4", false, Role::Sources(Scope::All)),
    spec("blocked6", true, Role::Sources(Scope::All)),
    spec("blocked_nets4", false, Role::Networks(Scope::All)),
    spec("blocked_nets6", true, Role::Networks(Scope::All)),
    spec("blocked_syn4", false, Role::Sources(Scope::Syn)),
    spec("blocked_syn6", true, Role::Sources(Scope::Syn)),
    spec("blocked_syn_nets4", false, Role::Networks(Scope::Syn)),
    spec("blocked_syn_nets6", true, Role::Networks(Scope::Syn)),
];

impl SetId {
    /// All of them, in the order of their rules.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..).take(SPECS.len()).map(|index| Self { index })
    }

    /// The set of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::all().find(|set| set.name() == name)
    }

    /// The set for these networks of this family.
    pub(super) fn of(role: Role, v6: bool) -> Option<Self> {
        Self::all().find(|set| set.role() == role && set.is_v6() == v6)
    }

    /// The set that blocks a network.
    pub(super) fn blocking(network: IpNet, scope: Scope) -> Option<Self> {
        let role = if is_source(network) { Role::Sources(scope) } else { Role::Networks(scope) };
        Self::of(role, matches!(network, IpNet::V6(_)))
    }

    const fn spec(self) -> &'static Spec {
        &SPECS[self.index as usize]
    }

    pub(super) const fn name(self) -> &'static str {
        self.spec().name
    }

    pub(super) const fn is_v6(self) -> bool {
        self.spec().v6
    }

    pub(super) const fn role(self) -> Role {
        self.spec().role
    }

    /// Whether it holds intervals: such a set cannot hold overlapping networks, and nft deletes from it slowly.
    pub(super) const fn is_interval(self) -> bool {
        !matches!(self.role(), Role::Sources(_))
    }

    /// Whether its elements may end.
    pub(super) const fn has_timeout(self) -> bool {
        !matches!(self.role(), Role::Allowed)
    }

    /// What packets it concerns.
    pub(super) const fn scope(self) -> Scope {
        match self.role() {
            Role::Sources(scope) | Role::Networks(scope) => scope,
            Role::Allowed => Scope::All,
        }
    }

    /// The comment of its rule, which tells rules of one version and mode from all others.
    pub(super) fn comment(self, mode: Mode) -> String {
        match self.role() {
            Role::Allowed => format!("{MARKER}: {} pass", self.name()),
            Role::Sources(_) | Role::Networks(_) => format!("{MARKER}: {} {}", self.name(), mode.name()),
        }
    }

    /// The network that an address stands for in a set of sources; `None` where it can stand for none.
    pub(super) fn source(self, network: IpNet) -> Option<IpNet> {
        match network {
            IpNet::V4(v4) => (!self.is_v6() && v4.prefix_len() == 32).then_some(network),
            IpNet::V6(v6) => {
                let source = Ipv6Net::new(v6.addr(), IPV6_PREFIX_LEN).ok()?;
                (self.is_v6() && v6.prefix_len() == 128 && source.network() == v6.addr()).then_some(source.into())
            }
        }
    }
}

/// Whether it is what detection takes for one source.
fn is_source(network: IpNet) -> bool {
    match network {
        IpNet::V4(v4) => v4.prefix_len() == 32,
        IpNet::V6(v6) => v6.prefix_len() == IPV6_PREFIX_LEN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_network_has_one_set_for_each_scope() {
        for (network, all, syn) in [
            ("192.0.2.7/32", "blocked4", "blocked_syn4"),
            ("192.0.2.0/24", "blocked_nets4", "blocked_syn_nets4"),
            ("0.0.0.0/0", "blocked_nets4", "blocked_syn_nets4"),
            ("2001:db8::/64", "blocked6", "blocked_syn6"),
            ("2001:db8::1/128", "blocked_nets6", "blocked_syn_nets6"),
            ("2001:db8::/56", "blocked_nets6", "blocked_syn_nets6"),
        ] {
            let network = network.parse().unwrap();
            for (scope, name) in [(Scope::All, all), (Scope::Syn, syn)] {
                let set = SetId::blocking(network, scope).unwrap();
                assert_eq!((set.name(), set.scope()), (name, scope));
                assert_eq!(SetId::named(name), Some(set));
            }
        }
    }

    #[test]
    fn only_the_first_address_of_a_prefix_stands_for_an_ipv6_source() {
        let set = SetId::named("blocked6").unwrap();
        let source = |text: &str| set.source(text.parse().unwrap()).map(|n| n.to_string());
        assert_eq!(source("2001:db8::/128").as_deref(), Some("2001:db8::/64"));
        for odd in ["2001:db8::1/128", "2001:db8::/64", "192.0.2.7/32"] {
            assert_eq!(source(odd), None, "{odd}");
        }
    }
}
