//! First fragments too short for a TCP header: no honest stack makes one, and what they hide stands in the next.

use tcpcap::kernel::Wish;
use tcpcap_common::{
    record::kind,
    tally::{End, Note},
    wire::flag::{ACK, SYN},
};
use tcpcap_lab::Frame;

use crate::sensor::{Sensor, check, syn};

const FIRST: &[Note] = &[Note::EventSent, Note::SourceAdded];

#[test]
fn a_tiny_fragment_is_told_of_with_what_it_shows() {
    for from in ["192.0.2.7", "2001:db8:9:9::7"] {
        for shaped in [|f: Frame| f, |f: Frame| f.vlan(5), |f: Frame| f.qinq(5, 6)] {
            for held in [8, 16, 19] {
                let mut sensor = Sensor::new();
                let frame = shaped(syn(from, 40_000).seq(7, 8).flags(SYN).ttl(9).first_bytes(held));
                assert_eq!(sensor.send(&frame), (End::TinyFragment, FIRST.to_vec()), "{held}");
                let [event] = sensor.events()[..] else { panic!("one event") };
                assert_eq!((event.kind, event.from_port, event.to_port), (kind::FRAGMENT, 40_000, 80));
                assert_eq!((event.seq, event.ttl), (7, 9));
                assert_eq!((event.ack, event.flags, event.window, event.options_len), (0, 0, 0, 0), "{held}");
                let record = sensor.records()[0].1;
                assert_eq!((record.probes, record.attempts), (1, 0));
            }
        }
    }
}

#[test]
fn a_tiny_fragment_without_ports_is_counted_and_no_more() {
    let mut sensor = Sensor::new();
    for from in ["192.0.2.7", "2001:db8:9:9::7"] {
        for held in 0..8 {
            assert_eq!(sensor.send(&syn(from, 1).first_bytes(held)), (End::TinyFragment, vec![]), "{held}");
        }
    }
    assert_eq!((sensor.records(), sensor.events()), (vec![], vec![]));
}

#[test]
fn a_tiny_fragment_for_another_counts_for_nobody() {
    let mut sensor = Sensor::new();
    let v4 = Frame::tcp("192.0.2.7:1", "198.51.100.2:80").first_bytes(8);
    let v6 = Frame::tcp("[2001:db8:9:9::7]:1", "[2001:db8:1:2::2]:80").first_bytes(8);
    check(&mut sensor, &[("IPv4", v4, End::NotOwn, &[]), ("IPv6", v6, End::NotOwn, &[])]);
    assert_eq!((sensor.records(), sensor.events()), (vec![], vec![]));
}

#[test]
fn tiny_fragments_are_told_within_the_budgets() {
    let mut sensor = Sensor::new();
    sensor.tell(&Wish { source_events_per_s: 1, ..Wish::default() });
    let frame = syn("192.0.2.7", 1).first_bytes(8);
    assert_eq!(sensor.send(&frame).1, FIRST);
    assert_eq!(sensor.send(&frame).1, [Note::EventOverSourceBudget]);
    sensor.tell(&Wish { cpu_events_per_s: 0, ..Wish::default() });
    assert_eq!(sensor.send(&frame).1, [Note::EventOverCpuBudget]);
    let record = sensor.record("192.0.2.7").unwrap();
    assert_eq!((record.probes, record.events_withheld), (3, 2));
}

#[test]
fn a_tiny_fragment_neither_opens_nor_completes_a_handshake() {
    let mut sensor = Sensor::new();
    let first = syn("192.0.2.7", 1);
    let ack = first.clone().flags(ACK).seq(2, 1);
    check(
        &mut sensor,
        &[
            ("a piece of a SYN", first.clone().first_bytes(16), End::TinyFragment, FIRST),
            ("an ACK", ack.clone(), End::Segment, &[]),
            ("the SYN", first, End::Attempt, &[Note::EventSent]),
            ("a piece of its ACK", ack.clone().first_bytes(16), End::TinyFragment, &[Note::EventSent]),
            ("the whole of it", ack, End::Completion, &[Note::EventSent]),
        ],
    );
}
