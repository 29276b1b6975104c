//! What the sensor saw.

use tcpcap_common::Addr;

use crate::{Marks, Source, Time};

/// One packet that matters, on its way from a source to an own address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// When it was seen.
    pub time: Time,
    /// Whom it is counted for.
    pub source: Source,
    /// The whole address that it came from.
    pub from: Addr,
    /// TCP source port.
    pub from_port: u16,
    /// The own address that it went to.
    pub to: Addr,
    /// TCP destination port.
    pub to_port: u16,
    /// What it was.
    pub kind: SightingKind,
}

/// What kind of packet was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SightingKind {
    /// A SYN that opens a connection.
    Attempt(Marks),
    /// The ACK that completes a handshake on the 4-tuple of an earlier attempt.
    Completion {
        /// Our own answers are in view, and none to this attempt was seen: it left another way, or there was none and
        /// the ACK is forged.
        unanswered: bool,
    },
    /// This host refused an attempt, with RST. Seen where our own answers are in view.
    Refusal,
    /// A segment that no honest stack sends first.
    Probe {
        /// TCP flags, as in [`tcpcap_common::wire::flag`].
        flags: u8,
    },
    /// The first fragment of a segment, too short for a TCP header.
    TinyFragment,
    /// A segment with ACK that belongs to no known connection.
    Stray {
        /// This host answered that it knows of no such connection, with RST. Seen where our own answers are in view.
        refused: bool,
    },
}

impl Sighting {
    /// A packet between two (address, port), counted for the source that [`Source::of`] says.
    #[must_use]
    pub fn new(time: Time, kind: SightingKind, from: (Addr, u16), to: (Addr, u16)) -> Self {
        Self { time, source: Source::of(from.0, to.0), from: from.0, from_port: from.1, to: to.0, to_port: to.1, kind }
    }
}
