//! Time as the core knows it: whatever the caller counts, in nanoseconds, never read from a clock here.

use std::fmt;
use std::ops::Add;
use std::time::Duration;

/// A point in time, in nanoseconds: `CLOCK_BOOTTIME` in the daemon, capture time in `replay`.
///
/// All arithmetic saturates, so that a capture whose clock runs backwards cannot make a window negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The beginning.
    pub const ZERO: Self = Self(0);

    /// Nanoseconds after the beginning.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the beginning.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole seconds after the beginning.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds from `earlier` to this; 0 if `earlier` is not earlier.
    #[must_use]
    pub const fn nanos_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Time from `earlier` to this; zero if `earlier` is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanos_since(earlier))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(nanos(span)))
    }
}

/// A duration in nanoseconds; what does not fit (584 years) is the longest that does.
#[must_use]
pub fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Shows a duration as people write it, in at most two units: `45 s`, `10 min`, `1 h 20 min`, `30 d 2 h`.
#[derive(Clone, Copy, Debug)]
pub struct Readable(pub Duration);

/// From here on people count in days.
const TWO_DAYS: u64 = 2 * 86_400;

impl fmt::Display for Readable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = self.0.as_secs();
        let ((big, big_unit), (small, small_unit)) = match s {
            0..60 => ((s, "s"), (0, "")),
            60..3600 => ((s / 60, "min"), (s % 60, "s")),
            3600..TWO_DAYS => ((s / 3600, "h"), (s % 3600 / 60, "min")),
            _ => ((s / 86_400, "d"), (s % 86_400 / 3600, "h")),
        };
        write!(f, "{big} {big_unit}")?;
        if small > 0 { write!(f, " {small} {small_unit}") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_neither_wraps_nor_goes_negative() {
        assert_eq!(Time::from_secs(1).since(Time::from_secs(2)), Duration::ZERO);
        assert_eq!(Time(u64::MAX) + Duration::from_secs(1), Time(u64::MAX));
        assert_eq!(Time::ZERO + Duration::MAX, Time(u64::MAX));
        assert_eq!(Time::from_secs(3).since(Time::from_secs(1)), Duration::from_secs(2));
    }

    #[test]
    fn durations_read_as_people_write_them() {
        for (secs, text) in [
            (0, "0 s"),
            (45, "45 s"),
            (600, "10 min"),
            (90, "1 min 30 s"),
            (4800, "1 h 20 min"),
            (86_400, "24 h"),
            (172_799, "47 h 59 min"),
            (172_800, "2 d"),
            (30 * 86_400 + 7_200, "30 d 2 h"),
            (3650 * 86_400, "3650 d"),
        ] {
            assert_eq!(Readable(Duration::from_secs(secs)).to_string(), text);
        }
    }
}
