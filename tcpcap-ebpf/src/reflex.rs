//! The reflex: what a source would open is dropped for a moment once it has tried too many pairs in vain, before
//! userspace has heard of the last of them.
//!
//! Policy stays in userspace: the numbers are its own, it judges the same attempts by the same rule, and it confirms with
//! a block or lifts. The sketches never count more than the detector does: pairs that share a bit are one, whatever was
//! completed is taken off, and a window begins anew as a whole. What is established goes on, since only what opens
//! something is looked at here.

use aya_ebpf::maps::lpm_trie::Key;
use tcpcap_common::{
    flow::pair_hash,
    marks::{MARKED_PAIRS, MARKED_PERCENT, Tool},
    record::{CpuState, REFLEX_WEIGHT, REFLEX_WINDOW_NS, Settings, Source, UNPRIVILEGED, reason, setting},
    tally::Note,
};

use crate::{budget::start_second, count, maps::ALLOWED};

/// A SYN with a segment size as its only option has so many bytes of them.
const ONLY_MSS: u8 = 4;

const MS_NS: u64 = 1_000_000;

/// Whether the packet noted down in `cpu`, which would open something, is dropped.
#[inline(always)]
pub fn holds(record: Option<*mut Source>, cpu: &CpuState, now: u64, settings: &Settings, len: u64) -> bool {
    let Some(record) = record else {
        return false;
    };
    // SAFETY: a map value.
    if unsafe { (*record).held_until } <= now {
        return false;
    }
    if settings.flags & setting::HAS_ALLOWED != 0 && ALLOWED.get(Key::new(128, cpu.event.from)).is_some() {
        count::note(Note::AllowedOverBlock);
        return false;
    }
    if settings.flags & setting::OBSERVE != 0 {
        count::would_drop(reason::REFLEX);
        return false;
    }
    count::dropped(reason::REFLEX);
    count::note_by(Note::DroppedBytes, len);
    true
}

/// Notes the attempt in `cpu`.
#[inline(always)]
pub fn tried(record: Option<*mut Source>, cpu: &mut CpuState, now: u64, settings: &Settings) {
    if settings.reflex_pairs | settings.reflex_refused == 0 {
        return;
    }
    let Some(record) = record else {
        return;
    };
    // SAFETY: a map value. CPUs that race for it lose a bit or a count: fewer, never more.
    let r = unsafe { &mut *record };
    if !counts(r, now) {
        return;
    }
    let e = &cpu.event;
    let hash = pair_hash(&e.to, e.to_port, &settings.seed);
    let bit = 1 << (hash & 63);
    let word = if hash & 64 == 0 { &mut r.tried[0] } else { &mut r.tried[1] };
    if *word & bit != 0 {
        return;
    }
    *word |= bit;
    r.pairs += 1;
    let tool = Tool::of(&e.to, e.to_port, e.seq, e.ip_id, e.window, e.options_len == ONLY_MSS);
    r.marked += tool.is_some() as u32;
    hold_if_due(r, cpu, now, settings);
}

/// Notes that this host refused the attempt that the answer in `cpu` is for.
#[inline(always)]
pub fn refused(record: Option<*mut Source>, cpu: &mut CpuState, now: u64, settings: &Settings) {
    if settings.reflex_refused == 0 {
        return;
    }
    let Some(record) = record else {
        return;
    };
    // SAFETY: as in `tried`.
    let r = unsafe { &mut *record };
    if !counts(r, now) {
        return;
    }
    let e = &cpu.event;
    let bit = 1 << (pair_hash(&e.to, e.to_port, &settings.seed) >> 8 & 63);
    if r.refused & bit != 0 {
        return;
    }
    r.refused |= bit;
    r.refused_score += if e.to_port < UNPRIVILEGED { REFLEX_WEIGHT } else { 1 };
    hold_if_due(r, cpu, now, settings);
}

/// Notes a completed handshake: whatever it completes counts for nothing.
#[inline(always)]
pub fn completed(record: Option<*mut Source>, now: u64) {
    let Some(record) = record else {
        return;
    };
    // SAFETY: as in `tried`.
    let r = unsafe { &mut *record };
    if !counts(r, now) {
        return;
    }
    r.completed = r.completed.saturating_add(1);
    r.refused_score = r.refused_score.saturating_sub(REFLEX_WEIGHT);
}

/// Whether the source is counted, and not spared by userspace until its window begins. Begins the next window when it is
/// time.
#[inline(always)]
fn counts(r: &mut Source, now: u64) -> bool {
    if r.reflex_start > now {
        return false;
    }
    if now - r.reflex_start >= REFLEX_WINDOW_NS {
        r.reflex_start = now;
        (r.tried, r.refused) = ([0; 2], 0);
        (r.pairs, r.marked, r.completed, r.refused_score) = (0, 0, 0, 0);
    }
    true
}

/// Holds the source if it is past a limit, and this CPU has not begun to hold too many in this second.
#[inline(always)]
fn hold_if_due(r: &mut Source, cpu: &mut CpuState, now: u64, settings: &Settings) {
    let (pairs, marked) = (r.pairs as usize, r.marked as usize);
    let marked = marked >= MARKED_PAIRS && marked * 100 >= pairs * MARKED_PERCENT;
    let reached = |count: u32, limit: u32| limit != 0 && count >= if marked { limit.div_ceil(2) } else { limit };
    let due = reached(r.pairs.saturating_sub(r.completed), settings.reflex_pairs)
        || reached(r.refused_score, settings.reflex_refused);
    if !due || r.held_until > now {
        return;
    }
    start_second(cpu, now);
    if cpu.reflexes >= settings.cpu_reflexes_per_s as u64 {
        count::note(Note::ReflexOverBudget);
        return;
    }
    cpu.reflexes += 1;
    r.held_until = now + settings.reflex_for_ms as u64 * MS_NS;
    count::note(Note::ReflexBegun);
}
