//! Which addresses of a capture are the own ones, when nobody says so.
//!
//! An own address is one that answered a connection attempt, with SYN-ACK or RST, of somebody who did not answer any
//! himself. The second half leaves out the servers that an own address connected to. Where nobody answered, as in a
//! capture of the incoming direction alone, an own address is one that received an attempt.
//!
//! It cannot tell a host that only connects out from one that scans the rest: there, `--own` must.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};

use tcpcap_common::{
    Addr,
    flow::flow_hash,
    record::PENDING_SLOTS,
    wire::{Kind, Network, Segment, flag},
};

/// How many addresses are kept of either kind. Past it, as under a flood, an address is not noticed any more.
const MAX_ADDRESSES: usize = 65_536;
/// How many of those that an address answered are kept.
const MAX_ANSWERED: usize = 32;
/// How far behind the SYN an answer may acknowledge: a SYN may carry data (RFC 7413).
const ANSWER_WINDOW: u32 = 0xffff;
/// Spreads flows over the slots. Not secret: what is inferred is said, and can be overruled.
const SEED: [u64; 2] = [1, 2];

/// What own addresses were inferred from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// They answered connection attempts.
    Answered,
    /// They received connection attempts, and nobody answered any.
    Tried,
}

/// Watches who answers whom.
pub struct Inference {
    /// By hash of the flow: another part of the hash, and the SYN's sequence number.
    syns: Vec<Option<(u32, u32)>>,
    answered: HashMap<IpAddr, Vec<IpAddr>>,
    tried: HashSet<IpAddr>,
}

impl Default for Inference {
    fn default() -> Self {
        Self { syns: vec![None; PENDING_SLOTS as usize], answered: HashMap::new(), tried: HashSet::new() }
    }
}

impl Inference {
    /// Takes a segment.
    pub fn see(&mut self, network: &Network, segment: &Segment) {
        let (from, to) = (network.from, network.to);
        match segment.kind() {
            Kind::Attempt => {
                let (slot, tag) = slot((from, segment.from_port), (to, segment.to_port));
                self.syns[slot] = Some((tag, segment.seq));
                if self.tried.len() < MAX_ADDRESSES {
                    self.tried.insert(to.to_ip());
                }
            }
            Kind::Reply if segment.flags & flag::ACK != 0 => {
                let (slot, tag) = slot((to, segment.to_port), (from, segment.from_port));
                let answers =
                    |&(t, seq): &(u32, u32)| t == tag && segment.ack.wrapping_sub(seq.wrapping_add(1)) <= ANSWER_WINDOW;
                if self.syns[slot].as_ref().is_some_and(answers) {
                    self.note_answer(from.to_ip(), to.to_ip());
                }
            }
            _ => {}
        }
    }

    fn note_answer(&mut self, from: IpAddr, to: IpAddr) {
        if self.answered.len() >= MAX_ADDRESSES && !self.answered.contains_key(&from) {
            return;
        }
        let to_whom = self.answered.entry(from).or_default();
        if to_whom.len() < MAX_ANSWERED && !to_whom.contains(&to) {
            to_whom.push(to);
        }
    }

    /// The own addresses, and what makes them so; none if nobody tried to connect.
    #[must_use]
    pub fn finish(self) -> (HashSet<IpAddr>, Basis) {
        let Self { answered, tried, .. } = self;
        if answered.is_empty() {
            return (tried, Basis::Tried);
        }
        let own: HashSet<_> = answered
            .iter()
            .filter(|(_, to_whom)| to_whom.iter().any(|to| !answered.contains_key(to)))
            .map(|(from, _)| *from)
            .collect();
        // Everybody answers everybody: peers.
        let own = if own.is_empty() { answered.into_keys().collect() } else { own };
        (own, Basis::Answered)
    }
}

fn slot(from: (Addr, u16), to: (Addr, u16)) -> (usize, u32) {
    let hash = flow_hash(&from.0, &to.0, from.1, to.1, &SEED);
    #[allow(clippy::cast_possible_truncation, reason = "the two halves of the hash")]
    let (low, high) = (hash as u32, (hash >> 32) as u32);
    ((low & (PENDING_SLOTS - 1)) as usize, high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tcpcap_common::wire;
    use tcpcap_lab::frame::Frame;

    const SYN_ACK: u8 = flag::SYN | flag::ACK;
    const RST_ACK: u8 = flag::RST | flag::ACK;

    fn inferred(segments: &[(&str, &str, u8, u32, u32)]) -> (Vec<String>, Basis) {
        let mut inference = Inference::default();
        for &(from, to, flags, seq, ack) in segments {
            let (network, segment) = wire::parse(&Frame::tcp(from, to).flags(flags).seq(seq, ack).build()).unwrap();
            inference.see(&network, &segment);
        }
        let (own, basis) = inference.finish();
        let mut own: Vec<_> = own.iter().map(ToString::to_string).collect();
        own.sort();
        (own, basis)
    }

    #[test]
    fn own_is_who_answers() {
        let (own, basis) = inferred(&[
            ("192.0.2.1:1000", "10.0.0.1:80", flag::SYN, 7, 0),
            ("10.0.0.1:80", "192.0.2.1:1000", SYN_ACK, 50, 8),
            ("192.0.2.1:1001", "10.0.0.2:81", flag::SYN, 7, 0),
            ("10.0.0.2:81", "192.0.2.1:1001", RST_ACK, 0, 8),
            ("192.0.2.1:1001", "10.0.0.3:81", flag::SYN, 7, 0),
        ]);
        assert_eq!((own, basis), (vec!["10.0.0.1".to_owned(), "10.0.0.2".to_owned()], Basis::Answered));
    }

    #[test]
    fn a_server_that_an_own_address_connects_to_is_not_own() {
        let (own, _) = inferred(&[
            ("192.0.2.1:1000", "10.0.0.1:80", flag::SYN, 7, 0),
            ("10.0.0.1:80", "192.0.2.1:1000", SYN_ACK, 50, 8),
            ("10.0.0.1:2000", "203.0.113.1:443", flag::SYN, u32::MAX, 0),
            ("203.0.113.1:443", "10.0.0.1:2000", SYN_ACK, 50, 0),
        ]);
        assert_eq!(own, ["10.0.0.1"]);
    }

    #[test]
    fn backscatter_makes_nobody_own() {
        let (own, basis) = inferred(&[
            ("192.0.2.1:1000", "10.0.0.1:80", flag::SYN, 7, 0),
            ("203.0.113.1:443", "10.0.0.1:2000", SYN_ACK, 50, 8),
            ("10.0.0.1:80", "192.0.2.1:1000", SYN_ACK, 50, 70_000),
            ("10.0.0.1:80", "192.0.2.1:1000", flag::RST, 50, 8),
        ]);
        assert_eq!((own, basis), (vec!["10.0.0.1".to_owned()], Basis::Tried));
    }

    #[test]
    fn peers_that_answer_each_other_are_all_own_and_without_attempts_nobody_is() {
        let (own, _) = inferred(&[
            ("10.0.0.2:1000", "10.0.0.1:80", flag::SYN, 7, 0),
            ("10.0.0.1:80", "10.0.0.2:1000", SYN_ACK, 50, 8),
            ("10.0.0.1:1000", "10.0.0.2:80", flag::SYN, 7, 0),
            ("10.0.0.2:80", "10.0.0.1:1000", RST_ACK, 0, 8),
        ]);
        assert_eq!(own, ["10.0.0.1", "10.0.0.2"]);
        assert!(inferred(&[("10.0.0.1:80", "10.0.0.2:1000", SYN_ACK, 50, 8)]).0.is_empty());
    }
}
