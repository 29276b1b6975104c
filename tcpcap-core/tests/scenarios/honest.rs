//! Honest sources: nobody here is a scanner.

use tcpcap_core::{Outcome, Preset};

use crate::world::{HOST, World, ip, ms};

const CLIENT: &str = "192.0.2.10";

/// Round trips that there are: a lab's, across a continent, by satellite or around the world.
const ROUND_TRIPS_US: [u64; 3] = [50, 150_000, 300_000];

/// No source is named, not even in an alert.
#[track_caller]
fn nobody_is_found(what: &str, world: World) {
    let found = world.found();
    let named = found.iter().find(|v| v.finding.source.or(v.finding.in_name_of).is_some());
    assert!(named.is_none(), "{what}: {named:?}");
}

/// Alerts there may be.
#[track_caller]
fn nobody_is_blocked(what: &str, world: World) {
    let found = world.found();
    let blocked = found.iter().find(|v| v.decision.outcome != Outcome::Alert);
    assert!(blocked.is_none(), "{what}: {blocked:?}");
}

#[test]
fn a_client_that_opens_a_hundred_open_ports_is_no_scanner_at_any_round_trip() {
    for rtt in ROUND_TRIPS_US.map(std::time::Duration::from_micros) {
        // One after the other, each when the one before has been opened.
        let mut world = World::new();
        (0..100).for_each(|i| world.open((rtt + ms(1)) * i, rtt, CLIENT, 2000 + i as u16));
        nobody_is_blocked("in turn", world);

        // As fast as a download manager: thirty on the way at any time.
        let mut world = World::new();
        (0..100).for_each(|i| world.open(rtt * (i / 30) + ms(1) * i, rtt, CLIENT, 2000 + i as u16));
        nobody_is_blocked("thirty at once", world);
    }
}

#[test]
fn a_client_whose_first_syn_is_lost_is_no_scanner() {
    let mut world = World::new();
    // Retried after a second, as Linux does: each pair is late, and few are at any one time.
    (0..30).for_each(|i| world.open(ms(40) * i, ms(1150), CLIENT, 2000 + i as u16));
    nobody_is_found("thirty lost SYNs", world);
}

#[test]
fn a_thousand_clients_that_retry_a_closed_port_are_no_scanners() {
    let mut world = World::new();
    for second in 0..120 {
        for n in 0..1000u32 {
            let from = std::net::Ipv4Addr::from_bits(0x0a00_0000 + n);
            world.closed_at(ms(1000 * second), from.into(), (ip(HOST), 443));
        }
    }
    nobody_is_found("a service restarts", world);
}

#[test]
fn a_monitor_that_polls_a_dozen_dead_targets_for_a_day_is_no_scanner() {
    let mut world = World::new();
    for minute in 0..1440 {
        (0..12).for_each(|i| world.closed(ms(60_000 * minute + 50 * i), CLIENT, 9100 + i as u16));
        (0..30).for_each(|i| world.open(ms(60_000 * minute + 30 * i), ms(20), CLIENT, 8000 + i as u16));
    }
    nobody_is_found("a metrics server", world);
}

#[test]
fn a_nat_with_five_hundred_users_is_no_scanner() {
    let mut world = World::new();
    // Twelve services, and nine typing errors in ten minutes.
    (0..6000).for_each(|i| world.open(ms(100 * i), ms(40), CLIENT, [80, 443, 22, 25][i as usize % 4] + (i % 3) as u16));
    (0..9).for_each(|i| world.closed(ms(66_000 * i), CLIENT, 81 + i as u16));
    nobody_is_found("a NAT", world);
}

#[test]
fn a_port_knocker_is_no_scanner() {
    let mut world = World::new();
    [7000, 8000, 9000, 7000].into_iter().enumerate().for_each(|(i, p)| world.closed(ms(300 * i as u64), CLIENT, p));
    world.open(ms(2000), ms(30), CLIENT, 22);
    nobody_is_found("a knock", world);
}

#[test]
fn whoever_tries_an_open_port_again_and_again_is_no_scanner() {
    let mut world = World::new();
    // Completed once; then a thousand attempts of which none completes, as while a service is overloaded.
    (0..40).for_each(|i| world.open(ms(100 * i), ms(5), CLIENT, 8000 + i as u16));
    (0..1000).for_each(|i| world.closed(ms(5000 + i), CLIENT, 8000 + (i % 40) as u16));
    nobody_is_blocked("an overloaded service", world);
}

#[test]
fn brute_force_on_one_port_is_no_port_scan() {
    let mut world = World::new();
    (0..5000).for_each(|i| world.open(ms(20 * i), ms(2), CLIENT, 22));
    nobody_is_found("brute force", world);
}

#[test]
fn strict_forgives_two_dead_ports_and_no_third() {
    let two = |ports: &[u16]| {
        let mut world = World::new();
        ports.iter().for_each(|&p| world.closed(ms(10 * u64::from(p)), CLIENT, p));
        world.verdicts(Preset::Strict).len()
    };
    assert_eq!((two(&[1, 2]), two(&[1, 2, 2, 1]), two(&[1, 2, 3])), (0, 0, 1));
}
