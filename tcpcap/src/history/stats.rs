//! What the history has done, by shared counters.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

use super::Degraded;

/// Entries that are in no file, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// The queue was full: more happened than the disk could keep up with. Present state is not among it.
    pub queue: u64,
    /// Nothing could be written for so long that there was no room left to keep what happened. Nor here.
    pub disk: u64,
    /// There are [`super::Limits::entries`] already; these are of the present state.
    pub entries: u64,
    /// Blocks of feeds, which do not belong here.
    pub feed: u64,
}

/// What the history has done and how it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Things that happened and are in the file.
    pub written: u64,
    /// Those that are not.
    pub lost: Lost,
    /// Those that were forgotten for age or size.
    pub pruned: u64,
    /// Writes that failed.
    pub errors: u64,
    /// Bytes of file and journal.
    pub bytes: u64,
    /// Why nothing is written now; `None` if all is well.
    pub degraded: Option<Degraded>,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) written: AtomicU64,
    pub(super) lost_queue: AtomicU64,
    pub(super) lost_disk: AtomicU64,
    pub(super) lost_entries: AtomicU64,
    pub(super) lost_feed: AtomicU64,
    pub(super) pruned: AtomicU64,
    pub(super) errors: AtomicU64,
    pub(super) bytes: AtomicU64,
    degraded: AtomicU8,
}

impl Counters {
    pub(super) fn degrade(&self, why: Option<Degraded>) {
        self.degraded.store(why.map_or(0, |why| why as u8), Relaxed);
    }

    pub(super) fn stats(&self) -> Stats {
        let degraded = self.degraded.load(Relaxed);
        Stats {
            written: self.written.load(Relaxed),
            lost: Lost {
                queue: self.lost_queue.load(Relaxed),
                disk: self.lost_disk.load(Relaxed),
                entries: self.lost_entries.load(Relaxed),
                feed: self.lost_feed.load(Relaxed),
            },
            pruned: self.pruned.load(Relaxed),
            errors: self.errors.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            degraded: Degraded::ALL.into_iter().find(|why| *why as u8 == degraded),
        }
    }
}
