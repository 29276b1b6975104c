//! Segments of no known flow: told of once each, and only when asked for.

use tcpcap::kernel::Wish;
use tcpcap_common::{
    record::{Event, kind},
    tally::{End, Note},
    wire::flag::{ACK, FIN, PSH, RST, SYN},
};
use tcpcap_lab::Frame;

use crate::sensor::{Sensor, addr, check, cpus, stay_on, syn};

const SENT: &[Note] = &[Note::EventSent];
const FIRST: &[Note] = &[Note::EventSent, Note::SourceAdded];
const FROM: [&str; 2] = ["192.0.2.7", "2001:db8:9:9::7"];

fn looking() -> Sensor {
    let mut sensor = Sensor::new();
    sensor.tell(&looking_wish());
    sensor
}

fn looking_wish() -> Wish {
    Wish { strays: true, ..Wish::default() }
}

#[test]
fn a_segment_of_no_flow_is_told_of_once() {
    for from in FROM {
        for flags in [ACK, ACK | PSH, ACK | FIN] {
            let mut sensor = looking();
            let stray = syn(from, 1).flags(flags).seq(5, 6);
            check(
                &mut sensor,
                &[
                    ("the first", stray.clone(), End::Stray, FIRST),
                    ("the next", stray.clone(), End::Segment, &[]),
                    ("by another way, with other flags", stray.clone().flags(ACK).vlan(7), End::Segment, &[]),
                    ("another flow", syn(from, 2).flags(flags), End::Stray, SENT),
                ],
            );
            let events: Vec<Event> = sensor.events();
            assert_eq!(
                events.iter().map(|e| (e.kind, e.from_port)).collect::<Vec<_>>(),
                [(kind::STRAY, 1), (kind::STRAY, 2)]
            );
            let e = &events[0];
            assert_eq!((e.from, e.to_port, e.flags, e.seq, e.ack), (addr(from), 80, flags, 5, 6));
            let record = sensor.records()[0].1;
            assert_eq!((record.strays, record.attempts, record.probes), (2, 0, 0));
        }
    }
}

#[test]
fn a_completed_handshake_and_a_syn_ack_make_a_flow_known() {
    for from in FROM {
        let mut sensor = looking();
        let (theirs, ours) = (syn(from, 1), syn(from, 2));
        check(
            &mut sensor,
            &[
                ("an attempt", theirs.clone(), End::Attempt, FIRST),
                ("its completion", theirs.clone().flags(ACK).seq(2, 1), End::Completion, SENT),
                ("data", theirs.clone().flags(ACK | PSH).seq(2, 1), End::Segment, &[]),
                ("its end", theirs.flags(ACK | FIN).seq(9, 1), End::Segment, &[]),
                ("an answer to us", ours.clone().flags(SYN | ACK), End::Reply, &[]),
                ("data to us", ours.flags(ACK | PSH), End::Segment, &[]),
                ("a RST makes nothing known", syn(from, 3).flags(RST | ACK), End::Reply, &[]),
                ("nor does a SYN", syn(from, 3), End::Attempt, SENT),
                ("so this is a stray", syn(from, 3).flags(ACK).seq(9_000_000, 1), End::Stray, SENT),
            ],
        );
    }
}

#[test]
fn unless_asked_for_strays_are_segments_and_nothing_is_learnt() {
    let mut sensor = Sensor::new();
    for from in FROM {
        assert_eq!(sensor.send(&syn(from, 1).flags(ACK)), (End::Segment, vec![]));
        sensor.send(&syn(from, 2).flags(SYN | ACK));
    }
    assert_eq!((sensor.records(), sensor.events()), (vec![], vec![]));
    sensor.tell(&looking_wish());
    for from in FROM {
        assert_eq!([1, 2].map(|port| sensor.end(&syn(from, port).flags(ACK))), [End::Stray; 2]);
    }
    sensor.tell(&Wish::default());
    assert_eq!(sensor.end(&syn(FROM[0], 3).flags(ACK)), End::Segment);
}

#[test]
fn a_stray_for_another_is_a_segment() {
    let mut sensor = looking();
    for (from, to) in [("192.0.2.7:1", "198.51.100.2:80"), ("[2001:db8:9:9::7]:1", "[2001:db8:1:2::2]:80")] {
        assert_eq!(sensor.send(&Frame::tcp(from, to).flags(ACK)), (End::Segment, vec![]));
    }
    assert_eq!((sensor.records(), sensor.events()), (vec![], vec![]));
}

#[test]
fn strays_are_told_within_the_budgets() {
    let mut sensor = looking();
    sensor.tell(&Wish { source_events_per_s: 1, ..looking_wish() });
    let stray = |port| syn("192.0.2.7", port).flags(ACK);
    assert_eq!(sensor.send(&stray(1)), (End::Stray, FIRST.to_vec()));
    assert_eq!(sensor.send(&stray(2)), (End::Stray, vec![Note::EventOverSourceBudget]));
    sensor.tell(&Wish { cpu_events_per_s: 0, ..looking_wish() });
    assert_eq!(sensor.send(&stray(3)), (End::Stray, vec![Note::EventOverCpuBudget]));
    let record = sensor.record("192.0.2.7").unwrap();
    assert_eq!((record.strays, record.events_withheld), (3, 2));
}

#[test]
fn a_flow_that_moves_to_another_cpu_stays_known() {
    let mut sensor = looking();
    let cpus = cpus();
    stay_on(cpus[0]);
    assert_eq!(sensor.end(&syn("192.0.2.7", 1).flags(ACK)), End::Stray);
    stay_on(cpus[cpus.len() - 1]);
    assert_eq!(sensor.end(&syn("192.0.2.7", 1).flags(ACK)), End::Segment);
}

#[test]
fn thousands_of_connections_do_not_push_each_other_out_with_every_packet() {
    let mut sensor = looking();
    let flow = |n: u16| syn(&format!("192.0.2.{}", n % 250), 1000 + n).flags(ACK);
    (0..5000).for_each(|n| assert_eq!(sensor.end(&flow(n)), End::Stray));
    // With room for one in each of a million slots, two dozen of these would be strays again, and with each packet anew.
    // With room for two in half a million, three must meet: one run in ten has such a slot.
    let again = (0..5000).filter(|&n| sensor.end(&flow(n)) == End::Stray).count();
    assert!(again <= 9, "{again}");
}
