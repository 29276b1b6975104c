//! A simulated network: what happens when, played to an engine in order.

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use tcpcap_core::{
    Config, Engine, Marks, Preset, Protected, Sighting, SightingKind, Source, Thresholds, Time, Verdict,
};

use crate::dice::Dice;

pub const fn us(n: u64) -> Duration {
    Duration::from_micros(n)
}

pub const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub const DAY: Duration = secs(86_400);

/// An own address.
pub fn own(n: u64) -> IpAddr {
    Ipv4Addr::from_bits(0xc633_6400 + n as u32).into()
}

/// An own IPv6 address.
pub fn own6(n: u64) -> IpAddr {
    Ipv6Addr::from_bits((0x2001_0db8_0051_0000_u128 << 64) + u128::from(n)).into()
}

/// Somebody else's address.
pub fn other(n: u64) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0000 + n as u32).into()
}

/// Host `host` of somebody else's IPv6 network.
pub fn other6(network: u64, host: u64) -> IpAddr {
    Ipv6Addr::from_bits((u128::from(0x2001_0db8_00aa_0000 + network) << 64) + u128::from(host)).into()
}

/// Who sends.
#[derive(Clone, Copy)]
pub struct Peer {
    pub ip: IpAddr,
    pub marks: Marks,
}

impl Peer {
    /// A host at an address, with a stack of its own.
    pub fn at(ip: IpAddr, stack: u32) -> Self {
        Self { ip, marks: Marks { tool: None, stack } }
    }

    /// The one that a behaviour is about.
    pub fn first() -> Self {
        Self::at(other(1), 1)
    }
}

/// How far away.
#[derive(Clone, Copy)]
pub struct Path {
    pub rtt: Duration,
    /// Lost packets in a thousand, each way.
    pub loss: u64,
}

impl Path {
    /// From a lab's round trip to one around the world, and up to three packets in a hundred lost.
    pub fn draw(dice: &mut Dice) -> Self {
        Self { rtt: us(dice.scaled("rtt_us", 200..=400_000)), loss: dice.among("loss_per_mille", 0..=30) }
    }
}

/// What happens, in any order.
pub struct World {
    /// This host's answers are in view.
    view: bool,
    preset: Preset,
    sightings: Vec<Sighting>,
    next_port: u16,
    /// Whose deeds are to be found.
    pub suspect: Option<Source>,
}

impl World {
    pub fn new(preset: Preset, view: bool) -> Self {
        Self { view, preset, sightings: Vec::new(), next_port: 1024, suspect: None }
    }

    /// An empty one like this.
    pub fn like(&self) -> Self {
        Self::new(self.preset, self.view)
    }

    /// Takes what happens in another one, later by `delay`.
    pub fn take(&mut self, from: Self, delay: Duration) {
        self.sightings.extend(from.sightings.into_iter().map(|s| Sighting { time: s.time + delay, ..s }));
    }

    /// Whether this host's answers are in view.
    pub fn sees_answers(&self) -> bool {
        self.view
    }

    /// How many times more than with the preset balanced is promised to be needed.
    pub fn factor(&self) -> u64 {
        if self.preset == Preset::Relaxed { 2 } else { 1 }
    }

    /// Names whose deeds are to be found.
    pub fn suspect(&mut self, peer: Peer, to: IpAddr) {
        self.suspect = Some(Source::of(peer.ip.into(), to.into()));
    }

    pub fn sight(&mut self, at: Duration, kind: SightingKind, from: (IpAddr, u16), to: (IpAddr, u16)) {
        let (from, to) = ((from.0.into(), from.1), (to.0.into(), to.1));
        self.sightings.push(Sighting::new(Time::ZERO + at, kind, from, to));
    }

    /// A SYN; returns the port that it came from.
    fn attempt(&mut self, at: Duration, who: Peer, to: (IpAddr, u16)) -> u16 {
        self.next_port = self.next_port.checked_add(1).unwrap_or(1024);
        self.sight(at, SightingKind::Attempt(who.marks), (who.ip, self.next_port), to);
        self.next_port
    }

    /// A SYN that is not answered.
    pub fn silent(&mut self, at: Duration, who: Peer, to: (IpAddr, u16)) {
        self.attempt(at, who, to);
    }

    /// A SYN that is refused.
    pub fn closed(&mut self, at: Duration, who: Peer, to: (IpAddr, u16)) {
        let port = self.attempt(at, who, to);
        if self.view {
            self.sight(at + us(50), SightingKind::Refusal, (who.ip, port), to);
        }
    }

    /// A connection whose handshake takes so long.
    pub fn open(&mut self, at: Duration, takes: Duration, who: Peer, to: (IpAddr, u16)) {
        let port = self.attempt(at, who, to);
        self.sight(at + takes, SightingKind::Completion { unanswered: false }, (who.ip, port), to);
    }

    /// A connection over a path that may lose the SYN, its answer or the ACK; returns when it stands. What is lost is
    /// sent again after a second, then after two and so on; of the SYNs only the first that arrives is an attempt.
    pub fn connect(&mut self, dice: &mut Dice, at: Duration, path: Path, who: Peer, to: (IpAddr, u16)) -> Duration {
        let mut again = |one_in_flight: u64| {
            let lost = (0..6).take_while(|_| dice.chance(path.loss * one_in_flight)).count();
            secs((1 << lost) - 1)
        };
        let (arrives, takes) = (at + again(1), path.rtt + again(2));
        self.open(arrives, takes, who, to);
        arrives + takes
    }

    /// A segment that belongs to no connection, and what this host says to it.
    pub fn stray(&mut self, at: Duration, who: Peer, to: (IpAddr, u16)) {
        self.sight(at, SightingKind::Stray { refused: self.view }, (who.ip, 50_000), to);
    }

    /// How many probes the suspect had sent before this time: what came of them was no connection.
    pub fn probes_before(&self, time: Time) -> usize {
        let suspects = || self.sightings.iter().filter(|s| Some(s.source) == self.suspect);
        let flow = |s: &Sighting| (s.from, s.from_port, s.to, s.to_port);
        let completes = |s: &&Sighting| matches!(s.kind, SightingKind::Completion { .. });
        let completed: HashSet<_> = suspects().filter(completes).map(flow).collect();
        suspects().filter(|s| s.time < time && s.kind != SightingKind::Refusal && !completed.contains(&flow(s))).count()
    }

    /// Plays everything to a new engine, timers included, and on until no timer is left.
    pub fn play(&mut self) -> Vec<Verdict> {
        let config = Config { thresholds: Thresholds::of(self.preset), ..Config::default() };
        let (mut engine, nobody) = (Engine::new(&config), Protected::default());
        self.sightings.sort_by_key(|s| s.time);
        let mut out = Vec::new();
        for sighting in &self.sightings {
            while let Some(due) = engine.next_due().filter(|due| *due <= sighting.time) {
                engine.expire(due);
                engine.advance(due, &nobody, &mut out);
            }
            engine.expire(sighting.time);
            engine.see(sighting, &nobody, &mut out);
        }
        while let Some(due) = engine.next_due() {
            engine.expire(due);
            engine.advance(due, &nobody, &mut out);
        }
        out
    }
}
