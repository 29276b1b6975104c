//! The records of sources, and the budgets: for events of a source and of a CPU, and for new records.

use aya_ebpf::bindings::BPF_NOEXIST;
use tcpcap_common::{
    record::{CpuState, Settings, Source},
    tally::Note,
};

use crate::{count, maps::SOURCES};

const SECOND_NS: u64 = 1_000_000_000;
const EEXIST: i32 = 17;

/// Adds one to a counter of a record that exists.
#[inline(always)]
pub fn touch(record: Option<*mut Source>, now: u64, counter: impl FnOnce(&mut Source) -> *mut u64) {
    if let Some(record) = record {
        // SAFETY: a map value. CPUs share the counter and add to it atomically; `last_seen` may be any of theirs.
        unsafe {
            count::add(counter(&mut *record), 1);
            (*record).last_seen = now;
        }
    }
}

/// The source's record: the one that was `found`, or one that is made if this CPU has not made too many in this second: under a flood of forged
/// sources the records that exist are worth more than new ones.
#[inline(always)]
pub fn record_of(found: Option<*mut Source>, cpu: &mut CpuState, now: u64, settings: &Settings) -> Option<*mut Source> {
    if found.is_some() {
        return found;
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
pub fn within_budget(cpu: &mut CpuState, record: Option<*mut Source>, now: u64, settings: &Settings) -> bool {
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
pub fn start_second(cpu: &mut CpuState, now: u64) {
    if now.saturating_sub(cpu.window_start) >= SECOND_NS {
        (cpu.window_start, cpu.events, cpu.new_sources, cpu.reflexes) = (now, 0, 0, 0);
    }
}
