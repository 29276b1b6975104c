//! Half-open handshakes over the last seconds, from attempts and what became of them.

use std::time::Duration;

use crate::Time;

/// How long attempts are counted together.
const BUCKET: Duration = Duration::from_millis(500);
/// Buckets kept: those that are judged, and those that are still too young for it.
const BUCKETS: usize = (WINDOW.as_millis() / BUCKET.as_millis()) as usize + SETTLING;
/// Buckets whose handshakes may still be on their way: a second, and the one that has just begun.
const SETTLING: usize = 3;

/// How far back attempts count.
pub(super) const WINDOW: Duration = Duration::from_secs(5);

/// Attempts and their ends.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    attempts: u32,
    ends: u32,
}

/// A ring of buckets.
#[derive(Clone, Debug, Default)]
pub(super) struct Rate {
    buckets: [Bucket; BUCKETS],
    /// Number of the latest bucket, counted from the beginning of time.
    latest: u64,
}

/// What there was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HalfOpen {
    /// Handshakes begun in [`WINDOW`] before the last second, and not ended by now.
    pub(super) open: u32,
    /// Handshakes begun in that time.
    pub(super) of: u32,
}

impl Rate {
    /// Notes an attempt.
    pub(super) fn attempt(&mut self, now: Time) {
        let bucket = self.at(now);
        bucket.attempts = bucket.attempts.saturating_add(1);
    }

    /// Notes that a handshake was completed or refused.
    pub(super) fn end(&mut self, now: Time) {
        let bucket = self.at(now);
        bucket.ends = bucket.ends.saturating_add(1);
    }

    /// Attempts in all that is kept, which the handshakes left open can never exceed.
    pub(super) fn recent_attempts(&mut self, now: Time) -> u32 {
        self.at(now);
        self.buckets.iter().map(|b| b.attempts).fold(0, u32::saturating_add)
    }

    /// The handshakes left open. An end is not told apart by its beginning: those of the last second count for the
    /// time before, so that what is found open is open at least.
    pub(super) fn half_open(&mut self, now: Time) -> HalfOpen {
        self.at(now);
        let latest = index(self.latest);
        let sum = |from: usize, of: fn(&Bucket) -> u32| {
            (from..BUCKETS).map(|i| of(&self.buckets[(latest + BUCKETS - i) % BUCKETS])).fold(0, u32::saturating_add)
        };
        let of = sum(SETTLING, |b| b.attempts);
        HalfOpen { open: of.saturating_sub(sum(0, |b| b.ends)), of }
    }

    /// The bucket of this time, with those between the last one and it emptied.
    fn at(&mut self, now: Time) -> &mut Bucket {
        let number = now.as_nanos() / crate::time::nanos(BUCKET);
        let ahead = number.saturating_sub(self.latest).min(BUCKETS as u64);
        for number in number - ahead + 1..=number {
            self.buckets[index(number)] = Bucket::default();
        }
        self.latest = self.latest.max(number);
        &mut self.buckets[index(self.latest)]
    }
}

#[allow(clippy::cast_possible_truncation, reason = "less than the number of buckets")]
const fn index(bucket: u64) -> usize {
    (bucket % BUCKETS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn handshakes_count_once_they_had_a_second_to_complete_and_for_five_more() {
        let mut rate = Rate::default();
        (0..100).for_each(|_| rate.attempt(at(100_000)));
        for (millis, open) in [(100_000, 0), (101_400, 0), (101_500, 100), (106_400, 100), (106_500, 0), (900_000, 0)] {
            assert_eq!(rate.half_open(at(millis)), HalfOpen { open, of: open }, "at {millis} ms");
        }
    }

    #[test]
    fn what_has_ended_is_not_open() {
        let mut rate = Rate::default();
        for i in 0..1000 {
            rate.attempt(at(100_000 + i));
            rate.end(at(100_300 + i));
        }
        assert_eq!(rate.half_open(at(102_600)), HalfOpen { open: 0, of: 1000 });
    }

    #[test]
    fn time_may_leap() {
        let mut rate = Rate::default();
        rate.attempt(Time::from_nanos(u64::MAX));
        rate.attempt(Time::ZERO);
        assert_eq!(rate.recent_attempts(Time::from_nanos(u64::MAX)), 2);
    }
}
