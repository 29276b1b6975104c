//! How many lines of one kind a second there are at most. What is more is held back, counted, and told of in one line.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tcpcap_core::Time;
use tracing::{Event, Subscriber, callsite::Identifier, field::Field};
use tracing_subscriber::layer::{Context, Layer};

use super::{
    human,
    kind::{Kind, WITHOUT_KIND},
};

/// The name of lines without a kind.
pub const OTHER: &str = "other";

/// How long a count goes on.
const SPAN: Duration = Duration::from_secs(1);

/// What is counted together: there are as many as kinds, and as places in the code that write lines.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Kind(Kind),
    Place(Identifier),
}

#[derive(Debug, Default)]
struct Count {
    since: Time,
    passed: u32,
    /// Held back and not told of yet.
    held: u64,
    /// The first of those.
    first: String,
}

/// Lines that were held back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// Of which kind; `None` for those of a place that has none.
    pub(super) kind: Option<Kind>,
    /// How many.
    pub(super) lines: u64,
    /// The first of them.
    pub(super) first: String,
}

/// The counts.
#[derive(Debug, Default)]
struct Counts {
    by_key: HashMap<Key, Count>,
    totals: HashMap<Option<Kind>, u64>,
}

impl Counts {
    /// Whether one more line may be written. The first in a second always may.
    fn admit(&mut self, key: &Key, now: Time, line: impl FnOnce() -> String) -> bool {
        let (kind, limit) = match key {
            Key::Kind(kind) => (Some(*kind), kind.per_second()),
            Key::Place(_) => (None, WITHOUT_KIND),
        };
        let count = self.by_key.entry(key.clone()).or_default();
        if count.passed == 0 || now.since(count.since) >= SPAN {
            (count.since, count.passed) = (now, 0);
        }
        if count.passed < limit {
            count.passed += 1;
            return true;
        }
        if count.held == 0 {
            count.first = line();
        }
        count.held += 1;
        *self.totals.entry(kind).or_default() += 1;
        false
    }
}

/// What writes lines asks here first.
#[derive(Debug)]
pub(super) struct Limit {
    counts: Mutex<Counts>,
    clock: fn() -> Time,
}

impl Limit {
    pub(super) fn new(clock: fn() -> Time) -> Self {
        Self { counts: Mutex::default(), clock }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one more new connection may be logged. Its line is not asked about again.
    pub(super) fn takes_connection(&self, now: Time) -> bool {
        self.counts().admit(&Key::Kind(Kind::Connection), now, String::new)
    }

    /// What was held back since it was last asked, kinds first.
    pub(super) fn take_held(&self) -> Vec<Held> {
        let mut held: Vec<Held> = self
            .counts()
            .by_key
            .iter_mut()
            .filter(|(_, count)| count.held > 0)
            .map(|(key, count)| Held {
                kind: if let Key::Kind(kind) = key { Some(*kind) } else { None },
                lines: std::mem::take(&mut count.held),
                first: std::mem::take(&mut count.first),
            })
            .collect();
        held.sort_by(|a, b| {
            (a.kind.map_or("~", Kind::name), &a.first).cmp(&(b.kind.map_or("~", Kind::name), &b.first))
        });
        held
    }

    /// Lines held back since the start, of each kind, and last of those that have none.
    pub(super) fn totals(&self) -> Vec<(&'static str, u64)> {
        let counts = self.counts();
        let kinds = Kind::ALL.into_iter().map(Some).chain([None]);
        kinds.map(|k| (k.map_or(OTHER, Kind::name), counts.totals.get(&k).copied().unwrap_or(0))).collect()
    }
}

/// The layer that holds lines back from all others.
pub(super) struct Gate(pub(super) std::sync::Arc<Limit>);

impl<S: Subscriber> Layer<S> for Gate {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let mut kind = KindOf(None);
        event.record(&mut kind);
        let key = match kind.0 {
            // Asked about before; and one line a second and kind is few.
            Some(Kind::Connection | Kind::HeldBack) => return true,
            Some(kind) => Key::Kind(kind),
            None => Key::Place(event.metadata().callsite()),
        };
        let now = (self.0.clock)();
        self.0.counts().admit(&key, now, || human::message(event))
    }
}

/// Picks the kind out of an event's fields.
struct KindOf(Option<Kind>);

impl tracing::field::Visit for KindOf {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "event" {
            self.0 = Kind::of(value);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_nanos(millis * 1_000_000)
    }

    fn limit() -> Limit {
        Limit::new(|| Time::ZERO)
    }

    fn admit(limit: &Limit, kind: Kind, now: Time) -> bool {
        limit.counts().admit(&Key::Kind(kind), now, || format!("line at {now:?}"))
    }

    #[test]
    fn lines_over_a_kinds_limit_are_held_back_until_its_second_is_over() {
        let limit = limit();
        let written = (0..250).filter(|i| admit(&limit, Kind::Lift, at(5_000 + i))).count();
        assert_eq!(written, 100);
        assert!(!admit(&limit, Kind::Lift, at(5_999)));
        assert!(admit(&limit, Kind::Lift, at(6_000)));
        let [held] = &limit.take_held()[..] else { panic!("one kind was held back") };
        assert_eq!((held.kind, held.lines), (Some(Kind::Lift), 151));
        assert_eq!(held.first, format!("line at {:?}", at(5_100)));
        assert_eq!(limit.take_held(), [], "each is told of once");
        assert_eq!(limit.totals().iter().filter(|(_, n)| *n > 0).collect::<Vec<_>>(), [&("lift", 151)]);
    }

    #[test]
    fn one_kinds_storm_holds_back_no_other() {
        let limit = limit();
        assert!((0..1000).any(|_| !admit(&limit, Kind::Drift, at(1))));
        for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Drift) {
            assert!(admit(&limit, kind, at(1)), "{kind:?}");
        }
    }

    #[test]
    fn ten_thousand_new_connections_a_second_are_logged_and_the_others_counted() {
        let limit = limit();
        let taken = |second| (0..12_345).filter(|_| limit.takes_connection(Time::from_secs(second))).count();
        assert_eq!(taken(7), 10_000);
        assert_eq!(taken(8), 10_000);
        assert_eq!(limit.take_held()[0].lines, 2 * 2_345);
    }

    #[test]
    fn a_clock_that_stands_still_holds_no_first_line_back() {
        let limit = limit();
        assert!(admit(&limit, Kind::Feed, Time::ZERO));
        assert!(admit(&limit, Kind::Feed, Time::ZERO));
    }
}
