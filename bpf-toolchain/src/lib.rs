//! Finds what turns `tcpcap-ebpf` into BPF bytecode: a rustc that can build for the BPF target, and bpf-linker.
//!
//! The one place that knows this. `tcpcap/build.rs` builds with what it finds, `cargo xtask setup` installs what it
//! misses. Two worlds are served: a compiler that ships `core` prebuilt for BPF (Debian's rustc-web), and one that has
//! the sources of `core` (rustup nightly with rust-src).

mod command;
mod missing;
pub mod recipe;
pub mod remap;
mod search;

pub use command::{Build, PROGRAM, build_command};
pub use missing::{Missing, Rejected};
pub use search::{Compiler, Linker, Search, Toolchain};

/// The environment variable that names the one compiler to use, past all searching.
pub const OVERRIDE: &str = "TCPCAP_BPF_RUSTC";

/// The BPF target of a machine with the given byte order, as `CARGO_CFG_TARGET_ENDIAN` spells it.
pub fn target(endian: &str) -> &'static str {
    if endian == "big" { "bpfeb-unknown-none" } else { "bpfel-unknown-none" }
}
