//! A program that makes every packet another, and hands it on.
//!
//! `BPF_PROG_TEST_RUN` repeats one packet, whose entry lies in the processor's cache after the first time. For packets of
//! many sources this program stands before the one that is measured: it writes four bytes chosen at random into the
//! packet and goes on with the other by a tail call. What it takes itself is measured with an empty program behind it.

use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

use crate::bpf::{self, op};

/// Odd, so that no two numbers become the same word, nor the same lower 24 bits; its bits are well spread.
const SPREAD: u32 = 0x9e37_79b1;

/// The word for a number: the numbers of a list become words scattered over all there are.
pub const fn word(n: u32) -> [u8; 4] {
    n.wrapping_mul(SPREAD).to_le_bytes()
}

/// Where in the packet to write, and the words for which numbers: `first..first + count`.
#[derive(Clone, Copy, Debug)]
pub struct Sweep {
    pub offset: i16,
    pub first: u32,
    pub count: u32,
}

/// The loaded program, and what holds the one behind it.
pub struct Sweeper {
    pub program: OwnedFd,
    _behind: OwnedFd,
}

impl Sweeper {
    /// Loads it before another program.
    ///
    /// # Errors
    /// The kernel refuses it.
    pub fn before(program: BorrowedFd<'_>, frags: bool, sweep: Sweep) -> io::Result<Self> {
        let behind = bpf::next_program()?;
        let sweeper = bpf::load(&code(sweep, std::os::fd::AsRawFd::as_raw_fd(&behind)), frags)?;
        bpf::set_next_program(behind.as_fd(), program)?;
        Ok(Self { program: sweeper, _behind: behind })
    }
}

fn code(sweep: Sweep, behind: i32) -> [u64; 19] {
    let [first, count, spread] = [sweep.first, sweep.count, SPREAD].map(u32::cast_signed);
    [
        op(0xbf, 6, 1, 0, 0),                           // r6 = context
        op(0x61, 7, 1, 0, 0),                           // r7 = start of the packet
        op(0x61, 3, 1, 4, 0),                           // r3 = its end
        op(0xbf, 2, 7, 0, 0),                           // r2 = r7
        op(0x07, 2, 0, 0, i32::from(sweep.offset) + 4), // r2 += offset + 4
        op(0x2d, 2, 3, 11, 0),                          // if r2 > r3: to the end
        op(0x85, 0, 0, 0, 7),                           // r0 = bpf_get_prandom_u32()
        op(0x94, 0, 0, 0, count),                       // w0 %= count
        op(0x04, 0, 0, 0, first),                       // w0 += first
        op(0x24, 0, 0, 0, spread),                      // w0 *= SPREAD
        op(0xd4, 0, 0, 0, 32),                          // w0 = little endian
        op(0x63, 7, 0, sweep.offset, 0),                // *(r7 + offset) = w0
        op(0xbf, 1, 6, 0, 0),                           // r1 = context
        op(0x18, 2, 1, 0, behind),                      // r2 = the array,
        0,                                              //   in two instructions
        op(0xb7, 3, 0, 0, 0),                           // r3 = its first entry
        op(0x85, 0, 0, 0, 12),                          // bpf_tail_call(r1, r2, r3)
        op(0xb7, 0, 0, 0, 0),                           // r0 = XDP_ABORTED: no line expects that
        op(0x95, 0, 0, 0, 0),                           // return
    ]
}
