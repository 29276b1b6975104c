//! From one plan to the next, in steps that leave no gap.

use std::{ops::Range, sync::Arc};

use super::{Denied, Entry, Plan};
use crate::block::Why;

/// What to do with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// It is new.
    Add,
    /// Somebody else wants it.
    Change,
    /// Nobody wants it any more.
    Remove,
}

/// A step from one plan to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What to do.
    pub update: Update,
    /// The entry as it should be; for [`Update::Remove`] as it was.
    pub denied: Denied,
}

/// The steps from one plan to the next, in an order in which an address that both deny is denied after every step.
///
/// Addresses are taken region by region, a region being a network that nothing in either plan lies around. Within one,
/// whatever is new comes before whatever goes. Regions where nothing is new come first, so that two plans of single
/// addresses never need more room at once than the larger of both.
///
/// It holds both plans and beside them nothing that grows with them; it may be left and taken up again at any step.
#[derive(Debug)]
pub struct Diff {
    old: Arc<Plan>,
    new: Arc<Plan>,
    /// Of each list of the new plan, by number: the old plan's lists that say the same.
    same: Vec<Vec<u16>>,
    region: Region,
    /// Where in the region.
    at: (usize, usize),
    pass: Pass,
    phase: Phase,
}

#[derive(Clone, Debug, Default)]
struct Region {
    old: Range<usize>,
    new: Range<usize>,
}

/// Which regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    NothingNew,
    Rest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Put,
    Remove,
}

impl Diff {
    /// The steps from `old` to `new`.
    #[must_use]
    pub fn new(old: Arc<Plan>, new: Arc<Plan>) -> Self {
        let numbers = |why: &Why| (0u16..).zip(old.whys()).filter(|(_, other)| *other == why).map(|(n, _)| n).collect();
        let same = new.whys().iter().map(numbers).collect();
        Self { old, new, same, region: Region::default(), at: (0, 0), pass: Pass::NothingNew, phase: Phase::Remove }
    }

    /// The next pair of entries for the same network within the region.
    fn pair(&mut self) -> Option<(Option<Entry>, Option<Entry>)> {
        let old = self.old.entries()[..self.region.old.end].get(self.at.0).copied();
        let new = self.new.entries()[..self.region.new.end].get(self.at.1).copied();
        let pair = match (old, new) {
            (None, None) => return None,
            (Some(o), Some(n)) if o.place() < n.place() => (old, None),
            (Some(o), Some(n)) if o.place() > n.place() => (None, new),
            both => both,
        };
        self.at.0 += usize::from(pair.0.is_some());
        self.at.1 += usize::from(pair.1.is_some());
        Some(pair)
    }

    fn rewind(&mut self) {
        self.at = (self.region.old.start, self.region.new.start);
    }

    /// Goes on to the next region of this pass or of the one after it.
    fn next_region(&mut self) -> bool {
        loop {
            if self.find_region() {
                let mut anything_new = false;
                while let Some(pair) = self.pair() {
                    if matches!(pair, (None, Some(_))) {
                        anything_new = true;
                        break;
                    }
                }
                self.rewind();
                if anything_new == (self.pass == Pass::Rest) {
                    self.phase = Phase::Put;
                    return true;
                }
            } else if self.pass == Pass::NothingNew {
                self.pass = Pass::Rest;
                self.region = Region::default();
            } else {
                self.at = (self.region.old.end, self.region.new.end);
                return false;
            }
        }
    }

    /// The region after this one.
    fn find_region(&mut self) -> bool {
        let (old, new) = (&self.old.entries()[self.region.old.end..], &self.new.entries()[self.region.new.end..]);
        // What is first holds all of its region: nothing lies around it that would not be before it.
        let Some(broadest) = old.first().into_iter().chain(new.first()).min_by_key(|entry| entry.place()) else {
            return false;
        };
        let count = |entries: &[Entry]| entries.iter().take_while(|entry| broadest.holds(entry)).count();
        let (count_old, count_new) = (count(old), count(new));
        self.region = Region {
            old: self.region.old.end..self.region.old.end + count_old,
            new: self.region.new.end..self.region.new.end + count_new,
        };
        self.rewind();
        true
    }

    fn step(&self, pair: (Option<Entry>, Option<Entry>)) -> Option<Step> {
        let (update, denied) = match (pair, self.phase) {
            ((None, Some(new)), Phase::Put) => (Update::Add, self.new.denied(&new)),
            ((Some(old), Some(new)), Phase::Put) if !self.same[usize::from(new.list())].contains(&old.list()) => {
                (Update::Change, self.new.denied(&new))
            }
            ((Some(old), None), Phase::Remove) => (Update::Remove, self.old.denied(&old)),
            _ => return None,
        };
        Some(Step { update, denied })
    }
}

impl Iterator for Diff {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        loop {
            while let Some(pair) = self.pair() {
                if let Some(step) = self.step(pair) {
                    return Some(step);
                }
            }
            if self.phase == Phase::Put {
                self.phase = Phase::Remove;
                self.rewind();
            } else if !self.next_region() {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests;
