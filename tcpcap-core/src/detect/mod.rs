//! Detection: sightings go in, findings come out.
//!
//! [`Detector`] keeps what is known about each source, within a bound ([`MAX_SOURCES`]), and asks each rule whether it
//! fires. One rule is one file that states it in a sentence: [`port_scan`], [`stealth`].

mod finding;
mod pairs;
pub mod port_scan;
mod preset;
pub mod stealth;
mod table;

use std::{collections::BTreeSet, time::Duration};

pub use finding::{Finding, Rule, SAMPLE};
pub use preset::{Preset, Thresholds};

use crate::{Sighting, SightingKind, Source, Time};
use pairs::Pairs;
use port_scan::PortScan;
use stealth::Probes;
use table::Table;

/// How many sources are kept. At most 3 KB for one that scans, 200 bytes for one that came once.
pub const MAX_SOURCES: usize = 65_536;

/// What is known about a source.
#[derive(Debug)]
pub(crate) struct Record {
    pairs: Pairs,
    probes: Probes,
    /// Its latest sighting.
    last_seen: Time,
    /// Attempts since the record was made.
    attempts: u64,
    /// Its first completed handshake: from then on the address is known to be real.
    first_completion: Option<Time>,
    /// When the rule looks at it again without being asked by a sighting.
    check_at: Option<Time>,
    /// A rule has fired, and nothing about the source counts before this.
    quiet_until: Time,
}

impl Record {
    fn new(now: Time) -> Self {
        Self {
            pairs: Pairs::default(),
            probes: Probes::default(),
            last_seen: now,
            attempts: 0,
            first_completion: None,
            check_at: None,
            quiet_until: Time::ZERO,
        }
    }

    /// Whether the source had completed a handshake before a window that ends now began: then its address is real, and
    /// a scanner cannot buy that along the way.
    fn was_verified_before(&self, now: Time, window: Duration) -> bool {
        self.first_completion.is_some_and(|at| now.since(at) > window)
    }
}

/// A source of which nothing was seen for this long is forgotten, unless it has left something incomplete. Longer than
/// the shorter windows, for the sake of [`Finding::verified`].
const MEMORY: Duration = Duration::from_secs(600);

/// Knows every source of late, and names those that scan.
#[derive(Debug)]
pub struct Detector {
    port_scan: PortScan,
    stealth: stealth::Limits,
    table: Table,
    /// When which source is due for a look: one entry a source at most.
    checks: BTreeSet<(Time, Source)>,
    /// The latest time seen. A sighting from before it counts as of now, so that nothing here goes backwards.
    now: Time,
    swept: Time,
}

impl Detector {
    /// A detector with these thresholds that keeps at most `max_sources`.
    #[must_use]
    pub fn new(thresholds: Thresholds, max_sources: usize) -> Self {
        Self {
            port_scan: PortScan::new(thresholds.port_scan),
            stealth: thresholds.stealth,
            table: Table::new(max_sources),
            checks: BTreeSet::new(),
            now: Time::ZERO,
            swept: Time::ZERO,
        }
    }

    /// Takes a sighting; what it reveals is handed to `found`, which returns until when there is no need to hear more
    /// about the source: as long as it is blocked, what still trickles in is nothing new.
    pub fn see(&mut self, sighting: &Sighting, found: &mut impl FnMut(Finding) -> Time) {
        self.now = self.now.max(sighting.time);
        let now = self.now;
        if self.table.is_full_for(sighting.source)
            && let Some((evicted, record)) = self.table.evict()
            && let Some(at) = record.check_at
        {
            self.checks.remove(&(at, evicted));
        }
        let record = self.table.get_or_make(sighting.source, now);
        record.last_seen = now;
        // What would not have come through is not counted.
        if now < record.quiet_until {
            return;
        }
        let pair = (sighting.to, sighting.to_port);
        match sighting.kind {
            SightingKind::Attempt(_) => {
                record.attempts += 1;
                record.pairs.attempt(pair, now, self.port_scan.keep());
                self.judge(sighting.source, found);
            }
            SightingKind::Completion { .. } => {
                record.first_completion.get_or_insert(now);
                record.pairs.complete(pair);
            }
            SightingKind::Probe { flags } => {
                record.probes.note(pair, flags, now);
                if let Some(finding) = stealth::judge(self.stealth, sighting.source, record, now) {
                    self.report(finding, found);
                }
            }
            SightingKind::Refusal | SightingKind::TinyFragment | SightingKind::Stray { .. } => {}
        }
    }

    /// Lets time pass, with `found` as for [`Detector::see`]: rules look again at the sources that are due, and forgets who has not been seen for long.
    pub fn advance(&mut self, now: Time, found: &mut impl FnMut(Finding) -> Time) {
        self.now = self.now.max(now);
        while let Some(&(at, source)) = self.checks.first()
            && at <= self.now
        {
            self.checks.pop_first();
            if let Some(record) = self.table.get(source) {
                record.check_at = None;
            }
            self.judge(source, found);
        }
        if self.now.since(self.swept) >= MEMORY / 4 {
            self.swept = self.now;
            let (now, checks, memory) = (self.now, &mut self.checks, self.port_scan.keep().memory);
            self.table.retain(|source, record| {
                let keep = now.since(record.last_seen) < MEMORY || record.pairs.has_incomplete(now, memory);
                if !keep && let Some(at) = record.check_at {
                    checks.remove(&(at, source));
                }
                keep
            });
        }
    }

    /// When [`Detector::advance`] has something to look at, at the earliest.
    #[must_use]
    pub fn next_due(&self) -> Option<Time> {
        self.checks.first().map(|(at, _)| *at)
    }

    /// Sources kept now.
    #[must_use]
    pub fn tracked(&self) -> usize {
        self.table.len()
    }

    /// Sources that gave way for want of room.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.table.evicted()
    }

    fn judge(&mut self, source: Source, found: &mut impl FnMut(Finding) -> Time) {
        let now = self.now;
        let Some(record) = self.table.get(source) else { return };
        match self.port_scan.judge(source, record, now) {
            port_scan::Verdict::Fires(finding) => self.report(finding, found),
            // At the end of time a second later is now.
            port_scan::Verdict::LookAgain(at) if at <= now => {}
            port_scan::Verdict::LookAgain(at) => {
                if record.check_at.is_none_or(|before| at < before) {
                    if let Some(before) = record.check_at.replace(at) {
                        self.checks.remove(&(before, source));
                    }
                    self.checks.insert((at, source));
                }
            }
            port_scan::Verdict::Quiet => {}
        }
    }

    /// Hands a finding on, and begins anew with its source.
    fn report(&mut self, finding: Finding, found: &mut impl FnMut(Finding) -> Time) {
        let source = finding.source;
        let quiet_until = found(finding);
        let Some(record) = self.table.get(source) else { return };
        record.pairs.clear();
        record.probes.clear();
        record.quiet_until = quiet_until;
        if let Some(at) = record.check_at.take() {
            self.checks.remove(&(at, source));
        }
    }
}

#[cfg(test)]
mod tests;
