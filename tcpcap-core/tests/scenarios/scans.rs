//! Scans: all of these are found, and how soon.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tcpcap_core::{Preset, Verdict};

use crate::world::{HOST, World, at, ip, ms};

const SCANNER: &str = "203.0.113.7";

/// Ports in turn, one each `gap` milliseconds.
fn scan(ports: impl IntoIterator<Item = u16>, gap: u64) -> World {
    let mut world = World::new();
    ports.into_iter().enumerate().for_each(|(i, port)| world.closed(ms(gap * i as u64), SCANNER, port));
    world
}

#[track_caller]
fn the_one(found: &[Verdict]) -> &Verdict {
    assert_eq!(found.len(), 1, "{found:?}");
    &found[0]
}

#[test]
fn a_fast_scan_fires_burst_at_its_thirty_second_port() {
    let found = scan(2000..3000, 1).found();
    let finding = &the_one(&found).finding;
    assert_eq!((finding.window, finding.count, finding.threshold), ("burst", 32, 32));
    assert_eq!((finding.attempts_before, finding.verified()), (31, false));
    assert_eq!(finding.ports, (2000..2032).collect::<Vec<u16>>());
    assert_eq!(at(&found[0]), ms(31));
}

#[test]
fn each_preset_fires_where_its_table_says() {
    for (preset, gap, window, attempts) in [
        (Preset::Strict, 1, "burst", 2),
        (Preset::Balanced, 1, "burst", 31),
        (Preset::Relaxed, 1, "burst", 63),
        (Preset::Strict, 900, "burst", 2),
        // Unprivileged ports, one a pair; the eighteenth is a second old when two more have come.
        (Preset::Balanced, 900, "fast", 18),
        (Preset::Relaxed, 900, "fast", 36),
    ] {
        let found = scan(2000..3000, gap).verdicts(preset);
        let finding = &the_one(&found[..1]).finding;
        assert_eq!((finding.window, finding.attempts_before), (window, attempts), "{preset} at {gap} ms");
    }
}

#[test]
fn privileged_ports_weigh_three() {
    assert_eq!(the_one(&scan([22, 23, 25, 80, 110, 143], 100).found()).finding.count, 18);
    assert!(scan([22, 23, 25, 80, 110], 100).found().is_empty());
    assert!(scan(2000..2013, 100).found().is_empty());
    assert_eq!(the_one(&scan(2000..2018, 100).found()).finding.count, 18);
    assert_eq!(
        the_one(&scan([22, 23, 25, 2000, 2001, 2002, 2003, 2004, 2005, 2006, 2007, 2008], 100).found()).finding.count,
        18
    );
}

#[test]
fn a_patient_scan_is_found_by_the_window_that_is_patient_enough() {
    for (gap_s, window, attempts) in
        [(3, "fast", 17), (4, "medium", 19), (28, "medium", 19), (60, "long", 29), (3600, "abandoned", 13)]
    {
        let found = scan(2000..2040, 1000 * gap_s).found();
        let finding = &the_one(&found[..1]).finding;
        assert_eq!((finding.window, finding.attempts_before), (window, attempts), "a port each {gap_s} s");
    }
}

#[test]
fn a_scan_just_below_the_threshold_of_every_window_goes_unseen() {
    // Said in the documentation. Thirteen ports in a day; a port each two hours.
    assert!(scan(2000..2013, 30_000).found().is_empty());
    assert!(scan(2000..2200, 7_200_000).found().is_empty());
}

#[test]
fn a_service_that_is_down_on_several_addresses_weighs_less_than_several_services() {
    let found = |targets: u32| {
        let mut world = World::new();
        (0..targets)
            .for_each(|i| world.closed_at(ms(0), ip(SCANNER), (Ipv4Addr::from_bits(0xc633_6400 + i).into(), 443)));
        world.found().first().map(|v| v.finding.count)
    };
    assert_eq!((found(8), found(9)), (None, Some(19)));
}

#[test]
fn many_addresses_and_few_ports_are_a_sweep() {
    let rule = |targets: u32, ports: u16| {
        let mut world = World::new();
        for i in 0..targets * u32::from(ports) {
            let to = (Ipv4Addr::from_bits(0xc633_6400 + i % targets).into(), 8000 + (i / targets) as u16);
            world.closed_at(ms(u64::from(i)), ip(SCANNER), to);
        }
        the_one(&world.found()).finding.rule.name()
    };
    assert_eq!((rule(32, 1), rule(16, 2), rule(11, 3)), ("sweep", "sweep", "sweep"));
    assert_eq!((rule(9, 4), rule(1, 32), rule(8, 4)), ("port-scan", "port-scan", "port-scan"));
}

