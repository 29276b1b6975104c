//! Prometheus metrics. No label holds anything that an attacker chooses.

mod enforcement;
mod feeds;
mod labels;
mod process;

use std::sync::atomic::Ordering;

use prometheus_client::{
    encoding::text,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::Registry,
};
use tcpcap_common::{
    LAYOUT_VERSION,
    record::{map, reason::REASONS},
    tally::{self, End, Note},
};

use super::log::Log;
use crate::{control::server::Counters, translate};
pub use enforcement::{Enforcement, gauge};
pub use feeds::{FeedMetrics, FeedState};
use labels::{
    EgressLabels, EventLabels, InterfaceLabels, MapLabels, ModeLabels, OutcomeLabels, PacketLabels, ReasonLabels,
    RuleLabels,
};
pub use process::Process;

/// Upper bounds of the event-to-block histogram, seconds. The usual path takes some tens of microseconds.
const EVENT_TO_BLOCK_BOUNDS: [f64; 10] = [20e-6, 50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 5e-3, 20e-3, 0.1, 1.0];

/// The same for polls. One over few sources takes a fraction of a millisecond, over full maps some tens of them; past a
/// second polls are late.
const POLL_BOUNDS: [f64; 9] = [500e-6, 1e-3, 2e-3, 5e-3, 10e-3, 20e-3, 50e-3, 0.2, 1.0];

/// The maps that can fill up.
const MAPS: [&str; 6] = [map::ALLOWED, map::BLOCKS, map::NETWORKS, map::OWN, map::OWN_NETWORKS, map::SOURCES];

/// What policy can make of a finding.
const OUTCOMES: [&str; 5] = ["alert", "block", "extend", "observe", "suppressed"];

/// Every metric's handle. `docs/metrics.md` lists them.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    packets: Family<PacketLabels, Counter>,
    processed_conns: Counter,
    /// Sources blocked.
    pub processed_blocks: Counter,
    events: Family<OutcomeLabels, Counter>,
    source_records_made: Family<OutcomeLabels, Counter>,
    reflexes: Family<OutcomeLabels, Counter>,
    dropped_packets: Family<ReasonLabels, Counter>,
    would_drop_packets: Family<ReasonLabels, Counter>,
    allowed_over_block_packets: Counter,
    expired_block_packets: Counter,
    dropped_bytes: Counter,
    answers: Family<OutcomeLabels, Counter>,
    unanswered_completions: Counter,
    mismatched_completions: Counter,
    /// Events that the daemon read from the ring.
    pub events_read: Counter,
    /// Records of the ring that were no events.
    pub events_misshapen: Counter,
    findings: Family<RuleLabels, Counter>,
    decisions: Family<OutcomeLabels, Counter>,
    /// What the daemon counts about itself.
    pub process: Process,
    /// What enforcement counts.
    pub enforcement: Enforcement,
    /// What the control socket counts.
    pub control: Counters,
    /// What the HTTP port counts.
    pub http: Counters,
    /// From the packet's time stamp to the block in force.
    pub event_to_block: Histogram,
    /// Source records in the kernel.
    pub source_records: Gauge,
    /// Those of them that had events withheld.
    pub source_records_over_budget: Gauge,
    /// Sources that the detector keeps.
    pub tracked_sources: Gauge,
    /// Sources that the detector gave up for want of room.
    pub evicted_sources: Counter,
    /// Attempts to targets that there was no room to watch for floods.
    pub unwatched_attempts: Counter,
    /// 1 while the circuit breaker is open.
    pub breaker_open: Gauge,
    interface_up: Family<InterfaceLabels, Gauge>,
    interface_mode: Family<ModeLabels, Gauge>,
    interface_egress_view: Family<EgressLabels, Gauge>,
    /// Attachments that fell back to generic mode.
    pub native_fallbacks: Counter,
    /// How long polls of the kernel's maps took, seconds.
    pub poll: Histogram,
    /// Polls that failed in part.
    pub poll_errors: Counter,
    map_entries: Family<MapLabels, Gauge>,
    map_max_entries: Family<MapLabels, Gauge>,
    log_lines_dropped: Counter,
    log_lines_held_back: Family<EventLabels, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut m = Self {
            registry: Registry::with_prefix("tcpcap"),
            packets: Family::default(),
            processed_conns: Counter::default(),
            processed_blocks: Counter::default(),
            events: Family::default(),
            source_records_made: Family::default(),
            reflexes: Family::default(),
            dropped_packets: Family::default(),
            would_drop_packets: Family::default(),
            allowed_over_block_packets: Counter::default(),
            expired_block_packets: Counter::default(),
            dropped_bytes: Counter::default(),
            answers: Family::default(),
            unanswered_completions: Counter::default(),
            mismatched_completions: Counter::default(),
            events_read: Counter::default(),
            events_misshapen: Counter::default(),
            findings: Family::default(),
            decisions: Family::default(),
            process: Process::default(),
            enforcement: Enforcement::default(),
            control: Counters::default(),
            http: Counters::default(),
            event_to_block: Histogram::new(EVENT_TO_BLOCK_BOUNDS),
            source_records: Gauge::default(),
            source_records_over_budget: Gauge::default(),
            tracked_sources: Gauge::default(),
            evicted_sources: Counter::default(),
            unwatched_attempts: Counter::default(),
            breaker_open: Gauge::default(),
            interface_up: Family::default(),
            interface_mode: Family::default(),
            interface_egress_view: Family::default(),
            native_fallbacks: Counter::default(),
            poll: Histogram::new(POLL_BOUNDS),
            poll_errors: Counter::default(),
            map_entries: Family::default(),
            map_max_entries: Family::default(),
            log_lines_dropped: Counter::default(),
            log_lines_held_back: Family::default(),
        };
        m.register();
        m
    }
}

