//! Sensing without a kernel: what each packet of a capture is, as the kernel program would have seen it at ingress.
//!
//! The same rules in the same order, over the same headers. Two things differ. A capture may hold both directions: as
//! soon as it shows an own address answer, the answers count as they do where the kernel's second program sees them
//! leave. And nothing is withheld: the kernel's budgets for events keep a live host alive, and a capture can wait.

use std::{collections::HashSet, net::IpAddr};

use ipnet::IpNet;
use tcpcap_common::{
    Addr,
    flow::flow_hash,
    record::{COMPLETION_WINDOW, PENDING_SLOTS, RETRANSMISSION_NS},
    tally::End,
    wire::{Kind, Network, Segment, flag},
};

use crate::{Marks, Sighting, SightingKind, Syn, Time};

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

/// What a flow's slot holds.
#[derive(Clone, Copy, Debug)]
struct Pending {
    /// When the SYN was last seen.
    time: Time,
    /// The part of the flow's hash that did not choose the slot.
    tag: u32,
    /// The SYN's sequence number.
    seq: u32,
    /// What became of it so far.
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A SYN waits for the ACK of its handshake.
    Waits,
    /// It was answered; its ACK is to acknowledge this.
    Answered { ack: u32 },
    /// It was refused.
    Refused,
    /// No SYN was here, but an answer to one of ours, or to nothing.
    Reply,
}

/// Turns packets into sightings.
#[derive(Debug)]
pub struct Sensor {
    own: Own,
    /// One slot a hash, as in the kernel: a newer SYN takes the place of an older one.
    slots: Vec<Option<Pending>>,
    /// By the same hash, the tag of a flow that is known; `None`: strays are not looked for.
    flows: Option<Vec<u32>>,
    /// An answer of an own address was seen: the capture holds our answers too.
    sees_answers: bool,
    /// Answers are not to be seen.
    ingress_only: bool,
    now: Time,
    displaced: u64,
    backwards: u64,
}

/// A clock that goes back by less is not worth a word: captures of several cards are merged that loosely.
const JITTER_NS: u64 = 1_000_000_000;

impl Sensor {
    /// A sensor for these own addresses that has seen nothing. With `strays` it follows every connection, and tells of
    /// segments that belong to none.
    #[must_use]
    pub fn new(own: Own, strays: bool) -> Self {
        Self {
            own,
            slots: vec![None; PENDING_SLOTS as usize],
            flows: strays.then(|| vec![0; FLOW_SLOTS as usize]),
            sees_answers: false,
            ingress_only: false,
            now: Time::ZERO,
            displaced: 0,
            backwards: 0,
        }
    }

    /// The same sensor, as on a host that cannot see its own answers.
    #[must_use]
    pub fn ingress_only(self) -> Self {
        Self { ingress_only: true, ..self }
    }

    /// A packet has been captured at `time`; returns the time that counts. It never goes back: a packet from before
    /// the latest counts as of then.
    pub fn tick(&mut self, time: Time) -> Time {
        self.backwards += u64::from(self.now.nanos_since(time) > JITTER_NS);
        self.now = self.now.max(time);
        self.now
    }

