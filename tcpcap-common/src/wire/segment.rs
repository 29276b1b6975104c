//! A TCP header as it was read, and what it is to us.

/// TCP flags (RFC 9293 §3.1).
pub mod flag {
    #![allow(missing_docs, reason = "the names are the standard's")]
    pub const FIN: u8 = 1;
    pub const SYN: u8 = 2;
    pub const RST: u8 = 4;
    pub const PSH: u8 = 8;
    pub const ACK: u8 = 16;
    pub const URG: u8 = 32;
}

/// A TCP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Source port, host order.
    pub from_port: u16,
    /// Destination port, host order.
    pub to_port: u16,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// The eight flags, as in [`flag`].
    pub flags: u8,
    /// Window, unscaled.
    pub window: u16,
    /// Where the options lie.
    pub options: OptionsAt,
    /// A first fragment that ends inside the TCP header: ports and sequence number are known, the rest is zero.
    pub tiny: bool,
}

/// Where a segment's options lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionsAt {
    /// Offset from `start`.
    pub offset: usize,
    /// Length; at most [`OPTIONS_LEN`](crate::record::OPTIONS_LEN).
    pub len: u8,
}

/// What a segment is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SYN, with ACK, RST and FIN clear: somebody wants to connect.
    Attempt,
    /// SYN-ACK or RST: an answer.
    Reply,
    /// Flags that no honest stack sends.
    Probe,
    /// Has ACK set: part of a connection, or made to look so.
    Segment,
    /// A first fragment too short for a TCP header: what it is stands in the next one.
    TinyFragment,
}

impl Segment {
    /// What the flags make of it. Every segment after the SYN carries ACK, but for RST (RFC 9293 §3.10.7); PSH, URG
    /// and the two congestion flags change nothing about a SYN.
    #[inline(always)]
    #[must_use]
    pub const fn kind(&self) -> Kind {
        use flag::{ACK, FIN, RST, SYN};
        if self.tiny {
            return Kind::TinyFragment;
        }
        match self.flags & (SYN | ACK | RST | FIN) {
            SYN => Kind::Attempt,
            f if f & SYN != 0 && f & (FIN | RST) != 0 => Kind::Probe,
            f if f & (SYN | RST) != 0 => Kind::Reply,
            f if f & ACK != 0 => Kind::Segment,
            _ => Kind::Probe,
        }
    }
}