impl Metrics {
    fn register(&mut self) {
        // So that nothing has to happen before it can be seen.
        OUTCOMES.iter().for_each(|outcome| drop(self.decisions.get_or_create(&OutcomeLabels { outcome })));
        let r = &mut self.registry;
        let build = [("version", env!("CARGO_PKG_VERSION").to_owned()), ("layout", LAYOUT_VERSION.to_string())];
        r.register("build", "What is running", Info::new(build.to_vec()));
        r.register(
            "packets",
            "Packets by verdict and by how they ended; their sum is all packets received",
            self.packets.clone(),
        );
        r.register("processed_conns", "New connection attempts to own addresses", self.processed_conns.clone());
        r.register("processed_blocks", "Sources blocked", self.processed_blocks.clone());
        r.register("events", "Events of the kernel program, by what became of them", self.events.clone());
        r.register(
            "source_records_made",
            "New sources in the kernel, by whether they got a record",
            self.source_records_made.clone(),
        );
        r.register("reflexes", "Sources that the reflex was to hold, by what became of that", self.reflexes.clone());
        r.register("dropped_packets", "Packets dropped, by their block's reason", self.dropped_packets.clone());
        r.register(
            "would_drop_packets",
            "Packets that observe mode let pass, by their block's reason",
            self.would_drop_packets.clone(),
        );
        r.register(
            "allowed_over_block_packets",
            "Packets of blocked sources that passed because they are allowed",
            self.allowed_over_block_packets.clone(),
        );
        r.register(
            "expired_block_packets",
            "Packets that passed an expired block not yet swept",
            self.expired_block_packets.clone(),
        );
        r.register("dropped_bytes", "Bytes of dropped packets", self.dropped_bytes.clone());
        r.register("answers", "Our own answers seen to leave, by what they say", self.answers.clone());
        r.register(
            "unanswered_completions",
            "Handshakes completed without an answer of ours in view",
            self.unanswered_completions.clone(),
        );
        r.register(
            "mismatched_completions",
            "ACKs that fit an attempt but not our answer to it",
            self.mismatched_completions.clone(),
        );
        r.register("events_read", "Events that the daemon read", self.events_read.clone());
        r.register("events_misshapen", "Ring records that were no events", self.events_misshapen.clone());
        r.register("findings", "Rules that fired", self.findings.clone());
        r.register("decisions", "What policy made of the findings", self.decisions.clone());
        self.process.register(r);
        self.enforcement.register(r);
        self.control.register(r, "control");
        self.http.register(r, "http");
        r.register(
            "event_to_block_seconds",
            "From the packet that decided to the block in force",
            self.event_to_block.clone(),
        );
        r.register("source_records", "Source records in the kernel", self.source_records.clone());
        r.register(
            "source_records_over_budget",
            "Source records whose events were withheld in part",
            self.source_records_over_budget.clone(),
        );
        r.register("tracked_sources", "Sources that the detector keeps", self.tracked_sources.clone());
        r.register(
            "evicted_sources",
            "Sources that the detector gave up for want of room",
            self.evicted_sources.clone(),
        );
        r.register(
            "unwatched_attempts",
            "Attempts to targets that there was no room to watch for floods",
            self.unwatched_attempts.clone(),
        );
        r.register(
            "circuit_breaker_open",
            "1 while nobody new is blocked, because too many were",
            self.breaker_open.clone(),
        );
        r.register("interface_up", "1 while the program is attached", self.interface_up.clone());
        r.register("interface_mode", "1 for the XDP mode in use", self.interface_mode.clone());
        r.register(
            "interface_egress_view",
            "1 for the way in which our own answers are seen to leave",
            self.interface_egress_view.clone(),
        );
        r.register("native_fallbacks", "Attachments that fell back to generic mode", self.native_fallbacks.clone());
        r.register("poll_duration_seconds", "Duration of polls of the kernel's maps", self.poll.clone());
        r.register("poll_errors", "Polls that failed in part", self.poll_errors.clone());
        r.register("map_entries", "Entries of a map in the kernel", self.map_entries.clone());
        r.register("map_max_entries", "Entries that a map in the kernel has room for", self.map_max_entries.clone());
        r.register(
            "log_lines_dropped",
            "Log lines dropped because the reader was too slow",
            self.log_lines_dropped.clone(),
        );
        r.register(
            "log_lines_held_back",
            "Log lines held back because there were too many of their kind",
            self.log_lines_held_back.clone(),
        );
    }

