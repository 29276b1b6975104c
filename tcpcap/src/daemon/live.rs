//! Who is knocking: the sources with the most attempts among those seen of late, and how fast they are.

use std::{cmp::Reverse, collections::BinaryHeap, collections::HashMap, time::Duration};

use tcpcap_common::{Addr, record::Source};
use tcpcap_core::Time;

/// How many are kept. A flood of forged sources, each with one attempt, leaves those with more where they are.
const KEPT: usize = 1000;

/// A source that was not seen for so long is not live.
const LIVE: Duration = Duration::from_secs(600);

/// How much of a new rate goes into the one that is shown: it follows within some seconds, and does not flicker.
const SMOOTHING: f64 = 0.4;

/// A live source.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Seen {
    /// What the kernel counts.
    pub(super) record: Source,
    /// Attempts a second.
    pub(super) per_second: f64,
}

/// The live sources, as of the last poll.
#[derive(Debug, Default)]
pub(super) struct Live {
    sources: HashMap<Addr, Seen>,
    at: Time,
}

impl Live {
    /// Begins to take the kernel's records anew.
    pub(super) fn look(&self, now: Time) -> Look {
        Look { best: BinaryHeap::with_capacity(KEPT + 1), now }
    }

    /// Takes over what was seen.
    pub(super) fn take(&mut self, look: Look) {
        let Look { best, now } = look;
        let since = now.since(self.at).as_secs_f64();
        let fresh = best.into_iter().map(|Reverse(Candidate { address, record, .. })| {
            let before = self.sources.get(&address);
            let attempts = match before {
                Some(before) => record.attempts.saturating_sub(before.record.attempts),
                // Of a record made since the last look all attempts are new; of any other nobody knows.
                None if Time::from_nanos(record.first_seen) >= self.at => record.attempts,
                None => 0,
            };
            #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
            let rate = if since > 0.0 && self.at > Time::ZERO { attempts as f64 / since } else { 0.0 };
            let shown = before.map_or(rate, |before| before.per_second + SMOOTHING * (rate - before.per_second));
            (address, Seen { record, per_second: shown })
        });
        self.sources = fresh.collect();
        self.at = now;
    }

    /// All of them, those with the most attempts first.
    pub(super) fn all(&self) -> Vec<(Addr, Seen)> {
        let mut all: Vec<_> = self.sources.iter().map(|(address, seen)| (*address, *seen)).collect();
        all.sort_by_key(|(address, seen)| (Reverse(seen.record.attempts), *address));
        all
    }

    /// One of them.
    pub(super) fn get(&self, address: Addr) -> Option<Seen> {
        self.sources.get(&address).copied()
    }
}

/// A walk over the kernel's records.
pub(super) struct Look {
    best: BinaryHeap<Reverse<Candidate>>,
    now: Time,
}

impl Look {
    /// One of the records. Costs a comparison for most.
    pub(super) fn see(&mut self, address: Addr, record: &Source) {
        let least = self.best.peek().map_or(0, |Reverse(least)| least.attempts);
        let full = self.best.len() >= KEPT;
        if (full && record.attempts <= least) || self.now.since(Time::from_nanos(record.last_seen)) > LIVE {
            return;
        }
        if full {
            self.best.pop();
        }
        self.best.push(Reverse(Candidate { attempts: record.attempts, address, record: *record }));
    }
}

/// Ordered by attempts.
struct Candidate {
    attempts: u64,
    address: Addr,
    record: Source,
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.attempts, self.address).cmp(&(other.attempts, other.address))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Candidate {}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(attempts: u64, first: u64, last: u64) -> Source {
        let (first_seen, last_seen) = (Time::from_secs(first).as_nanos(), Time::from_secs(last).as_nanos());
        Source { attempts, first_seen, last_seen, ..Source::default() }
    }

    fn poll(live: &mut Live, now: u64, records: &[(u32, Source)]) {
        let mut look = live.look(Time::from_secs(now));
        records.iter().for_each(|(n, record)| look.see(Addr::from_v4_word(*n), record));
        live.take(look);
    }

    fn rate(live: &Live, n: u32) -> f64 {
        live.get(Addr::from_v4_word(n)).unwrap().per_second
    }

    #[test]
    fn a_rate_is_what_came_since_the_last_look_and_follows_what_changes() {
        let mut live = Live::default();
        poll(&mut live, 100, &[(1, record(5000, 1, 100))]);
        assert_eq!(rate(&live, 1), 0.0, "nobody knows over what time");
        poll(&mut live, 102, &[(1, record(5000, 1, 100)), (2, record(20, 101, 102))]);
        assert_eq!(rate(&live, 2), 10.0, "all of it since the last look");
        for n in 1..10 {
            poll(&mut live, 102 + n, &[(1, record(5000 + n * 100, 1, 102 + n)), (2, record(20, 101, 102))]);
        }
        assert!((95.0..=100.0).contains(&rate(&live, 1)), "{}", rate(&live, 1));
        assert!(rate(&live, 2) < 0.2, "{}", rate(&live, 2));
    }

    #[test]
    fn those_with_the_most_attempts_stay_whatever_a_flood_brings() {
        let mut live = Live::default();
        let mut records: Vec<_> = (100_000..200_000).map(|n| (n, record(1, 1, 1))).collect();
        records.extend((1..=10).map(|n| (n, record(u64::from(n) * 10, 1, 1))));
        records.extend((300_000..400_000).map(|n| (n, record(1, 1, 1))));
        poll(&mut live, 2, &records);
        let all = live.all();
        assert_eq!(all.len(), KEPT);
        let first: Vec<u64> = all.iter().take(11).map(|(_, seen)| seen.record.attempts).collect();
        assert_eq!(first, [100, 90, 80, 70, 60, 50, 40, 30, 20, 10, 1]);
    }

    #[test]
    fn who_has_not_been_seen_for_ten_minutes_is_not_live() {
        let mut live = Live::default();
        poll(&mut live, 1000, &[(1, record(9, 1, 400)), (2, record(9, 1, 399))]);
        assert_eq!(live.all().iter().map(|(a, _)| *a).collect::<Vec<_>>(), [Addr::from_v4_word(1)]);
    }
}
