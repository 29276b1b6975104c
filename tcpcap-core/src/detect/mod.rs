//! Detection: sightings go in, findings come out.
//!
//! [`Detector`] keeps what is known about each source, within a bound ([`MAX_SOURCES`]), and asks each rule whether it
//! fires. One rule is one file that states it in a sentence: [`port_scan`], [`stealth`], [`stray`], [`brute_force`] get a
//! source blocked; [`flood`] and [`fan_out`] only tell.

pub mod brute_force;
pub mod fan_out;
mod finding;
pub mod flood;
mod known;
mod pairs;
pub mod port_scan;
mod preset;
mod rate;
mod record;
pub mod stealth;
pub mod stray;
mod table;

use std::{collections::BTreeSet, time::Duration};

pub use finding::{Finding, Fingerprint, Rule, SAMPLE, Standing};
pub use known::Known;
pub use preset::{Preset, ReflexLimits, Thresholds};

use crate::{Sighting, SightingKind, Source, Time};
use port_scan::PortScan;
use record::{Memory, Record};
use stealth::Oddity;
use table::Table;

/// How many sources are kept. At most 10 KB for one of which there is all to keep that is kept, 18 KB while the brute
/// force rule is on, 420 bytes for one that came once.
pub const MAX_SOURCES: usize = 65_536;

/// While the table is more than half full, a source of which nothing was seen for this long is forgotten, unless it has
/// left something incomplete or sent probes. Longer than the shorter windows, for the sake of [`Finding::standing`]. With
/// room to spare everybody is remembered as long as pairs are: a monitor that finds all of its services down is known.
const MEMORY: Duration = Duration::from_secs(600);

/// A source in whose name somebody scans is told of once in this time.
const FORGED_REMINDER: Duration = Duration::from_secs(60);

/// What a rule says about a source.
enum Verdict {
    Fires(Finding),
    /// Nothing yet, but what is still fresh could be enough at this time.
    LookAgain(Time),
    Quiet,
}

/// Knows every source of late, and names those that scan.
#[derive(Debug)]
pub struct Detector {
    thresholds: Thresholds,
    port_scan: PortScan,
    table: Table,
    targets: flood::Targets,
    answers: Answers,
    /// When which source is due for a look: one entry a source at most.
    checks: BTreeSet<(Time, Source)>,
    /// The first time seen.
    began: Option<Time>,
    /// The latest time seen. A sighting from before it counts as of now, so that nothing here goes backwards.
    now: Time,
    swept: Time,
}

impl Detector {
    /// A detector with these thresholds that keeps at most `max_sources`.
    #[must_use]
    pub fn new(thresholds: Thresholds, max_sources: usize) -> Self {
        Self {
            thresholds,
            port_scan: PortScan::new(thresholds.port_scan),
            table: Table::new(max_sources),
            targets: flood::Targets::new(thresholds.flood),
            answers: Answers::default(),
            checks: BTreeSet::new(),
            began: None,
            now: Time::ZERO,
            swept: Time::ZERO,
        }
    }

    /// Takes a sighting; what it reveals is handed to `found`, which returns until when there is no need to hear more
    /// about the source: as long as it is blocked, what still trickles in is nothing new.
    pub fn see(&mut self, sighting: &Sighting, found: &mut impl FnMut(Finding) -> Time) {
        self.now = self.now.max(sighting.time);
        self.began.get_or_insert(self.now);
        let (source, now, thresholds) = (sighting.source, self.now, self.thresholds);
        if self.table.is_full_for(source)
            && let Some((evicted, record)) = self.table.evict()
            && let Some(at) = record.check_at
        {
            self.checks.remove(&(at, evicted));
        }
        let memory = self.memory();
        let record = self.table.get_or_make(source, now);
        // What the next sweep would forget is forgotten already: when it comes must make no difference.
        if record.is_forgotten(now, memory) {
            *record = Record::new(now);
        }
        record.last_seen = now;
        // What would not have come through is not counted.
        if now < record.quiet_until {
            return;
        }
        let pair = (sighting.to, sighting.to_port);
        match sighting.kind {
            SightingKind::Attempt(marks) => {
                record.attempt(pair, marks, &thresholds, self.port_scan.keep(), now);
                let fanning = fan_out::judge(thresholds.fan_out, source, record, now);
                self.targets.attempt(source, pair, now);
                self.judge(source, found);
                // After that: if it gets the source blocked, nothing is left to block it for once more.
                let Some(record) = self.table.get(source) else { return };
                let guessing = brute_force::judge(thresholds.brute_force, source, record, pair, now);
                for finding in fanning.into_iter().chain(guessing) {
                    self.report(finding, found);
                }
            }
            SightingKind::Completion { unanswered } => {
                if self.answers.believe(record, unanswered) {
                    record.complete(pair, now);
                    self.targets.end(pair, now);
                }
            }
            SightingKind::Refusal => {
                record.refuse(pair, now);
                self.targets.end(pair, now);
                self.judge(source, found);
            }
            SightingKind::Probe { flags } => self.probe(source, pair, Oddity::Flags(flags), found),
            SightingKind::TinyFragment => self.probe(source, pair, Oddity::TinyFragment, found),
            SightingKind::Stray { refused } => {
                // Late segments of a connection that was.
                if !record.pairs.has_completed(pair) {
                    record.strays.note(pair, refused, now);
                    self.judge(source, found);
                }
            }
        }
    }

