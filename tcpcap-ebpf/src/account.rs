//! Accounting: what a segment means for the record of its source, and whether userspace hears of it.

use core::hint::black_box;

use aya_ebpf::{bindings::BPF_NOEXIST, helpers::generated::bpf_ktime_get_boot_ns, maps::lpm_trie::Key};
use tcpcap_common::{
    Addr,
    record::{CpuState, Event, Settings, Source, kind, setting},
    tally::{End, Note},
    wire::{Network, OptionsAt, Segment, copy_options},
};

use crate::{
    Packet, count,
    maps::{CPU, EVENTS, OWN, OWN_NETWORKS, SOURCES},
    pending::Slot,
};

const SECOND_NS: u64 = 1_000_000_000;
const EEXIST: i32 = 17;

/// What a segment is, as an event has it.
#[derive(Clone, Copy)]
pub struct Seen {
    /// One of the `kind` codes.
    pub kind: u8,
    /// A completion's attempt was reported.
    pub attempt_reported: bool,
}

/// Notes the segment down in this CPU's memory. What follows reads it from there, see [`CpuState`].
#[inline(always)]
pub fn note_down(
    packet: &Packet,
    network: &Network,
    segment: &Segment,
    source: Addr,
    seen: Seen,
) -> Option<&'static mut CpuState> {
    let cpu = CPU.get_ptr_mut(0)?;
    // SAFETY: the entry is this CPU's own, and the program is not preempted by itself.
    let state = unsafe { &mut *cpu };
    let e = &mut state.event;
    (e.from, e.to, e.seq, e.ack) = (network.from, network.to, segment.seq, segment.ack);
    (e.from_port, e.to_port, e.window) = (segment.from_port, segment.to_port, segment.window);
    (e.ip_id, e.ttl, e.flags, e.kind) = (network.ip_id, network.ttl, segment.flags, seen.kind);
    e.interface = packet.interface;
    e.options_len = segment.options.len;
    #[allow(clippy::cast_possible_truncation, reason = "an offset within the headers")]
    let options_offset = segment.options.offset as u32;
    state.options_offset = options_offset;
    state.attempt_reported = seen.attempt_reported as u32;
    state.source = source;
    // SAFETY: as above. The black box keeps the compiler from carrying on with the values it has just written.
    Some(unsafe { &mut *black_box(cpu) })
}

/// Accounts for the segment noted down in `cpu` and says how it ends.
#[inline(always)]
pub fn account(packet: &Packet, cpu: &'static mut CpuState, settings: &Settings) -> End {
    // SAFETY: a helper without preconditions.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    let (end, report) = match cpu.event.kind {
        // No budget here: userspace was told of the attempt, and without its completion it would take an honest source
        // for a scanner.
        kind::COMPLETION => {
            touch(SOURCES.get_ptr_mut(cpu.source), now, |r| &raw mut r.completions);
            (End::Completion, cpu.attempt_reported != 0)
        }
        _ if !is_own(cpu.event.to, settings) => return End::NotOwn,
        kind @ (kind::PROBE | kind::FRAGMENT) => {
            let record = record_of(cpu, now, settings);
            touch(record, now, |r| &raw mut r.probes);
            let end = if kind == kind::PROBE { End::Probe } else { End::TinyFragment };
            (end, within_budget(cpu, record, now, settings))
        }
        _ => {
            let e = &cpu.event;
            let slot = Slot::of(&e.from, &e.to, e.from_port, e.to_port, settings);
            if slot.as_ref().is_some_and(|s| s.is_retransmission(e.seq, now)) {
                touch(SOURCES.get_ptr_mut(cpu.source), now, |r| &raw mut r.retransmissions);
                return End::Retransmission;
            }
            let record = record_of(cpu, now, settings);
            touch(record, now, |r| &raw mut r.attempts);
            let report = within_budget(cpu, record, now, settings);
            if let Some(slot) = slot {
                slot.wait(cpu.event.seq, now, report);
            }
            (End::Attempt, report)
        }
    };
    if report {
        send(packet, cpu, now);
    }
    end
}

