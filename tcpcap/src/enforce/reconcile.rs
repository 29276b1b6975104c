//! Comparing what is wanted with what the kernel holds. Differences are drift: somebody else has changed the maps, or a
//! write was lost. They are settled, counted, and told of once a round.
//!
//! Both sides are walked a piece at a time, so that a million entries do not hold up the loop. A round over few entries is
//! over at once, and the next one begins with the next piece.

use std::sync::Arc;

use tcpcap_common::record::{Block, map, reason};
use tcpcap_core::Source;

use super::{
    Enforcer, LeftOver, Place, of_prefix,
    wanted::{agrees, is_listed},
};
use crate::{
    kernel::Walk,
    surface::tell::{self, Drifted},
};

/// Entries looked at in a piece, on each side: some ten milliseconds at most.
const PIECE: usize = 4096;

/// How far a round has come.
#[derive(Debug, Default)]
pub(super) struct Cursors {
    stage: Stage,
    drift: u64,
    /// Entries met in the map that is walked.
    met: usize,
}

#[derive(Debug, Default)]
enum Stage {
    /// What the hash holds.
    #[default]
    Start,
    Sources(Walk),
    /// What the trie holds.
    Networks(Walk),
    /// What rules and operators want.
    Wanted(Option<Place>),
    /// What lists want, by number.
    Planned(usize),
}

impl Cursors {
    /// Begins anew: what is wanted has changed as a whole.
    pub(super) fn restart(&mut self) {
        (self.stage, self.met) = (Stage::Start, 0);
    }
}

impl Enforcer {
    /// Compares everything, whatever it takes, and makes it so; returns how many entries were not as wanted. For the
    /// start, when nothing of that is drift.
    ///
    /// # Errors
    /// A map cannot be read.
    pub fn reconcile_all(&mut self) -> std::io::Result<u64> {
        self.under_way = None;
        self.cursors = Cursors::default();
        while !self.piece()? {}
        self.arrive();
        self.show();
        Ok(std::mem::take(&mut self.cursors.drift))
    }

    /// Compares the next piece.
    ///
    /// # Errors
    /// A map cannot be read.
    pub fn reconcile(&mut self) -> std::io::Result<()> {
        // On the way to a new plan the kernel is neither here nor there.
        if self.is_under_way() {
            return Ok(());
        }
        if self.piece()? {
            if self.left_over == LeftOver::Goes {
                self.left_over = LeftOver::None;
            }
            let drift = std::mem::take(&mut self.cursors.drift);
            if drift > 0 {
                self.metrics.enforcement.count_drift("xdp", drift);
                tell::drift(drift, Drifted::Blocks);
                self.show();
            }
        }
        Ok(())
    }

    /// Counts entries met in a map, and shows how many it has when all have been.
    fn meet(&mut self, entries: usize, map: &'static str, all: bool) {
        self.cursors.met += entries;
        if all {
            self.metrics.set_entries(map, std::mem::take(&mut self.cursors.met));
        }
    }

    /// Says whether the round is over.
    fn piece(&mut self) -> std::io::Result<bool> {
        self.cursors.stage = match std::mem::take(&mut self.cursors.stage) {
            Stage::Start => Stage::Sources(Walk::default()),
            Stage::Sources(mut walk) => {
                let mut found = Vec::new();
                self.blocks.walk_on(&mut walk, |source, block| found.push((Place::Source(Source(source)), block)))?;
                self.compare(&found);
                self.meet(found.len(), map::BLOCKS, walk.is_over());
                if walk.is_over() { Stage::Networks(Walk::default()) } else { Stage::Sources(walk) }
            }
            Stage::Networks(mut walk) => {
                let mut found = Vec::new();
                self.networks.walk_on(&mut walk, |network, block| found.push((Place::Network(network), block)))?;
                self.compare(&found);
                self.meet(found.len(), map::NETWORKS, walk.is_over());
                if walk.is_over() { Stage::Wanted(None) } else { Stage::Networks(walk) }
            }
            Stage::Wanted(mut at) => {
                for _ in 0..PIECE {
                    at = self.wanted.next(at);
                    match at {
                        Some(place) => self.ensure(place),
                        None => break,
                    }
                }
                if at.is_some() { Stage::Wanted(at) } else { Stage::Planned(0) }
            }
            Stage::Planned(from) => {
                let plan = Arc::clone(self.wanted.plan());
                let to = plan.len().min(from + PIECE);
                for denied in plan.range(from..to) {
                    self.ensure(Place::from(&denied));
                }
                if to < plan.len() {
                    Stage::Planned(to)
                } else {
                    return Ok(true);
                }
            }
        };
        Ok(false)
    }

    /// Settles those that are not as wanted.
    fn compare(&mut self, found: &[(Place, Block)]) {
        for (place, block) in found {
            let wanted = self.wanted.at(*place);
            if wanted.is_some_and(|wanted| agrees(&wanted, block)) || self.owed.contains(place) {
                continue;
            }
            let left_over = wanted.is_none() && block.reason == reason::FEED && is_listed(block);
            match self.left_over {
                LeftOver::Stays if left_over => continue,
                LeftOver::Goes if left_over => {}
                _ => self.cursors.drift += 1,
            }
            self.settle(*place);
        }
    }

    /// Puts an entry in that should be there and is not.
    fn ensure(&mut self, place: Place) {
        let Some(wanted) = self.wanted.at(place).filter(|_| !self.owed.contains(&place)) else { return };
        let added = match place {
            Place::Source(source) => self.blocks.add(source.0, wanted),
            Place::Network(network) => {
                self.networks.add(&network, Block { flags: wanted.flags | of_prefix(network), ..wanted })
            }
        };
        match added {
            Ok(added) => self.cursors.drift += u64::from(added),
            Err(e) => drop(self.owe(place, &e)),
        }
    }
}
