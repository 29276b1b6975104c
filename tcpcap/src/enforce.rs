//! Enforcement: what policy decided, written into the kernel's block map, and written again until it is there.

use std::{collections::BTreeMap, sync::Arc};

use tcpcap_common::record::Block;
use tcpcap_core::{Source, Time};
use tracing::{info, warn};

use crate::{kernel::Blocks, surface::metrics::Metrics};

/// The writer of the block map.
pub struct Enforcer {
    blocks: Blocks,
    /// Blocks that the kernel refused and that are still due.
    owed: BTreeMap<Source, Block>,
    /// Blocks in the kernel, as far as this process has put them there.
    held: usize,
    metrics: Arc<Metrics>,
}

impl Enforcer {
    /// Takes over the block map.
    #[must_use]
    pub fn new(blocks: Blocks, metrics: Arc<Metrics>) -> Self {
        Self { blocks, owed: BTreeMap::new(), held: 0, metrics }
    }

    /// How many sources are blocked.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held
    }

    /// Whether no source is blocked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Blocks a source from its next packet on. When the kernel refuses, it is tried again at each [`Enforcer::retry`].
    pub fn block(&mut self, source: Source, block: Block) {
        let known = self.blocks.get(source.0).is_some();
        match self.blocks.put(source.0, block) {
            Ok(()) => {
                self.owed.remove(&source);
                self.count(if known { 0 } else { 1 });
            }
            Err(e) => {
                self.metrics.block_errors.inc();
                if self.owed.insert(source, block).is_none() {
                    warn!(source = %source, "{source} is not blocked yet, the kernel refuses the entry: {e}; it is tried again");
                }
            }
        }
    }

    /// Takes a block out; returns what it had counted.
    pub fn unblock(&mut self, source: Source) -> Block {
        self.owed.remove(&source);
        match self.blocks.remove(source.0) {
            Ok(Some(block)) => {
                self.count(-1);
                block
            }
            Ok(None) => Block::default(),
            Err(e) => {
                // Its expiry is in the entry: the program does not honour it any more, it only takes up room.
                self.metrics.block_errors.inc();
                warn!(source = %source, "the expired block of {source} cannot be taken out: {e}");
                Block::default()
            }
        }
    }

    /// Tries the refused blocks again that are not over by now.
    pub fn retry(&mut self, now: Time) {
        for (source, block) in std::mem::take(&mut self.owed) {
            if block.until > now.as_nanos() {
                self.block(source, block);
                if !self.owed.contains_key(&source) {
                    info!(source = %source, "{source} is blocked now");
                }
            }
        }
    }

    fn count(&mut self, change: isize) {
        self.held = self.held.saturating_add_signed(change);
        self.metrics.blocks.set(i64::try_from(self.held).unwrap_or(i64::MAX));
    }
}
