//! The time for packets of listed sources.

use aya_ebpf::helpers::generated::{bpf_jiffies64, bpf_ktime_get_boot_ns};

use crate::maps::CLOCK;

/// A tick of the kernel's timer, and the time when it was first seen.
#[derive(Clone, Copy)]
pub struct Tick {
    number: u64,
    time: u64,
}

/// The time, late by a tick (1 to 10 ms) at most. The clock is read once a tick: it costs a third of what dropping a
/// packet does, and no block is so short that it mattered.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: a helper without preconditions.
    let number = unsafe { bpf_jiffies64() };
    // An array of one: always there.
    let Some(held) = CLOCK.get_ptr_mut(0) else {
        // SAFETY: as above.
        return unsafe { bpf_ktime_get_boot_ns() };
    };
    // SAFETY: the entry is this CPU's own.
    unsafe {
        if (*held).number == number {
            return (*held).time;
        }
        let time = bpf_ktime_get_boot_ns();
        // In this order: whoever interrupts us with a later tick leaves a later time, which then goes with our tick.
        (&raw mut (*held).time).write_volatile(time);
        (&raw mut (*held).number).write_volatile(number);
        time
    }
}