    /// What a segment seen now is, and what the engine is to hear of it. `options` are the bytes of its TCP options.
    pub fn see(&mut self, network: &Network, segment: &Segment, options: &[u8]) -> (End, Option<Sighting>) {
        let (end, kind) = match segment.kind() {
            Kind::Reply => return (End::Reply, self.reply(network, segment)),
            Kind::Segment => match self.complete(network, segment) {
                Some(unanswered) => (End::Completion, SightingKind::Completion { unanswered }),
                None => return (End::Segment, self.stray(network, segment)),
            },
            Kind::Attempt | Kind::Probe | Kind::TinyFragment
                if !self.own.holds(network.to) || self.own.holds(network.from) =>
            {
                return (End::NotOwn, None);
            }
            Kind::Attempt if self.is_retransmission(network, segment) => return (End::Retransmission, None),
            Kind::Attempt => {
                let (to, seq, ip_id) = ((network.to, segment.to_port), segment.seq, network.ip_id);
                let syn = Syn { to, seq, ip_id, ttl: network.ttl, window: segment.window, options };
                (End::Attempt, SightingKind::Attempt(Marks::of(&syn)))
            }
            Kind::Probe => (End::Probe, SightingKind::Probe { flags: segment.flags }),
            Kind::TinyFragment => (End::TinyFragment, SightingKind::TinyFragment),
        };
        (end, Some(self.incoming(kind, network, segment)))
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

    /// Whether this host's own answers were among the packets.
    #[must_use]
    pub fn sees_answers(&self) -> bool {
        self.sees_answers
    }

    fn incoming(&self, kind: SightingKind, network: &Network, segment: &Segment) -> Sighting {
        Sighting::new(self.now, kind, (network.from, segment.from_port), (network.to, segment.to_port))
    }

    fn outgoing(&self, kind: SightingKind, network: &Network, segment: &Segment) -> Sighting {
        Sighting::new(self.now, kind, (network.to, segment.to_port), (network.from, segment.from_port))
    }

    /// A SYN-ACK or RST: ours says what becomes of an attempt; theirs, that a RST of ours is no answer to a stray.
    fn reply(&mut self, network: &Network, segment: &Segment) -> Option<Sighting> {
        if self.own.holds(network.to) {
            if segment.flags & flag::SYN != 0 && !self.own.holds(network.from) {
                let (now, hash) = (self.now, hash(network, segment));
                let slot = self.slot(hash);
                if slot.is_none_or(|p| p.tag != tag(hash)) {
                    *slot = Some(Pending { time: now, tag: tag(hash), seq: segment.seq, state: State::Reply });
                }
                self.know(hash);
            }
            return None;
        }
        if self.ingress_only || !self.own.holds(network.from) {
            return None;
        }
        self.sees_answers = true;
        let hash = hash_back(network, segment);
        let acknowledges = |p: &Pending| segment.ack.wrapping_sub(p.seq.wrapping_add(1)) <= COMPLETION_WINDOW;
        let held = self.slot(hash).as_mut().filter(|p| p.tag == tag(hash));
        match held {
            Some(p) if segment.flags & flag::SYN != 0 => {
                if p.state != State::Reply && acknowledges(p) {
                    p.state = State::Answered { ack: segment.seq.wrapping_add(1) };
                }
                None
            }
            Some(p) => {
                let refuses = matches!(p.state, State::Waits | State::Answered { .. })
                    && segment.flags & flag::ACK != 0
                    && acknowledges(p);
                if refuses {
                    p.state = State::Refused;
                }
                refuses.then(|| self.outgoing(SightingKind::Refusal, network, segment))
            }
            // RST alone answers a segment with ACK that belongs to no connection (RFC 9293 §3.10.7.1).
            None if segment.flags & (flag::SYN | flag::ACK) == 0 => {
                Some(self.outgoing(SightingKind::Stray { refused: true }, network, segment))
            }
            None => None,
        }
    }

    /// Whether this ACK completes a handshake, and if so whether its answer was missed. Only attempts that counted wait
    /// here, so what completes one needs no look at its addresses.
    fn complete(&mut self, network: &Network, segment: &Segment) -> Option<bool> {
        let hash = hash(network, segment);
        let sees_answers = self.sees_answers;
        let fits = |p: &Pending| {
            let follows = p.tag == tag(hash) && segment.seq.wrapping_sub(p.seq.wrapping_add(1)) <= COMPLETION_WINDOW;
            follows
                && match p.state {
                    State::Waits => true,
                    State::Answered { ack } => segment.ack.wrapping_sub(ack) <= COMPLETION_WINDOW,
                    State::Refused | State::Reply => false,
                }
        };
        let p = self.slot(hash).take_if(|p| fits(p))?;
        self.know(hash);
        Some(sees_answers && p.state == State::Waits)
    }

    /// Whether this SYN was here before; from now on its handshake is waited for in either case.
    fn is_retransmission(&mut self, network: &Network, segment: &Segment) -> bool {
        let (now, hash) = (self.now, hash(network, segment));
        let slot = self.slot(hash);
        let lives = |p: &Pending| now.nanos_since(p.time) < RETRANSMISSION_NS;
        if let Some(p) = slot.as_mut().filter(|p| p.tag == tag(hash) && p.state != State::Reply)
            && p.seq == segment.seq
            && lives(p)
        {
            p.time = now;
            return true;
        }
        let displaces = slot.is_some_and(|p| p.tag != tag(hash) && p.state != State::Reply && lives(&p));
        *slot = Some(Pending { time: now, tag: tag(hash), seq: segment.seq, state: State::Waits });
        self.displaced += u64::from(displaces);
        false
    }

    /// A segment with ACK: a stray if its flow is not known, which it is from now on.
    fn stray(&mut self, network: &Network, segment: &Segment) -> Option<Sighting> {
        self.flows.as_ref()?;
        if self.own.holds(network.from) {
            // We hold this connection, or so we think.
            self.know(hash_back(network, segment));
            return None;
        }
        let known = self.know(hash(network, segment));
        (!known && self.own.holds(network.to))
            .then(|| self.incoming(SightingKind::Stray { refused: false }, network, segment))
    }

    /// Notes that a flow is known; returns whether it was.
    fn know(&mut self, hash: u64) -> bool {
        let Some(flows) = &mut self.flows else { return true };
        // The lower half chose among fewer pending slots: here all of it chooses.
        let slot = &mut flows[slot(hash, FLOW_SLOTS)];
        std::mem::replace(slot, tag(hash) | 1) == tag(hash) | 1
    }

    fn slot(&mut self, hash: u64) -> &mut Option<Pending> {
        &mut self.slots[slot(hash, PENDING_SLOTS)]
    }
}

/// Slots for the flows that are known.
const FLOW_SLOTS: u32 = 1 << 20;

fn hash(network: &Network, segment: &Segment) -> u64 {
    flow_hash(&network.from, &network.to, segment.from_port, segment.to_port, &SEED)
}

/// The hash of the flow that this segment goes against.
fn hash_back(network: &Network, segment: &Segment) -> u64 {
    flow_hash(&network.to, &network.from, segment.to_port, segment.from_port, &SEED)
}

#[allow(clippy::cast_possible_truncation, reason = "less than the number of slots")]
const fn slot(hash: u64, slots: u32) -> usize {
    (hash % slots as u64) as usize
}

#[allow(clippy::cast_possible_truncation, reason = "the upper half")]
const fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

#[cfg(test)]
mod tests;
