//! The policy: who is blocked now, who was, and for how long the next block is.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    time::Duration,
};

use tcpcap_common::Addr;

use super::{
    BREAKER_OPEN, Caps, Decision, MAX_TTL, Outcome, Protected, Protection, REPEATER_MEMORY, Scope, Suppression,
};
use crate::{Finding, Source, Time, detect::Standing};

/// What is known about a source that is or was blocked.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// End of the block, or, when that is over, of the memory of it.
    ends: Time,
    blocked: bool,
    /// Blocked, and its address may be forged.
    unverified: bool,
    times: u32,
}

/// What may become of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prospect {
    /// How often in a row it has been blocked; 0: as far as is remembered, never.
    pub times: u32,
    /// When its present block ends.
    pub blocked_until: Option<Time>,
    /// When it stops to count as a repeater, if nothing more is found; none where it is none.
    pub forgotten_at: Option<Time>,
    /// How long its next block would last, at least.
    pub next: Duration,
}

/// Decides, and remembers what it decided.
#[derive(Debug)]
pub struct Policy {
    observe: bool,
    first_ttl: Duration,
    caps: Caps,
    entries: HashMap<Source, Entry>,
    /// What ends next: each entry once. Blocks and memories apart, so that either can be walked alone.
    blocks: BTreeSet<(Time, Source)>,
    memories: BTreeSet<(Time, Source)>,
    unverified: usize,
    /// When the blocks of the last minute were made: no more than the cap.
    recent: VecDeque<Time>,
    breaker_open_until: Time,
}

impl Policy {
    /// A policy that has blocked nobody yet. In observe mode everything is decided as otherwise, and nothing blocked.
    #[must_use]
    pub fn new(observe: bool, first_ttl: Duration, caps: Caps) -> Self {
        Self {
            observe,
            first_ttl: first_ttl.min(MAX_TTL),
            caps,
            entries: HashMap::new(),
            blocks: BTreeSet::new(),
            memories: BTreeSet::new(),
            unverified: 0,
            recent: VecDeque::new(),
            breaker_open_until: Time::ZERO,
        }
    }

