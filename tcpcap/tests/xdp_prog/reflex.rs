//! The reflex: who tries too much in vain is held before userspace has judged it, and whoever the detector would not
//! find is not.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
};

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use tcpcap::kernel::{Reflex, Wish};
use tcpcap_common::{
    tally::{End, Note},
    wire::flag::{ACK, RST},
};
use tcpcap_core::ReflexLimits;
use tcpcap_lab::Frame;

use crate::sensor::{IN_VIEW, OWN_V4, OWN_V6, Sensor, addr, cpus, now, stay_on};

const FROM: [&str; 2] = ["192.0.2.7", "2001:db8::"];
const SECOND_NS: u64 = 1_000_000_000;
/// Ports from here on weigh one.
const HIGH: u16 = 2000;

fn wish(pairs: u32, refused: u32) -> Wish {
    let limits = ReflexLimits { pairs: Some(pairs), refused: Some(refused) };
    Wish { reflex: Some(Reflex { limits, per_s: 10 }), ..IN_VIEW }
}

fn reflexive(pairs: u32, refused: u32) -> Sensor {
    let mut sensor = Sensor::new();
    sensor.see_answers();
    sensor.tell(&wish(pairs, refused));
    sensor
}

fn ends(from: &str) -> (IpAddr, IpAddr) {
    let from: IpAddr = from.parse().unwrap();
    (from, if from.is_ipv4() { OWN_V4.into() } else { OWN_V6.into() })
}

fn knock(from: &str, port: u16) -> Frame {
    let (from, to) = ends(from);
    Frame::tcp((from, 40_000), (to, port)).seq(1000, 0)
}

fn refusal(to: &str, port: u16) -> Frame {
    let (to, from) = ends(to);
    Frame::tcp((from, port), (to, 40_000)).flags(RST | ACK).seq(0, 1001)
}

/// Knocks at ports from the given one on and has each refused or not, until the source is held; how many that took.
fn knocks_until_held(sensor: &mut Sensor, from: &str, first: u16, refused: bool) -> u32 {
    for n in 0..200u16 {
        match sensor.end(&knock(from, first + n)) {
            End::Held => return n.into(),
            end => assert_eq!(end, End::Attempt),
        }
        if refused {
            sensor.leave(&refusal(from, first + n));
        }
    }
    panic!("{from} was not held");
}

#[test]
fn a_source_is_held_when_it_has_left_too_many_pairs_incomplete() {
    for from in FROM {
        let mut sensor = reflexive(20, 0);
        let took = knocks_until_held(&mut sensor, from, HIGH, false);
        // Two that share a bit of 128 are one.
        assert!((20..=26).contains(&took), "{took}");
        let record = sensor.record(from).unwrap();
        assert_eq!(record.pairs, 20);
        assert_eq!(record.attempts, u64::from(took), "what is dropped is no attempt");
    }
}

#[test]
fn a_source_is_held_when_too_much_was_refused_to_it_and_privileged_ports_weigh_two() {
    for from in FROM {
        for (first, least) in [(HIGH, 9), (1, 5)] {
            let mut sensor = reflexive(0, 9);
            let took = knocks_until_held(&mut sensor, from, first, true);
            assert!((least..least + 3).contains(&took), "{took} from {first}");
        }
    }
}

#[test]
fn only_what_would_open_something_is_dropped() {
    for from in FROM {
        let mut sensor = reflexive(5, 0);
        assert_eq!(sensor.end(&knock(from, 80)), End::Attempt);
        knocks_until_held(&mut sensor, from, HIGH, false);
        assert_eq!(sensor.send(&knock(from, 1)), (End::Held, vec![]));
        assert_eq!(sensor.end(&knock(from, 80)), End::Held, "its own SYN again");
        assert_eq!(sensor.end(&knock(from, 80).flags(0)), End::Held, "a probe");
        assert_eq!(sensor.end(&knock(from, 443).flags(ACK)), End::Segment, "what is established goes on");
        let neighbour = if from.contains(':') { "2001:db8:0:1::" } else { "192.0.2.8" };
        assert_eq!(sensor.end(&knock(neighbour, 80)), End::Attempt);
        assert_eq!(sensor.events().len() as u64, sensor.record(from).unwrap().attempts + 1, "userspace heard of each");
    }
}

