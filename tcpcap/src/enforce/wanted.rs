//! What policy, operators and lists want, together: the one answer to what an entry of the kernel should be.
//!
//! Three layers, each of which comes and goes without regard to the others. Where several want the same source or network
//! blocked, the one that lasts longest decides, and of two that last as long the more deliberate: operator, rule, feed.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
    sync::Arc,
};

use ipnet::IpNet;
use tcpcap_common::{
    Addr,
    record::{self, Block, reason},
};
use tcpcap_core::{IPV6_PREFIX_LEN, Source, Time};

use crate::{
    block,
    lists::{Denied, Plan},
    translate,
};

/// Where an entry stands in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// In the hash of sources.
    Source(Source),
    /// In the trie of networks.
    Network(IpNet),
}

impl Place {
    /// Where an operator's or a feed's network belongs: what a source is into the hash, anything else into the trie.
    #[must_use]
    pub fn of(network: IpNet) -> Self {
        let is_source = match network {
            IpNet::V4(net) => net.prefix_len() == 32,
            IpNet::V6(net) => net.prefix_len() == IPV6_PREFIX_LEN,
        };
        if is_source { Self::Source(Source(Addr::from(network.network()))) } else { Self::Network(network) }
    }

    /// Whose packets the entry is about.
    #[must_use]
    pub fn network(self) -> IpNet {
        match self {
            Self::Source(source) => source.network(),
            Self::Network(network) => network,
        }
    }
}

impl From<&Denied> for Place {
    fn from(denied: &Denied) -> Self {
        denied.source.map_or(Self::Network(denied.network), Self::Source)
    }
}

/// The wanted state.
#[derive(Debug, Default)]
pub struct Wanted {
    automatic: BTreeMap<Source, Block>,
    operator: BTreeMap<Place, block::Block>,
    /// What configuration and feeds deny.
    plan: Arc<Plan>,
    /// Since when the plan's entries hold.
    planned: Time,
}

impl Wanted {
    /// What the entry at a place should be; `None`: there should be none.
    #[must_use]
    pub fn at(&self, place: Place) -> Option<Block> {
        let operator = self.operator.get(&place).map(translate::entry);
        let automatic = match place {
            Place::Source(source) => self.automatic.get(&source).copied(),
            Place::Network(_) => None,
        };
        // Of those that last as long the last one is taken.
        self.planned(place).into_iter().chain(automatic).chain(operator).max_by_key(end)
    }

    fn planned(&self, place: Place) -> Option<Block> {
        if self.plan.is_empty() {
            return None;
        }
        // A neighbour's whole address is a source that no list can name.
        let network = place.network();
        let why = self.plan.get(&network).filter(|_| Place::of(network) == place)?;
        let (since, reason) = (self.planned.as_nanos(), translate::reason_of(why));
        Some(Block { since, reason, flags: record::block::LISTED, ..Block::default() })
    }

    /// A rule's block begins or changes.
    pub fn put_automatic(&mut self, source: Source, block: Block) {
        self.automatic.insert(source, block);
    }

    /// A rule's block is over; says whether there was one.
    pub fn drop_automatic(&mut self, source: Source) -> bool {
        self.automatic.remove(&source).is_some()
    }

    /// An operator's block begins or changes.
    pub fn put_operator(&mut self, block: block::Block) -> Place {
        let place = Place::of(block.network);
        self.operator.insert(place, block);
        place
    }

    /// An operator's block is over.
    pub fn drop_operator(&mut self, network: IpNet) -> Option<block::Block> {
        self.operator.remove(&Place::of(network))
    }

    /// Whether anything that is no single source is to be blocked.
    #[must_use]
    pub fn has_networks(&self) -> bool {
        self.plan.counts().networks > 0 || self.operator.keys().any(|place| matches!(place, Place::Network(_)))
    }

    /// The operators' blocks.
    pub fn operator(&self) -> impl Iterator<Item = &block::Block> {
        self.operator.values()
    }

    /// The operator's block at a place.
    #[must_use]
    pub fn operator_at(&self, place: Place) -> Option<&block::Block> {
        self.operator.get(&place)
    }

    /// How many blocks rules and operators want.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.automatic.len(), self.operator.len())
    }

    /// Of these automatic blocks the one that began first.
    #[must_use]
    pub fn oldest_automatic(&self, of: impl Fn(Source) -> bool) -> Option<Source> {
        let these = self.automatic.iter().filter(|(source, _)| of(**source));
        these.min_by_key(|(_, block)| block.since).map(|(source, _)| *source)
    }

    /// What lists deny from now on.
    pub fn set_plan(&mut self, plan: Arc<Plan>, now: Time) -> Arc<Plan> {
        self.planned = now;
        std::mem::replace(&mut self.plan, plan)
    }

    /// What lists deny.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The next place of rules' and operators' blocks after the given one, in an order of their own; the plan's entries
    /// are walked by their number.
    #[must_use]
    pub fn next(&self, after: Option<Place>) -> Option<Place> {
        let operator = || self.operator.range((after.map_or(Unbounded, Excluded), Unbounded)).next().map(|(p, _)| *p);
        let automatic = || match after {
            None => self.automatic.keys().next(),
            Some(Place::Source(after)) => self.automatic.range((Excluded(after), Unbounded)).next().map(|(s, _)| s),
            Some(Place::Network(_)) => None,
        };
        automatic().map(|source| Place::Source(*source)).into_iter().chain(operator()).min()
    }
}

/// When a block ends, for comparison.
fn end(block: &Block) -> u64 {
    if block.until == 0 { u64::MAX } else { block.until }
}

