//! The engine: detector and policy together. One of it in the daemon, one in each `replay`, one in each test.

use std::{net::IpAddr, time::Duration};

use tcpcap_common::Addr;

use crate::{
    Decision, Finding, Protected, Sighting, Source, Thresholds, Time,
    decide::{self, Policy, Protection},
    detect::{self, Detector},
};

/// What an engine is made from.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// When rules fire.
    pub thresholds: Thresholds,
    /// Decide, but block nobody.
    pub observe: bool,
    /// How long a first block lasts, at most [`decide::MAX_TTL`].
    pub first_ttl: Duration,
    /// How many sources the detector keeps.
    pub max_sources: usize,
    /// How much may be blocked.
    pub caps: decide::Caps,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            thresholds: Thresholds::default(),
            observe: false,
            first_ttl: decide::FIRST_TTL,
            max_sources: detect::MAX_SOURCES,
            caps: decide::Caps::default(),
        }
    }
}

/// A finding and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What was found.
    pub finding: Finding,
    /// What policy made of it.
    pub decision: Decision,
}

/// How full the engine is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Sources that the detector keeps.
    pub tracked_sources: usize,
    /// Sources that it gave up for want of room.
    pub evicted_sources: u64,
    /// Attempts to targets that there was no room to watch for floods.
    pub unwatched_attempts: u64,
    /// Sources blocked now.
    pub blocked: usize,
}

/// Sightings and time go in, verdicts come out.
#[derive(Debug)]
pub struct Engine {
    detector: Detector,
    policy: Policy,
}

impl Engine {
    /// An engine that has seen nothing.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            detector: Detector::new(config.thresholds, config.max_sources),
            policy: Policy::new(config.observe, config.first_ttl, config.caps),
        }
    }

    /// Takes a sighting and appends what comes of it: its source is blocked once at most, and there may be alerts beside.
    pub fn see(&mut self, sighting: &Sighting, protected: &Protected, out: &mut Vec<Verdict>) {
        self.detector.see(sighting, &mut |finding| decide(&mut self.policy, finding, protected, out));
    }

    /// Lets time pass: appends the verdicts that were waiting for it.
    pub fn advance(&mut self, now: Time, protected: &Protected, out: &mut Vec<Verdict>) {
        self.detector.advance(now, &mut |finding| decide(&mut self.policy, finding, protected, out));
    }

    /// The sources whose blocks are over by now, each once.
    pub fn expire(&mut self, now: Time) -> Vec<Source> {
        self.policy.expire(now)
    }

    /// Takes over a block that an earlier engine decided.
    pub fn restore(&mut self, source: Source, until: Time, times: u32, unverified: bool) {
        self.policy.restore(source, until, times, unverified);
    }

    /// Takes over that a source was blocked before.
    pub fn remember(&mut self, source: Source, until: Time, times: u32) {
        self.policy.remember(source, until, times);
    }

    /// Forgets all about a source: it is judged anew. Says whether it was blocked.
    pub fn forget(&mut self, source: Source) -> bool {
        self.detector.forget(source);
        self.policy.forget(source)
    }

    /// What the detector knows of a source, if it remembers it. What led to the latest finding is not part of it: from
    /// there the count begins anew.
    #[must_use]
    pub fn known(&self, source: Source) -> Option<detect::Known> {
        self.detector.known(source)
    }

    /// What the policy remembers of a source, and what its next block would be like.
    #[must_use]
    pub fn prospect(&self, source: Source, now: Time) -> decide::Prospect {
        self.policy.prospect(source, now)
    }

    /// Changes what it was made from; what it has seen and decided stays. The bound on sources stays, too.
    pub fn configure(&mut self, config: &Config) {
        self.detector.configure(config.thresholds);
        self.policy.configure(config.observe, config.first_ttl, config.caps);
    }

    /// The blocked sources that must not be any more, and why: after [`Protected`] has changed. Nothing is remembered of
    /// them, and what they do from now on is judged anew.
    pub fn lift_protected(&mut self, protected: &Protected) -> Vec<(Source, Protection)> {
        let lifted = self.policy.lift_protected(protected);
        lifted.iter().for_each(|(source, _)| self.detector.listen_again(*source));
        lifted
    }

    /// Judges anew what comes from an address that is not protected any more, and at once: about who is protected, the
    /// detector speaks only now and then.
    pub fn unprotect(&mut self, ip: IpAddr) {
        let source = Source(Addr::from(ip));
        [source, source.prefix()].into_iter().for_each(|source| self.detector.listen_again(source));
    }

    /// When [`Engine::advance`] has something to look at, at the earliest.
    #[must_use]
    pub fn next_due(&self) -> Option<Time> {
        self.detector.next_due()
    }

    /// How full it is.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            tracked_sources: self.detector.tracked(),
            evicted_sources: self.detector.evicted(),
            unwatched_attempts: self.detector.unwatched(),
            blocked: self.policy.blocked(),
        }
    }

    /// Whether the circuit breaker is open: too many sources were blocked within a minute, and for now nobody new is.
    #[must_use]
    pub fn is_breaker_open(&self, now: Time) -> bool {
        self.policy.is_breaker_open(now)
    }
}

/// How long the detector keeps silent about a source that is not blocked after all: one finding a minute is enough.
const REMINDER: Duration = Duration::from_secs(60);

/// Appends the verdict; returns until when nothing more need be found about the source. In observe mode that is as
/// long as the block would have lasted, so that observing tells what blocking would do.
fn decide(policy: &mut Policy, finding: Finding, protected: &Protected, out: &mut Vec<Verdict>) -> Time {
    let decision = policy.decide(&finding, protected);
    let quiet_until = decision.entry_until().unwrap_or(finding.time + REMINDER);
    out.push(Verdict { finding, decision });
    quiet_until
}
