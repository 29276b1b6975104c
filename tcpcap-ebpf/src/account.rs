//! Accounting: what a segment means for the record of its source, and whether userspace hears of it.

use core::hint::black_box;

use aya_ebpf::{helpers::generated::bpf_ktime_get_boot_ns, maps::lpm_trie::Key};
use tcpcap_common::{
    Addr,
    record::{CpuState, Event, OPTIONS_LEN, Settings, kind, setting},
    tally::{End, Note},
    wire::{Network, OptionsAt, Segment, copy_options},
};

use crate::{
    Packet,
    budget::{record_of, touch, within_budget},
    count,
    maps::{CPU, EVENTS, OWN, OWN_NETWORKS, SOURCES},
    pending::Slot,
    reflex,
};

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
    interface: u32,
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
    e.interface = interface;
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
        kind::COMPLETION | kind::UNANSWERED_COMPLETION => {
            let record = SOURCES.get_ptr_mut(cpu.source);
            touch(record, now, |r| &raw mut r.completions);
            reflex::completed(record, now);
            (End::Completion, cpu.attempt_reported != 0)
        }
        // What we may merely forward is nobody's stray.
        kind if !is_own(cpu.event.to, settings) => {
            return if kind == kind::STRAY { End::Segment } else { End::NotOwn };
        }
        kind::STRAY => {
            let record = record_of(SOURCES.get_ptr_mut(cpu.source), cpu, now, settings);
            touch(record, now, |r| &raw mut r.strays);
            (End::Stray, within_budget(cpu, record, now, settings))
        }
        kind @ (kind::PROBE | kind::FRAGMENT) => {
            let record = SOURCES.get_ptr_mut(cpu.source);
            if reflex::holds(record, cpu, now, settings, packet.len) {
                return End::Held;
            }
            let record = record_of(record, cpu, now, settings);
            touch(record, now, |r| &raw mut r.probes);
            let end = if kind == kind::PROBE { End::Probe } else { End::TinyFragment };
            (end, within_budget(cpu, record, now, settings))
        }
        _ => {
            let record = SOURCES.get_ptr_mut(cpu.source);
            if reflex::holds(record, cpu, now, settings, packet.len) {
                return End::Held;
            }
            let e = &cpu.event;
            let slot = Slot::of(&e.from, &e.to, e.from_port, e.to_port, settings);
            if slot.as_ref().is_some_and(|s| s.is_retransmission(e.seq, now)) {
                touch(record, now, |r| &raw mut r.retransmissions);
                return End::Retransmission;
            }
            let record = record_of(record, cpu, now, settings);
            touch(record, now, |r| &raw mut r.attempts);
            reflex::tried(record, cpu, now, settings);
            let report = within_budget(cpu, record, now, settings);
            if let Some(slot) = slot {
                slot.wait(cpu.event.seq, now, report, settings);
            }
            (End::Attempt, report)
        }
    };
    if report {
        let options = OptionsAt { offset: cpu.options_offset as usize, len: cpu.event.options_len };
        // SAFETY: the bounds are the kernel's.
        cpu.event.options_len = unsafe { copy_options(packet.start, packet.end, options, &mut cpu.event.options) };
        send(cpu, now);
    }
    end
}

/// Accounts for the answer of ours noted down in `cpu`, for the source that it goes to.
#[inline(always)]
pub fn account_answer(cpu: &'static mut CpuState, settings: &Settings) {
    // SAFETY: a helper without preconditions.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    let report = if cpu.event.kind == kind::REFUSAL {
        count::note(Note::Refused);
        let record = SOURCES.get_ptr_mut(cpu.source);
        touch(record, now, |r| &raw mut r.refusals);
        reflex::refused(record, cpu, now, settings);
        // No budget, as for completions: it is what became of an attempt that userspace was told of.
        cpu.attempt_reported != 0
    } else {
        if !is_own(cpu.event.to, settings) {
            return;
        }
        count::note(Note::StrayRefused);
        let record = record_of(SOURCES.get_ptr_mut(cpu.source), cpu, now, settings);
        touch(record, now, |r| &raw mut r.strays);
        within_budget(cpu, record, now, settings)
    };
    if report {
        cpu.event.options_len = 0;
        cpu.event.options = [0; OPTIONS_LEN];
        send(cpu, now);
    }
}

#[inline(always)]
fn is_own(to: Addr, settings: &Settings) -> bool {
    // SAFETY: nothing is done with the value.
    unsafe { OWN.get(to) }.is_some()
        || (settings.flags & setting::HAS_OWN_NETWORKS != 0 && OWN_NETWORKS.get(Key::new(128, to)).is_some())
}

/// Puts the event into the ring, or counts that the ring is full.
///
/// Wake-up is left to the kernel: forcing it costs two hundred times the copy, and a sleeping reader is woken anyway.
#[inline(always)]
fn send(cpu: &mut CpuState, now: u64) {
    cpu.event.time = now;
    match EVENTS.output::<Event>(&cpu.event, 0) {
        Ok(()) => count::note(Note::EventSent),
        Err(_) => count::note(Note::EventRingFull),
    }
}
