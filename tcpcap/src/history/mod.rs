//! The history: what was found, decided and done, and what is blocked, remembered and allowed now, in a local SQLite
//! file. After a reboot the blocks that have time left come back from it.
//!
//! [`History::record`] never waits for the disk: one thread of its own owns the file. What is now is kept in memory until
//! it is in the file, so that neither a full queue nor a failing disk loses it; of what happened, whatever gives way is
//! counted. Present state is never pruned, what happened is, by age and size.

pub mod clock;
pub mod entry;
mod present;
mod problem;
mod prune;
pub mod query;
mod queue;
pub mod row;
mod schema;
mod stats;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

pub use clock::{Clock, HostClock};
pub use entry::{AllowedEntry, Change, Command, Drops, Entry, Repeater, Who};
pub use problem::{Degraded, Problem};
pub use query::{Question, Reader};
pub use row::{BlockRow, CommandRow, FoundRow, Row, What};
pub use stats::{Lost, Stats};

use crate::block::Block;
use clock::{Moment, Since};
use present::Present;
use queue::Shared;
use writer::Writer;

/// The history's file in the directory where state is kept.
#[must_use]
pub fn history_in(directory: &Path) -> PathBuf {
    directory.join("history.db")
}

/// How long the end of the history may take: what it still has to write is a fraction of a second's work, unless the
/// disk fails.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// What happened longer ago is forgotten.
    pub age: Duration,
    /// Bytes of file and journal, roughly: past it the oldest of what happened is forgotten. At least 1 MiB.
    pub bytes: u64,
    /// Blocks, repeaters and allowed networks, of each so many.
    pub entries: usize,
}

impl Default for Limits {
    /// A month, as people ask about; 256 MiB, which is half a million findings; and as many blocks as the kernel's map
    /// has room for.
    fn default() -> Self {
        Self { age: Duration::from_secs(30 * 86_400), bytes: 256 << 20, entries: 262_144 }
    }
}

/// What was there when the history was opened, in this boot's time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Blocks that are not over, of rules and operators.
    pub blocks: Vec<Block>,
    /// Sources that count as repeaters.
    pub repeaters: Vec<Repeater>,
    /// Networks that an operator allowed.
    pub allowed: Vec<AllowedEntry>,
    /// Rows of these that could not be understood, and were passed over.
    pub unreadable: usize,
}

/// The history, open for writing. Dropping it writes what is left, for two seconds at most.
#[derive(Debug)]
pub struct History {
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl History {
    /// Opens the file, or begins a new one, and tells what it holds that still counts. A damaged file is moved aside.
    /// On a full disk what is there is read, and written from when there is room.
    ///
    /// Takes time, in proportion to the file if the last run did not end cleanly: to be called before the loop runs.
    ///
    /// # Errors
    /// The file cannot be made, opened or written, belongs to a newer version or to another program.
    pub fn open(path: &Path, limits: Limits, clock: Arc<dyn Clock>) -> Result<(Self, Restored), Problem> {
        let (opened, full) = match schema::open(path, &limits) {
            Ok(opened) => (opened, None),
            Err((why, problem)) => match schema::open_on_full(path) {
                Some(opened) if why == Degraded::Full => (opened, Some(problem.cause)),
                _ => return Err(problem),
            },
        };
        let boot = clock.boot_id();
        let same_boot = boot.is_some() && opened.about.boot == boot;
        let when = Since { same_boot, seen: opened.about.seen, now: Moment::of(&*clock) };
        let (present, restored, ended) =
            Present::load(&opened.connection, &when).map_err(|e| Problem::with(path, &e))?;
        let shared = Arc::new(Shared::new(limits.entries));
        let mut writer = Writer::new(path, limits, clock, boot, opened, present, Arc::clone(&shared));
        writer.begin(ended, full).map_err(|e| Problem::with(path, &e))?;
        let thread = std::thread::Builder::new()
            .name("history".to_owned())
            .spawn(move || {
                crate::host::be_ordinary();
                writer.run();
            })
            .map_err(|e| {
                Problem::new(format!("cannot start the history's thread: {e}"), "raise the limit of threads")
            })?;
        Ok((Self { shared, thread: Some(thread) }, restored))
    }

    /// Takes note of something, without waiting for the disk. It is in the file a fifth of a second later, if the disk
    /// keeps up.
    pub fn record(&self, entry: Entry) {
        self.shared.record(entry);
    }

    /// Waits until all that was recorded before is in the file; `false` if that does not come about in time.
    #[must_use]
    pub fn flush(&self, within: Duration) -> bool {
        self.shared.flush(within)
    }

    /// What it has done and how it is.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.counters.stats()
    }
}

impl Drop for History {
    fn drop(&mut self) {
        if self.shared.close(CLOSE_WITHIN)
            && let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("the history's thread had panicked");
        }
    }
}
