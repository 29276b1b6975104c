use std::sync::atomic::{AtomicU64, Ordering};

use tracing::{error, info, warn};

use super::{
    testing::{TIME, said, said_within},
    *,
};

#[test]
fn a_line_for_people_begins_with_its_time_and_names_a_level_that_matters() {
    let lines = || {
        info!(event = "adopted", "usual");
        warn!("odd");
        error!("bad");
    };
    let limit = Arc::new(Limit::new(|| Time::ZERO));
    assert_eq!(said(Format::Human, lines), format!("{TIME} usual\n{TIME} WARN odd\n{TIME} ERROR bad\n"));
    assert_eq!(
        said_within(&limit, Format::Human, true, lines),
        format!("{TIME} usual\n{TIME}\x1b[33m WARN\x1b[0m odd\n{TIME}\x1b[31m ERROR\x1b[0m bad\n")
    );
}

#[test]
fn a_message_cannot_begin_a_line_of_its_own_or_colour_the_terminal() {
    let text = said(Format::Human, || warn!("a\nb\x1b[31mc\u{9b}d"));
    assert_eq!(text, format!("{TIME} WARN a b [31mc d\n"));
}

/// A clock for one test alone: it is looked at by function, not by reference.
static NOW: AtomicU64 = AtomicU64::new(0);

#[test]
fn a_storm_of_one_kind_is_held_back_and_told_of_and_others_pass() {
    let limit = Arc::new(Limit::new(|| Time::from_secs(NOW.load(Ordering::Relaxed))));
    let log = Log { limit: Arc::clone(&limit), lines: None, journal: None };
    let text = said_within(&limit, Format::Human, false, || {
        for i in 0..500 {
            warn!(event = "drift", "drift {i}");
            error!("cannot do {i}");
        }
        info!(event = "block", "Blocked 192.0.2.1 for 10 min");
        log.tell_held_back();
        log.tell_held_back();
        NOW.store(1, Ordering::Relaxed);
        warn!(event = "drift", "drift again");
    });
    assert_eq!(text.matches(" drift ").count(), 101);
    assert_eq!(text.matches(" cannot do ").count(), 100 + 1, "the first one held back is in the line that says so");
    let last: Vec<&str> = text.lines().skip(200).map(|line| line.strip_prefix(TIME).unwrap().trim()).collect();
    assert_eq!(
        last,
        [
            "Blocked 192.0.2.1 for 10 min",
            "WARN 400 more lines of the kind `drift`, held back",
            "WARN 400 more lines like this one, held back: cannot do 100",
            "WARN drift again",
        ]
    );
    let held: Vec<_> = log.held_back().into_iter().filter(|(_, n)| *n > 0).collect();
    assert_eq!(held, [("drift", 400), (OTHER, 400)]);
}

#[test]
fn places_without_a_kind_are_counted_each_for_itself() {
    let text = said(Format::Human, || {
        (0..200).for_each(|i| warn!("one {i}"));
        (0..200).for_each(|i| warn!("two {i}"));
    });
    assert_eq!((text.matches(" one ").count(), text.matches(" two ").count()), (100, 100));
}

#[test]
fn what_is_held_back_can_be_counted_before_anything_was() {
    let log = Log::silent();
    let counted = log.held_back();
    assert_eq!(counted.len(), Kind::ALL.len() + 1);
    assert!(counted.iter().all(|(_, n)| *n == 0));
    assert_eq!(log.dropped(), 0);
}
