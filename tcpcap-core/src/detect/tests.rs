//! The detector's bookkeeping: its bound, its clock, its timers.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tcpcap_common::Addr;

use super::*;
use crate::Marks;

const OWN: Addr = Addr::from_v4_word(0x0100_007f);

fn source(n: u32) -> Addr {
    Addr::from(IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n)))
}

fn attempt(detector: &mut Detector, millis: u64, n: u32, port: u16) -> Vec<Finding> {
    sight(detector, millis, n, port, SightingKind::Attempt(Marks::default()))
}

fn sight(detector: &mut Detector, millis: u64, n: u32, port: u16, kind: SightingKind) -> Vec<Finding> {
    let mut found = Vec::new();
    let time = Time::ZERO + Duration::from_millis(millis);
    detector.see(&Sighting::new(time, kind, (source(n), 40_000), (OWN, port)), &mut |f| take(&mut found, f));
    found
}

/// Wants to hear nothing more about the source for a minute.
fn take(found: &mut Vec<Finding>, finding: Finding) -> Time {
    let until = finding.time + Duration::from_secs(60);
    found.push(finding);
    until
}

fn advance(detector: &mut Detector, millis: u64) -> Vec<Finding> {
    let mut found = Vec::new();
    detector.advance(Time::ZERO + Duration::from_millis(millis), &mut |f| take(&mut found, f));
    found
}

fn balanced(max: usize) -> Detector {
    Detector::new(Thresholds::default(), max)
}

#[test]
fn a_scan_that_ends_is_found_a_second_later_by_the_timer_alone() {
    let mut d = balanced(100);
    for port in 1..=6 {
        assert!(attempt(&mut d, u64::from(port) * 10, 1, port).is_empty());
    }
    assert_eq!(d.next_due(), Some(Time::ZERO + Duration::from_millis(1010)));
    let mut found = Vec::new();
    while let Some(due) = d.next_due() {
        found.extend(advance(&mut d, due.as_nanos() / 1_000_000));
    }
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].window, found[0].count, found[0].threshold), ("fast", 18, 18));
    assert_eq!((found[0].ports.as_slice(), found[0].attempts_before), ([1, 2, 3, 4, 5, 6].as_slice(), 5));
    assert_eq!(found[0].time, Time::ZERO + Duration::from_millis(1060));
}

#[test]
fn a_rule_that_fired_is_silent_about_the_source_for_as_long_as_it_is_told() {
    let mut d = balanced(100);
    let found: usize = (0..3000u16).map(|i| attempt(&mut d, u64::from(i) * 10, 1, i).len()).sum();
    assert_eq!(found, 1, "30 s of scanning");
    assert_eq!(
        (0..64).map(|i| attempt(&mut d, 61_000 + i, 1, 5000 + u16::try_from(i).unwrap()).len()).sum::<usize>(),
        1
    );
}

#[test]
fn an_attempt_for_which_two_rules_fire_is_one_reason_to_block_not_two() {
    let brute_force = brute_force::Limits { attempts: Some(1), ..Thresholds::default().brute_force };
    let mut d = Detector::new(Thresholds { brute_force, ..Thresholds::of(Preset::Strict) }, 100);
    assert!(attempt(&mut d, 0, 1, 80).is_empty() && attempt(&mut d, 1, 1, 81).is_empty());
    let rules: Vec<_> = attempt(&mut d, 2, 1, 22).iter().map(|f| f.rule).collect();
    assert_eq!(rules, [Rule::PortScan]);
}

#[test]
fn a_flood_of_pairs_that_were_all_told_of_is_not_told_of_without_them() {
    let mut d = Detector::new(Thresholds::of(Preset::Strict), 100);
    let mut see = |millis, port, kind| {
        let time = Time::ZERO + Duration::from_millis(millis);
        let mut found = 0;
        // As if blocks took no time.
        d.see(&Sighting::new(time, kind, (source(1), 40_000), (OWN, port)), &mut |f| {
            found += 1;
            assert!(!f.targets.is_empty(), "{f:?}");
            f.time
        });
        found
    };
    let scans: usize = (0..120).map(|port| see(1, port, SightingKind::Attempt(Marks::default()))).sum();
    assert_eq!(scans, 40);
    assert_eq!(see(2000, 1, SightingKind::Refusal), 0);
}

