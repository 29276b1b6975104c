//! The policy: who is blocked now, who was, and for how long the next block is.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use super::{Decision, MAX_TTL, Outcome, Protected, REPEATER_MEMORY, Suppression};
use crate::{Finding, Source, Time};

/// What is known about a source that is or was blocked.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// End of the block, or, when that is over, of the memory of it.
    ends: Time,
    blocked: bool,
    times: u32,
}

/// Decides, and remembers what it decided.
#[derive(Debug)]
pub struct Policy {
    observe: bool,
    first_ttl: Duration,
    max_entries: usize,
    entries: HashMap<Source, Entry>,
    /// What ends next: each entry once. Blocks and memories apart, so that either can be walked alone.
    blocks: BTreeSet<(Time, Source)>,
    memories: BTreeSet<(Time, Source)>,
}

impl Policy {
    /// A policy that has blocked nobody yet. In observe mode everything is decided as otherwise, and nothing blocked.
    #[must_use]
    pub fn new(observe: bool, first_ttl: Duration, max_entries: usize) -> Self {
        Self {
            observe,
            first_ttl: first_ttl.min(MAX_TTL),
            max_entries,
            entries: HashMap::new(),
            blocks: BTreeSet::new(),
            memories: BTreeSet::new(),
        }
    }

    /// What becomes of a finding.
    pub fn decide(&mut self, finding: &Finding, protected: &Protected) -> Decision {
        let (source, now) = (finding.source, finding.time);
        let suppressed = |why| Decision { outcome: Outcome::Suppressed(why), times: 0, ttl: Duration::ZERO };
        if let Some(why) = protected.protects(source) {
            return suppressed(Suppression::Protected(why));
        }
        let before = self.entries.get(&source).copied();
        if before.is_none() && !self.make_room() {
            return suppressed(Suppression::Full);
        }
        let blocked = before.is_some_and(|e| e.blocked && e.ends > now);
        let times = before.map_or(0, |e| e.times).saturating_add(1);
        let ttl = self.ttl(times);
        let until = before.filter(|_| blocked).map_or(now + ttl, |e| e.ends.max(now + ttl));
        self.put(source, Entry { ends: until, blocked: true, times });
        let outcome = match (self.observe, blocked) {
            (true, _) => Outcome::Observe { until },
            (false, true) => Outcome::Extend { until },
            (false, false) => Outcome::Block { until },
        };
        Decision { outcome, times, ttl: until.since(now) }
    }

    /// The sources whose blocks are over by now; they stay remembered as repeaters for [`REPEATER_MEMORY`].
    pub fn expire(&mut self, now: Time) -> Vec<Source> {
        while let Some(&(ends, source)) = self.memories.first()
            && ends <= now
        {
            self.drop(source);
        }
        let mut over = Vec::new();
        while let Some(&(ends, source)) = self.blocks.first()
            && ends <= now
        {
            let times = self.entries.get(&source).map_or(1, |e| e.times);
            self.put(source, Entry { ends: ends + REPEATER_MEMORY, blocked: false, times });
            over.push(source);
        }
        over
    }

    /// Sources blocked, as of the last [`Policy::expire`].
    #[must_use]
    pub fn blocked(&self) -> usize {
        self.blocks.len()
    }

    /// The first block's time, doubled with each one that follows.
    fn ttl(&self, times: u32) -> Duration {
        // 2^17 of the shortest block are more than the longest.
        self.first_ttl.saturating_mul(1 << (times - 1).min(17)).min(MAX_TTL)
    }

    /// Makes room for one more entry, if a memory can be given up for it; never a block.
    fn make_room(&mut self) -> bool {
        if self.entries.len() < self.max_entries {
            return true;
        }
        match self.memories.first() {
            Some(&(_, source)) => {
                self.drop(source);
                true
            }
            None => false,
        }
    }

    fn put(&mut self, source: Source, entry: Entry) {
        self.drop(source);
        let ends = if entry.blocked { &mut self.blocks } else { &mut self.memories };
        ends.insert((entry.ends, source));
        self.entries.insert(source, entry);
    }

    fn drop(&mut self, source: Source) {
        if let Some(entry) = self.entries.remove(&source) {
            let ends = if entry.blocked { &mut self.blocks } else { &mut self.memories };
            ends.remove(&(entry.ends, source));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::{FIRST_TTL, Protection};
    use std::net::{IpAddr, Ipv4Addr};
    use tcpcap_common::Addr;

    fn source(n: u32) -> Source {
        Source(Addr::from(IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n))))
    }

