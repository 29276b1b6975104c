//! The queue from the daemon to the thread that owns the file: whoever puts something in never waits for the disk.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::{
    Change, Entry,
    present::{Changes, Key},
    stats::Counters,
};

/// What happened and waits in the queue, at most. A busy minute of findings, or a quarter of a second of a flood of them.
pub(super) const QUEUE: usize = 16_384;

/// How often the thread looks for entries. It is not woken for them: that would cost whoever puts one in twenty
/// microseconds at a moment when packets wait.
const GATHER: Duration = Duration::from_millis(150);

/// What the daemon and the thread share.
#[derive(Debug)]
pub(super) struct Shared {
    inbox: Mutex<Inbox>,
    /// There is something to do.
    wake: Condvar,
    /// Something was done that somebody waits for.
    done: Condvar,
    pub(super) counters: Counters,
    /// Changes of present state that may wait, at most.
    cap: usize,
}

#[derive(Debug)]
struct Inbox {
    entries: Vec<Entry>,
    changes: Changes,
    closing: bool,
    closed: bool,
    /// How often a flush was asked for, and how many of these are done.
    flushes: (u64, u64),
}

impl Shared {
    pub(super) fn new(entries: usize) -> Self {
        let inbox = Inbox {
            entries: Vec::with_capacity(QUEUE),
            changes: Changes::default(),
            closing: false,
            closed: false,
            flushes: (0, 0),
        };
        Self {
            inbox: Mutex::new(inbox),
            wake: Condvar::new(),
            done: Condvar::new(),
            counters: Counters::default(),
            cap: entries.saturating_mul(3),
        }
    }

    /// The lock is only ever held for as long as it takes to put something in, or to swap what is in it.
    fn locked(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn record(&self, entry: Entry) {
        if let Entry::Block { block, .. } = &entry
            && Key::of(block).is_none()
        {
            self.counters.lost_feed.fetch_add(1, Relaxed);
            return;
        }
        let mut inbox = self.locked();
        let Some(entry) = inbox.take_state(entry, self.cap, &self.counters.lost_entries) else { return };
        if inbox.entries.len() >= QUEUE {
            drop(inbox);
            self.counters.lost_queue.fetch_add(1, Relaxed);
            return;
        }
        inbox.entries.push(entry);
        let half_full = inbox.entries.len() == QUEUE / 2;
        drop(inbox);
        if half_full {
            self.wake.notify_one();
        }
    }

    pub(super) fn flush(&self, within: Duration) -> bool {
        let mut inbox = self.locked();
        inbox.flushes.0 += 1;
        let ticket = inbox.flushes.0;
        self.wake.notify_one();
        let waiting = |inbox: &mut Inbox| inbox.flushes.1 < ticket && !inbox.closed;
        let waited = self.done.wait_timeout_while(inbox, within, waiting);
        waited.unwrap_or_else(PoisonError::into_inner).0.flushes.1 >= ticket
    }

    /// For the thread: gathers for a while, if it has `time` for that, and takes all there is. Also returns the last flush
    /// that was asked for, and whether it is to end.
    pub(super) fn wait(&self, entries: &mut Vec<Entry>, time: bool, degraded: bool) -> (Changes, u64, bool) {
        let mut inbox = self.locked();
        // While nothing can be written, a flush has to wait for that, not for being asked.
        let gathering =
            |i: &mut Inbox| !i.closing && (i.flushes.0 == i.flushes.1 || degraded) && i.entries.len() < QUEUE / 2;
        if time {
            let waited = self.wake.wait_timeout_while(inbox, GATHER, gathering);
            inbox = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        std::mem::swap(&mut inbox.entries, entries);
        (std::mem::take(&mut inbox.changes), inbox.flushes.0, inbox.closing)
    }

    /// For the thread: all that came before this flush was asked for is in the file.
    pub(super) fn flushed(&self, ticket: u64) {
        let mut inbox = self.locked();
        inbox.flushes.1 = inbox.flushes.1.max(ticket);
        drop(inbox);
        self.done.notify_all();
    }

    /// Tells the thread to end; `false` if it has not within this time.
    pub(super) fn close(&self, within: Duration) -> bool {
        let mut inbox = self.locked();
        inbox.closing = true;
        self.wake.notify_one();
        let waited = self.done.wait_timeout_while(inbox, within, |inbox| !inbox.closed);
        waited.unwrap_or_else(PoisonError::into_inner).0.closed
    }
}

impl Inbox {
    /// Notes what an entry says about present state; returns what there is to log of it.
    fn take_state(&mut self, entry: Entry, cap: usize, lost: &AtomicU64) -> Option<Entry> {
        let full = self.changes.len() >= cap;
        let Changes { blocks, repeaters, allowed } = &mut self.changes;
        // What is known already takes no room.
        let room = |known: bool| {
            let room = known || !full;
            if !room {
                lost.fetch_add(1, Relaxed);
            }
            room
        };
        match entry {
            Entry::Verdict(_) | Entry::Command(_) => return Some(entry),
            Entry::Block { ref block, ref change, .. } => {
                let now = match change {
                    Change::Begun | Change::Extended => Some(block.clone()),
                    Change::Ended(_) | Change::Lifted { .. } => None,
                };
                if let Some(key) = Key::of(block)
                    && room(blocks.contains_key(&key))
                {
                    blocks.insert(key, now);
                }
                return Some(entry);
            }
            Entry::Repeater(repeater) => {
                let network = repeater.network.trunc();
                if room(repeaters.contains_key(&network)) {
                    repeaters.insert(network, Some(repeater));
                }
            }
            Entry::Forgotten(network) => {
                let network = network.trunc();
                if room(repeaters.contains_key(&network)) {
                    repeaters.insert(network, None);
                }
            }
            Entry::Allowed(entry) => {
                let network = entry.network.trunc();
                if room(allowed.contains_key(&network)) {
                    allowed.insert(network, Some(entry));
                }
            }
            Entry::Disallowed(network) => {
                let network = network.trunc();
                if room(allowed.contains_key(&network)) {
                    allowed.insert(network, None);
                }
            }
        }
        None
    }
}

/// Says that the thread has ended, however it did.
pub(super) struct Farewell(pub(super) Arc<Shared>);

impl Drop for Farewell {
    fn drop(&mut self) {
        self.0.locked().closed = true;
        self.0.done.notify_all();
    }
}
