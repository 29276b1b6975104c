//! What stands in the maps and in the event ring.
//!
//! Every type is `#[repr(C)]` without hidden padding, and holds nothing with forbidden bit patterns (no `bool`, no
//! enum): the other side may be of another version. Times are nanoseconds of `CLOCK_BOOTTIME`, which goes on during
//! suspend and never steps.

use crate::Addr;

/// The names of the maps: those of their statics in the kernel program.
pub mod map {
    /// Blocked sources: [`Addr`](crate::Addr) → [`Block`](super::Block).
    pub const BLOCKS: &str = "BLOCKS";
    /// Blocked networks: longest-prefix trie of [`Addr`](crate::Addr) → [`Block`](super::Block).
    pub const NETWORKS: &str = "NETWORKS";
    /// Allowed networks: longest-prefix trie of [`Addr`](crate::Addr) → `u32`.
    pub const ALLOWED: &str = "ALLOWED";
    /// Own addresses: [`Addr`](crate::Addr) → `u32`.
    pub const OWN: &str = "OWN";
    /// Own networks: longest-prefix trie of [`Addr`](crate::Addr) → `u32`.
    pub const OWN_NETWORKS: &str = "OWN_NETWORKS";
    /// Sources seen: [`Addr`](crate::Addr) → [`Source`](super::Source).
    pub const SOURCES: &str = "SOURCES";
    /// Pending handshakes: slot → [`Pending`](super::Pending).
    pub const PENDING: &str = "PENDING";
    /// Known flows: slot → [`Flows`](super::Flows).
    pub const FLOWS: &str = "FLOWS";
    /// The event ring of [`Event`](super::Event).
    pub const EVENTS: &str = "EVENTS";
    /// Counters per CPU, indexed as [`crate::tally`] says.
    pub const TALLY: &str = "TALLY";
    /// One [`Settings`](super::Settings).
    pub const SETTINGS: &str = "SETTINGS";
    /// One [`CpuState`](super::CpuState) per CPU.
    pub const CPU: &str = "CPU";

    /// All of them.
    pub const ALL: [&str; 12] =
        [BLOCKS, NETWORKS, ALLOWED, OWN, OWN_NETWORKS, SOURCES, PENDING, FLOWS, EVENTS, TALLY, SETTINGS, CPU];
}

/// A prefix length in the key of a longest-prefix trie: IPv4 lies below `::ffff:0:0/96`.
pub const V4_PREFIX_OFFSET: u32 = 96;

/// Slots of pending handshakes, a power of two. At 24 bytes each 6 MiB; under a flood of a million forged SYNs a
/// second a slot survives a quarter of a second, longer than most round trips.
pub const PENDING_SLOTS: u32 = 1 << 18;

/// Slots of known flows, a power of two, of two flows each: 4 MiB.
pub const FLOW_SLOTS: u32 = 1 << 19;

/// A SYN seen again within this time of its last sending is a retransmission. Linux doubles its wait up to 64 s
/// (RFC 6298 §5.5 asks for doubling and allows a ceiling of 60 s or more).
pub const RETRANSMISSION_NS: u64 = 65_000_000_000;

/// How far behind its SYN the sequence number of a completing ACK may lie: the pure ACK may be lost and data come
/// first, or the SYN itself may have carried data (RFC 7413).
pub const COMPLETION_WINDOW: u32 = 0xffff;

/// A blocked source or network.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// When the block ends; 0 for never.
    pub until: u64,
    /// When it began.
    pub since: u64,
    /// Packets dropped (or, in observe mode, that would have been).
    pub packets: u64,
    /// Bytes of those packets.
    pub bytes: u64,
    /// When the last of them came.
    pub last_drop: u64,
    /// Why: one of the [`reason`] codes.
    pub reason: u32,
    /// Which packets: one of the [`scope`] codes.
    pub scope: u32,
    /// How often in a row the source has been blocked; 0 where nobody counts. Userspace's own, kept here so that it
    /// outlives the daemon.
    pub times: u32,
    /// Bits of [`block`]. As `times`.
    pub flags: u32,
}

