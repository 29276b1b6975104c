//! A short life of the daemon, and what it makes of the kernel that it finds. It holds on every kernel that tcpcap
//! supports: `cargo xtask test --kernels` runs it on several. Needs root; fails without.

mod kernel;
mod life;
mod reboot;
mod rights;
#[allow(dead_code, reason = "shared with the end-to-end tests, which use all of it")]
#[path = "../e2e/sensor.rs"]
mod sensor;
mod told;
mod verifier;

/// What users are told of kernels.
const DOCUMENT: &str = include_str!("../../../docs/kernels.md");
