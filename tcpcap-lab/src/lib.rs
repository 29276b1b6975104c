//! Test networks of network namespaces: the sandbox and the end-to-end tests run tcpcap in them.
//!
//! Traffic stays inside namespaces that a [`Lab`] makes and removes: when it goes out of scope, after a panic, after
//! Ctrl-C ([`interrupt`]), and, should the process be killed, when the next lab is made. Needs root and `ip`.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use std::time::Duration;
//! use tcpcap_lab::{Capture, Internet, Process};
//!
//! let net = Internet::build()?;
//! let answers = Capture::incoming(&net.scanner, "card0")?;
//! let mut nmap = net.scanner.command("nmap");
//! nmap.args(["-n", "-Pn", "-sS", "198.51.100.1"]);
//! Process::spawn("nmap", nmap)?.wait(Duration::from_secs(20))?;
//! println!("nmap saw {} ports", answers.snapshot()?.answered(net.first_scanner().v4.into()).len());
//! # Ok(())
//! # }
//! ```

pub mod capture;
pub mod card;
pub mod frame;
pub mod http;
pub mod inject;
pub mod interrupt;
mod ip;
pub mod knock;
pub mod lab;
pub mod layout;
pub mod machine;
pub mod memory;
pub mod metrics;
pub mod namespace;
mod packet;
pub mod podman;
pub mod process;
pub mod scan;
mod spawner;
mod sweep;
pub mod wait;

pub use capture::Capture;
pub use card::Counters;
pub use frame::Frame;
pub use inject::Injector;
pub use knock::Knocker;
pub use lab::{End, Lab, Veth};
pub use layout::{Direct, Internet, Source};
pub use metrics::Metrics;
pub use namespace::Namespace;
pub use podman::Podman;
pub use process::Process;
pub use wait::{wait_for, wait_until};
