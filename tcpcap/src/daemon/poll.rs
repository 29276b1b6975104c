//! What is done once a second.

use std::time::SystemTime;

use tcpcap_common::{
    Addr,
    record::{self, map},
};
use tracing::{error, warn};

use super::{Daemon, POLL_INTERVAL};
use crate::{
    control::stream::{Happened, Passing, Told},
    host,
    surface::{
        metrics,
        tell::{self, Drifted},
    },
};

/// Pieces of the kernel's lists that are compared at once: a whole round where there are few entries.
const PIECES_PER_POLL: usize = 5;

/// What lies between two polls, whole seconds.
#[allow(clippy::cast_possible_truncation, reason = "it is a second")]
const SPAN_S: u32 = POLL_INTERVAL.as_secs() as u32;

impl Daemon {
    /// Reads the kernel's counters and records, and tries again what failed.
    pub(super) fn poll(&mut self) {
        let start = std::time::Instant::now();
        let mut problem = None;
        match self.tally.read() {
            Ok(tally) => {
                self.metrics.take_tally(&tally);
                let (automatic, _) = self.enforcer.wanted().counts();
                if let Some(sample) = self.pulse.take(SystemTime::now(), SPAN_S, &tally, automatic) {
                    let what = Told::Passing(Passing::Pulse(sample));
                    self.hub.tell(|| Happened { time: SystemTime::now(), what });
                }
            }
            Err(e) => problem = Some(e.to_string()),
        }
        let mut over_budget = 0i64;
        let mut look = self.live.look(host::now());
        let walked = self.sources.walk(|address: Addr, record: record::Source| {
            look.see(address, &record);
            over_budget += i64::from(record.events_withheld > 0);
        });
        self.live.take(look);
        match walked {
            Ok(n) => {
                self.metrics.source_records.set(i64::try_from(n).unwrap_or(i64::MAX));
                self.metrics.set_entries(map::SOURCES, n);
                self.metrics.source_records_over_budget.set(over_budget);
            }
            Err(e) => problem = Some(e.to_string()),
        }
        self.enforcer.retry();
        if let Err(e) = self.reconcile() {
            problem = Some(e.to_string());
        }
        self.log.tell_held_back();
        if let Some(problem) = &problem {
            self.metrics.poll_errors.inc();
            if !self.poll_complained {
                warn!("counters are out of date, a map cannot be read: {problem}");
            }
        }
        self.poll_complained = problem.is_some();
        let stats = self.engine.stats();
        self.metrics.tracked_sources.set(i64::try_from(stats.tracked_sources).unwrap_or(i64::MAX));
        metrics::set(&self.metrics.evicted_sources, stats.evicted_sources);
        metrics::set(&self.metrics.unwatched_attempts, stats.unwatched_attempts);
        self.watch_breaker();
        self.watch_parts();
        self.metrics.take_log(&self.log);
        self.metrics.enforcement.set_observing(self.settings.judging.observe);
        self.metrics.enforcement.automatic_blocks_max.set(metrics::gauge(self.settings.judging.caps.entries));
        let small = [
            (map::ALLOWED, self.allowed.len()),
            (map::OWN, self.own.len()),
            (map::OWN_NETWORKS, self.own_networks.len()),
        ];
        small.into_iter().for_each(|(map, entries)| self.metrics.set_entries(map, entries));
        self.metrics.poll.observe(start.elapsed().as_secs_f64());
        self.metrics.process.poll();
        self.health.beat();
    }

    /// Says so once when the circuit breaker opens, and once when it has closed.
    fn watch_breaker(&mut self) {
        let open = self.engine.is_breaker_open(host::now());
        self.metrics.breaker_open.set(i64::from(open));
        if std::mem::replace(&mut self.breaker_open, open) != open {
            tell::breaker(open);
        }
    }

    /// Compares a piece of what is wanted with what the kernel holds.
    fn reconcile(&mut self) -> std::io::Result<()> {
        for _ in 0..PIECES_PER_POLL {
            self.enforcer.reconcile()?;
        }
        let drift = self.allowed.reconcile()?;
        if drift > 0 {
            self.metrics.enforcement.count_drift("xdp", drift);
            tell::drift(drift, Drifted::Allowed);
        }
        if let Err(f) = self.tune() {
            self.metrics.poll_errors.inc();
            error!("the kernel program goes on as it was told before: {}", f.cause);
        }
        Ok(())
    }

    /// Takes over what parts with threads of their own count.
    fn watch_parts(&mut self) {
        let enforcement = &self.metrics.enforcement;
        if let Some(mirror) = self.enforcer.mirror() {
            enforcement.set_mirror(&mirror.stats());
        }
        self.chronicle.show(enforcement);
    }
}
