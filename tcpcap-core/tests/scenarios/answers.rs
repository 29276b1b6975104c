//! What seeing this host's own answers adds: refusals, handshakes that nobody answered, and strays.

use tcpcap_core::{Config, Engine, Marks, Protected, SightingKind, Thresholds, detect::stray};

use crate::world::{HOST, World, at, ip, ms};

const SCANNER: &str = "203.0.113.7";
const CLIENT: &str = "192.0.2.10";

fn stray(world: &mut World, at: u64, from: &str, port: u16, refused: bool) {
    world.sight(ms(at), SightingKind::Stray { refused }, (ip(from), 40_000), (ip(HOST), port));
}

#[test]
fn a_refused_scan_is_found_at_its_sixth_privileged_port_and_not_a_second_later() {
    let mut world = World::new();
    (20..60).for_each(|port| world.refused(ms(u64::from(port)), SCANNER, port));
    let found = world.found();
    assert_eq!((found[0].finding.window, found[0].finding.attempts_before), ("fast", 5));
    assert_eq!(at(&found[0]), ms(25));
}

#[test]
fn handshakes_that_this_host_never_answered_do_not_make_a_scanner_honest() {
    let mut world = World::new();
    // Other sources complete theirs as they should; this one forges the ACK to every port.
    (0..5).for_each(|n| world.open(ms(n), ms(20), &format!("192.0.2.{n}"), 443));
    for port in 1..=40 {
        let (from, to) = ((ip(SCANNER), 40_000 + port), (ip(HOST), port));
        world.sight(ms(1000 + u64::from(port)), SightingKind::Attempt(Marks::default()), from, to);
        world.sight(ms(1001 + u64::from(port)), SightingKind::Completion { unanswered: true }, from, to);
    }
    let found = world.found();
    assert_eq!((found.len(), found[0].finding.completions), (1, 0), "{found:?}");
}

#[test]
fn where_the_answers_leave_another_way_handshakes_are_believed_as_before() {
    let mut world = World::new();
    for n in 0..20u16 {
        for port in 2000..2030 {
            let (from, to) = ((ip(&format!("192.0.2.{n}")), 40_000 + port), (ip(HOST), port));
            let start = ms(u64::from(n) * 1000 + u64::from(port - 2000) * 20);
            world.sight(start, SightingKind::Attempt(Marks::default()), from, to);
            world.sight(start + ms(10), SightingKind::Completion { unanswered: true }, from, to);
        }
    }
    let found = world.found();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn fifteen_refused_strays_are_a_scan() {
    let scan = |ports: std::ops::Range<u16>| {
        let mut world = World::new();
        ports.for_each(|port| stray(&mut world, u64::from(port), SCANNER, port, true));
        world.found()
    };
    assert!(scan(1..15).is_empty());
    let found = scan(1..16);
    let finding = &found[0].finding;
    assert_eq!((finding.rule.name(), finding.window, finding.count), ("stray", "refused", 15));
}

#[test]
fn clients_that_this_host_has_forgotten_are_no_scanners() {
    let mut world = World::new();
    // After a failover: thirty connections are refused, and made anew.
    for port in 2000..2030 {
        stray(&mut world, u64::from(port), CLIENT, port, true);
        world.open(ms(u64::from(port) + 30), ms(300), CLIENT, port);
    }
    // What is late for connections that this host made and gave up on.
    (33_000..33_100).for_each(|port| stray(&mut world, u64::from(port), CLIENT, port, true));
    // What is late for connections that were.
    (2000..2030).for_each(|port| stray(&mut world, 9000 + u64::from(port), CLIENT, port, true));
    let found = world.found();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn unanswered_strays_count_only_when_asked_for_and_only_after_the_warm_up() {
    let found = |start: u64, unanswered_pairs| {
        let mut world = World::new();
        world.open(ms(0), ms(1), CLIENT, 443);
        (1..100).for_each(|port| stray(&mut world, start + u64::from(port), SCANNER, port, false));
        let limits = stray::Limits { refused_pairs: Some(15), unanswered_pairs };
        let thresholds = Thresholds { stray: limits, ..Thresholds::default() };
        let mut engine = Engine::new(&Config { thresholds, ..Config::default() });
        world.play(&mut engine, &Protected::default()).first().map(|v| (v.finding.rule.name(), v.finding.window))
    };
    assert_eq!(found(400_000, None), None);
    assert_eq!(found(200_000, Some(15)), None, "connections from before are still going on");
    assert_eq!(found(400_000, Some(15)), Some(("stray", "unanswered")));
}