#[test]
fn it_ends_by_itself_and_begins_again_with_the_next_pair() {
    let mut sensor = reflexive(5, 0);
    knocks_until_held(&mut sensor, FROM[0], HIGH, false);
    let held_for = sensor.record(FROM[0]).unwrap().held_until.saturating_sub(now());
    assert!((1..=SECOND_NS).contains(&held_for), "{held_for}");
    sensor.age_reflex(FROM[0], SECOND_NS);
    assert_eq!(sensor.end(&knock(FROM[0], HIGH)), End::Retransmission, "a SYN that was let pass before");
    let again = knocks_until_held(&mut sensor, FROM[0], HIGH + 1000, false);
    assert!((1..=3).contains(&again), "{again}");
}

#[test]
fn trying_one_pair_again_and_again_counts_once() {
    let mut sensor = reflexive(3, 3);
    for n in 0..50 {
        let frame = knock(FROM[0], 8080).seq(5000 * n, 0);
        assert_eq!(sensor.end(&frame), End::Attempt, "{n}");
        sensor.leave(&refusal(FROM[0], 8080).seq(0, 5000 * n + 1));
    }
}

#[test]
fn what_was_completed_does_not_count() {
    for from in FROM {
        let mut sensor = reflexive(5, 0);
        for port in HIGH..HIGH + 60 {
            assert_eq!(sensor.end(&knock(from, port)), End::Attempt, "{port}");
            let (us, them) = ends(from);
            sensor.leave(&Frame::tcp((them, port), (us, 40_000)).flags(ACK | 2).seq(7000, 1001));
            assert_eq!(sensor.end(&knock(from, port).flags(ACK).seq(1001, 7001)), End::Completion);
        }
    }
}

#[test]
fn a_tools_marks_on_nearly_all_halve_the_limits() {
    let mut sensor = reflexive(20, 0);
    let nmap = |port| knock(FROM[0], port).window(1024).options(&[2, 4, 5, 180]);
    let held = (0..30).position(|n| sensor.end(&nmap(HIGH + n)) == End::Held).unwrap();
    assert!((10..=13).contains(&held), "{held}");
}

#[test]
fn after_a_minute_it_counts_anew() {
    let mut sensor = reflexive(5, 0);
    for minute in 0..5 {
        for n in 0..4 {
            assert_eq!(sensor.end(&knock(FROM[0], HIGH + 10 * minute + n)), End::Attempt);
        }
        sensor.age_reflex(FROM[0], 60 * SECOND_NS);
    }
}

#[test]
fn who_is_allowed_passes_and_observe_mode_only_counts() {
    let mut sensor = Sensor::new();
    sensor.allow(&["192.0.2.0/24"], &wish(3, 0));
    for n in 0..20 {
        let (end, notes) = sensor.send(&knock(FROM[0], HIGH + n));
        assert_eq!(end, End::Attempt);
        assert_eq!(notes.contains(&Note::AllowedOverBlock), sensor.record(FROM[0]).unwrap().pairs >= 3 && n > 2, "{n}");
    }
    let mut sensor = reflexive(3, 0);
    sensor.tell(&Wish { observe: true, ..wish(3, 0) });
    let mut would = 0;
    for n in 0..20 {
        let counted = sensor.repeat(&knock(FROM[0], HIGH + n).build(), 1);
        assert_eq!(counted.end(End::Attempt), 1);
        would += counted.would_drop();
    }
    assert!((15..=17).contains(&would), "{would}");
}

#[test]
fn nobody_is_held_unless_userspace_wishes_it() {
    let mut sensor = Sensor::new();
    sensor.see_answers();
    for n in 0..200 {
        assert_eq!(sensor.end(&knock(FROM[0], 1 + n)), End::Attempt);
        sensor.leave(&refusal(FROM[0], 1 + n));
    }
}