#[inline(always)]
fn is_own(to: Addr, settings: &Settings) -> bool {
    // SAFETY: nothing is done with the value.
    unsafe { OWN.get(to) }.is_some()
        || (settings.flags & setting::HAS_OWN_NETWORKS != 0 && OWN_NETWORKS.get(Key::new(128, to)).is_some())
}

/// Adds one to a counter of a record that exists.
#[inline(always)]
fn touch(record: Option<*mut Source>, now: u64, counter: impl FnOnce(&mut Source) -> *mut u64) {
    if let Some(record) = record {
        // SAFETY: a map value. CPUs share the counter and add to it atomically; `last_seen` may be any of theirs.
        unsafe {
            count::add(counter(&mut *record), 1);
            (*record).last_seen = now;
        }
    }
}

/// The source's record, made if need be and if this CPU has not made too many in this second: under a flood of forged
/// sources the records that exist are worth more than new ones.
#[inline(always)]
fn record_of(cpu: &mut CpuState, now: u64, settings: &Settings) -> Option<*mut Source> {
    if let Some(record) = SOURCES.get_ptr_mut(cpu.source) {
        return Some(record);
    }
    start_second(cpu, now);
    if cpu.new_sources >= settings.cpu_new_sources_per_s as u64 {
        count::note(Note::SourceOverBudget);
        return None;
    }
    cpu.new_sources += 1;
    let fresh = Source { first_seen: now, last_seen: now, window_start: now, ..Source::default() };
    match SOURCES.insert(cpu.source, fresh, BPF_NOEXIST as u64) {
        Ok(()) => count::note(Note::SourceAdded),
        // Another CPU was faster, and its record will do.
        Err(e) if e == -EEXIST => {}
        Err(_) => count::note(Note::SourceInsertFailed),
    }
    SOURCES.get_ptr_mut(cpu.source)
}

/// Whether source and CPU may still send an event in this second; counts it as sent if so.
#[inline(always)]
fn within_budget(cpu: &mut CpuState, record: Option<*mut Source>, now: u64, settings: &Settings) -> bool {
    start_second(cpu, now);
    let over = if cpu.events >= settings.cpu_events_per_s as u64 {
        Some(Note::EventOverCpuBudget)
    } else if record.is_some_and(|r| spend(r, now, settings.source_events_per_s as u64)) {
        Some(Note::EventOverSourceBudget)
    } else {
        None
    };
    let Some(over) = over else {
        cpu.events += 1;
        return true;
    };
    count::note(over);
    if let Some(record) = record {
        // SAFETY: a map value.
        unsafe { count::add(&raw mut (*record).events_withheld, 1) };
    }
    false
}

/// Spends one event of a source; true when there was none left. CPUs that race for a new second may grant a few more.
#[inline(always)]
fn spend(record: *mut Source, now: u64, limit: u64) -> bool {
    // SAFETY: a map value.
    let r = unsafe { &mut *record };
    if now.saturating_sub(r.window_start) >= SECOND_NS {
        r.window_start = now;
        r.events = 0;
    }
    if r.events >= limit {
        return true;
    }
    // SAFETY: a map value.
    unsafe { count::add(&raw mut r.events, 1) };
    false
}

#[inline(always)]
fn start_second(cpu: &mut CpuState, now: u64) {
    if now.saturating_sub(cpu.window_start) >= SECOND_NS {
        (cpu.window_start, cpu.events, cpu.new_sources) = (now, 0, 0);
    }
}

/// Puts the event into the ring, or counts that the ring is full.
///
/// Wake-up is left to the kernel: forcing it costs two hundred times the copy, and a sleeping reader is woken anyway.
#[inline(always)]
fn send(packet: &Packet, cpu: &mut CpuState, now: u64) {
    let e = &mut cpu.event;
    e.time = now;
    let options = OptionsAt { offset: cpu.options_offset as usize, len: e.options_len };
    // SAFETY: the bounds are the kernel's.
    e.options_len = unsafe { copy_options(packet.start, packet.end, options, &mut e.options) };
    match EVENTS.output::<Event>(&*e, 0) {
        Ok(()) => count::note(Note::EventSent),
        Err(_) => count::note(Note::EventRingFull),
    }
}
