//! The kernel that this runs on.

use std::fs;

/// From here on a program may say that it takes packets of several buffers.
pub const FRAGS: (u32, u32) = (5, 18);
/// From here on programs hang by links of their own on the way out.
pub const TCX: (u32, u32) = (6, 6);
/// From here on maps count against the memory of the control group.
pub const COUNTED_BY_CGROUP: (u32, u32) = (5, 11);

/// As `uname -r` has it.
pub fn release() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").unwrap().trim().to_owned()
}

/// Whether it is this version or a newer one.
pub fn has(since: (u32, u32)) -> bool {
    let release = release();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse::<u32>().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap()) >= since
}

/// How our answers are seen to leave.
pub fn answers() -> &'static str {
    if has(TCX) { "tcx" } else { "clsact" }
}

/// The XDP program that it takes.
pub fn program() -> &'static str {
    if has(FRAGS) { "tcpcap_frags" } else { "tcpcap" }
}
