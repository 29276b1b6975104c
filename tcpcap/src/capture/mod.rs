//! Capture files: pcap and pcapng, gzip-compressed or not, of any size in constant memory.

mod input;
pub mod link;
mod reader;

pub use link::LinkType;
pub use reader::{Capture, Damage, Packet};
