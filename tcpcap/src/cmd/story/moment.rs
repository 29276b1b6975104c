//! Times of day in a story, relative to when it is told.

use std::time::{Duration, SystemTime};

use super::{GLUE, span};
use crate::history::clock;

/// When a story is told; none where that cannot be read.
pub(super) struct Moment(Option<SystemTime>);

impl Moment {
    pub(super) fn of(text: &str) -> Self {
        Self(humantime::parse_rfc3339(text).ok())
    }

    /// `16:10:00 UTC (in 9 min 20 s)`
    pub(super) fn hence(&self, seconds: u64) -> String {
        let at = self.0.and_then(|now| now.checked_add(Duration::from_secs(seconds)));
        let left = span(seconds);
        at.map_or_else(|| format!("the end of {left}"), |at| format!("{} (in {left})", self.shown(at)))
    }

    /// `15:59:20 UTC (1 min 20 s ago)`
    pub(super) fn ago(&self, seconds: u64) -> String {
        let at = self.0.and_then(|now| now.checked_sub(Duration::from_secs(seconds)));
        let past = span(seconds);
        at.map_or_else(|| format!("a time {past} ago"), |at| format!("{} ({past} ago)", self.shown(at)))
    }

    /// The time of day, with its date where that is another.
    pub(super) fn shown(&self, at: SystemTime) -> String {
        let (at, now) = (clock::shown(at), self.0.map(clock::shown).unwrap_or_default());
        // `2025-11-24T16:00:00.123Z`
        let (Some((date, time)), today) = (at.split_once('T'), now.get(..10)) else { return at };
        let time = time.get(..8).unwrap_or(time);
        if today == Some(date) { format!("{time}{GLUE}UTC") } else { format!("{date}{GLUE}{time}{GLUE}UTC") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_its_date_unless_it_is_today() {
        let moment = Moment::of("2025-11-24T23:50:00.000Z");
        let plain = |text: String| text.replace(GLUE, " ");
        assert_eq!(plain(moment.hence(560)), "23:59:20 UTC (in 9 min 20 s)");
        assert_eq!(plain(moment.hence(1200)), "2025-11-25 00:10:00 UTC (in 20 min)");
        assert_eq!(plain(moment.ago(3 * 86_400)), "2025-11-21 23:50:00 UTC (3 d ago)");
    }

    #[test]
    fn where_it_is_unknown_when_the_story_is_told_spans_stay() {
        let moment = Moment::of("yesterday");
        assert_eq!((&*moment.hence(60), &*moment.ago(60)), ("the end of 1\u{a0}min", "a time 1\u{a0}min ago"));
        assert!(Moment::of("2025-11-24T00:00:00Z").hence(u64::MAX).starts_with("the end of 213503982334601\u{a0}d"));
    }
}
