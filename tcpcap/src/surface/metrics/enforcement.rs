//! What enforcement counts.

use std::sync::atomic::{AtomicBool, Ordering};

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{
    feeds::FeedMetrics,
    labels::{BackendLabels, BlockLabels, OutcomeLabels, PartLabels, ReasonLabels},
};
use crate::{history, mirror};

/// Where blocks are written to.
const BACKENDS: [&str; 2] = ["xdp", "nftables"];

/// Who can want something blocked.
const ORIGINS: [&str; 3] = ["automatic", "operator", "list"];

/// The handles.
#[derive(Debug, Default)]
pub struct Enforcement {
    blocks: Family<BlockLabels, Gauge>,
    observing: AtomicBool,
    /// Changes that the kernel refused and that are still due.
    owed: Gauge,
    /// How many sources rules may have blocked at most.
    pub automatic_blocks_max: Gauge,
    /// Entries of lists in force.
    pub list_entries: Gauge,
    /// How the feeds are.
    pub feeds: FeedMetrics,
    /// Lines of feeds that were skipped.
    pub feed_lines_skipped: Gauge,
    /// Entries of lists that hit who must never be blocked.
    pub list_entries_refused: Gauge,
    /// Sources of lists that the kernel's map has no room for.
    pub list_entries_beyond_room: Gauge,
    /// Automatic blocks that gave way to an operator's.
    pub given_way: Counter,
    /// Blocks lifted because their source must never be blocked.
    pub lifted: Counter,
    drift: Family<BackendLabels, Counter>,
    errors: Family<BackendLabels, Counter>,
    healthy: Family<PartLabels, Gauge>,
    /// 1 when blocks outlive the daemon.
    pub pinned: Gauge,
    /// Entries that an earlier daemon left and this one took over.
    pub adopted: Counter,
    /// Events that had waited too long in the ring: nobody was there to read them.
    pub events_stale: Counter,
    /// Addresses that are never blocked, found on this host.
    pub never_block: Gauge,
    history: Family<OutcomeLabels, Counter>,
    history_lost: Family<ReasonLabels, Counter>,
    /// Writes of the history that failed.
    pub history_errors: Counter,
    /// Bytes of the history's file.
    pub history_bytes: Gauge,
    /// Elements in the mirror's sets.
    pub mirror_elements: Gauge,
    /// Configurations taken over while running.
    pub reloads: Counter,
    /// Those that were wrong.
    pub reload_errors: Counter,
    /// 0 after a reload that failed, until one succeeds.
    pub last_reload_successful: Gauge,
}

impl Enforcement {
    pub(super) fn register(&self, r: &mut Registry) {
        // So that nothing has to happen before it can be seen.
        for backend in BACKENDS {
            self.drift.get_or_create(&BackendLabels { backend }).inc_by(0);
            self.errors.get_or_create(&BackendLabels { backend }).inc_by(0);
        }
        r.register("blocks", "What is blocked now, by who wants it and by whether it is dropped", self.blocks.clone());
        r.register(
            "blocks_owed",
            "Changes of block lists that the kernel refused and that are still due",
            self.owed.clone(),
        );
        r.register(
            "automatic_blocks_max",
            "Sources that rules may have blocked at once",
            self.automatic_blocks_max.clone(),
        );
        self.feeds.register(r);
        r.register("list_entries", "Entries of deny networks and feeds in force", self.list_entries.clone());
        r.register("feed_lines_skipped", "Lines of feeds that were skipped", self.feed_lines_skipped.clone());
        r.register(
            "list_entries_refused",
            "Entries of lists that hit who must never be blocked",
            self.list_entries_refused.clone(),
        );
        r.register(
            "list_entries_beyond_room",
            "Sources of lists that the kernel's map has no room for",
            self.list_entries_beyond_room.clone(),
        );
        r.register("blocks_given_way", "Automatic blocks that gave way to an operator's", self.given_way.clone());
        r.register("blocks_lifted", "Blocks lifted because their source must never be blocked", self.lifted.clone());
        r.register("drift_repaired", "Entries that were not as wanted, and are again", self.drift.clone());
        r.register("backend_errors", "Failed writes to where blocks are kept", self.errors.clone());
        r.register("part_healthy", "1 while a part that may fail works", self.healthy.clone());
        r.register("pinned", "1 when blocks outlive the daemon", self.pinned.clone());
        r.register("blocks_adopted", "Blocks that an earlier daemon left and this one took over", self.adopted.clone());
        r.register("events_stale", "Events dropped because they had waited too long", self.events_stale.clone());
        r.register("never_block_addresses", "Addresses that are never blocked", self.never_block.clone());
        r.register("history_entries", "What became of entries of the history", self.history.clone());
        r.register("history_lost", "Entries that did not get into the history", self.history_lost.clone());
        r.register("history_errors", "Writes of the history that failed", self.history_errors.clone());
        r.register("history_bytes", "Bytes of the history's file", self.history_bytes.clone());
        r.register("mirror_elements", "Elements in the sets of the nftables mirror", self.mirror_elements.clone());
        r.register("reloads", "Configurations taken over while running", self.reloads.clone());
        r.register("reload_errors", "Reloads refused because the configuration is wrong", self.reload_errors.clone());
        // It was started with a right one.
        self.last_reload_successful.set(1);
        r.register(
            "last_reload_successful",
            "0 after a reload that was refused, until one is not",
            self.last_reload_successful.clone(),
        );
    }