/// Whether an entry in the kernel is the one that is wanted; what it counts is the kernel's own.
#[must_use]
pub fn agrees(wanted: &Block, found: &Block) -> bool {
    (wanted.until, wanted.reason, wanted.scope) == (found.until, found.reason, found.scope)
}

/// Whether an entry came from a rule.
#[must_use]
pub fn is_automatic(block: &Block) -> bool {
    !is_listed(block) && block.reason != reason::OPERATOR
}

/// Whether an entry came from a list.
#[must_use]
pub fn is_listed(block: &Block) -> bool {
    block.flags & record::block::LISTED != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{block::Why, lists::List};
    use tcpcap_core::Scope;

    fn source(ip: &str) -> Source {
        Source(ip.parse::<std::net::IpAddr>().unwrap().into())
    }

    fn automatic(until: u64) -> Block {
        Block { until, reason: reason::PORT_SCAN, ..Block::default() }
    }

    fn operator(network: &str, until: Option<u64>) -> block::Block {
        block::Block {
            network: network.parse().unwrap(),
            why: Why::Operator { note: None },
            scope: Scope::All,
            since: Time::ZERO,
            until: until.map(Time::from_nanos),
            times: 0,
            unverified: false,
        }
    }

    fn plan(networks: &[&str]) -> Arc<Plan> {
        let networks: Vec<IpNet> = networks.iter().map(|n| n.parse().unwrap()).collect();
        Arc::new(Plan::make(&[List::operator(&networks, None)], |_| None))
    }

    #[test]
    fn what_is_a_source_goes_into_the_hash_and_anything_else_into_the_trie() {
        for (network, is_source) in [
            ("192.0.2.7/32", true),
            ("192.0.2.0/24", false),
            ("2001:db8:1:2::/64", true),
            ("2001:db8:1:2::/63", false),
            ("2001:db8:1:2::7/128", false),
        ] {
            let network: IpNet = network.parse().unwrap();
            let place = Place::of(network);
            assert_eq!(matches!(place, Place::Source(_)), is_source, "{network}");
            assert_eq!(place.network(), network);
        }
    }

    #[test]
    fn each_layer_comes_and_goes_without_regard_to_the_others() {
        let mut wanted = Wanted::default();
        let (who, place) = (source("192.0.2.7"), Place::Source(source("192.0.2.7")));
        assert_eq!(wanted.at(place), None);
        wanted.set_plan(plan(&["192.0.2.7/32"]), Time::from_nanos(5));
        assert_eq!(wanted.at(place).map(|b| (b.until, b.since)), Some((0, 5)));
        wanted.put_automatic(who, automatic(100));
        wanted.put_operator(operator("192.0.2.7/32", Some(50)));
        assert_eq!(wanted.at(place).unwrap().until, 0, "the list's has no end");
        wanted.set_plan(plan(&[]), Time::ZERO);
        assert_eq!(wanted.at(place).unwrap().reason, reason::PORT_SCAN, "it lasts longer than the operator's");
        assert!(wanted.drop_automatic(who) && !wanted.drop_automatic(who));
        assert_eq!(wanted.at(place).unwrap().reason, reason::OPERATOR);
        assert!(wanted.drop_operator("192.0.2.7/32".parse().unwrap()).is_some());
        assert_eq!(wanted.at(place), None);
    }

    #[test]
    fn of_two_that_last_as_long_the_operators_is_shown() {
        let mut wanted = Wanted::default();
        wanted.put_automatic(source("192.0.2.7"), automatic(100));
        let place = wanted.put_operator(operator("192.0.2.7/32", Some(100)));
        assert_eq!(wanted.at(place).unwrap().reason, reason::OPERATOR);
    }

    #[test]
    fn a_neighbours_whole_address_is_not_what_a_list_means() {
        let mut wanted = Wanted::default();
        wanted.set_plan(plan(&["2001:db8:1:2::7/128"]), Time::ZERO);
        let network = "2001:db8:1:2::7/128".parse().unwrap();
        assert_eq!(wanted.at(Place::Source(source("2001:db8:1:2::7"))), None);
        assert!(wanted.at(Place::Network(network)).is_some());
    }

    #[test]
    fn a_walk_meets_every_place_of_rules_and_operators_once() {
        let mut wanted = Wanted::default();
        for ip in ["192.0.2.9", "192.0.2.7", "2001:db8::"] {
            wanted.put_automatic(source(ip), automatic(1));
        }
        for network in ["192.0.2.7/32", "192.0.2.8/32", "198.51.100.0/24", "2001:db8::/48"] {
            wanted.put_operator(operator(network, None));
        }
        let (mut at, mut walked) = (None, Vec::new());
        while let Some(next) = wanted.next(at) {
            walked.push(next.network().to_string());
            at = Some(next);
        }
        let mut expected =
            ["192.0.2.7/32", "192.0.2.8/32", "192.0.2.9/32", "2001:db8::/64", "198.51.100.0/24", "2001:db8::/48"];
        walked.sort();
        expected.sort_unstable();
        assert_eq!(walked, expected);
    }

    #[test]
    fn the_oldest_automatic_block_is_the_one_that_began_first() {
        let mut wanted = Wanted::default();
        assert_eq!(wanted.oldest_automatic(|_| true), None);
        for (ip, since) in [("192.0.2.1", 3), ("192.0.2.2", 1), ("192.0.2.3", 2)] {
            wanted.put_automatic(source(ip), Block { since, ..automatic(9) });
        }
        assert_eq!(wanted.oldest_automatic(|_| true), Some(source("192.0.2.2")));
        assert_eq!(wanted.oldest_automatic(|s| s != source("192.0.2.2")), Some(source("192.0.2.3")));
    }
}
