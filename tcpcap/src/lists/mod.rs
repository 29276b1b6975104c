//! An operator's lists: deny networks from the configuration, and feeds from files.

mod entry;
mod fit;
mod overlaps;
mod parse;

pub use entry::Entry;
pub use fit::{MIN_IPV4_PREFIX_LEN, MIN_IPV6_PREFIX_LEN, Unfit, check};
pub use overlaps::Overlaps;
pub use parse::{Complaint, MAX_LINE_BYTES, Parser, Report, SHOWN, Skipped};

/// Most entries of a feed. What is beyond is counted.
pub const MAX_ENTRIES: usize = 1 << 20;
