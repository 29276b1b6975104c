//! What must hold of an engine whatever it is given, kept in the simplest way there is.

use std::{collections::BTreeMap, net::IpAddr};

use tcpcap_core::{Finding, Outcome, Source, Stats, Suppression, Time, Verdict, decide::MAX_TTL, detect::SAMPLE};

use super::input::{self, Settings};

/// Sees what goes in and what comes out.
pub(super) struct Witness {
    observe: bool,
    max_sources: usize,
    max_blocks: usize,
    /// Addresses of which none may be blocked, nor a source that holds one.
    protected: Vec<IpAddr>,
    /// The latest time that the engine has heard of.
    latest: Time,
    last_verdict: Time,
    blocked: BTreeMap<Source, Time>,
}

impl Witness {
    pub(super) fn new(settings: &Settings) -> Self {
        let config = settings.config();
        let (observe, max_sources, max_blocks) = (config.observe, config.max_sources, config.max_blocks);
        let protected = input::protected_addresses(false);
        let (latest, last_verdict) = (Time::ZERO, Time::ZERO);
        Self { observe, max_sources, max_blocks, protected, latest, last_verdict, blocked: BTreeMap::new() }
    }

    pub(super) fn protect(&mut self, less: bool) {
        self.protected = input::protected_addresses(less);
    }

    /// The engine hears of this time; returns the latest.
    pub(super) fn time_is(&mut self, now: Time) -> Time {
        self.latest = self.latest.max(now);
        self.latest
    }

    pub(super) fn verdict(&mut self, Verdict { finding, decision }: &Verdict) {
        check_finding(finding);
        assert!(finding.time >= self.last_verdict, "verdicts never go back: {finding:?}");
        assert!(finding.time <= self.latest, "nothing is found before it happens: {finding:?}");
        self.last_verdict = finding.time;
        assert!(decision.ttl <= MAX_TTL, "{decision:?}");
        let source = finding.source;
        let blocked = self.blocked.get(&source).is_some_and(|until| *until > finding.time);
        match decision.outcome {
            Outcome::Block { .. } => assert!(!self.observe && !blocked, "{decision:?}"),
            Outcome::Extend { .. } => assert!(!self.observe && blocked, "{decision:?}"),
            Outcome::Observe { .. } => assert!(self.observe, "{decision:?}"),
            Outcome::Suppressed(Suppression::Protected(_)) => assert!(self.is_protected(source), "{finding:?}"),
            Outcome::Suppressed(Suppression::Full) => {
                assert!(self.blocked.len() >= self.max_blocks && !self.blocked.contains_key(&source), "{finding:?}");
            }
        }
        if let Some(until) = decision.entry_until() {
            assert!(!self.is_protected(source), "{source} is protected, and blocked");
            assert!(until.since(finding.time) <= MAX_TTL, "{decision:?}");
            assert!(self.blocked.get(&source).is_none_or(|before| !blocked || *before <= until), "a block got shorter");
            assert!(decision.times > 0, "{decision:?}");
            self.blocked.insert(source, until);
        }
        // What is said of it can be written down.
        std::hint::black_box((finding.to_string(), decision.to_string()));
    }

    /// These blocks are over by now: no others are, each once.
    pub(super) fn over(&mut self, over: &[Source], now: Time) {
        for source in over {
            let until = self.blocked.remove(source);
            assert!(until.is_some_and(|until| until <= now), "{source} was let go at {now:?}, blocked until {until:?}");
        }
        assert!(
            self.blocked.values().all(|until| *until > now),
            "a block has not ended at {now:?}: {:?}",
            self.blocked
        );
    }

    pub(super) fn stats(&self, stats: Stats) {
        assert!(stats.tracked_sources <= self.max_sources.max(1), "{stats:?}");
        assert!(stats.blocked <= self.max_blocks, "{stats:?}");
        assert_eq!(stats.blocked, self.blocked.len());
    }

    fn is_protected(&self, source: Source) -> bool {
        let own = source.0.octets();
        self.protected.iter().any(|ip| {
            let theirs = tcpcap_common::Addr::from(*ip).octets();
            match ip {
                IpAddr::V4(_) => own == theirs,
                // A prefix holds it, or it is this neighbour.
                IpAddr::V6(_) => own[..8] == theirs[..8] && (own[8..] == [0; 8] || own == theirs),
            }
        })
    }
}

fn check_finding(finding: &Finding) {
    let Finding { targets, ports, count, threshold, .. } = finding;
    assert!(count >= threshold && *threshold > 0, "{finding:?}");
    assert!(!targets.is_empty() && targets.len() <= SAMPLE, "{finding:?}");
    assert!(!ports.is_empty() && ports.len() <= SAMPLE, "{finding:?}");
    assert!(ports.is_sorted_by(|a, b| a < b), "{finding:?}");
    assert!(!finding.truncated || targets.len() == SAMPLE || ports.len() == SAMPLE, "{finding:?}");
}