    /// Hears a source again of which there was no need to hear more for now.
    pub fn listen_again(&mut self, source: Source) {
        if let Some(record) = self.table.get(source) {
            record.quiet_until = self.now;
        }
    }

    /// Lets time pass, with `found` as for [`Detector::see`]: rules look again at what is due, and who has not been seen
    /// for long is forgotten.
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
        // An alert silences nothing.
        self.targets.advance(self.now, &mut |finding| {
            found(finding);
        });
        if self.now.since(self.swept) >= MEMORY / 4 {
            self.sweep();
        }
    }

    /// When [`Detector::advance`] has something to look at, at the earliest.
    #[must_use]
    pub fn next_due(&self) -> Option<Time> {
        self.checks.first().map(|(at, _)| *at).into_iter().chain(self.targets.next_due()).min()
    }

    /// Forgets a source, and with it that there was no need to hear more about it.
    pub fn forget(&mut self, source: Source) {
        if let Some(at) = self.table.forget(source).and_then(|record| record.check_at) {
            self.checks.remove(&(at, source));
        }
    }

    /// What is known of a source, if it is remembered.
    #[must_use]
    pub fn known(&self, source: Source) -> Option<Known> {
        let memory = self.memory();
        self.table.peek(source).map(|record| Known::of(record, self.now, memory.open))
    }

    /// Goes on with other thresholds. What is known stays.
    pub fn configure(&mut self, thresholds: Thresholds) {
        self.thresholds = thresholds;
        self.port_scan = PortScan::new(thresholds.port_scan);
        self.targets.configure(thresholds.flood);
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

    /// Attempts to targets that there was no room to watch for floods.
    #[must_use]
    pub fn unwatched(&self) -> u64 {
        self.targets.unwatched()
    }

    fn memory(&self) -> Memory {
        let open = self.port_scan.keep().memory;
        Memory { idle: if self.table.is_half_full() { MEMORY } else { open }, open }
    }

    fn sweep(&mut self) {
        self.swept = self.now;
        self.targets.sweep(self.now);
        let (now, memory) = (self.now, self.memory());
        self.table.retain(|_, record| !record.is_forgotten(now, memory));
    }

    fn probe(
        &mut self,
        source: Source,
        pair: (tcpcap_common::Addr, u16),
        oddity: Oddity,
        found: &mut impl FnMut(Finding) -> Time,
    ) {
        let Some(record) = self.table.get(source) else { return };
        record.probes.note(pair, oddity, self.now);
        if let Some(finding) = stealth::judge(self.thresholds.stealth, source, record, self.now) {
            self.report(finding, found);
        }
    }

    /// Asks the rules that may have to wait for their evidence to settle.
    fn judge(&mut self, source: Source, found: &mut impl FnMut(Finding) -> Time) {
        let (now, began) = (self.now, self.began.unwrap_or(self.now));
        let Some(record) = self.table.get(source) else { return };
        let verdicts = [
            self.port_scan.judge(source, record, now),
            stray::judge(self.thresholds.stray, source, record, began, now),
            flood::judge(self.thresholds.flood, source, record, now),
        ];
        let mut look_again: Option<Time> = None;
        for verdict in verdicts {
            match verdict {
                Verdict::Fires(finding) => {
                    let ends_it = !finding.rule.is_alert();
                    self.report(finding, found);
                    if ends_it {
                        return;
                    }
                }
                // At the end of time a second later is now.
                Verdict::LookAgain(at) => {
                    look_again = look_again.into_iter().chain(Some(at).filter(|at| *at > now)).min();
                }
                Verdict::Quiet => {}
            }
        }
        let (Some(at), Some(record)) = (look_again, self.table.get(source)) else { return };
        if record.check_at.is_none_or(|before| at < before) {
            if let Some(before) = record.check_at.replace(at) {
                self.checks.remove(&(before, source));
            }
            self.checks.insert((at, source));
        }
    }

    /// Hands a finding on, and begins anew with its source, unless it only tells.
    fn report(&mut self, finding: Finding, found: &mut impl FnMut(Finding) -> Time) {
        let (rule, now) = (finding.rule, self.now);
        let Some(source) = finding.source.or(finding.in_name_of) else { return };
        let Some(record) = self.table.get(source) else { return };
        if rule == Rule::Forged {
            record.pairs.clear_incomplete();
            if now < record.forged_told_until {
                return;
            }
            record.forged_told_until = now + FORGED_REMINDER;
        }
        let quiet_until = found(finding);
        if rule.is_alert() {
            return;
        }
        if let Some(at) = record.begin_anew(quiet_until) {
            self.checks.remove(&(at, source));
        }
    }
}

/// Whether completions of attempts to which no answer was seen are believed.
///
/// Where our answers are in view, a handshake whose answer was not seen was completed by a forger, or the answer left by
/// an interface that nobody watches. The second is so for all sources alike, so as long as most sources complete
/// handshakes that were answered, the others are not believed. Each source has one vote of either kind.
#[derive(Debug, Default)]
struct Answers {
    answered: u64,
    unanswered: u64,
}

impl Answers {
    fn believe(&mut self, record: &mut Record, unanswered: bool) -> bool {
        let (votes, voted) = if unanswered {
            (&mut self.unanswered, &mut record.voted_unanswered)
        } else {
            (&mut self.answered, &mut record.voted_answered)
        };
        *votes += u64::from(!std::mem::replace(voted, true));
        !unanswered || self.unanswered > self.answered
    }
}

#[cfg(test)]
mod tests;
