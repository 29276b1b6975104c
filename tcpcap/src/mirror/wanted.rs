//! What the table should hold: blocks and allowed networks, set by set.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use tcpcap_core::{Scope, Time};

use super::layout::{Elements, Mode, NEVER, Role, SetId};

/// The wanted state.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) mode: Mode,
    blocks: BTreeMap<IpNet, (Scope, Time)>,
    allowed: Vec<IpNet>,
    /// As the sets hold it; those of intervals are made anew where `stale`.
    sets: BTreeMap<SetId, Elements>,
    stale: BTreeSet<SetId>,
    touched: BTreeSet<SetId>,
}

impl Wanted {
    /// How many networks are to be blocked.
    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Whether this network is to be blocked.
    pub(super) fn holds(&self, network: IpNet) -> bool {
        self.blocks.contains_key(&network)
    }

    /// Blocks a network in one scope, and no more in another.
    pub(super) fn put(&mut self, network: IpNet, scope: Scope, until: Time) {
        let before = self.blocks.insert(network, (scope, until));
        if let Some((old, _)) = before
            && old != scope
        {
            self.change(network, old, None);
        }
        self.change(network, scope, Some(until));
    }

    /// Blocks it no more.
    pub(super) fn remove(&mut self, network: IpNet) {
        if let Some((scope, _)) = self.blocks.remove(&network) {
            self.change(network, scope, None);
        }
    }

    /// Lets these networks pass, and no others.
    pub(super) fn allow(&mut self, networks: &[IpNet]) {
        self.allowed = networks.to_vec();
        let sets = SetId::all().filter(|set| set.role() == Role::Allowed);
        self.stale.extend(sets);
    }

    fn change(&mut self, network: IpNet, scope: Scope, until: Option<Time>) {
        let Some(set) = SetId::blocking(network, scope) else { return };
        if set.is_interval() {
            self.stale.insert(set);
            return;
        }
        let elements = self.sets.entry(set).or_default();
        match until {
            Some(until) => elements.insert(network, until),
            None => elements.remove(&network),
        };
        self.touched.insert(set);
    }

    /// Forgets what is over.
    pub(super) fn expire(&mut self, now: Time) {
        self.blocks.retain(|_, (_, until)| *until > now);
        self.sets.values_mut().for_each(|elements| elements.retain(|_, until| *until > now));
    }

    /// Looks at all sets again, not only at those that changed.
    pub(super) fn touch_all(&mut self) {
        self.touched.extend(SetId::all());
    }

    /// Brings the sets up to date.
    pub(super) fn refresh(&mut self) {
        for set in std::mem::take(&mut self.stale) {
            let elements = self.intervals(set);
            self.sets.insert(set, elements);
            self.touched.insert(set);
        }
    }

    /// The sets that may have changed since the last call, all up to date.
    pub(super) fn take_touched(&mut self) -> Vec<SetId> {
        self.refresh();
        std::mem::take(&mut self.touched).into_iter().collect()
    }

    /// What a set should hold, as of the last [`Wanted::refresh`].
    pub(super) fn elements(&self, set: SetId) -> &Elements {
        static NONE: Elements = Elements::new();
        self.sets.get(&set).unwrap_or(&NONE)
    }

    fn intervals(&self, set: SetId) -> Elements {
        let of_family = |network: &IpNet| matches!(network, IpNet::V6(_)) == set.is_v6();
        if set.role() == Role::Allowed {
            let networks: Vec<IpNet> = self.allowed.iter().filter(|n| of_family(n)).copied().collect();
            return IpNet::aggregate(&networks).into_iter().map(|network| (network, NEVER)).collect();
        }
        let networks: Vec<(IpNet, Time)> = self
            .blocks
            .iter()
            .filter(|(network, (scope, _))| SetId::blocking(**network, *scope) == Some(set))
            .map(|(network, (_, until))| (*network, *until))
            .collect();
        disjoint(&networks)
    }
}

/// The same coverage by networks that do not overlap, each to the latest end of those that hold it: a set of intervals
/// takes no others.
fn disjoint(networks: &[(IpNet, Time)]) -> Elements {
    let mut sorted = networks.to_vec();
    // A network before those inside it.
    sorted.sort_by_key(|(network, _)| (network.network(), network.prefix_len()));
    let mut elements = Elements::new();
    let mut rest = &sorted[..];
    while let Some(((outer, _), _)) = rest.split_first() {
        let inside = rest.iter().take_while(|(network, _)| outer.contains(network)).count();
        cover(*outer, Time::ZERO, &rest[..inside], &mut elements);
        rest = &rest[inside..];
    }
    elements
}