    /// Takes over the kernel's counters, indexed as [`tcpcap_common::tally`] says.
    pub fn take_tally(&self, tally: &[u64]) {
        let value = |index: u32| tally.get(index as usize).copied().unwrap_or(0);
        for &end in End::ALL {
            let labels = PacketLabels { verdict: end.verdict().name(), end: end.name() };
            set(&self.packets.get_or_create(&labels), value(end.index()));
        }
        set(&self.processed_conns, value(End::Attempt.index()));
        let of = |family: &Family<OutcomeLabels, Counter>, outcome, n| {
            set(&family.get_or_create(&OutcomeLabels { outcome }), n);
        };
        for &note in Note::ALL {
            let n = value(note.index());
            match note {
                Note::EventSent => of(&self.events, "sent", n),
                Note::EventRingFull => of(&self.events, "ring_full", n),
                Note::EventOverSourceBudget => of(&self.events, "over_source_budget", n),
                Note::EventOverCpuBudget => of(&self.events, "over_cpu_budget", n),
                Note::SourceAdded => of(&self.source_records_made, "added", n),
                Note::SourceOverBudget => of(&self.source_records_made, "over_budget", n),
                Note::SourceInsertFailed => of(&self.source_records_made, "insert_failed", n),
                Note::AllowedOverBlock => set(&self.allowed_over_block_packets, n),
                Note::BlockExpired => set(&self.expired_block_packets, n),
                Note::Accepted => of(&self.answers, "accepted", n),
                Note::Refused => of(&self.answers, "refused", n),
                Note::StrayRefused => of(&self.answers, "stray_refused", n),
                Note::UnansweredCompletion => set(&self.unanswered_completions, n),
                Note::MismatchedCompletion => set(&self.mismatched_completions, n),
                Note::DroppedBytes => set(&self.dropped_bytes, n),
                Note::ReflexBegun => of(&self.reflexes, "begun", n),
                Note::ReflexOverBudget => of(&self.reflexes, "over_budget", n),
            }
        }
        self.take_drops(value);
    }

    /// Drops by reason, the rest of the kernel's counters.
    fn take_drops(&self, value: impl Fn(u32) -> u64) {
        for code in 0..REASONS {
            let labels = ReasonLabels { reason: translate::reason_name(code) };
            set(&self.dropped_packets.get_or_create(&labels), value(tally::dropped(code)));
            set(&self.would_drop_packets.get_or_create(&labels), value(tally::would_drop(code)));
        }
    }

    /// Takes over what the log counts.
    pub fn take_log(&self, log: &Log) {
        set(&self.log_lines_dropped, log.dropped());
        for (event, n) in log.held_back() {
            set(&self.log_lines_held_back.get_or_create(&EventLabels { event }), n);
        }
    }

    /// Notes how many entries maps have room for, by their names in the kernel; those that cannot fill up are left out.
    pub fn set_room(&self, maps: impl IntoIterator<Item = (String, u32)>) {
        for (name, room) in maps {
            if let Some(map) = MAPS.into_iter().find(|map| *map == name) {
                self.map_max_entries.get_or_create(&MapLabels { map }).set(i64::from(room));
            }
        }
    }

    /// Notes how many entries a map has.
    pub fn set_entries(&self, map: &'static str, entries: usize) {
        self.map_entries.get_or_create(&MapLabels { map }).set(gauge(entries));
    }

    /// Counts a finding.
    pub fn count_finding(&self, rule: &'static str, window: &'static str) {
        self.findings.get_or_create(&RuleLabels { rule, window }).inc();
    }

    /// Counts a decision.
    pub fn count_decision(&self, outcome: &'static str) {
        self.decisions.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// Notes in which mode an interface is watched, or that it is not.
    pub fn set_interface(&self, interface: &str, mode: Option<&'static str>) {
        let labels = InterfaceLabels { interface: interface.to_owned() };
        self.interface_up.get_or_create(&labels).set(i64::from(mode.is_some()));
        for each in ["native", "generic"] {
            let labels = ModeLabels { interface: interface.to_owned(), mode: each };
            self.interface_mode.get_or_create(&labels).set(i64::from(mode == Some(each)));
        }
    }

    /// Notes in which way our answers are seen to leave by an interface, or that they are not.
    pub fn set_egress(&self, interface: &str, kind: Option<&'static str>) {
        for each in ["tcx", "clsact"] {
            let labels = EgressLabels { interface: interface.to_owned(), kind: each };
            self.interface_egress_view.get_or_create(&labels).set(i64::from(kind == Some(each)));
        }
    }

    /// The text that Prometheus scrapes (OpenMetrics 1.0).
    ///
    /// # Errors
    /// None in practice: writing to a string does not fail.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.registry)?;
        Ok(out)
    }
}

/// Sets a counter to a total that is counted elsewhere.
pub fn set(counter: &Counter, total: u64) {
    counter.inner().store(total, Ordering::Relaxed);
}

#[cfg(test)]
mod tests;