    fn finding(n: u32, secs: u64) -> Finding {
        Finding {
            time: Time::from_secs(secs),
            source: source(n),
            rule: crate::detect::Rule::PortScan,
            window: "burst",
            count: 32,
            threshold: 32,
            span: Duration::from_secs(60),
            targets: vec![],
            ports: vec![],
            truncated: false,
            attempts_before: 31,
            verified: false,
        }
    }

    fn policy() -> Policy {
        Policy::new(false, FIRST_TTL, 4)
    }

    fn decide(policy: &mut Policy, n: u32, secs: u64) -> Decision {
        policy.decide(&finding(n, secs), &Protected::default())
    }

    #[test]
    fn a_first_block_lasts_ten_minutes_and_each_repeat_twice_as_long_up_to_a_day() {
        let mut policy = policy();
        let mut now = 0;
        let ttls: Vec<u64> = (0..10)
            .map(|_| {
                let decision = decide(&mut policy, 1, now);
                assert!(matches!(decision.outcome, Outcome::Block { .. }), "{decision:?}");
                now += decision.ttl.as_secs();
                assert_eq!(policy.expire(Time::from_secs(now)), [source(1)]);
                decision.ttl.as_secs()
            })
            .collect();
        assert_eq!(ttls, [600, 1200, 2400, 4800, 9600, 19_200, 38_400, 76_800, 86_400, 86_400]);
    }

    #[test]
    fn a_block_ends_when_it_is_due_and_not_before() {
        let mut policy = policy();
        decide(&mut policy, 1, 0);
        assert!(policy.expire(Time::from_secs(599)).is_empty());
        assert_eq!(policy.expire(Time::from_secs(600)), [source(1)]);
        assert!(policy.expire(Time::from_secs(601)).is_empty(), "it ends once");
    }

    #[test]
    fn a_source_that_behaves_for_a_day_begins_anew() {
        let mut policy = policy();
        decide(&mut policy, 1, 0);
        policy.expire(Time::from_secs(600));
        policy.expire(Time::from_secs(600 + 86_400));
        assert_eq!(decide(&mut policy, 1, 87_001).ttl, FIRST_TTL);
    }

    #[test]
    fn a_finding_on_a_blocked_source_extends_its_block() {
        let mut policy = policy();
        decide(&mut policy, 1, 0);
        let again = decide(&mut policy, 1, 300);
        assert_eq!(again.outcome, Outcome::Extend { until: Time::from_secs(300 + 1200) });
        assert_eq!(again.to_string(), "for 20 min, block number 2 in a row");
        assert!(policy.expire(Time::from_secs(600)).is_empty());
        assert_eq!(policy.blocked(), 1);
    }

    #[test]
    fn a_protected_source_is_never_blocked_and_the_reason_is_given() {
        let mut protected = Protected::default();
        protected.set_host([], [IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0001))]);
        let mut policy = Policy::new(false, FIRST_TTL, 4);
        let decision = policy.decide(&finding(1, 0), &protected);
        let expected = Suppression::Protected(Protection::Gateway(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1))));
        assert_eq!(decision.outcome, Outcome::Suppressed(expected));
        assert_eq!(decision.to_string(), "10.0.0.1 is a default gateway");
        assert_eq!((decision.entry_until(), policy.blocked()), (None, 0));
    }

    #[test]
    fn observe_mode_decides_the_same_and_blocks_nobody() {
        let mut policy = Policy::new(true, FIRST_TTL, 4);
        let decision = decide(&mut policy, 1, 0);
        assert_eq!(decision.outcome, Outcome::Observe { until: Time::from_secs(600) });
        assert_eq!(policy.expire(Time::from_secs(600)), [source(1)]);
        assert_eq!(decide(&mut policy, 1, 601).ttl, FIRST_TTL * 2);
    }

    #[test]
    fn repeaters_give_way_to_new_blocks_and_blocks_to_nobody() {
        let mut policy = policy();
        decide(&mut policy, 1, 0);
        policy.expire(Time::from_secs(600));
        for n in 2..6 {
            assert!(matches!(decide(&mut policy, n, 700).outcome, Outcome::Block { .. }));
        }
        assert_eq!(decide(&mut policy, 6, 700).outcome, Outcome::Suppressed(Suppression::Full));
        assert_eq!(policy.blocked(), 4);
        assert_eq!(policy.expire(Time::from_secs(1300)).len(), 4);
        assert_eq!(decide(&mut policy, 1, 1400).ttl, FIRST_TTL, "its memory had given way");
    }
}
