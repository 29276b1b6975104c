//! The (own address, port) pairs that a source tried: an exact set, bounded.

use std::time::Duration;

use tcpcap_common::Addr;

use crate::{Marks, Time, Tool};

/// A pair, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) to: Addr,
    pub(super) port: u16,
    /// The source has completed a handshake here: it is in use, not under scan, however often it is tried again. Until
    /// it has been left alone for as long as pairs are kept.
    pub(super) completed: bool,
    /// This host refused an attempt here: no completion is to come.
    pub(super) refused: bool,
    /// How often it was tried, as far as a byte goes.
    pub(super) tries: u8,
    /// The tool whose marks the latest attempt bore, and its stack.
    pub(super) tool: Option<Tool>,
    pub(super) stack: u32,
    /// First attempt since the last pause.
    pub(super) first: Time,
    /// Latest attempt.
    pub(super) last: Time,
}

/// What of a source's pairs is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keep {
    /// After so long a pause a pair that is tried again is as fresh as a new one: its handshake takes a while.
    pub(super) pause: Duration,
    /// For how long.
    pub(super) memory: Duration,
    /// How many.
    pub(super) capacity: usize,
}

/// A source's pairs of late. Small, so that a walk is cheaper than an index would be.
#[derive(Debug, Default)]
pub(super) struct Pairs(Vec<Pair>);

impl Pairs {
    /// Notes an attempt. Pairs last tried longer than `keep.memory` ago are forgotten. When `keep.capacity` is reached
    /// all the same, a completed pair gives way, else the one that was tried longest ago: an honest source has few
    /// incomplete ones, and for a scanner the rule has long fired.
    pub(super) fn attempt(&mut self, (to, port): (Addr, u16), marks: Marks, now: Time, keep: Keep) {
        let Keep { pause, memory, capacity } = keep;
        if let Some(pair) = self.find((to, port)) {
            let since = now.since(pair.last);
            if since > memory {
                *pair = Pair { tries: 0, completed: false, refused: false, ..*pair };
            }
            if since > pause {
                pair.first = now;
            }
            pair.tries = pair.tries.saturating_add(1);
            (pair.tool, pair.stack, pair.last) = (marks.tool, marks.stack, now);
            return;
        }
        if self.0.is_empty() {
            // Most sources come once: room for one, not for the four that a vector begins with.
            self.0.reserve_exact(1);
        } else if self.0.len() == self.0.capacity() {
            self.0.retain(|p| now.since(p.last) <= memory);
        }
        if self.0.len() >= capacity
            && let Some(least) = (0..self.0.len()).min_by_key(|&i| (!self.0[i].completed, self.0[i].last))
        {
            self.0.swap_remove(least);
        }
        let Marks { tool, stack } = marks;
        self.0.push(Pair { to, port, completed: false, refused: false, tries: 1, tool, stack, first: now, last: now });
    }

    /// Notes a completed handshake; returns the stack of the attempt that it completes, if that is still known.
    pub(super) fn complete(&mut self, pair: (Addr, u16)) -> Option<u32> {
        let pair = self.find(pair)?;
        pair.completed = true;
        Some(pair.stack)
    }

    /// Notes that an attempt was refused.
    pub(super) fn refuse(&mut self, pair: (Addr, u16)) {
        if let Some(pair) = self.find(pair) {
            pair.refused = true;
        }
    }

    fn find(&mut self, (to, port): (Addr, u16)) -> Option<&mut Pair> {
        self.0.iter_mut().find(|p| p.port == port && p.to == to)
    }

    /// Pairs tried in the last `window`, completed or not.
    pub(super) fn all(&self, now: Time, window: Duration) -> impl Iterator<Item = &Pair> + Clone {
        self.0.iter().filter(move |p| now.since(p.last) <= window)
    }

    /// Those of them that were not completed.
    pub(super) fn incomplete(&self, now: Time, window: Duration) -> impl Iterator<Item = &Pair> + Clone {
        self.all(now, window).filter(|p| !p.completed)
    }

    /// Whether there is one.
    pub(super) fn has_incomplete(&self, now: Time, window: Duration) -> bool {
        self.incomplete(now, window).next().is_some()
    }

    /// Whether the source has completed a handshake there.
    pub(super) fn has_completed(&self, (to, port): (Addr, u16)) -> bool {
        self.0.iter().any(|p| p.completed && p.port == port && p.to == to)
    }

    /// How often the completed pairs were tried that were tried more often than this.
    pub(super) fn regular_tries(&self, than: u8) -> u32 {
        self.0.iter().filter(|p| p.completed && p.tries > than).map(|p| u32::from(p.tries)).sum()
    }

    /// How many are kept, completed ones too.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Forgets those that were not completed.
    pub(super) fn clear_incomplete(&mut self) {
        self.0.retain(|p| p.completed);
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(60);
    const KEEP: Keep = Keep { pause: WINDOW, memory: WINDOW, capacity: 8 };
    const TO: Addr = Addr::from_v4_word(1);

    fn attempt(pairs: &mut Pairs, port: u16, secs: u64, keep: Keep) {
        pairs.attempt((TO, port), Marks::default(), Time::from_secs(secs), keep);
    }

    fn incomplete(pairs: &Pairs, now: u64) -> usize {
        pairs.incomplete(Time::from_secs(now), WINDOW).count()
    }

    #[test]
    fn a_pair_counts_once_however_often_it_is_tried() {
        let mut pairs = Pairs::default();
        (0..50).for_each(|s| attempt(&mut pairs, 80, s, KEEP));
        assert_eq!(incomplete(&pairs, 50), 1);
        assert_eq!(incomplete(&pairs, 109), 1, "60 s after the last attempt");
        assert_eq!(incomplete(&pairs, 110), 0);
        assert_eq!(pairs.0[0].tries, 50);
    }

    #[test]
    fn a_completed_pair_stays_completed_when_it_is_tried_again() {
        let mut pairs = Pairs::default();
        attempt(&mut pairs, 80, 0, KEEP);
        assert_eq!(pairs.complete((TO, 80)), Some(0));
        assert_eq!(pairs.complete((TO, 81)), None);
        attempt(&mut pairs, 80, 1, KEEP);
        assert_eq!(incomplete(&pairs, 1), 0);
    }

    #[test]
    fn after_a_pause_a_pair_is_fresh_and_still_completed_until_it_is_forgotten() {
        let keep = Keep { memory: WINDOW * 10, ..KEEP };
        let mut pairs = Pairs::default();
        attempt(&mut pairs, 80, 0, keep);
        pairs.complete((TO, 80));
        attempt(&mut pairs, 80, 100, keep);
        assert_eq!((pairs.0[0].first, pairs.0[0].completed), (Time::from_secs(100), true));
        attempt(&mut pairs, 80, 701, keep);
        assert_eq!((pairs.0[0].completed, pairs.0[0].tries), (false, 1));
    }

    #[test]
    fn the_set_is_bounded_and_completed_pairs_give_way_first() {
        let mut pairs = Pairs::default();
        (0..8).for_each(|port| attempt(&mut pairs, port, u64::from(port), KEEP));
        pairs.complete((TO, 5));
        attempt(&mut pairs, 100, 9, KEEP);
        assert_eq!((pairs.len(), incomplete(&pairs, 9)), (8, 8));
        attempt(&mut pairs, 101, 9, KEEP);
        assert!(pairs.incomplete(Time::from_secs(9), WINDOW).all(|p| p.port != 0), "the oldest gave way");
        (0..10_000).for_each(|port| attempt(&mut pairs, port, 10, KEEP));
        assert_eq!(pairs.len(), 8);
    }
}
