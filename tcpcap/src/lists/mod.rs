//! An operator's lists: deny networks from the configuration, and feeds from files.
//!
//! What overlaps, and who wins:
//!
//! - Allowed and never-block win over everything here, whatever its length. An entry that would hit a never-block address
//!   is refused as a whole, with the reason ([`Plan::make`]).
//! - Among denying entries whichever matches drops; there is no order in which one could save a source from another.
//! - For the reason shown, the first list wins: the operator's before feeds, feeds in the order of the configuration.
//! - An entry within a broader one of the same list or of one before it is left out as covered. So of the entries that
//!   hold an address, the narrowest is always that of the first list: the kernel's longest match, and [`Plan::holds`],
//!   show the same reason.
//!
//! Data flow: file → [`Parser`] → [`List`] → [`Plan`] → [`Diff`] → maps. Only [`Feeds`] touches files, on its own thread.
//!
//! Memory: 24 bytes an entry, once in its list and once in a plan; two plans while one gives way to the next. Reading a
//! file takes twice the list for a moment, making a plan 24 bytes for each entry of each list. A feed and a plan each end
//! at [`MAX_ENTRIES`], so a million entries are 24 MB a list and 24 MB a plan.

mod diff;
mod entry;
mod feed;
mod fit;
mod overlaps;
mod parse;
mod plan;
mod watch;

use std::{path::PathBuf, sync::Arc};

pub use diff::{Diff, Step, Update};
pub use entry::Entry;
pub use feed::{MAX_FILE_BYTES, News, Trouble, What};
pub use fit::{MIN_IPV4_PREFIX_LEN, MIN_IPV6_PREFIX_LEN, Unfit, check};
pub use overlaps::Overlaps;
pub use parse::{Complaint, MAX_LINE_BYTES, Parser, Report, SHOWN, Skipped};
pub use plan::{Counts, Denied, List, Plan, Refusal};
pub use watch::{Feeds, Reading};

/// Most entries of a feed, and of a plan. What is beyond is counted.
pub const MAX_ENTRIES: usize = 1 << 20;

/// Most feeds.
pub const MAX_FEEDS: usize = 64;

/// A feed as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedConfig {
    /// Shown as the reason of its blocks; no two feeds share one.
    pub name: Arc<str>,
    /// Where it is read from.
    pub path: PathBuf,
}
