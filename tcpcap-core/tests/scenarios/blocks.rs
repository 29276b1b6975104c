//! From finding to block, over longer time.

use std::time::Duration;

use tcpcap_core::{Config, Engine, Outcome, Preset, Protected, Protection, Source, Thresholds, Time, Verdict};

use crate::world::{World, engine, ip, ms};

const SCANNER: &str = "203.0.113.7";

fn scan_at(secs: u64) -> World {
    let mut world = World::new();
    (0..100).for_each(|i| world.closed(ms(1000 * secs + i), SCANNER, 2000 + i as u16));
    world
}

#[test]
fn a_scan_that_goes_on_while_the_block_is_on_its_way_is_one_block() {
    let verdicts = scan_at(0).found();
    assert_eq!(verdicts.len(), 1);
    assert!(matches!(verdicts[0].decision.outcome, Outcome::Block { .. }));
}

#[test]
fn a_scanner_that_comes_back_is_blocked_for_twice_as_long() {
    let (mut engine, nobody) = (engine(Preset::Balanced), Protected::default());
    let ttls = [0, 1000, 3000].map(|t| scan_at(t).play(&mut engine, &nobody)[0].decision.ttl.as_secs());
    assert_eq!(ttls, [600, 1200, 2400]);
}

#[test]
fn whom_an_operator_lets_go_is_judged_anew_and_blocked_as_for_the_first_time() {
    let mut engine = engine(Preset::Balanced);
    let first = scan_at(0).see(&mut engine);
    let source = first[0].finding.source.unwrap();
    assert!(scan_at(1).see(&mut engine).is_empty(), "blocked, so nothing of it is news");
    assert!(engine.forget(source));
    let again = scan_at(2).see(&mut engine);
    assert!(matches!(again[0].decision.outcome, Outcome::Block { .. }));
    assert_eq!(again[0].decision.times, 1);
    assert!(!engine.forget(Source::of(ip("192.0.2.99").into(), ip("198.51.100.1").into())), "nobody knows it");
}

#[test]
fn changed_thresholds_hold_for_what_was_seen_before() {
    let mut engine = engine(Preset::Relaxed);
    let mut world = World::new();
    (0..10).for_each(|i| world.closed(ms(i), SCANNER, 2000 + i as u16));
    assert!(world.see(&mut engine).is_empty());
    engine.configure(&Config { thresholds: Thresholds::of(Preset::Strict), ..Config::default() });
    let mut world = World::new();
    world.closed(ms(11), SCANNER, 3000);
    assert_eq!(world.see(&mut engine)[0].finding.attempts_before, 10);
}

#[test]
fn observing_finds_what_blocking_would_find() {
    let config = Config { observe: true, ..Config::default() };
    let mut world = World::new();
    // An hour of scanning without a pause.
    (0..36_000).for_each(|i| world.closed(ms(100 * i), SCANNER, 2000 + (i % 60_000) as u16));
    let verdicts = world.play(&mut Engine::new(&config), &Protected::default());
    assert!(verdicts.iter().all(|v| matches!(v.decision.outcome, Outcome::Observe { .. })));
    let ttls: Vec<u64> = verdicts.iter().map(|v| v.decision.ttl.as_secs()).collect();
    assert_eq!(ttls, [600, 1200, 2400], "one finding for each time that the block would have ended");
}

#[test]
fn a_protected_source_is_found_once_a_minute_and_never_blocked() {
    let mut protected = Protected::default();
    protected.set_host([], [ip(SCANNER)]);
    let mut world = World::new();
    (0..1800).for_each(|i| world.closed(ms(100 * i), SCANNER, 2000 + i as u16));
    let mut engine = engine(Preset::Balanced);
    let verdicts = world.play(&mut engine, &protected);
    assert!((2..=4).contains(&verdicts.len()), "{} findings in three minutes", verdicts.len());
    assert!(verdicts.iter().all(|v| matches!(v.decision.outcome, Outcome::Suppressed(_))));
    assert_eq!(engine.stats().blocked, 0);
    assert!(engine.expire(Time::ZERO + Duration::from_secs(86_400)).is_empty());
}

#[test]
fn nothing_that_is_sent_in_the_name_of_what_the_host_needs_gets_it_blocked() {
    for (who, why) in [
        ("198.51.100.1", "an address of this host"),
        ("198.51.100.254", "a default gateway"),
        ("192.0.2.53", "a resolver of this host"),
        ("192.0.2.9", "has an SSH session on this host"),
        ("192.0.2.11", "where tcpcap is controlled from"),
    ] {
        let mut protected = Protected::default();
        protected.set_host([ip("198.51.100.1")], [ip("198.51.100.254")]);
        protected.set_resolvers([ip("192.0.2.53")]);
        protected.set_sessions([ip("192.0.2.9")]);
        protected.set_controls([ip("192.0.2.11")]);
        let mut world = World::new();
        (0..100).for_each(|i| world.closed(ms(i), who, 2000 + i as u16));
        let mut engine = engine(Preset::Balanced);
        let verdicts = world.play(&mut engine, &protected);
        assert!(!verdicts.is_empty(), "{who} is found");
        for Verdict { decision, .. } in &verdicts {
            assert!(matches!(decision.outcome, Outcome::Suppressed(_)), "{who}: {decision:?}");
            assert!(decision.to_string().contains(why), "{decision}");
        }
        assert_eq!(engine.stats().blocked, 0);
    }
}

#[test]
fn a_blocked_source_that_becomes_protected_is_free_and_when_that_ends_it_is_judged_anew() {
    let (mut engine, nobody) = (engine(Preset::Balanced), Protected::default());
    assert_eq!(scan_at(0).play(&mut engine, &nobody).len(), 1);
    let mut protected = Protected::default();
    protected.set_sessions([ip(SCANNER)]);
    let lifted = engine.lift_protected(&protected);
    assert_eq!(lifted, [(Source(ip(SCANNER).into()), Protection::Session(ip(SCANNER)))]);
    assert_eq!(engine.stats().blocked, 0);
    let verdicts = scan_at(10).play(&mut engine, &protected);
    assert!(matches!(verdicts[0].decision.outcome, Outcome::Suppressed(_)), "the block would have lasted ten minutes");
    engine.unprotect(ip(SCANNER));
    let verdicts = scan_at(20).play(&mut engine, &nobody);
    assert!(matches!(verdicts[0].decision.outcome, Outcome::Block { .. }));
    assert_eq!(verdicts[0].decision.times, 1);
}

#[test]
fn forged_sources_get_nobody_blocked() {
    let mut world = World::new();
    for n in 0..200_000u32 {
        let from = std::net::Ipv4Addr::from_bits(n.wrapping_mul(2_654_435_761));
        world.closed_at(Duration::from_micros(10 * u64::from(n)), from.into(), (ip("198.51.100.1"), 80));
    }
    let mut engine = engine(Preset::Balanced);
    let verdicts = world.play(&mut engine, &Protected::default());
    assert_eq!(verdicts.len(), 1, "{verdicts:?}");
    let finding = &verdicts[0].finding;
    assert_eq!((finding.rule.name(), finding.window, finding.source), ("flood", "port", None));
    assert_eq!(finding.to_string(), "SYN flood detected: many sources -> 198.51.100.1 on ports 80");
    assert_eq!((&verdicts[0].decision.outcome, engine.stats().blocked), (&Outcome::Alert, 0));
    assert!(engine.stats().tracked_sources <= tcpcap_core::detect::MAX_SOURCES);
    assert!(engine.stats().evicted_sources > 0);
}
