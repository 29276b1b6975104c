//! Programs that do nothing: what the measuring itself takes.

use std::io;

use tcpcap::failure::Failure;

use crate::{
    bpf::{self, op},
    failed,
    line::{About, Floor, Line},
    packets::{Family, Packets},
};

const XDP_DROP: i32 = 1;
const XDP_PASS: i32 = 2;

/// The name of this group.
pub const GROUP: &str = "floor";

/// # Errors
/// The kernel refuses a program.
pub fn lines() -> Result<Vec<Line>, Failure> {
    make().map_err(failed("a program that does nothing"))
}

fn make() -> io::Result<Vec<Line>> {
    let about = |what, packets| About { group: GROUP, family: Family::V4, what, packets, listed: 0 };
    let sweep = Packets::ManySources.sweep(Family::V4, 0);
    Ok(vec![
        Line::of_floor(about("empty program, pass", "one"), Floor::Plain, empty(XDP_PASS)?, None)?,
        Line::of_floor(about("empty program, drop", "one"), Floor::Plain, empty(XDP_DROP)?, None)?,
        Line::of_floor(about("empty program, pass", "10k sources"), Floor::Swept, empty(XDP_PASS)?, sweep)?,
    ])
}

/// A program of two instructions: `r0 = verdict; return`.
fn empty(verdict: i32) -> io::Result<std::os::fd::OwnedFd> {
    bpf::load(&[op(0xb7, 0, 0, 0, verdict), op(0x95, 0, 0, 0, 0)], false)
}
