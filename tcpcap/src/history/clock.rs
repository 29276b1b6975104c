//! The two clocks: the host's, which never jumps and starts anew with each boot, and the wall's, which outlives a boot.

use std::{
    fs,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tcpcap_core::{Time, time::nanos};

use crate::host;

/// Where the history gets the time from.
pub trait Clock: Send + Sync {
    /// Time since boot, suspend included.
    fn boot(&self) -> Time;
    /// The wall clock, whatever people and NTP do to it.
    fn wall(&self) -> SystemTime;
    /// Which boot this is. Unknown counts as another one each time.
    fn boot_id(&self) -> Option<String>;
}

/// The clocks of this host.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostClock;

impl Clock for HostClock {
    fn boot(&self) -> Time {
        host::now()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn boot_id(&self) -> Option<String> {
        let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(id.trim().to_owned()).filter(|id| !id.is_empty())
    }
}

/// Both clocks, read together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) boot: Time,
    /// Milliseconds since the epoch.
    pub(super) wall: i64,
}

impl Moment {
    pub(super) fn of(clock: &dyn Clock) -> Self {
        Self { boot: clock.boot(), wall: to_millis(clock.wall()) }
    }

    /// What the wall clock showed, or will show, at a time of this boot.
    pub(super) fn wall_at(self, time: Time) -> i64 {
        let ahead = millis(time.nanos_since(self.boot));
        let behind = millis(self.boot.nanos_since(time));
        self.wall.saturating_add(ahead).saturating_sub(behind)
    }

    /// The time of this boot at which the wall clock showed this: the boot itself if it was before.
    pub(super) fn boot_at(self, wall: i64) -> Time {
        let ago = span(self.wall.saturating_sub(wall));
        Time::from_nanos(self.boot.as_nanos().saturating_sub(nanos(ago)))
    }
}

/// What was written under a boot, as seen now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Since {
    /// That boot is still this one.
    pub(super) same_boot: bool,
    /// When, in that boot, something was last written.
    pub(super) seen: Time,
    pub(super) now: Moment,
}

impl Since {
    /// The end in this boot's time of what began and ends then; `None` if it is over. Across boots it is the wall clock
    /// that tells, but never more than what was left when last seen: a clock set wrong makes nothing longer.
    pub(super) fn until(&self, began: Time, until: Time, ends_at: i64) -> Option<Time> {
        if self.same_boot {
            return Some(until).filter(|until| *until > self.now.boot);
        }
        let most = until.since(self.seen.max(began));
        let left = span(ends_at.saturating_sub(self.now.wall)).min(most);
        (!left.is_zero()).then(|| self.now.boot + left)
    }

    /// The beginning in this boot's time.
    pub(super) fn since(&self, since: Time, since_at: i64) -> Time {
        if self.same_boot { since } else { self.now.boot_at(since_at) }
    }
}

/// Milliseconds since the epoch, negative before.
pub(super) fn to_millis(time: SystemTime) -> i64 {
    let whole = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => whole(after),
        Err(before) => whole(before.duration()).saturating_neg(),
    }
}

/// The time of so many milliseconds since the epoch; what the system cannot say is the epoch.
pub(super) fn from_millis(millis: i64) -> SystemTime {
    let span = Duration::from_millis(millis.unsigned_abs());
    let time = if millis < 0 { UNIX_EPOCH.checked_sub(span) } else { UNIX_EPOCH.checked_add(span) };
    time.unwrap_or(UNIX_EPOCH)
}

/// As the log has it.
pub(super) fn rfc3339(millis: i64) -> String {
    // What the format can say: the years 1970 to 9999.
    let shown = millis.clamp(0, 253_402_300_799_999);
    humantime::format_rfc3339_millis(from_millis(shown)).to_string()
}

fn millis(nanos: u64) -> i64 {
    i64::try_from(nanos / 1_000_000).unwrap_or(i64::MAX)
}

fn span(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

/// A wall-clock time as people and machines read it: `2025-11-24T16:00:00.123Z`.
#[must_use]
pub fn shown(time: SystemTime) -> String {
    rfc3339(to_millis(time))
}

/// A wall-clock time as text, such as `2025-11-24T16:00:00.123Z`, for serde.
pub mod text {
    use std::time::SystemTime;

    use serde::{Deserialize, Deserializer, Serializer, de};

    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::shown(*time))
    }

    /// # Errors
    /// It is no such text.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_rfc3339(&text).map_err(|e| de::Error::custom(format!("`{text}` is no time: {e}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn since(same_boot: bool, boot_secs: u64, wall: i64) -> Since {
        let now = Moment { boot: Time::from_secs(boot_secs), wall };
        Since { same_boot, seen: Time::from_secs(1000), now }
    }

    /// Begun 1,000 s after boot for 600 s, at wall time 0.
    fn left(since: &Since) -> Option<u64> {
        let until = since.until(Time::from_secs(1000), Time::from_secs(1600), 600_000)?;
        Some(until.since(since.now.boot).as_secs())
    }

    #[test]
    fn within_a_boot_the_wall_clock_changes_nothing() {
        for wall in [-HOUR, 0, HOUR, 400 * 24 * HOUR] {
            assert_eq!(left(&since(true, 1100, wall)), Some(500));
            assert_eq!(left(&since(true, 1600, wall)), None);
        }
    }

    #[test]
    fn after_another_boot_the_wall_clock_tells_and_makes_nothing_longer() {
        for (wall, expected) in
            [(0, Some(600)), (100_000, Some(500)), (600_000, None), (HOUR, None), (-HOUR, Some(600))]
        {
            assert_eq!(left(&since(false, 30, wall)), expected, "{wall}");
        }
        let seen_later = Since { seen: Time::from_secs(1590), ..since(false, 30, -HOUR) };
        assert_eq!(left(&seen_later), Some(10), "of which 590 s had passed");
    }

    #[test]
    fn a_moment_knows_the_wall_clock_of_other_moments() {
        let now = Moment { boot: Time::from_secs(100), wall: 1_000_000 };
        assert_eq!(now.wall_at(Time::from_secs(90)), 990_000);
        assert_eq!(now.wall_at(Time::from_secs(700)), 1_600_000);
        assert_eq!(now.boot_at(990_000), Time::from_secs(90));
        assert_eq!(now.boot_at(0), Time::ZERO, "before this boot");
        assert_eq!(now.boot_at(2_000_000), Time::from_secs(100), "not in the future");
    }

    #[test]
    fn times_of_any_clock_can_be_kept_and_shown() {
        for millis in [0, 1_764_000_000_123, -HOUR] {
            assert_eq!(to_millis(from_millis(millis)), millis);
        }
        assert_eq!(rfc3339(1_764_000_000_123), "2025-11-24T16:00:00.123Z");
        assert_eq!(
            (&*rfc3339(i64::MIN), &*rfc3339(i64::MAX)),
            ("1970-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z")
        );
    }
}
