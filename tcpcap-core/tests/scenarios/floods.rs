//! Floods, guesses and fans: what is told, and that nobody is blocked for it.

use std::net::Ipv4Addr;

use tcpcap_core::{Config, Engine, Outcome, Protected, SightingKind, Thresholds, Verdict, detect::brute_force};

use crate::world::{HOST, OWN_STACK, World, ip, ms};

const SOURCE: &str = "203.0.113.7";

fn told(found: &[Verdict]) -> Vec<(&'static str, &'static str)> {
    assert!(found.iter().all(|v| v.decision.outcome == Outcome::Alert), "{found:?}");
    found.iter().map(|v| (v.finding.rule.name(), v.finding.window)).collect()
}

/// `n` SYNs from as many sources, one a millisecond.
fn forged(n: u32, port: impl Fn(u32) -> u16) -> World {
    let mut world = World::new();
    for i in 0..n {
        world.closed_at(ms(u64::from(i)), Ipv4Addr::from_bits(0x0b00_0000 + i * 7919).into(), (ip(HOST), port(i)));
    }
    world
}

#[test]
fn a_flood_of_forged_sources_is_one_alert_about_the_target() {
    let found = forged(5000, |_| 443).found();
    assert_eq!(told(&found), [("flood", "port")]);
    let finding = &found[0].finding;
    assert_eq!(
        (finding.source, finding.targets.as_slice(), finding.ports.as_slice()),
        (None, &[ip(HOST)][..], &[443][..])
    );
}

#[test]
fn a_flood_of_all_ports_of_an_address_is_one_alert_about_the_address() {
    let found = forged(5000, |i| 1024 + i as u16).found();
    assert_eq!(told(&found), [("flood", "address")]);
    assert_eq!(found[0].finding.to_string(), format!("SYN flood detected: many sources -> {HOST}"));
}

#[test]
fn a_flood_that_comes_back_after_a_pause_is_told_of_again() {
    let mut world = forged(1000, |_| 443);
    for i in 0..1000 {
        world.closed_at(ms(120_000 + i), Ipv4Addr::from_bits(0x0c00_0000 + i as u32).into(), (ip(HOST), 443));
    }
    assert_eq!(told(&world.found()), [("flood", "port"), ("flood", "port")]);
}

#[test]
fn a_flood_of_one_source_is_told_and_nobody_is_blocked() {
    let mut world = World::new();
    (0..1500).for_each(|i| world.closed(ms(i), SOURCE, 443));
    let mut told = told(&world.found());
    told.sort_unstable();
    assert_eq!(told, [("flood", "port"), ("flood-source", "source")]);
}

#[test]
fn a_load_test_over_a_long_round_trip_is_no_flood() {
    let mut world = World::new();
    (0..3000).for_each(|i| world.open(ms(2 * i), ms(300), SOURCE, 443));
    assert_eq!(told(&world.found()), []);
}

#[test]
fn clients_that_are_refused_are_no_flood() {
    let mut world = World::new();
    for i in 0..3000u32 {
        let from = (Ipv4Addr::from_bits(0x0a00_0000 + i % 1000).into(), 40_000 + (i / 1000) as u16);
        world.sight(ms(u64::from(i)), SightingKind::Attempt(OWN_STACK), from, (ip(HOST), 443));
        world.sight(ms(u64::from(i)), SightingKind::Refusal, from, (ip(HOST), 443));
    }
    assert_eq!(told(&world.found()), []);
}

#[test]
fn a_scan_of_one_source_is_no_flood_of_the_address() {
    let mut world = World::new();
    // Below every threshold of its own, but for the speed.
    for n in 0..20u32 {
        (0..13).for_each(|i| world.closed(ms(u64::from(i)), &format!("203.0.113.{n}"), 2000 + i));
    }
    assert_eq!(told(&world.found()), []);
}

#[test]
fn a_hundred_pairs_in_a_minute_are_told_of_once_whatever_became_of_them() {
    let mut world = World::new();
    (0..400).for_each(|i| world.open(ms(100 * i), ms(10), SOURCE, 2000 + i as u16));
    let found = world.found();
    assert_eq!(told(&found), [("fan-out", "pairs")]);
    assert_eq!((found[0].finding.count, found[0].finding.attempts_before), (100, 99));
}

#[test]
fn guessing_is_found_where_the_rule_is_on_and_on_its_ports_alone() {
    let found = |port: u16, attempts, more_ports| {
        let mut world = World::new();
        (0..200).for_each(|i| world.open(ms(500 * i), ms(10), SOURCE, port));
        let limits = brute_force::Limits { attempts, more_ports };
        let thresholds = Thresholds { brute_force: limits, ..Thresholds::default() };
        let mut engine = Engine::new(&Config { thresholds, ..Config::default() });
        world.play(&mut engine, &Protected::default())
    };
    let none = [0; brute_force::MORE_PORTS];
    assert_eq!(found(22, None, none), []);
    assert_eq!(found(443, Some(30), none), []);
    let guessed = &found(22, Some(30), none)[0];
    assert_eq!((guessed.finding.rule.name(), guessed.finding.count), ("brute-force", 30));
    assert!(matches!(guessed.decision.outcome, Outcome::Block { .. }));
    assert_eq!(found(8022, Some(30), [8022, 0, 0, 0, 0, 0, 0, 0])[0].finding.ports, [8022]);
}