/// Bits of [`Block::flags`].
pub mod block {
    /// The source had not completed a handshake: its address may be forged.
    pub const UNVERIFIED: u32 = 1;
    /// It stands in a list: the next daemon looks there, and not here, whether it is still wanted.
    pub const LISTED: u32 = 2;

    /// Flags that hold the length of the key's prefix in the trie: a look-up finds the longest network that fits, and only
    /// this tells whether it is the one that was asked for.
    #[must_use]
    pub const fn of_prefix(len: u32) -> u32 {
        len << 8
    }

    /// That length; 0 in the hash.
    #[must_use]
    pub const fn prefix(flags: u32) -> u32 {
        flags >> 8 & 0xff
    }
}

/// Which packets of a source are blocked.
pub mod scope {
    /// All of them.
    pub const ALL: u32 = 0;
    /// Those that open something: attempts, probes and tiny fragments. Connections that exist go on.
    pub const SYN: u32 = 1;
}

/// Why a source is blocked.
pub mod reason {
    /// The port scan rule.
    pub const PORT_SCAN: u32 = 1;
    /// The same rule, over many addresses.
    pub const SWEEP: u32 = 2;
    /// The stealth rule.
    pub const STEALTH: u32 = 3;
    /// The stray rule.
    pub const STRAY: u32 = 4;
    /// The brute force rule.
    pub const BRUTE_FORCE: u32 = 5;
    /// An operator, by configuration or command.
    pub const OPERATOR: u32 = 6;
    /// A feed.
    pub const FEED: u32 = 7;
    /// No entry, but the program's own reflex: see [`Source::held_until`](super::Source).
    pub const REFLEX: u32 = 8;
    /// How many codes there are; 0 stands for any other.
    pub const REASONS: u32 = 9;
}

/// What the kernel counts about a source. Least recently used records give way.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Its first attempt, probe or tiny fragment since it has a record.
    pub first_seen: u64,
    /// Its latest attempt, retransmission, completion, probe or tiny fragment.
    pub last_seen: u64,
    /// Attempts to own addresses.
    pub attempts: u64,
    /// SYNs seen before.
    pub retransmissions: u64,
    /// Handshakes completed.
    pub completions: u64,
    /// Probes and tiny fragments.
    pub probes: u64,
    /// Attempts that this host refused, as far as its answers are in view.
    pub refusals: u64,
    /// Segments with ACK of no known connection: told by this host's answer or by the flow's absence.
    pub strays: u64,
    /// Events that were not sent because the source or the CPU was over budget.
    pub events_withheld: u64,
    /// Start of the second that `events` counts in.
    pub window_start: u64,
    /// Events sent in that second.
    pub events: u64,
    /// Start of the [window](REFLEX_WINDOW_NS) that everything below counts in. In the future: spared until then.
    pub reflex_start: u64,
    /// Until when the reflex drops what the source would open; 0 or past: it does not.
    pub held_until: u64,
    /// Pairs of own address and port that were tried: a bit each, by keyed hash. Two may share one.
    pub tried: [u64; 2],
    /// The same for pairs where this host refused an attempt.
    pub refused: u64,
    /// Bits of `tried`.
    pub pairs: u32,
    /// Those of them whose attempt bore a tool's marks.
    pub marked: u32,
    /// Handshakes completed.
    pub completed: u32,
    /// Weights of the bits of `refused`: [`REFLEX_WEIGHT`] for a privileged port, 1 for another.
    pub refused_score: u32,
}

/// How long the reflex counts before it begins anew. Not longer than the detector's shortest window, so that it never
/// knows of more than the detector does.
pub const REFLEX_WINDOW_NS: u64 = 60_000_000_000;

/// What a refused privileged port weighs for the reflex: the least that it weighs in the detector.
pub const REFLEX_WEIGHT: u32 = 2;

/// The first port that is not privileged.
pub const UNPRIVILEGED: u16 = 1024;

/// A SYN waiting for the acknowledgement that completes its handshake.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// When the SYN was last seen.
    pub time: u64,
    /// Upper half of the flow's hash.
    pub tag: u32,
    /// The SYN's sequence number.
    pub seq: u32,
    /// The acknowledgement number that our SYN-ACK asks for, once one has left.
    pub expected: u32,
    /// Bits of [`pending`].
    pub state: u32,
}