/// Covers `whole`, which is blocked until `until` in any case, where all `networks` lie in it.
fn cover(whole: IpNet, until: Time, networks: &[(IpNet, Time)], elements: &mut Elements) {
    let until = networks.iter().filter(|(n, _)| *n == whole).map(|(_, until)| *until).fold(until, Time::max);
    let longer: Vec<(IpNet, Time)> = networks.iter().filter(|(_, end)| *end > until).copied().collect();
    if longer.is_empty() {
        if until > Time::ZERO {
            elements.insert(whole, until);
        }
        return;
    }
    // What lies in it is longer, so it can be halved.
    for half in whole.subnets(whole.prefix_len() + 1).into_iter().flatten() {
        let inside: Vec<_> = longer.iter().filter(|(network, _)| half.contains(network)).copied().collect();
        cover(half, until, &inside, elements);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn shown(elements: &Elements) -> Vec<String> {
        elements.iter().map(|(network, until)| format!("{network} {}", until.as_nanos())).collect()
    }

    fn at(nanos: u64) -> Time {
        Time::from_nanos(nanos)
    }

    #[test]
    fn a_source_moves_with_its_scope() {
        let mut wanted = Wanted::default();
        let [all, syn] = ["blocked4", "blocked_syn4"].map(|name| SetId::named(name).unwrap());
        wanted.put(net("192.0.2.7/32"), Scope::All, at(5));
        wanted.put(net("192.0.2.7/32"), Scope::Syn, at(7));
        assert_eq!(wanted.take_touched(), [all, syn]);
        assert!(wanted.elements(all).is_empty());
        assert_eq!(shown(wanted.elements(syn)), ["192.0.2.7/32 7"]);
        wanted.expire(at(7));
        assert_eq!((wanted.len(), wanted.elements(syn).len()), (0, 0));
    }

    #[test]
    fn a_network_inside_one_that_outlives_it_is_not_listed() {
        assert_eq!(shown(&disjoint(&[(net("10.0.0.0/8"), NEVER), (net("10.1.0.0/16"), at(9))])).len(), 1);
    }

    #[test]
    fn a_network_that_outlives_the_one_around_it_is_cut_out_of_it() {
        let elements = disjoint(&[(net("10.0.0.0/30"), at(5)), (net("10.0.0.2/32"), at(9))]);
        assert_eq!(shown(&elements), ["10.0.0.0/31 5", "10.0.0.2/32 9", "10.0.0.3/32 5"]);
    }

    #[test]
    fn everything_can_be_blocked_and_allowed() {
        let mut wanted = Wanted::default();
        for all in ["0.0.0.0/0", "::/0"] {
            wanted.put(net(all), Scope::All, NEVER);
        }
        wanted.allow(&[net("10.0.0.0/9"), net("10.128.0.0/9"), net("10.2.3.0/24"), net("::/0")]);
        wanted.take_touched();
        let elements = |name: &str| shown(wanted.elements(SetId::named(name).unwrap())).len();
        assert_eq!(["blocked_nets4", "blocked_nets6", "allowed4", "allowed6"].map(elements), [1, 1, 1, 1]);
    }

    proptest! {
        #[test]
        fn an_address_is_covered_as_long_as_by_the_longest_of_its_networks(
            networks in prop::collection::vec((0u8..=255, 24u8..=32, 1u64..6), 0..12),
        ) {
            let networks: Vec<(IpNet, Time)> = networks
                .into_iter()
                .map(|(host, len, until)| {
                    (IpNet::new([192, 0, 2, host].into(), len).unwrap().trunc(), at(until))
                })
                .collect();
            let elements = disjoint(&networks);
            for host in 0..=255 {
                let address = std::net::IpAddr::from([192, 0, 2, host]);
                let longest = networks.iter().filter(|(n, _)| n.contains(&address)).map(|(_, until)| *until).max();
                let holding: Vec<Time> =
                    elements.iter().filter(|(n, _)| n.contains(&address)).map(|(_, until)| *until).collect();
                prop_assert!(holding.len() <= 1, "{address} stands in {} elements", holding.len());
                prop_assert_eq!(holding.first().copied(), longest);
            }
        }
    }
}
