//! What a flood may take: events for each source and CPU, records for each CPU, and the room in the ring.

use std::time::Instant;

use tcpcap::kernel::Wish;
use tcpcap_common::tally::{End, Note};
use tcpcap_lab::Frame;

use crate::sensor::{Sensor, cpus, stay_on, syn};

const SECOND_NS: u64 = 1_000_000_000;
const ENDLESS: Wish = Wish {
    source_events_per_s: u32::MAX,
    cpu_events_per_s: u32::MAX,
    cpu_new_sources_per_s: u32::MAX,
    ..Wish::DEFAULT
};

/// A probe, which may be sent any number of times.
fn probe(from: &str) -> Frame {
    syn(from, 40_000).flags(0)
}

/// Holds what was granted against a budget. On a machine that is held up, a second may have gone by meanwhile and the
/// budget be a new one: that many more are right.
fn assert_granted(granted: u64, budget: u64, start: Instant) {
    let most = budget * (1 + start.elapsed().as_secs());
    assert!((budget..=most).contains(&granted), "{granted} of {budget} to {most}");
}

#[test]
fn a_source_has_a_budget_of_events_on_all_cpus_together() {
    let mut sensor = Sensor::new();
    sensor.tell(&Wish { source_events_per_s: 10, ..Wish::default() });
    let (mut sent, mut withheld) = (0, 0);
    let start = Instant::now();
    let cpus = cpus();
    for &cpu in [cpus[0], cpus[cpus.len() - 1]].iter() {
        stay_on(cpu);
        let counted = sensor.repeat(&probe("192.0.2.7").build(), 50);
        assert_eq!(counted.end(End::Probe), 50);
        sent += counted.note(Note::EventSent);
        withheld += counted.note(Note::EventOverSourceBudget);
    }
    assert_granted(sent, 10, start);
    assert_eq!(sent + withheld, 100);
    assert_eq!(sensor.events().len() as u64, sent);
    let record = sensor.record("192.0.2.7").unwrap();
    assert_eq!((record.probes, record.events_withheld), (100, withheld));
    assert_eq!(sensor.send(&syn("192.0.2.8", 1)).1, [Note::EventSent, Note::SourceAdded], "another has its own");
}

#[test]
fn a_source_may_tell_more_in_the_next_second() {
    let mut sensor = Sensor::new();
    sensor.tell(&Wish { source_events_per_s: 1, ..Wish::default() });
    sensor.send(&probe("192.0.2.7"));
    for _ in 0..3 {
        sensor.age_source("192.0.2.7", SECOND_NS);
        assert_eq!(sensor.send(&probe("192.0.2.7")).1, [Note::EventSent]);
    }
    assert_eq!(sensor.record("192.0.2.7").unwrap().events, 1);
}

#[test]
fn a_cpu_has_a_budget_of_events_whoever_they_are_from() {
    let mut sensor = Sensor::new();
    sensor.tell(&Wish { cpu_events_per_s: 10, ..ENDLESS });
    for &cpu in cpus().iter().take(2) {
        stay_on(cpu);
        let start = Instant::now();
        let (mut sent, mut withheld) = (0, 0);
        for n in 0..30 {
            let counted = sensor.repeat(&probe(&format!("192.0.2.{n}")).build(), 2);
            sent += counted.note(Note::EventSent);
            withheld += counted.note(Note::EventOverCpuBudget);
        }
        assert_granted(sent, 10, start);
        assert_eq!(sent + withheld, 60);
        let told: Vec<_> = sensor.events();
        assert_eq!(told.len() as u64, sent);
        sensor.age_cpus(SECOND_NS);
        assert_eq!(sensor.send(&probe("192.0.2.0")).1, [Note::EventSent], "the next second is a new one");
        sensor.events();
    }
    let withheld: u64 = sensor.records().iter().map(|(_, record)| record.events_withheld).sum();
    let probes: u64 = sensor.records().iter().map(|(_, record)| record.probes).sum();
    assert!(withheld > 0 && withheld < probes, "{withheld} of {probes}");
}

#[test]
fn what_the_cpu_withholds_costs_the_source_nothing() {
    let mut sensor = Sensor::new();
    sensor.tell(&Wish { cpu_events_per_s: 0, ..Wish::default() });
    sensor.repeat(&probe("192.0.2.7").build(), 5);
    let record = sensor.record("192.0.2.7").unwrap();
    assert_eq!((record.events, record.events_withheld), (0, 5));
}

#[test]
fn a_cpu_has_a_budget_of_new_sources_and_the_others_go_without_a_record() {
    let mut sensor = Sensor::new();
    stay_on(cpus()[0]);
    assert_eq!(sensor.end(&syn("192.0.2.250", 1)), End::Attempt);
    sensor.age_cpus(SECOND_NS);
    sensor.tell(&Wish { cpu_new_sources_per_s: 5, ..Wish::default() });
    let start = Instant::now();
    let mut added = 0;
    for n in 0..20 {
        let (end, notes) = sensor.send(&syn(&format!("192.0.2.{n}"), 1));
        assert_eq!(end, End::Attempt);
        // It is told of all the same: who gets no record may still scan.
        match notes[..] {
            [Note::EventSent, Note::SourceAdded] => added += 1,
            [Note::EventSent, Note::SourceOverBudget] => {}
            _ => panic!("{notes:?}"),
        }
    }
    assert_granted(added, 5, start);
    assert_eq!(sensor.records().len() as u64, 1 + added);
    assert_eq!(sensor.events().len(), 21);
    // Who has a record keeps it and is counted.
    assert_eq!(sensor.send(&syn("192.0.2.250", 2)), (End::Attempt, vec![Note::EventSent]));
    assert_eq!(sensor.record("192.0.2.250").unwrap().attempts, 2);
    sensor.age_cpus(SECOND_NS);
    assert_eq!(sensor.send(&syn("192.0.2.99", 1)).1, [Note::EventSent, Note::SourceAdded]);
}

#[test]
fn a_full_ring_loses_events_by_number_and_never_a_packet() {
    let mut sensor = Sensor::new();
    sensor.tell(&ENDLESS);
    let counted = sensor.repeat(&probe("192.0.2.7").build(), 100_000);
    let (sent, lost) = (counted.note(Note::EventSent), counted.note(Note::EventRingFull));
    assert!(sent > 10_000 && lost > 0, "{counted:?}");
    assert_eq!((sent + lost, counted.end(End::Probe)), (100_000, 100_000));
    assert_eq!(sensor.record("192.0.2.7").unwrap().probes, 100_000);
    assert_eq!(sensor.send(&syn("192.0.2.7", 1)), (End::Attempt, vec![Note::EventRingFull]));
    assert_eq!(sensor.events().len() as u64, sent);
    assert_eq!(sensor.send(&probe("192.0.2.7")), (End::Probe, vec![Note::EventSent]), "once it has been read");
}