/// Bits of [`Pending::state`].
pub mod pending {
    /// The attempt was reported to userspace, so what becomes of it must be too.
    pub const REPORTED: u32 = 1;
    /// Our answers were in view when the SYN came: whether there was one can be told.
    pub const IN_VIEW: u32 = 2;
    /// A SYN-ACK of ours has left.
    pub const ANSWERED: u32 = 4;
    /// A RST of ours has left.
    pub const REFUSED: u32 = 8;
    /// No SYN was here, but a SYN-ACK: a RST of ours is the answer to that, and refuses no stray.
    pub const REPLY: u32 = 16;
}

/// The tags of the two flows that a slot knew last, the later one first; 0 is nobody's.
///
/// With room for one, two flows that fall into the same slot would push each other out with every packet: of ten thousand
/// connections a hundred. With room for two it takes three.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flows {
    /// Tags.
    pub tags: [u32; 2],
}

/// What happened.
pub mod kind {
    /// A new connection attempt.
    pub const ATTEMPT: u8 = 1;
    /// A handshake completed.
    pub const COMPLETION: u8 = 2;
    /// A probe.
    pub const PROBE: u8 = 3;
    /// A first fragment too short for a TCP header. Its event knows ports and sequence number, and nothing behind them.
    pub const FRAGMENT: u8 = 4;
    /// A handshake completed as far as its source goes, and no answer of ours was seen to leave.
    pub const UNANSWERED_COMPLETION: u8 = 5;
    /// This host refused an attempt. The ends are the attempt's, everything else is of our RST.
    pub const REFUSAL: u8 = 6;
    /// This host answered that it knows of no such connection. The ends are those of the segment that it answered,
    /// everything else is of our RST.
    pub const STRAY_REFUSED: u8 = 7;
    /// A segment with ACK came that belongs to no known flow. Each flow once.
    pub const STRAY: u8 = 8;
}

/// Longest TCP options there can be: a header of 60 bytes less the 20 fixed ones.
pub const OPTIONS_LEN: usize = 40;

/// One record of the event ring.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// When the packet was seen.
    pub time: u64,
    /// Where it came from, whole (not cut to a prefix).
    pub from: Addr,
    /// Where it went: an own address.
    pub to: Addr,
    /// TCP sequence number.
    pub seq: u32,
    /// TCP acknowledgement number.
    pub ack: u32,
    /// TCP source port, host order.
    pub from_port: u16,
    /// TCP destination port, host order.
    pub to_port: u16,
    /// TCP window, host order, unscaled.
    pub window: u16,
    /// IPv4 identification, host order; 0 for IPv6.
    pub ip_id: u16,
    /// Index of the interface it came in or left by.
    pub interface: u32,
    /// One of the [`kind`] codes.
    pub kind: u8,
    /// TCP flags, as in [`crate::wire::flag`].
    pub flags: u8,
    /// IPv4 time to live or IPv6 hop limit.
    pub ttl: u8,
    /// How many bytes of `options` are valid.
    pub options_len: u8,
    /// TCP options as they came, the rest zero.
    pub options: [u8; OPTIONS_LEN],
}

/// What userspace tells the kernel program. Written whole; may change at any time.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Secret of [`crate::flow::flow_hash`].
    pub seed: [u64; 2],
    /// Mask that makes an IPv6 address a source.
    pub ipv6_mask: [u32; 4],
    /// Bits of [`setting`].
    pub flags: u32,
    /// Events a source may send in a second.
    pub source_events_per_s: u32,
    /// Events a CPU may send in a second.
    pub cpu_events_per_s: u32,
    /// New source records a CPU may make in a second.
    pub cpu_new_sources_per_s: u32,
    /// Pairs tried and not completed at which the reflex holds a source; 0: whatever their number.
    pub reflex_pairs: u32,
    /// Score of refused pairs at which it does; 0: whatever their score.
    pub reflex_refused: u32,
    /// For how long it holds a source, milliseconds.
    pub reflex_for_ms: u32,
    /// Sources that it may hold anew on a CPU in a second.
    pub cpu_reflexes_per_s: u32,
}

