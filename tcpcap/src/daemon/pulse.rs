//! What happened in each second and each minute of late.

use std::{
    collections::VecDeque,
    time::{SystemTime, UNIX_EPOCH},
};

use tcpcap_common::{
    record::reason::REASONS,
    tally::{self, End, Note},
};

use crate::control::{Sample, Timeline};

/// Seconds kept: ten minutes.
const SECONDS: usize = 600;

/// Minutes kept: a day.
const MINUTES: usize = 1440;

/// The kernel's counters that are shown over time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    attempts: u64,
    probes: u64,
    dropped_packets: u64,
    dropped_bytes: u64,
    would_drop_packets: u64,
}

impl Totals {
    fn of(tally: &[u64]) -> Self {
        let value = |index: u32| tally.get(index as usize).copied().unwrap_or(0);
        let sum = |of: fn(u32) -> u32| (0..REASONS).map(|reason| value(of(reason))).sum();
        Self {
            attempts: value(End::Attempt.index()),
            probes: value(End::Probe.index()) + value(End::TinyFragment.index()),
            dropped_packets: sum(tally::dropped),
            dropped_bytes: value(Note::DroppedBytes.index()),
            would_drop_packets: sum(tally::would_drop),
        }
    }
}

/// The timeline in the making.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    before: Option<Totals>,
    findings: u64,
    blocks: u64,
    seconds: VecDeque<Sample>,
    minutes: VecDeque<Sample>,
}

impl Pulse {
    /// A rule fired; its source was blocked for it, or not.
    pub(super) fn count(&mut self, blocked: bool) {
        self.findings += 1;
        self.blocks += u64::from(blocked);
    }

    /// A poll: what happened since the last one. The first one only tells where the kernel's counters stand.
    pub(super) fn take(&mut self, at: SystemTime, span_s: u32, tally: &[u64], blocked: usize) -> Option<Sample> {
        let totals = Totals::of(tally);
        let before = self.before.replace(totals)?;
        let sample = Sample {
            at: at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()).saturating_sub(u64::from(span_s)),
            span_s,
            attempts: totals.attempts.saturating_sub(before.attempts),
            probes: totals.probes.saturating_sub(before.probes),
            dropped_packets: totals.dropped_packets.saturating_sub(before.dropped_packets),
            dropped_bytes: totals.dropped_bytes.saturating_sub(before.dropped_bytes),
            would_drop_packets: totals.would_drop_packets.saturating_sub(before.would_drop_packets),
            findings: std::mem::take(&mut self.findings),
            blocks: std::mem::take(&mut self.blocks),
            blocked: blocked as u64,
        };
        push(&mut self.seconds, sample, SECONDS);
        match self.minutes.back_mut() {
            Some(minute) if minute.at / 60 == sample.at / 60 => minute.add(&sample),
            _ => push(&mut self.minutes, sample, MINUTES),
        }
        Some(sample)
    }

    /// All that is kept.
    pub(super) fn timeline(&self) -> Timeline {
        Timeline { seconds: self.seconds.iter().copied().collect(), minutes: self.minutes.iter().copied().collect() }
    }
}

fn push(samples: &mut VecDeque<Sample>, sample: Sample, most: usize) {
    if samples.len() == most {
        samples.pop_front();
    }
    samples.push_back(sample);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tcpcap_common::tally::TALLY_LEN;

    use super::*;

    fn tally(attempts: u64, dropped: u64) -> Vec<u64> {
        let mut tally = vec![0; TALLY_LEN as usize];
        tally[End::Attempt.index() as usize] = attempts;
        tally[tally::dropped(1) as usize] = dropped;
        tally
    }

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(second)
    }

    #[test]
    fn a_sample_is_what_happened_since_the_one_before_whatever_an_earlier_daemon_counted() {
        let mut pulse = Pulse::default();
        assert_eq!(pulse.take(at(1000), 1, &tally(5000, 700), 3), None);
        pulse.count(true);
        pulse.count(false);
        let sample = pulse.take(at(1001), 1, &tally(5010, 900), 4).unwrap();
        let expected = Sample {
            at: 1000,
            span_s: 1,
            attempts: 10,
            dropped_packets: 200,
            findings: 2,
            blocks: 1,
            blocked: 4,
            ..Sample::default()
        };
        assert_eq!(sample, expected);
        let after = pulse.take(at(1002), 1, &tally(5010, 900), 4).unwrap();
        assert_eq!((after.attempts, after.findings), (0, 0));
    }

    #[test]
    fn seconds_add_up_to_minutes_and_both_are_bounded() {
        let mut pulse = Pulse::default();
        pulse.take(at(0), 1, &tally(0, 0), 0);
        let days = 2 * 86_400;
        (1..=days).for_each(|n| {
            pulse.take(at(n), 1, &tally(n, 0), 0);
        });
        let Timeline { seconds, minutes } = pulse.timeline();
        assert_eq!((seconds.len(), minutes.len()), (SECONDS, MINUTES));
        assert!(minutes.iter().all(|minute| (minute.span_s, minute.attempts) == (60, 60)));
        assert_eq!(seconds.last().unwrap().at, days - 1);
    }
}
