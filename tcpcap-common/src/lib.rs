//! The contract between the kernel program and userspace: what a packet is read as, what stands in the maps, what
//! an event looks like, and the name of every way a packet can end.
//!
//! `no_std`, no allocation, no dependency: the kernel program, the daemon, `replay` and the tests share every line.

#![cfg_attr(not(test), no_std)]

pub mod addr;
pub mod flow;
pub mod marks;
pub mod options;
pub mod record;
pub mod tally;
pub mod wire;

pub use addr::Addr;

/// Version of everything in [`record`], of the map list and of [`tally`]. Raise it with every change to any of them:
/// a daemon and a kernel program that differ in it must not share a map.
pub const LAYOUT_VERSION: u32 = 4;