    /// What is blocked, by who wants it, and what is still due.
    pub fn set_blocks(&self, automatic: usize, operator: usize, listed: usize, owed: usize) {
        for (origin, n) in ORIGINS.into_iter().zip([automatic, operator, listed]) {
            self.show_blocks(origin, gauge(n));
        }
        self.owed.set(gauge(owed));
    }

    /// Notes whether blocks drop packets, or only count what they would drop.
    pub fn set_observing(&self, observing: bool) {
        let state = state(self.observing.swap(observing, Ordering::Relaxed));
        for origin in ORIGINS {
            let before = self.blocks.get_or_create(&BlockLabels { origin, state }).get();
            self.show_blocks(origin, before);
        }
    }

    fn show_blocks(&self, origin: &'static str, n: i64) {
        let observing = self.observing.load(Ordering::Relaxed);
        for each in [true, false] {
            let shown = if each == observing { n } else { 0 };
            self.blocks.get_or_create(&BlockLabels { origin, state: state(each) }).set(shown);
        }
    }

    /// Counts entries of a backend that were not as wanted.
    pub fn count_drift(&self, backend: &'static str, n: u64) {
        self.drift.get_or_create(&BackendLabels { backend }).inc_by(n);
    }

    /// Takes over what a backend has counted by itself.
    fn set_backend(&self, backend: &'static str, drift: u64, errors: u64) {
        super::set(&self.drift.get_or_create(&BackendLabels { backend }), drift);
        super::set(&self.errors.get_or_create(&BackendLabels { backend }), errors);
    }

    /// Takes over what the history has counted by itself.
    pub fn set_history(&self, stats: &history::Stats) {
        for (outcome, n) in [("written", stats.written), ("pruned", stats.pruned)] {
            super::set(&self.history.get_or_create(&OutcomeLabels { outcome }), n);
        }
        let history::Lost { queue, disk, entries, .. } = stats.lost;
        for (reason, n) in [("queue", queue), ("disk", disk), ("entries", entries)] {
            super::set(&self.history_lost.get_or_create(&ReasonLabels { reason }), n);
        }
        super::set(&self.history_errors, stats.errors);
        self.history_bytes.set(gauge(usize::try_from(stats.bytes).unwrap_or(usize::MAX)));
        self.set_healthy("history", stats.degraded.is_none());
    }

    /// Takes over what the mirror has counted by itself.
    pub fn set_mirror(&self, stats: &mirror::Stats) {
        self.set_backend("nftables", stats.drift_repaired, stats.errors);
        self.mirror_elements.set(gauge(usize::try_from(stats.elements).unwrap_or(usize::MAX)));
        self.set_healthy("mirror", stats.degraded.is_none());
    }

    /// Counts a write that failed.
    pub fn count_error(&self, backend: &'static str) {
        self.errors.get_or_create(&BackendLabels { backend }).inc();
    }

    /// Whether a part that may fail works.
    pub fn set_healthy(&self, part: &'static str, healthy: bool) {
        self.healthy.get_or_create(&PartLabels { part }).set(i64::from(healthy));
    }

    /// Entries that differed, of all backends.
    #[must_use]
    pub fn drift(&self) -> u64 {
        BACKENDS.map(|backend| self.drift.get_or_create(&BackendLabels { backend }).get()).iter().sum()
    }
}

/// What becomes of a blocked source's packets.
fn state(observing: bool) -> &'static str {
    if observing { "observed" } else { "enforced" }
}

/// A number as a gauge holds it.
pub fn gauge(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