    /// What becomes of a finding.
    pub fn decide(&mut self, finding: &Finding, protected: &Protected) -> Decision {
        let now = finding.time;
        let nothing = |outcome| Decision { outcome, times: 0, ttl: Duration::ZERO, scope: Scope::All };
        let Some(source) = finding.source.filter(|_| !finding.rule.is_alert()) else {
            return nothing(Outcome::Alert);
        };
        if let Some(why) = protected.protects(source) {
            return nothing(Outcome::Suppressed(Suppression::Protected(why)));
        }
        let before = self.entries.get(&source).copied();
        let blocked = before.filter(|e| e.blocked && e.ends > now);
        let unverified = finding.standing == Standing::Unverified;
        if blocked.is_none()
            && let Err(why) = self.may_block(before.is_some(), unverified, now)
        {
            return nothing(Outcome::Suppressed(why));
        }
        let times = before.map_or(0, |e| e.times).saturating_add(1);
        let ttl = self.ttl(times + u32::from(finding.standing == Standing::Verified));
        let until = blocked.map_or(now + ttl, |e| e.ends.max(now + ttl));
        self.put(source, Entry { ends: until, blocked: true, unverified, times });
        let outcome = match (self.observe, blocked) {
            (true, _) => Outcome::Observe { until },
            (false, Some(_)) => Outcome::Extend { until },
            (false, None) => Outcome::Block { until },
        };
        let scope = if finding.standing == Standing::Established { Scope::Syn } else { Scope::All };
        Decision { outcome, times, ttl: until.since(now), scope }
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
            self.put(source, Entry { ends: ends + REPEATER_MEMORY, blocked: false, unverified: false, times });
            over.push(source);
        }
        over
    }

    /// Takes over a block that an earlier policy decided. It is bound by no cap: what is blocked stays so.
    pub fn restore(&mut self, source: Source, until: Time, times: u32, unverified: bool) {
        self.put(source, Entry { ends: until, blocked: true, unverified, times });
    }

    /// Remembers that a source was blocked before, until a time, as an earlier policy did. Its present block, if it has
    /// one, stays as it is.
    pub fn remember(&mut self, source: Source, until: Time, times: u32) {
        if !self.entries.contains_key(&source) && self.make_room() {
            self.put(source, Entry { ends: until, blocked: false, unverified: false, times });
        }
    }

    /// Forgets a source, its block and that it ever was blocked; says whether it is blocked.
    pub fn forget(&mut self, source: Source) -> bool {
        let blocked = self.entries.get(&source).is_some_and(|e| e.blocked);
        self.drop(source);
        blocked
    }

    /// What is remembered of a source, and what its next block would be like.
    #[must_use]
    pub fn prospect(&self, source: Source, now: Time) -> Prospect {
        let entry = self.entries.get(&source).filter(|entry| entry.blocked || entry.ends > now);
        let blocked_until = entry.filter(|e| e.blocked && e.ends > now).map(|e| e.ends);
        let times = entry.map_or(0, |e| e.times);
        Prospect {
            times,
            blocked_until,
            forgotten_at: entry.map(|e| if e.blocked { e.ends + REPEATER_MEMORY } else { e.ends }),
            next: self.ttl(times.saturating_add(1)),
        }
    }

    /// Changes what it was made with; what it has decided stays.
    pub fn configure(&mut self, observe: bool, first_ttl: Duration, caps: Caps) {
        (self.observe, self.first_ttl, self.caps) = (observe, first_ttl.min(MAX_TTL), caps);
    }

    /// The blocked sources that must not be any more, and why. All that was known of them is forgotten.
    pub fn lift_protected(&mut self, protected: &Protected) -> Vec<(Source, Protection)> {
        let mut found = BTreeSet::new();
        for (ip, _) in protected.iter() {
            let whole = Source(Addr::from(ip));
            found.extend([whole, whole.prefix()].into_iter().filter(|source| self.is_blocked(*source)));
        }
        if protected.networks().next().is_some() {
            found.extend(self.blocks.iter().map(|(_, source)| *source).filter(|source| {
                let network = source.network();
                protected.networks().any(|n| n.contains(&network) || network.contains(n))
            }));
        }
        found
            .into_iter()
            .filter_map(|source| {
                let why = protected.protects(source)?;
                self.drop(source);
                Some((source, why))
            })
            .collect()
    }

    fn is_blocked(&self, source: Source) -> bool {
        self.entries.get(&source).is_some_and(|entry| entry.blocked)
    }

    /// Sources blocked, as of the last [`Policy::expire`].
    #[must_use]
    pub fn blocked(&self) -> usize {
        self.blocks.len()
    }

    /// Whether the circuit breaker is open.
    #[must_use]
    pub fn is_breaker_open(&self, now: Time) -> bool {
        now < self.breaker_open_until
    }

    /// The first block's time, doubled with each step.
    fn ttl(&self, step: u32) -> Duration {
        // 2^17 of the shortest block are more than the longest.
        self.first_ttl.saturating_mul(1 << (step - 1).min(17)).min(MAX_TTL)
    }

    /// Whether the caps leave room for one more block; takes it if so.
    fn may_block(&mut self, known: bool, unverified: bool, now: Time) -> Result<(), Suppression> {
        let Caps { entries, unverified: cap, per_minute } = self.caps;
        if self.is_breaker_open(now) {
            return Err(Suppression::BreakerOpen(per_minute));
        }
        if unverified && self.unverified >= cap {
            return Err(Suppression::Unverified(cap));
        }
        while self.recent.front().is_some_and(|at| now.since(*at) >= Duration::from_secs(60)) {
            self.recent.pop_front();
        }
        if self.recent.len() >= per_minute {
            self.breaker_open_until = now + BREAKER_OPEN;
            return Err(Suppression::BreakerOpen(per_minute));
        }
        if !known && !self.make_room() {
            return Err(Suppression::Full(entries));
        }
        self.recent.push_back(now);
        Ok(())
    }

    /// Makes room for one more entry, if a memory can be given up for it; never a block.
    fn make_room(&mut self) -> bool {
        if self.entries.len() < self.caps.entries {
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
        self.unverified += usize::from(entry.unverified);
        self.entries.insert(source, entry);
    }

    fn drop(&mut self, source: Source) {
        if let Some(entry) = self.entries.remove(&source) {
            let ends = if entry.blocked { &mut self.blocks } else { &mut self.memories };
            ends.remove(&(entry.ends, source));
            self.unverified -= usize::from(entry.unverified);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        decide::{FIRST_TTL, Protection},
        detect::Rule,
    };
    use std::net::{IpAddr, Ipv4Addr};
    use tcpcap_common::Addr;

    fn source(n: u32) -> Source {
        Source(Addr::from(IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n))))
    }

    fn finding(n: u32, secs: u64) -> Finding {
        of(Rule::PortScan, Standing::Unverified, n, secs)
    }

    fn of(rule: Rule, standing: Standing, n: u32, secs: u64) -> Finding {
        let window = ("burst", Duration::from_secs(60));
        Finding { standing, ..Finding::new(Time::from_secs(secs), Some(source(n)), rule, window) }
    }

    const CAPS: Caps = Caps { entries: 4, unverified: 100, per_minute: 100 };

    fn policy() -> Policy {
        Policy::new(false, FIRST_TTL, CAPS)
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
    fn the_prospect_of_a_source_is_what_then_happens() {
        let mut policy = policy();
        let prospect = |policy: &Policy, secs| policy.prospect(source(1), Time::from_secs(secs));
        let stranger = Prospect { times: 0, blocked_until: None, forgotten_at: None, next: FIRST_TTL };
        assert_eq!(prospect(&policy, 0), stranger);
        decide(&mut policy, 1, 0);
        let day = REPEATER_MEMORY.as_secs();
        let (until, forgotten_at) = (Time::from_secs(600), Some(Time::from_secs(600 + day)));
        let blocked = Prospect { times: 1, blocked_until: Some(until), forgotten_at, next: FIRST_TTL * 2 };
        assert_eq!(prospect(&policy, 599), blocked);
        policy.expire(until);
        let repeater = Prospect { blocked_until: None, ..blocked };
        assert_eq!(prospect(&policy, 600), repeater);
        assert_eq!(decide(&mut policy, 1, 700).ttl, repeater.next);
        policy.expire(Time::from_secs(700 + 1200));
        assert_eq!(prospect(&policy, 700 + 1200 + day), stranger);
    }

    #[test]
    fn a_restored_block_ends_when_it_was_to_and_its_source_is_a_repeater() {
        let mut policy = policy();
        policy.restore(source(1), Time::from_secs(100), 2, false);
        assert_eq!(policy.blocked(), 1);
        assert!(policy.expire(Time::from_secs(99)).is_empty());
        assert_eq!(policy.expire(Time::from_secs(100)), [source(1)]);
        assert_eq!(decide(&mut policy, 1, 200).times, 3);
    }

    #[test]
    fn what_is_restored_counts_towards_the_caps_and_is_bound_by_none() {
        let mut policy = Policy::new(false, FIRST_TTL, Caps { unverified: 2, ..CAPS });
        (1..=6).for_each(|n| policy.restore(source(n), Time::from_secs(600), 1, true));
        assert_eq!(policy.blocked(), 6);
        assert!(matches!(decide(&mut policy, 7, 1).outcome, Outcome::Suppressed(Suppression::Unverified(2))));
    }

    #[test]
    fn a_remembered_repeater_is_blocked_for_longer_and_a_block_is_not_lost_to_a_memory() {
        let mut policy = policy();
        policy.remember(source(1), Time::from_secs(500), 3);
        assert_eq!((policy.blocked(), decide(&mut policy, 1, 1).times), (0, 4));
        policy.remember(source(1), Time::from_secs(500), 9);
        assert_eq!((policy.blocked(), decide(&mut policy, 1, 2).times), (1, 5));
    }

    #[test]
    fn a_forgotten_source_begins_anew() {
        let mut policy = policy();
        decide(&mut policy, 1, 0);
        assert!(policy.forget(source(1)));
        assert!(!policy.forget(source(1)));
        assert_eq!((policy.blocked(), decide(&mut policy, 1, 1).times), (0, 1));
    }

    #[test]
    fn changed_settings_hold_for_the_next_decision() {
        let mut policy = policy();
        decide(&mut policy, 1, 0);
        policy.configure(true, Duration::from_secs(7), CAPS);
        let decision = decide(&mut policy, 2, 1);
        assert!(matches!(decision.outcome, Outcome::Observe { .. }) && decision.ttl == Duration::from_secs(7));
        assert_eq!(policy.blocked(), 2);
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
        let mut policy = Policy::new(false, FIRST_TTL, CAPS);
        let decision = policy.decide(&finding(1, 0), &protected);
        let expected = Suppression::Protected(Protection::Gateway(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1))));
        assert_eq!(decision.outcome, Outcome::Suppressed(expected));
        assert_eq!(decision.to_string(), "10.0.0.1 is a default gateway");
        assert_eq!((decision.entry_until(), policy.blocked()), (None, 0));
    }

    #[test]
    fn observe_mode_decides_the_same_and_blocks_nobody() {
        let mut policy = Policy::new(true, FIRST_TTL, CAPS);
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
        assert_eq!(decide(&mut policy, 6, 700).outcome, Outcome::Suppressed(Suppression::Full(4)));
        assert_eq!(policy.blocked(), 4);
        assert_eq!(policy.expire(Time::from_secs(1300)).len(), 4);
        assert_eq!(decide(&mut policy, 1, 1400).ttl, FIRST_TTL, "its memory had given way");
    }

    #[test]
    fn a_verified_source_begins_a_step_higher_and_of_an_established_one_only_new_connections_are_dropped() {
        for (standing, ttl, scope) in [
            (Standing::Unverified, 600, Scope::All),
            (Standing::Verified, 1200, Scope::All),
            (Standing::Established, 600, Scope::Syn),
        ] {
            let decision = policy().decide(&of(Rule::PortScan, standing, 1, 0), &Protected::default());
            assert_eq!((decision.ttl.as_secs(), decision.scope), (ttl, scope), "{standing:?}");
        }
        let decision = policy().decide(&of(Rule::PortScan, Standing::Established, 1, 0), &Protected::default());
        assert_eq!(decision.to_string(), "for 10 min, new connections only: it completed many before");
    }

    #[test]
    fn an_alert_blocks_nobody() {
        let mut policy = policy();
        for rule in Rule::ALL.into_iter().filter(|r| r.is_alert()) {
            let decision = policy.decide(&of(rule, Standing::Unverified, 1, 0), &Protected::default());
            assert_eq!((decision.outcome, policy.blocked()), (Outcome::Alert, 0), "{rule:?}");
        }
        let about_a_target = Finding { source: None, ..of(Rule::Flood, Standing::Unverified, 1, 0) };
        assert_eq!(policy.decide(&about_a_target, &Protected::default()).outcome, Outcome::Alert);
    }

    #[test]
    fn unverified_sources_cannot_take_all_the_room() {
        let mut policy = Policy::new(false, FIRST_TTL, Caps { unverified: 2, ..CAPS });
        let mut outcome =
            |standing, n, secs| policy.decide(&of(Rule::PortScan, standing, n, secs), &Protected::default()).outcome;
        assert!(matches!(outcome(Standing::Unverified, 1, 0), Outcome::Block { .. }));
        assert!(matches!(outcome(Standing::Unverified, 2, 0), Outcome::Block { .. }));
        assert_eq!(outcome(Standing::Unverified, 3, 0), Outcome::Suppressed(Suppression::Unverified(2)));
        assert!(matches!(outcome(Standing::Unverified, 2, 1), Outcome::Extend { .. }), "who is blocked stays so");
        assert!(matches!(outcome(Standing::Verified, 3, 0), Outcome::Block { .. }));
        assert_eq!(policy.expire(Time::from_secs(600)).len(), 1);
        assert!(matches!(decide(&mut policy, 4, 600).outcome, Outcome::Block { .. }), "there is room again");
    }

    #[test]
    fn too_many_blocks_in_a_minute_open_the_circuit_breaker_for_a_minute() {
        let mut policy = Policy::new(false, FIRST_TTL, Caps { entries: 1000, unverified: 1000, per_minute: 3 });
        let blocks = |policy: &mut Policy, n, secs| matches!(decide(policy, n, secs).outcome, Outcome::Block { .. });
        assert!((0..3).all(|n| blocks(&mut policy, n, 0)));
        assert!(!policy.is_breaker_open(Time::from_secs(1)));
        let decision = decide(&mut policy, 3, 30);
        assert_eq!(decision.outcome, Outcome::Suppressed(Suppression::BreakerOpen(3)));
        assert!(decision.to_string().starts_with("the circuit breaker is open: 3 sources"), "{decision}");
        assert!(policy.is_breaker_open(Time::from_secs(89)) && !policy.is_breaker_open(Time::from_secs(90)));
        assert!(!blocks(&mut policy, 4, 89), "the minute is not over");
        assert!(matches!(decide(&mut policy, 0, 89).outcome, Outcome::Extend { .. }), "who is blocked stays so");
        assert!(blocks(&mut policy, 4, 90));
    }

    #[test]
    fn who_becomes_protected_is_not_blocked_any_more_and_no_repeater_either() {
        let mut policy = policy();
        assert!((1..4).all(|n| decide(&mut policy, n, 0).entry_until().is_some()));
        let mut protected = Protected::new(vec![], vec!["10.0.0.3/32".parse().unwrap()]);
        protected.set_sessions([source(1).0.to_ip(), source(9).0.to_ip()]);
        let lifted = policy.lift_protected(&protected);
        let (session, allowed) = (Protection::Session(source(1).0.to_ip()), "10.0.0.3/32".parse().unwrap());
        assert_eq!(lifted, [(source(1), session), (source(3), Protection::Allowed(allowed))]);
        assert_eq!((policy.blocked(), policy.unverified), (1, 1));
        assert!(policy.lift_protected(&protected).is_empty());
        assert_eq!(policy.expire(Time::from_secs(600)), [source(2)]);
        assert_eq!(decide(&mut policy, 1, 601).ttl, FIRST_TTL, "forgotten");
    }

    #[test]
    fn a_blocked_prefix_is_lifted_for_one_address_in_it() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for blocked in ["2001:db8:1:2::", "2001:db8:1:2::7"] {
            let mut policy = policy();
            let source = Source(Addr::from(ip(blocked)));
            let finding = Finding { source: Some(source), ..finding(1, 0) };
            policy.decide(&finding, &Protected::default());
            let mut protected = Protected::default();
            protected.set_sessions([ip("2001:db8:1:3::7")]);
            assert!(policy.lift_protected(&protected).is_empty());
            protected.set_sessions([ip("2001:db8:1:2::7")]);
            assert_eq!(policy.lift_protected(&protected).len(), 1, "{blocked}");
        }
    }
}
