//! Capture files: pcap and pcapng, gzip-compressed or not, of any size in constant memory.

mod input;
pub mod link;
mod origin;
mod reader;

pub use link::LinkType;
pub use origin::Origin;
pub use reader::{Capture, Damage, Packet};