#[test]
fn forged_sources_push_each_other_out_and_not_the_scanner_and_not_the_customer() {
    let mut d = balanced(64);
    attempt(&mut d, 0, 1, 80);
    sight(&mut d, 1, 1, 80, SightingKind::Completion { unanswered: false });
    let mut found = attempt(&mut d, 2, 2, 1999);
    for i in 0..30u16 {
        found.extend(attempt(&mut d, 10 + u64::from(i), 2, 2000 + i));
        for forged in 0..1000 {
            attempt(&mut d, 10 + u64::from(i), 1000 + u32::from(i) * 1000 + forged, 80);
        }
        assert_eq!(d.tracked(), 64);
    }
    assert!(found.is_empty());
    assert_eq!(attempt(&mut d, 50, 2, 3000).len(), 1, "the scanner was not forgotten");
    assert!(d.table.get(Source(source(1))).is_some(), "nor the customer");
    assert_eq!(d.evicted(), 30_000 + 2 - 64);
}

#[test]
fn who_is_silent_for_long_is_forgotten_the_sooner_the_less_room_there_is() {
    for (max, forgotten) in [(100, 86_400_000), (60, 600_000)] {
        let mut d = balanced(max);
        for n in 0..50 {
            attempt(&mut d, 0, n, 80);
            if n % 2 == 0 {
                sight(&mut d, 0, n, 80, SightingKind::Completion { unanswered: false });
            }
        }
        advance(&mut d, forgotten - 1000);
        assert_eq!(d.tracked(), 50);
        advance(&mut d, forgotten + 300_000);
        let slow = if forgotten < 86_400_000 { 25 } else { 0 };
        assert_eq!(d.tracked(), slow, "those that left a pair incomplete may be slow scanners");
        advance(&mut d, 86_900_000);
        assert_eq!((d.tracked(), d.evicted()), (0, 0));
    }
}

#[test]
fn a_sighting_from_the_past_counts_as_of_now() {
    let mut d = balanced(100);
    attempt(&mut d, 100_000, 1, 1);
    for port in 2..32 {
        assert!(attempt(&mut d, 0, 1, port).is_empty());
    }
    let found = attempt(&mut d, 0, 1, 32);
    assert_eq!(found[0].time, Time::from_secs(100));
}

#[test]
fn at_the_end_of_time_no_timer_is_due_for_ever() {
    let mut d = balanced(4);
    for port in 1..=6 {
        let (from, to) = ((source(1), 40_000), (OWN, port));
        let sighting = Sighting::new(Time::from_nanos(u64::MAX), SightingKind::Attempt(Marks::default()), from, to);
        d.see(&sighting, &mut |f| f.time);
    }
    assert_eq!(d.next_due(), None);
}

#[test]
fn timers_do_not_outlive_their_sources() {
    let mut d = balanced(4);
    for n in 0..100 {
        (1..=6).for_each(|port| drop(attempt(&mut d, 0, n, port)));
    }
    assert!(d.checks.len() <= 4 && d.table.len() == 4);
    advance(&mut d, 100_000_000);
    assert!(d.checks.is_empty());
}

#[test]
fn what_is_known_of_a_source_is_what_it_did_and_a_finding_begins_it_anew() {
    let mut d = balanced(100);
    let known = |d: &Detector| d.known(crate::Source(source(1)));
    assert_eq!(known(&d), None);
    for port in [80, 443, 80] {
        attempt(&mut d, 10, 1, port);
    }
    sight(&mut d, 20, 1, 80, SightingKind::Completion { unanswered: false });
    let seen = known(&d).unwrap();
    assert_eq!((seen.attempts, seen.completions, seen.pairs, seen.incomplete), (3, 1, 2, 1));
    assert_eq!((seen.ports, seen.hosts, seen.some_ports.as_slice()), (2, 1, [80, 443].as_slice()));
    assert_eq!(seen.last_seen, Time::ZERO + Duration::from_millis(20));
    assert!((1000..1100).any(|port| !attempt(&mut d, 30_000, 1, port).is_empty()));
    let after = known(&d).unwrap();
    assert_eq!(after.pairs, 0);
    assert!(after.quiet_until > Time::from_secs(30) && after.attempts > 30, "{after:?}");
}