#[test]
fn whom_userspace_lets_go_is_spared_until_it_says() {
    let mut sensor = reflexive(5, 0);
    knocks_until_held(&mut sensor, FROM[0], HIGH, false);
    let until = now() + 60 * SECOND_NS;
    sensor.sources().let_go(addr(FROM[0]), until).unwrap();
    let before = sensor.record(FROM[0]).unwrap();
    for n in 0..40 {
        assert_eq!(sensor.end(&knock(FROM[0], HIGH + 100 + n)), End::Attempt);
    }
    let after = sensor.record(FROM[0]).unwrap();
    assert_eq!((after.reflex_start, after.pairs, after.attempts), (until, 0, before.attempts + 40));
    sensor.age_reflex(FROM[0], 60 * SECOND_NS);
    let took = knocks_until_held(&mut sensor, FROM[0], HIGH + 1000, false);
    assert!((5..=7).contains(&took), "{took}");
    sensor.sources().let_go(addr("192.0.2.99"), until).unwrap();
    assert!(sensor.record("192.0.2.99").is_none(), "who has no record gets none");
}

#[test]
fn a_cpu_begins_to_hold_so_many_in_a_second_and_the_others_go_on() {
    let mut sensor = reflexive(2, 0);
    stay_on(cpus()[0]);
    sensor.age_cpus(SECOND_NS);
    let (mut begun, mut over) = (0, 0);
    for source in 0..40 {
        for port in 0..4 {
            let notes = sensor.send(&knock(&format!("192.0.2.{source}"), HIGH + port)).1;
            begun += u32::from(notes.contains(&Note::ReflexBegun));
            over += u32::from(notes.contains(&Note::ReflexOverBudget));
        }
    }
    assert!((10..=20).contains(&begun), "{begun}: of two seconds at most");
    assert!(over >= 20, "{over}");
}

/// What a source does to one of a few ports.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Try(u16),
    Refused(u16),
    Complete(u16),
}

#[test]
fn nobody_is_held_whom_an_exact_count_would_not_find() {
    let deed = (0..3, 1000u16..1060).prop_map(|(what, port)| match what {
        0 => Deed::Try(port),
        1 => Deed::Refused(port),
        _ => Deed::Complete(port),
    });
    let mut sensor = reflexive(12, 12);
    let limits = ReflexLimits { pairs: Some(12), refused: Some(12) };
    sensor.tell(&Wish { reflex: Some(Reflex { limits, per_s: u32::MAX }), ..IN_VIEW });
    let (sensor, source, begun) = (RefCell::new(sensor), Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new(Config { cases: 200, failure_persistence: None, ..Config::default() });
    runner
        .run(&proptest::collection::vec(deed, 0..120), |deeds| {
            let mut sensor = sensor.borrow_mut();
            source.set(source.get() + 1);
            let from = Ipv4Addr::from(0x0a00_0000 + source.get()).to_string();
            let (us, them) = ends(&from);
            let (mut incomplete, mut refused) = (BTreeSet::new(), BTreeSet::new());
            for deed in deeds {
                let notes = match deed {
                    Deed::Try(port) => {
                        let (end, notes) = sensor.send(&knock(&from, port));
                        if end != End::Held {
                            incomplete.insert(port);
                        }
                        notes
                    }
                    Deed::Refused(port) => {
                        let notes = sensor.leave(&refusal(&from, port));
                        if notes.contains(&Note::Refused) {
                            refused.insert(port);
                        }
                        notes
                    }
                    Deed::Complete(port) => {
                        sensor.leave(&Frame::tcp((them, port), (us, 40_000)).flags(ACK | 2).seq(7000, 1001));
                        let (end, notes) = sensor.send(&knock(&from, port).flags(ACK).seq(1001, 7001));
                        if end == End::Completion {
                            incomplete.remove(&port);
                            refused.remove(&port);
                        }
                        notes
                    }
                };
                if notes.contains(&Note::ReflexBegun) {
                    let score: u32 = refused.iter().map(|&port| if port < 1024 { 3 } else { 1 }).sum();
                    prop_assert!(incomplete.len() >= 12 || score >= 12, "{incomplete:?} {refused:?}");
                    begun.set(begun.get() + 1);
                }
            }
            Ok(())
        })
        .unwrap();
    assert!(begun.get() > 10, "{}: nearly nobody was held", begun.get());
}
