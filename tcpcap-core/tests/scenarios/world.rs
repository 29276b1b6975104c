//! A simulated network: what happens when, played to an engine in order.

use std::{net::IpAddr, time::Duration};

use tcpcap_core::{Config, Engine, Marks, Preset, Protected, Sighting, SightingKind, Thresholds, Time, Verdict};

/// The host that is protected.
pub const HOST: &str = "198.51.100.1";

pub const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The marks of whoever completes handshakes here.
pub const OWN_STACK: Marks = Marks { tool: None, stack: 7 };

/// What happens, in any order.
#[derive(Default)]
pub struct World {
    sightings: Vec<Sighting>,
    next_port: u16,
}

impl World {
    pub fn new() -> Self {
        Self { sightings: Vec::new(), next_port: 1024 }
    }

    pub fn sight(&mut self, at: Duration, kind: SightingKind, from: (IpAddr, u16), to: (IpAddr, u16)) {
        let (from, to) = ((from.0.into(), from.1), (to.0.into(), to.1));
        self.sightings.push(Sighting::new(Time::ZERO + at, kind, from, to));
    }

    /// A SYN that nobody answers, or that is refused.
    pub fn closed(&mut self, at: Duration, from: &str, port: u16) {
        self.closed_at(at, ip(from), (ip(HOST), port));
    }

    pub fn closed_at(&mut self, at: Duration, from: IpAddr, to: (IpAddr, u16)) {
        let from_port = self.source_port();
        self.sight(at, SightingKind::Attempt(Marks::default()), (from, from_port), to);
    }

    /// A SYN that this host is seen to refuse.
    pub fn refused(&mut self, at: Duration, from: &str, port: u16) {
        let (from, to) = ((ip(from), self.source_port()), (ip(HOST), port));
        self.sight(at, SightingKind::Attempt(Marks::default()), from, to);
        self.sight(at, SightingKind::Refusal, from, to);
    }

    /// A SYN of this tool and stack that nobody answers.
    pub fn marked(&mut self, at: Duration, from: &str, port: u16, marks: Marks) {
        let from = (ip(from), self.source_port());
        self.sight(at, SightingKind::Attempt(marks), from, (ip(HOST), port));
    }

    /// A connection to an open port; its handshake takes a round trip.
    pub fn open(&mut self, at: Duration, rtt: Duration, from: &str, port: u16) {
        let from = (ip(from), self.source_port());
        self.sight(at, SightingKind::Attempt(OWN_STACK), from, (ip(HOST), port));
        self.sight(at + rtt, SightingKind::Completion { unanswered: false }, from, (ip(HOST), port));
    }

    fn source_port(&mut self) -> u16 {
        self.next_port = self.next_port.checked_add(1).unwrap_or(1024);
        self.next_port
    }

    /// Plays everything to an engine, timers included, and on until no timer is left.
    pub fn play(mut self, engine: &mut Engine, protected: &Protected) -> Vec<Verdict> {
        self.sightings.sort_by_key(|s| s.time);
        let mut out = Vec::new();
        for sighting in &self.sightings {
            while let Some(due) = engine.next_due().filter(|due| *due <= sighting.time) {
                engine.expire(due);
                engine.advance(due, protected, &mut out);
            }
            engine.expire(sighting.time);
            engine.see(sighting, protected, &mut out);
        }
        while let Some(due) = engine.next_due() {
            engine.expire(due);
            engine.advance(due, protected, &mut out);
        }
        out
    }

    /// Plays everything to an engine, and lets no more time pass than that takes.
    pub fn see(self, engine: &mut Engine) -> Vec<Verdict> {
        let mut out = Vec::new();
        self.sightings.iter().for_each(|sighting| engine.see(sighting, &Protected::default(), &mut out));
        out
    }

    /// Plays everything to a new engine with a preset, with nobody protected.
    pub fn verdicts(self, preset: Preset) -> Vec<Verdict> {
        self.play(&mut engine(preset), &Protected::default())
    }

    /// The same, with the default preset.
    pub fn found(self) -> Vec<Verdict> {
        self.verdicts(Preset::Balanced)
    }
}

pub fn engine(preset: Preset) -> Engine {
    Engine::new(&Config { thresholds: Thresholds::of(preset), ..Config::default() })
}

/// When a verdict fell.
pub fn at(verdict: &Verdict) -> Duration {
    verdict.finding.time.since(Time::ZERO)
}
