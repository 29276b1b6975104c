//! The name of every way a packet can end, and of everything else the kernel program counts.
//!
//! Both lists index one per-CPU array: ends first, notes behind them, then drops by their block's reason
//! ([`dropped`], [`would_drop`]). Each packet is counted under exactly one [`End`], so the ends add up to the packets
//! received; a [`Note`] counts something that happened on the way.

use crate::record::reason::REASONS;

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Handed on to the kernel's network stack.
    Pass,
    /// Dropped at the card.
    Drop,
}

impl Verdict {
    /// The name used in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Drop => "drop",
        }
    }
}

macro_rules! counted {
    ($(#[$doc:meta])* $kind:ident, $count:ident: $($(#[$vdoc:meta])* $variant:ident = $name:literal,)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum $kind { $($(#[$vdoc])* $variant,)* }

        impl $kind {
            /// All of them, in the order of their indices.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name used in metrics and output.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }

        /// How many there are.
        #[allow(clippy::cast_possible_truncation, reason = "a few dozen")]
        pub const $count: u32 = $kind::ALL.len() as u32;
    };
}

counted! {
    /// How a packet ended. Exactly one is counted for each packet.
    End, ENDS:
    /// The frame is shorter than its Ethernet header and VLAN tags.
    FrameTruncated = "frame_truncated",
    /// More VLAN tags than [`crate::wire::MAX_VLAN_TAGS`].
    VlanTooDeep = "vlan_too_deep",
    /// Neither IPv4 nor IPv6, ARP for example.
    NotIp = "not_ip",
    /// The frame ends inside the IP header or its extension headers.
    IpTruncated = "ip_truncated",
    /// An IP header that contradicts itself: wrong version, impossible length, an IPv4 address in IPv6.
    IpMalformed = "ip_malformed",
    /// More IPv6 extension headers than [`crate::wire::MAX_EXTENSIONS`].
    ExtensionsTooDeep = "extensions_too_deep",
    /// Another protocol than TCP.
    NotTcp = "not_tcp",
    /// A fragment other than the first: it has no TCP header.
    LaterFragment = "later_fragment",
    /// A first fragment too short for a TCP header, to an own address or without ports. No honest stack makes one.
    TinyFragment = "tiny_fragment",
    /// The packet or frame ends inside the TCP header.
    TcpTruncated = "tcp_truncated",
    /// A TCP header whose length is impossible.
    TcpMalformed = "tcp_malformed",
    /// A connection attempt, probe or tiny fragment, but not for an own address.
    NotOwn = "not_own",
    /// A new connection attempt to an own address.
    Attempt = "attempt",
    /// The same SYN again.
    Retransmission = "retransmission",
    /// The acknowledgement that completes a handshake.
    Completion = "completion",
    /// A segment that no honest stack sends first, to an own address.
    Probe = "probe",
    /// A segment with ACK of no known flow, to an own address. Each flow once, and only where strays are looked for.
    Stray = "stray",
    /// A SYN-ACK or RST: an answer to somebody, never an attempt.
    Reply = "reply",
    /// Any other TCP segment: traffic of connections that exist.
    Segment = "segment",
    /// From a blocked source.
    Blocked = "blocked",
    /// It would have opened something, and came from a source that the reflex holds.
    Held = "held",
}

impl End {
    /// What became of the packets counted here.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::Blocked | Self::Held => Verdict::Drop,
            _ => Verdict::Pass,
        }
    }
}

counted! {
    /// Something worth counting that happened to a packet on its way to its [`End`].
    Note, NOTES:
    /// An event was put into the ring.
    EventSent = "event_sent",
    /// The ring was full; the event is lost.
    EventRingFull = "event_ring_full",
    /// The source had used up its events for this second.
    EventOverSourceBudget = "event_over_source_budget",
    /// The CPU had used up its events for this second.
    EventOverCpuBudget = "event_over_cpu_budget",
    /// A source got its first record.
    SourceAdded = "source_added",
    /// A new source went without a record: too many new ones in this second.
    SourceOverBudget = "source_over_budget",
    /// A new source went without a record: the map refused the insert.
    SourceInsertFailed = "source_insert_failed",
    /// A packet of a blocked source that passed, because the source is allowed.
    AllowedOverBlock = "allowed_over_block",
    /// A packet of a source whose block had expired and had not been swept yet.
    BlockExpired = "block_expired",
    /// A SYN-ACK of ours left that answers a pending attempt. Each attempt once.
    Accepted = "accepted",
    /// A RST of ours left that refuses a pending attempt. Each attempt once.
    Refused = "refused",
    /// A RST of ours left that answers a segment of no connection.
    StrayRefused = "stray_refused",
    /// A completion of an attempt that no answer of ours was seen to leave for.
    UnansweredCompletion = "unanswered_completion",
    /// An ACK that fits an attempt, but not what we answered to it. It completes nothing.
    MismatchedCompletion = "mismatched_completion",
    /// Bytes of the dropped packets.
    DroppedBytes = "dropped_bytes",
    /// The reflex began to hold a source.
    ReflexBegun = "reflex_begun",
    /// The reflex let a source go on: too many were held in this second.
    ReflexOverBudget = "reflex_over_budget",
}

impl End {
    /// Index in the tally array.
    #[inline(always)]
    #[must_use]
    pub const fn index(self) -> u32 {
        self as u32
    }
}

impl Note {
    /// Index in the tally array.
    #[inline(always)]
    #[must_use]
    pub const fn index(self) -> u32 {
        ENDS + self as u32
    }
}

/// Index of the packets dropped for one of the [reasons](crate::record::reason).
#[inline(always)]
#[must_use]
pub const fn dropped(reason: u32) -> u32 {
    ENDS + NOTES + known(reason)
}

/// Index of the packets that observe mode let pass and that would have been dropped for a reason.
#[inline(always)]
#[must_use]
pub const fn would_drop(reason: u32) -> u32 {
    ENDS + NOTES + REASONS + known(reason)
}

#[inline(always)]
const fn known(reason: u32) -> u32 {
    if reason < REASONS { reason } else { 0 }
}

/// Length of the tally array.
pub const TALLY_LEN: u32 = ENDS + NOTES + 2 * REASONS;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_index_and_every_name_is_used_once() {
        let by_reason = (0..REASONS).flat_map(|reason| [dropped(reason), would_drop(reason)]);
        let indices: Vec<u32> =
            End::ALL.iter().map(|e| e.index()).chain(Note::ALL.iter().map(|n| n.index())).chain(by_reason).collect();
        assert_eq!(indices.len(), TALLY_LEN as usize);
        assert_eq!(indices.into_iter().collect::<HashSet<_>>(), (0..TALLY_LEN).collect());
        let names: HashSet<&str> =
            End::ALL.iter().map(|e| e.name()).chain(Note::ALL.iter().map(|n| n.name())).collect();
        assert_eq!(names.len(), (ENDS + NOTES) as usize);
    }

    #[test]
    fn a_reason_of_a_later_version_counts_as_unknown() {
        assert_eq!((dropped(REASONS), would_drop(u32::MAX)), (dropped(0), would_drop(0)));
    }

    #[test]
    fn only_a_blocked_or_held_source_is_dropped() {
        let drops: Vec<_> = End::ALL.iter().filter(|e| e.verdict() == Verdict::Drop).collect();
        assert_eq!(drops, [&End::Blocked, &End::Held]);
    }
}