#[test]
fn stride_256_is_nothing_special() {
    assert_eq!(the_one(&scan((0..200).map(|i| i * 256 + 80), 1).found()).finding.attempts_before, 31);
}

#[test]
fn a_scan_across_many_own_addresses_is_one_scan() {
    let mut world = World::new();
    for i in 0..64u32 {
        world.closed_at(ms(u64::from(i)), ip(SCANNER), (Ipv4Addr::from_bits(0xc633_6400 + i).into(), 8080));
    }
    let found = world.found();
    let finding = &the_one(&found).finding;
    assert_eq!((finding.targets.len(), finding.ports.as_slice()), (32, [8080].as_slice()));
}

#[test]
fn a_scan_between_honest_connections_of_the_same_source_is_found() {
    let mut world = scan(2000..2100, 100);
    (0..500).for_each(|i| world.open(ms(20 * i), ms(10), SCANNER, 443));
    let found = world.found();
    assert!(!the_one(&found[..1]).finding.ports.contains(&443));
}

#[test]
fn an_ipv6_scanner_with_a_new_address_for_each_packet_is_its_prefix() {
    let mut world = World::new();
    for i in 0..100u16 {
        let from = Ipv6Addr::new(0x2001, 0xdb8, 1, 2, i, i, i, i);
        world.closed_at(ms(u64::from(i)), IpAddr::V6(from), (ip("2001:db8:51::1"), i));
    }
    assert_eq!(the_one(&world.found()).finding.source.unwrap().to_string(), "2001:db8:1:2::/64");
}

#[test]
fn a_source_known_for_long_is_verified() {
    let mut world = World::new();
    world.open(ms(0), ms(10), SCANNER, 443);
    (0..40).for_each(|i| world.closed(ms(100_000 + i), SCANNER, 2000 + i as u16));
    assert!(the_one(&world.found()).finding.verified());
    // A scanner cannot buy that with a handshake along the way.
    let mut world = scan(2000..2040, 1);
    world.open(ms(0), ms(1), SCANNER, 443);
    assert!(!the_one(&world.found()).finding.verified());
}

#[test]
fn two_scanners_are_two_findings() {
    let mut world = scan(2000..2040, 1);
    (0..40).for_each(|i| world.closed(ms(i), "203.0.113.8", 2000 + i as u16));
    let found = world.found();
    assert_eq!(found.len(), 2);
    assert_ne!(found[0].finding.source, found[1].finding.source);
}

/// Probes with these flags, one port each.
fn probes(flags: u8, ports: std::ops::Range<u16>, gap: u64) -> Vec<Verdict> {
    let mut world = World::new();
    for (i, port) in ports.enumerate() {
        let kind = tcpcap_core::SightingKind::Probe { flags };
        world.sight(ms(gap * i as u64), kind, (ip(SCANNER), 4000), (ip(HOST), port));
    }
    world.found()
}

#[test]
fn three_probes_of_any_odd_flags_are_a_stealth_scan() {
    use tcpcap_common::wire::flag::{FIN, PSH, RST, SYN, URG};
    for flags in [0, FIN | PSH | URG, SYN | FIN, SYN | RST, PSH, URG] {
        let found = probes(flags, 1..100, 10);
        let finding = &the_one(&found).finding;
        assert_eq!((finding.rule.name(), finding.window, finding.count), ("stealth", "flags", 3), "flags {flags:#x}");
        assert_eq!((finding.ports.as_slice(), finding.attempts_before), ([1, 2, 3].as_slice(), 2));
        assert!(probes(flags, 1..3, 10).is_empty());
        let slow = probes(flags, 1..100, 31_000);
        assert_eq!((slow[0].finding.window, slow[0].finding.count), ("slow", 6), "two a minute");
        assert!(probes(flags, 1..6, 31_000).is_empty());
    }
}

#[test]
fn fin_alone_is_a_stealth_scan_from_the_third_pair_on() {
    use tcpcap_common::wire::flag::FIN;
    let found = probes(FIN, 1..100, 10);
    assert_eq!((the_one(&found).finding.window, the_one(&found).finding.count), ("fin", 3));
    // A connection that a middlebox closes, again and again.
    assert!((0..100).all(|_| probes(FIN, 80..81, 10).is_empty()));
    let mut world = World::new();
    for i in 0..100 {
        let kind = tcpcap_core::SightingKind::Probe { flags: FIN };
        world.sight(ms(10 * i), kind, (ip(SCANNER), 4000), (ip(HOST), 80));
    }
    assert!(world.found().is_empty());
}
