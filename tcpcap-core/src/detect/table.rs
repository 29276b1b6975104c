//! The sources that are remembered: a bound, and who goes first when it is reached.

use std::collections::HashMap;

use super::Record;
use crate::{Source, Time};

/// How many candidates an eviction looks at. With so few it costs nothing, and under a flood of forged sources nearly
/// all of them are forged.
const CANDIDATES: usize = 8;

/// The records, in no order.
#[derive(Debug)]
pub(super) struct Table {
    slots: Vec<(Source, Record)>,
    index: HashMap<Source, usize>,
    max: usize,
    /// Where the next eviction begins to look.
    hand: usize,
    evicted: u64,
}

impl Table {
    pub(super) fn new(max: usize) -> Self {
        Self { slots: Vec::new(), index: HashMap::new(), max: max.max(1), hand: 0, evicted: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    pub(super) fn get(&mut self, source: Source) -> Option<&mut Record> {
        self.index.get(&source).map(|&i| &mut self.slots[i].1)
    }

    pub(super) fn peek(&self, source: Source) -> Option<&Record> {
        self.index.get(&source).map(|&i| &self.slots[i].1)
    }

    /// Whether more than half of the room is taken.
    pub(super) fn is_half_full(&self) -> bool {
        self.slots.len() > self.max / 2
    }

    /// Whether a record for this source would be one too many.
    pub(super) fn is_full_for(&self, source: Source) -> bool {
        self.slots.len() >= self.max && !self.index.contains_key(&source)
    }

    pub(super) fn get_or_make(&mut self, source: Source, now: Time) -> &mut Record {
        let at = *self.index.entry(source).or_insert_with(|| {
            self.slots.push((source, Record::new(now)));
            self.slots.len() - 1
        });
        &mut self.slots[at].1
    }

    /// Gives one record up: of a few, in turn, the one worth least. Worth is a completed handshake, then many pairs,
    /// then having been seen of late, so that forged sources, which have none of these, push each other out.
    pub(super) fn evict(&mut self) -> Option<(Source, Record)> {
        let len = self.slots.len();
        let least = (0..CANDIDATES.min(len)).map(|k| (self.hand + k) % len).min_by_key(|&i| {
            let record = &self.slots[i].1;
            (
                record.first_completion.is_some(),
                record.pairs.len() + record.probes.len() + record.strays.len(),
                record.last_seen,
            )
        })?;
        self.hand = (self.hand + CANDIDATES) % len;
        self.evicted += 1;
        Some(self.remove(least))
    }

    /// Forgets a source.
    pub(super) fn forget(&mut self, source: Source) -> Option<Record> {
        self.index.get(&source).copied().map(|at| self.remove(at).1)
    }

    /// Forgets the records that are not worth keeping.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(Source, &Record) -> bool) {
        let mut i = 0;
        while i < self.slots.len() {
            let (source, record) = &self.slots[i];
            if keep(*source, record) {
                i += 1;
            } else {
                self.remove(i);
            }
        }
    }

    fn remove(&mut self, at: usize) -> (Source, Record) {
        let (source, record) = self.slots.swap_remove(at);
        self.index.remove(&source);
        if let Some((moved, _)) = self.slots.get(at) {
            self.index.insert(*moved, at);
        }
        (source, record)
    }
}
