//! Counting: per CPU what is only a statistic, atomically what belongs to a source.

use tcpcap_common::tally::{self, End, Note};

use crate::maps::TALLY;

/// Counts how a packet ended.
#[inline(always)]
pub fn end(end: End) {
    add_to_tally(end.index(), 1);
}

/// Counts something that happened on the way.
#[inline(always)]
pub fn note(note: Note) {
    add_to_tally(note.index(), 1);
}

/// Counts `n` of something that happened on the way.
#[inline(always)]
pub fn note_by(note: Note, n: u64) {
    add_to_tally(note.index(), n);
}

/// Counts a packet dropped for a reason.
#[inline(always)]
pub fn dropped(reason: u32) {
    add_to_tally(tally::dropped(reason), 1);
}

/// Counts a packet that would have been dropped for a reason.
#[inline(always)]
pub fn would_drop(reason: u32) {
    add_to_tally(tally::would_drop(reason), 1);
}

#[inline(always)]
fn add_to_tally(index: u32, n: u64) {
    if let Some(counter) = TALLY.get_ptr_mut(index) {
        // SAFETY: the entry is this CPU's own, and the program is not preempted by itself.
        unsafe { *counter += n };
    }
}

/// Adds to a counter that several CPUs share.
///
/// `AtomicU64::fetch_add` does not exist for this target; the instruction does.
///
/// # Safety
/// `counter` points into a map value.
#[inline(always)]
pub unsafe fn add(counter: *mut u64, n: u64) {
    #[cfg(target_arch = "bpf")]
    // SAFETY: the caller vouches for the pointer; the instruction touches nothing else.
    unsafe {
        core::arch::asm!("lock *(u64 *)({p} + 0) += {n}", p = in(reg) counter, n = in(reg) n);
    }
    // Only so that the host's tools can check this crate.
    #[cfg(not(target_arch = "bpf"))]
    // SAFETY: the caller vouches for the pointer.
    unsafe {
        *counter += n;
    }
}
