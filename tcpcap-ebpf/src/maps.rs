//! Every map: what it holds, who writes it, who reads it, and what happens when it is full.
//!
//! The name of a static is the name of its map; `tcpcap_common::record::map` repeats them for userspace.
//! Sizes are defaults, userspace may set others before the load.

use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    macros::map,
    maps::{Array, HashMap, LpmTrie, LruHashMap, PerCpuArray, RingBuf},
};
use tcpcap_common::{
    Addr,
    record::{Block, CpuState, FLOW_SLOTS, Flows, PENDING_SLOTS, Pending, Settings, Source},
    tally::TALLY_LEN,
};

use crate::clock::Tick;

/// Blocked sources. Userspace adds and removes entries, the program counts drops in them. Not LRU: an attacker must
/// not be able to push a block out. Full: the insert fails in userspace, which counts and retries it. Memory is taken
/// as entries come, since the program itself never inserts.
#[map]
pub static BLOCKS: HashMap<Addr, Block> = HashMap::with_max_entries(262_144, BPF_F_NO_PREALLOC);

/// Blocked networks, longest prefix first, that are no single source. As `BLOCKS`, and looked at only while the setting
/// says that there are any.
#[map]
pub static NETWORKS: LpmTrie<Addr, Block> = LpmTrie::with_max_entries(1_048_576, BPF_F_NO_PREALLOC);

/// Allowed networks. Written by userspace, read for packets of blocked sources only. Full: the insert fails in
/// userspace, which refuses to start.
#[map]
pub static ALLOWED: LpmTrie<Addr, u32> = LpmTrie::with_max_entries(65_536, BPF_F_NO_PREALLOC);

/// Own addresses. Written by userspace, read for each SYN and probe. Full: as `ALLOWED`.
#[map]
pub static OWN: HashMap<Addr, u32> = HashMap::with_max_entries(16_384, BPF_F_NO_PREALLOC);

/// Own networks, for hosts that answer for more than the addresses of their interfaces. As `OWN`.
#[map]
pub static OWN_NETWORKS: LpmTrie<Addr, u32> = LpmTrie::with_max_entries(16_384, BPF_F_NO_PREALLOC);

/// Counters per source. Written here, read by userspace's poll. Full: the least recently used record gives way; it
/// holds counters only, so attackers may churn it.
#[map]
pub static SOURCES: LruHashMap<Addr, Source> = LruHashMap::with_max_entries(131_072, 0);

/// Pending handshakes, direct-mapped: a slot is overwritten by the next flow that falls into it. Private to the
/// program. Never full; the worst case is a handshake whose completion goes unseen.
#[map]
pub static PENDING: Array<Pending> = Array::with_max_entries(PENDING_SLOTS, 0);

/// Flows that are known to exist, by slot: a new one takes the place of the older of two. Private to the program, and
/// touched only where strays are looked for. Never full; the worst case is a flow that is told of once more.
#[map]
pub static FLOWS: Array<Flows> = Array::with_max_entries(FLOW_SLOTS, 0);

/// Events for userspace. Full: the event is lost and counted.
#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(8 << 20, 0);

/// Ends and notes (`tcpcap_common::tally`). Written here, read by userspace's poll.
#[map]
pub static TALLY: PerCpuArray<u64> = PerCpuArray::with_max_entries(TALLY_LEN, 0);

/// What userspace wants. One entry, zero until userspace has written it: every budget is 0 then.
#[map]
pub static SETTINGS: Array<Settings> = Array::with_max_entries(1, 0);

/// Each CPU's budgets, and the segment that it is accounting for. Private to the program.
#[map]
pub static CPU: PerCpuArray<CpuState> = PerCpuArray::with_max_entries(1, 0);

/// Each CPU's latest tick of the timer. Private to the program and never pinned, so it is no part of the layout.
#[map]
pub static CLOCK: PerCpuArray<Tick> = PerCpuArray::with_max_entries(1, 0);
