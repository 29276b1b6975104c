//! What must hold of an engine whatever it is given, kept in the simplest way there is.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use tcpcap_common::Addr;
use tcpcap_core::{
    Config, Decision, Finding, Outcome, Rule, Scope, Sighting, SightingKind, Source, Standing, Stats, Suppression,
    Time, Verdict,
    decide::{BREAKER_OPEN, MAX_TTL},
    detect::{SAMPLE, flood::MAX_TARGETS},
};

use super::input::{self, Settings};

/// Sees what goes in and what comes out.
pub(super) struct Witness {
    config: Config,
    /// Addresses of which none may be blocked, nor a source that holds one.
    protected: Vec<IpAddr>,
    /// The latest time that the engine has heard of.
    latest: Time,
    last_verdict: Time,
    blocked: BTreeMap<Source, Block>,
    /// When each new block was made.
    made: Vec<Time>,
    breaker_open_until: Time,
    /// Attempts to each pair, and to each own address.
    attempts: BTreeMap<(Addr, Option<u16>), u64>,
    sources: BTreeSet<Source>,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    until: Time,
    unverified: bool,
}

impl Witness {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            config: settings.config(),
            protected: input::protected_addresses(false),
            latest: Time::ZERO,
            last_verdict: Time::ZERO,
            blocked: BTreeMap::new(),
            made: Vec::new(),
            breaker_open_until: Time::ZERO,
            attempts: BTreeMap::new(),
            sources: BTreeSet::new(),
        }
    }

    pub(super) fn protect(&mut self, less: bool) {
        self.protected = input::protected_addresses(less);
    }

    /// The engine hears of this time; returns the latest.
    pub(super) fn time_is(&mut self, now: Time) -> Time {
        self.latest = self.latest.max(now);
        self.latest
    }

    /// The engine hears of this.
    pub(super) fn sighting(&mut self, sighting: &Sighting) {
        self.sources.insert(sighting.source);
        if matches!(sighting.kind, SightingKind::Attempt(_)) {
            for port in [None, Some(sighting.to_port)] {
                *self.attempts.entry((sighting.to, port)).or_default() += 1;
            }
        }
    }

    pub(super) fn verdict(&mut self, verdict: &Verdict) {
        let Verdict { finding, decision } = verdict;
        check_finding(finding);
        assert!(finding.time >= self.last_verdict, "verdicts never go back: {finding:?}");
        assert!(finding.time <= self.latest, "nothing is found before it happens: {finding:?}");
        self.last_verdict = finding.time;
        if finding.rule == Rule::Flood {
            self.check_flood(finding);
        }
        match finding.source.filter(|_| !finding.rule.is_alert()) {
            Some(source) => self.check_decision(source, finding, decision),
            None => {
                let nothing = Decision { outcome: Outcome::Alert, times: 0, ttl: Duration::ZERO, scope: Scope::All };
                assert_eq!(*decision, nothing, "an alert only tells: {finding:?}");
            }
        }
        // What is said of it can be written down.
        std::hint::black_box((finding.to_string(), decision.to_string(), verdict.done(), verdict.supposed()));
    }

    fn check_decision(&mut self, source: Source, finding: &Finding, decision: &Decision) {
        let (now, caps) = (finding.time, self.config.caps);
        assert!(decision.ttl <= MAX_TTL, "{decision:?}");
        let before = self.blocked.get(&source).copied();
        let blocked = before.is_some_and(|block| block.until > now);
        let unverified = finding.standing == Standing::Unverified;
        match &decision.outcome {
            Outcome::Block { .. } => assert!(!self.config.observe && !blocked, "{decision:?}"),
            Outcome::Extend { .. } => assert!(!self.config.observe && blocked, "{decision:?}"),
            Outcome::Observe { .. } => assert!(self.config.observe, "{decision:?}"),
            Outcome::Alert => panic!("more than an alert: {finding:?}"),
            Outcome::Suppressed(Suppression::Protected(_)) => assert!(self.is_protected(source), "{finding:?}"),
            Outcome::Suppressed(why) => {
                assert!(!blocked && !self.is_protected(source), "{finding:?}");
                self.check_cap(why, unverified, now);
            }
        }
        let Some(until) = decision.entry_until() else { return };
        assert!(!self.is_protected(source), "{source} is protected, and blocked");
        assert!(until.since(now) <= MAX_TTL, "{decision:?}");
        assert!(before.is_none_or(|before| !blocked || before.until <= until), "a block got shorter");
        assert!(decision.times > 0, "{decision:?}");
        assert_eq!(decision.scope == Scope::Syn, finding.standing == Standing::Established, "{finding:?}");
        self.blocked.insert(source, Block { until, unverified });
        if !blocked {
            assert!(now >= self.breaker_open_until, "the breaker is open until {:?}", self.breaker_open_until);
            self.made.push(now);
            assert!(self.made_of_late(now) <= caps.per_minute, "{:?}", self.made);
            assert!(!unverified || self.unverified() <= caps.unverified, "{:?}", self.blocked);
        }
    }

    /// The engine says that a cap keeps it from blocking.
    fn check_cap(&mut self, why: &Suppression, unverified: bool, now: Time) {
        let caps = self.config.caps;
        match *why {
            Suppression::Protected(_) => unreachable!("no cap"),
            Suppression::Full(cap) => assert!(cap == caps.entries && self.blocked.len() >= cap, "{:?}", self.blocked),
            Suppression::Unverified(cap) => {
                assert!(unverified && cap == caps.unverified && self.unverified() >= cap, "{:?}", self.blocked);
            }
            Suppression::BreakerOpen(cap) => {
                assert_eq!(cap, caps.per_minute);
                if now >= self.breaker_open_until {
                    assert!(self.made_of_late(now) >= cap, "it opened for nothing: {:?}", self.made);
                    self.breaker_open_until = now + BREAKER_OPEN;
                }
            }
        }
    }

    /// A flood needs the attempts that it says there were, and names one target.
    fn check_flood(&self, finding: &Finding) {
        let [to] = finding.targets[..] else { panic!("{finding:?}") };
        let attempts = self.attempts.get(&(to.into(), finding.ports.first().copied()));
        assert!(attempts.is_some_and(|n| *n >= u64::from(finding.count)), "{attempts:?}: {finding:?}");
    }

    fn unverified(&self) -> usize {
        self.blocked.values().filter(|block| block.unverified).count()
    }

    fn made_of_late(&self, now: Time) -> usize {
        self.made.iter().filter(|at| now.since(**at) < Duration::from_secs(60)).count()
    }

    /// These blocks are over by now: no others are, each once.
    pub(super) fn over(&mut self, over: &[Source], now: Time) {
        for source in over {
            let block = self.blocked.remove(source);
            assert!(block.is_some_and(|b| b.until <= now), "{source} was let go at {now:?}: {block:?}");
        }
        assert!(self.blocked.values().all(|b| b.until > now), "a block has not ended at {now:?}: {:?}", self.blocked);
    }

    pub(super) fn stats(&self, stats: Stats) {
        let room = self.config.max_sources.max(1);
        assert!(stats.tracked_sources <= room, "{stats:?}");
        assert!(stats.evicted_sources == 0 || self.sources.len() > room, "{stats:?}");
        assert!(stats.blocked <= self.config.caps.entries, "{stats:?}");
        assert_eq!(stats.blocked, self.blocked.len());
        assert!(stats.unwatched_attempts == 0 || self.attempts.len() > MAX_TARGETS, "{stats:?}");
    }

    /// The engine says whether its circuit breaker is open at the latest time.
    pub(super) fn breaker(&self, open: bool) {
        assert_eq!(open, self.latest < self.breaker_open_until);
    }

    fn is_protected(&self, source: Source) -> bool {
        let own = source.0.octets();
        self.protected.iter().any(|ip| {
            let theirs = Addr::from(*ip).octets();
            match ip {
                IpAddr::V4(_) => own == theirs,
                // A prefix holds it, or it is this neighbour.
                IpAddr::V6(_) => own[..8] == theirs[..8] && (own[8..] == [0; 8] || own == theirs),
            }
        })
    }
}

fn check_finding(finding: &Finding) {
    let Finding { source, in_name_of, rule, targets, ports, count, threshold, .. } = finding;
    let about = (source.is_some(), in_name_of.is_some());
    let expected = match rule {
        Rule::Forged => (false, true),
        Rule::Flood => (false, false),
        _ => (true, false),
    };
    assert_eq!(about, expected, "whom it is about: {finding:?}");
    assert!(count >= threshold && *threshold > 0, "{finding:?}");
    assert!(!targets.is_empty() && targets.len() <= SAMPLE, "{finding:?}");
    let no_port = *rule == Rule::Flood && finding.window == "address";
    assert!(ports.is_empty() == no_port && ports.len() <= SAMPLE, "{finding:?}");
    assert!(ports.is_sorted_by(|a, b| a < b), "{finding:?}");
    assert!(!finding.truncated || targets.len() == SAMPLE || ports.len() == SAMPLE, "{finding:?}");
}
