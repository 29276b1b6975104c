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
    assert_eq!((finding.attempts_before, finding.verified), (31, false));
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
    assert!(scan(2000..2017, 100).found().is_empty());
    assert_eq!(the_one(&scan(2000..2018, 100).found()).finding.count, 18);
    assert_eq!(
        the_one(&scan([22, 23, 25, 2000, 2001, 2002, 2003, 2004, 2005, 2006, 2007, 2008], 100).found()).finding.count,
        18
    );
}

#[test]
fn a_scan_just_below_the_threshold_of_every_window_goes_unseen() {
    // Said in the documentation: seventeen pairs a minute. The longer windows are for this.
    assert!(scan(2000..3000, 3600).found().is_empty());
    assert!(!scan(2000..3000, 3300).found().is_empty());
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
    assert_eq!(the_one(&world.found()).finding.source.to_string(), "2001:db8:1:2::/64");
}

#[test]
fn a_source_known_for_long_is_verified() {
    let mut world = World::new();
    world.open(ms(0), ms(10), SCANNER, 443);
    (0..40).for_each(|i| world.closed(ms(100_000 + i), SCANNER, 2000 + i as u16));
    assert!(the_one(&world.found()).finding.verified);
    // A scanner cannot buy that with a handshake along the way.
    let mut world = scan(2000..2040, 1);
    world.open(ms(0), ms(1), SCANNER, 443);
    assert!(!the_one(&world.found()).finding.verified);
}

#[test]
fn two_scanners_are_two_findings() {
    let mut world = scan(2000..2040, 1);
    (0..40).for_each(|i| world.closed(ms(i), "203.0.113.8", 2000 + i as u16));
    let found = world.found();
    assert_eq!(found.len(), 2);
    assert_ne!(found[0].finding.source, found[1].finding.source);
}

#[test]
fn probes_and_replies_are_not_attempts() {
    let mut world = World::new();
    for port in 0..1000 {
        let kind = tcpcap_core::SightingKind::Probe { flags: 0 };
        world.sight(ms(u64::from(port)), kind, (ip(SCANNER), 4000), (ip(HOST), port));
    }
    assert!(world.found().is_empty());
}
