//! Sensing without a kernel: what each packet of a capture is, as the kernel program would have seen it at ingress.
//!
//! The same rules in the same order, over the same headers. Two things differ. A capture holds both directions, so a
//! packet from an own address is told apart here; at ingress there is none. And nothing is withheld: the kernel's
//! budgets for events keep a live host alive, and a capture can wait.

use std::{collections::HashSet, net::IpAddr};

use ipnet::IpNet;
use tcpcap_common::{
    Addr,
    flow::flow_hash,
    record::{COMPLETION_WINDOW, PENDING_SLOTS, RETRANSMISSION_NS},
    tally::End,
    wire::{Kind, Network, Segment},
};

use crate::{Marks, Sighting, SightingKind, Time};

/// The kernel's is secret, for what an attacker may send next depends on it. A capture has been sent already, and two
/// replays of it should say the same.
const SEED: [u64; 2] = [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344];

/// Which addresses are the own ones.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// Networks whose addresses are own.
    pub networks: Vec<IpNet>,
    /// Single addresses that are own.
    pub addresses: HashSet<IpAddr>,
    /// Networks that are not, whatever the other two say.
    pub except: Vec<IpNet>,
}

impl Own {
    /// Whether this is an own address.
    #[must_use]
    pub fn holds(&self, addr: Addr) -> bool {
        let ip = addr.to_ip();
        let within = |networks: &[IpNet]| networks.iter().any(|n| n.contains(&ip));
        (within(&self.networks) || self.addresses.contains(&ip)) && !within(&self.except)
    }
}

/// A SYN that waits for the ACK of its handshake.
#[derive(Clone, Copy, Debug)]
struct Pending {
    /// When the SYN was last seen.
    time: Time,
    /// The part of the flow's hash that did not choose the slot.
    tag: u32,
    seq: u32,
}

/// Turns packets into sightings.
#[derive(Debug)]
pub struct Sensor {
    own: Own,
    /// One slot a hash, as in the kernel: a newer SYN takes the place of an older one.
    slots: Vec<Option<Pending>>,
    now: Time,
    displaced: u64,
    backwards: u64,
}

/// A clock that goes back by less is not worth a word: captures of several cards are merged that loosely.
const JITTER_NS: u64 = 1_000_000_000;

impl Sensor {
    /// A sensor for these own addresses that has seen nothing.
    #[must_use]
    pub fn new(own: Own) -> Self {
        Self { own, slots: vec![None; PENDING_SLOTS as usize], now: Time::ZERO, displaced: 0, backwards: 0 }
    }

    /// A packet has been captured at `time`; returns the time that counts. It never goes back: a packet from before
    /// the latest counts as of then.
    pub fn tick(&mut self, time: Time) -> Time {
        self.backwards += u64::from(self.now.nanos_since(time) > JITTER_NS);
        self.now = self.now.max(time);
        self.now
    }

    /// What a segment seen now is, and what the engine is to hear of it: attempts, completions and probes.
    pub fn see(&mut self, network: &Network, segment: &Segment) -> (End, Option<Sighting>) {
        let (end, kind) = match segment.kind() {
            Kind::Reply => return (End::Reply, None),
            Kind::Segment if self.completes(network, segment) => {
                (End::Completion, SightingKind::Completion { unanswered: false })
            }
            Kind::Segment => return (End::Segment, None),
            Kind::Attempt | Kind::Probe if !self.own.holds(network.to) || self.own.holds(network.from) => {
                return (End::NotOwn, None);
            }
            Kind::Attempt if self.is_retransmission(network, segment) => return (End::Retransmission, None),
            Kind::Attempt => (End::Attempt, SightingKind::Attempt(Marks::default())),
            Kind::Probe => (End::Probe, SightingKind::Probe { flags: segment.flags }),
        };
        let (from, to) = ((network.from, segment.from_port), (network.to, segment.to_port));
        (end, Some(Sighting::new(self.now, kind, from, to)))
    }

    /// Handshakes still waiting that another flow took the slot of. Their completion goes unseen.
    #[must_use]
    pub fn displaced(&self) -> u64 {
        self.displaced
    }

    /// Packets captured more than a second before an earlier packet.
    #[must_use]
    pub fn backwards(&self) -> u64 {
        self.backwards
    }

    /// Only attempts that counted wait here, so what completes one needs no look at its addresses.
    fn completes(&mut self, network: &Network, segment: &Segment) -> bool {
        let (slot, tag) = self.slot(network, segment);
        let fits = |p: &Pending| p.tag == tag && segment.seq.wrapping_sub(p.seq.wrapping_add(1)) <= COMPLETION_WINDOW;
        slot.take_if(|p| fits(p)).is_some()
    }

    /// Whether this SYN was here before; from now on its handshake is waited for in either case.
    fn is_retransmission(&mut self, network: &Network, segment: &Segment) -> bool {
        let now = self.now;
        let (slot, tag) = self.slot(network, segment);
        let lives = |p: &Pending| now.nanos_since(p.time) < RETRANSMISSION_NS;
        let again = slot.is_some_and(|p| p.tag == tag && p.seq == segment.seq && lives(&p));
        let displaces = slot.is_some_and(|p| p.tag != tag && lives(&p));
        *slot = Some(Pending { time: now, tag, seq: segment.seq });
        self.displaced += u64::from(displaces);
        again
    }

    fn slot(&mut self, network: &Network, segment: &Segment) -> (&mut Option<Pending>, u32) {
        let hash = flow_hash(&network.from, &network.to, segment.from_port, segment.to_port, &SEED);
        #[allow(clippy::cast_possible_truncation, reason = "the two halves of the hash")]
        let (low, high) = (hash as u32, (hash >> 32) as u32);
        (&mut self.slots[(low & (PENDING_SLOTS - 1)) as usize], high)
    }
}

#[cfg(test)]
mod tests;