/// Bits of [`Settings::flags`].
pub mod setting {
    /// Drop nothing, count what would have been dropped.
    pub const OBSERVE: u32 = 1;
    /// The trie of allowed networks is not empty.
    pub const HAS_ALLOWED: u32 = 2;
    /// The trie of own networks is not empty.
    pub const HAS_OWN_NETWORKS: u32 = 4;
    /// Our answers are in view: every watched interface has the program on its way out, too.
    pub const EGRESS_VIEW: u32 = 8;
    /// Tell of segments that belong to no known flow.
    pub const STRAYS: u32 = 16;
    /// The trie of blocked networks is not empty.
    pub const HAS_NETWORKS: u32 = 32;
    /// Every block is one of new connections, whatever its own scope.
    pub const SYN_ONLY: u32 = 64;
}

/// A CPU's own memory: what it has spent of its budgets in this second, and the segment it is accounting for.
///
/// The segment passes through here because the verifier knows nothing of what a map holds: it walks the accounting once,
/// and not once for each shape of packet that leads there.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuState {
    /// Start of the second.
    pub window_start: u64,
    /// Events sent in it.
    pub events: u64,
    /// Source records made in it.
    pub new_sources: u64,
    /// Sources that the reflex began to hold in it.
    pub reflexes: u64,
    /// The segment, as userspace will hear of it.
    pub event: Event,
    /// The source that it counts for.
    pub source: Addr,
    /// Where its options begin in the packet.
    pub options_offset: u32,
    /// 1 when its attempt was reported, so that its completion is too.
    pub attempt_reported: u32,
}

/// Asserts that a type has the given size and that its fields lie, in order and without a gap, where they are said to.
macro_rules! layout {
    ($type:ty, $size:literal: $($field:ident @ $offset:literal),* $(,)?) => {
        const _: () = {
            assert!(size_of::<$type>() == $size);
            $(assert!(core::mem::offset_of!($type, $field) == $offset);)*
        };
    };
}

layout!(Block, 56: until @ 0, since @ 8, packets @ 16, bytes @ 24, last_drop @ 32, reason @ 40, scope @ 44,
    times @ 48, flags @ 52);
layout!(Source, 144: first_seen @ 0, last_seen @ 8, attempts @ 16, retransmissions @ 24, completions @ 32, probes @ 40,
    refusals @ 48, strays @ 56, events_withheld @ 64, window_start @ 72, events @ 80, reflex_start @ 88, held_until @ 96,
    tried @ 104, refused @ 120, pairs @ 128, marked @ 132, completed @ 136, refused_score @ 140);
layout!(Pending, 24: time @ 0, tag @ 8, seq @ 12, expected @ 16, state @ 20);
layout!(Flows, 8: tags @ 0);
layout!(Event, 104: time @ 0, from @ 8, to @ 24, seq @ 40, ack @ 44, from_port @ 48, to_port @ 50, window @ 52,
    ip_id @ 54, interface @ 56, kind @ 60, flags @ 61, ttl @ 62, options_len @ 63, options @ 64);
layout!(Settings, 64: seed @ 0, ipv6_mask @ 16, flags @ 32, source_events_per_s @ 36, cpu_events_per_s @ 40,
    cpu_new_sources_per_s @ 44, reflex_pairs @ 48, reflex_refused @ 52, reflex_for_ms @ 56, cpu_reflexes_per_s @ 60);
layout!(CpuState, 160: window_start @ 0, events @ 8, new_sources @ 16, reflexes @ 24, event @ 32, source @ 136,
    options_offset @ 152, attempt_reported @ 156);

#[cfg(feature = "user")]
mod pod {
    use super::{Block, CpuState, Event, Flows, Pending, Settings, Source};

    // SAFETY: `#[repr(C)]`, without padding (asserted above) and without forbidden bit patterns.
    unsafe impl aya::Pod for crate::Addr {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Block {}
    // SAFETY: as above.
    unsafe impl aya::Pod for CpuState {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Event {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Flows {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Pending {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Settings {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Source {}
}
