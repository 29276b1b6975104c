//! Attempts, retransmissions and completions, and what userspace hears of them.

use std::net::IpAddr;

use tcpcap::kernel::Wish;
use tcpcap_common::{
    record::{Event, OPTIONS_LEN, RETRANSMISSION_NS, kind},
    tally::{End, Note},
    wire::flag::{ACK, FIN, PSH, RST, SYN},
};
use tcpcap_lab::Frame;

use crate::sensor::{OWN_V4, OWN_V6, Sensor, addr, check, cpus, now, stay_on, syn};

const SECOND_NS: u64 = 1_000_000_000;
const SENT: &[Note] = &[Note::EventSent];
const FIRST: &[Note] = &[Note::EventSent, Note::SourceAdded];

/// The options of a Linux SYN.
const LINUX: [u8; 20] = [2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 1, 2, 0, 0, 0, 0, 1, 3, 3, 7];

/// The bytes as an event carries them.
fn options(bytes: &[u8]) -> [u8; OPTIONS_LEN] {
    let mut out = [0; OPTIONS_LEN];
    out[..bytes.len()].copy_from_slice(bytes);
    out
}

#[test]
fn an_event_tells_all_about_its_packet() {
    let mut sensor = Sensor::new();
    let v4 = syn("192.0.2.7", 40_001).seq(0x0102_0304, 0x0506_0708).window(1024).ttl(47).ip_id(54_321);
    let of_v4 = Event {
        time: 0,
        from: addr("192.0.2.7"),
        to: IpAddr::from(OWN_V4).into(),
        seq: 0x0102_0304,
        ack: 0x0506_0708,
        from_port: 40_001,
        to_port: 80,
        window: 1024,
        ip_id: 54_321,
        // A test run comes in by the loopback interface of the name space.
        interface: 1,
        kind: kind::ATTEMPT,
        flags: SYN,
        ttl: 47,
        options_len: 0,
        options: options(&[]),
    };
    let v6 = syn("2001:db8:9:9:1:2:3:4", 40_001).seq(0x0102_0304, 0x0506_0708).window(1).ttl(255);
    let of_v6 = Event {
        from: addr("2001:db8:9:9:1:2:3:4"),
        to: IpAddr::from(OWN_V6).into(),
        window: 1,
        ip_id: 0,
        ttl: 255,
        ..of_v4
    };
    let ack = v4.clone().flags(ACK | PSH).seq(0x0102_0305, 9).ttl(46);
    let full = Event { options_len: 40, options: options(&[1; 40]), ..of_v4 };
    let table = [
        (v4.clone(), of_v4),
        (ack, Event { kind: kind::COMPLETION, flags: ACK | PSH, seq: 0x0102_0305, ack: 9, ttl: 46, ..of_v4 }),
        (
            v4.clone().seq(8, 7).options(&LINUX).vlan(7),
            Event { seq: 8, ack: 7, options_len: 20, options: options(&LINUX), ..of_v4 },
        ),
        (v4.flags(FIN).options(&[1; 40]).ip_options(&[1]), Event { kind: kind::PROBE, flags: FIN, ..full }),
        (v6.clone().options(&[2, 4, 5, 180]), Event { options_len: 4, options: options(&[2, 4, 5, 180]), ..of_v6 }),
        (v6.fragment(0, true).flags(0xff), Event { kind: kind::PROBE, flags: 0xff, ..of_v6 }),
    ];
    let before = now();
    for (frame, expected) in table {
        sensor.send(&frame);
        let events = sensor.events();
        let [event] = events[..] else { panic!("{events:?} for {frame:?}") };
        assert!((before..=now()).contains(&event.time));
        assert_eq!(event, Event { time: event.time, ..expected }, "{frame:?}");
    }
}

#[test]
fn options_that_the_frame_breaks_off_are_told_as_far_as_they_go() {
    let mut sensor = Sensor::new();
    let whole = syn("192.0.2.7", 1).options(&LINUX).build();
    for cut in 0..=LINUX.len() {
        let mut frame = whole[..whole.len() - cut].to_vec();
        // Each from another source port.
        frame[35] = u8::try_from(cut).unwrap();
        assert_eq!(sensor.run(&frame).0, End::Attempt);
        let whole_words = &LINUX[..(LINUX.len() - cut) / 4 * 4];
        let event = sensor.events()[0];
        assert_eq!(usize::from(event.options_len), whole_words.len(), "{cut} bytes are missing");
        assert_eq!(event.options, options(whole_words), "{cut} bytes are missing");
    }
}

#[test]
fn a_syn_that_comes_again_is_no_second_attempt() {
    for from in ["192.0.2.7", "2001:db8:9:9::7"] {
        let mut sensor = Sensor::new();
        let first = syn(from, 40_000).seq(100, 0);
        check(
            &mut sensor,
            &[
                ("a SYN", first.clone(), End::Attempt, FIRST),
                ("it again", first.clone(), End::Retransmission, &[]),
                ("and again, by another way", first.clone().vlan(7).ttl(9).ip_id(8), End::Retransmission, &[]),
                ("a new connection from the same port", first.clone().seq(101, 0), End::Attempt, SENT),
                ("its retransmission", first.clone().seq(101, 0), End::Retransmission, &[]),
                ("the old one is forgotten", first.clone(), End::Attempt, SENT),
                ("another port", syn(from, 40_001).seq(100, 0), End::Attempt, SENT),
            ],
        );
        let record = sensor.records()[0].1;
        assert_eq!((record.attempts, record.retransmissions), (4, 3));
        assert_eq!(sensor.events().len(), 4);
    }
}

#[test]
fn a_retransmission_keeps_the_attempt_alive_for_as_long_as_stacks_go_on() {
    let mut sensor = Sensor::new();
    let first = syn("192.0.2.7", 40_000);
    assert_eq!(sensor.end(&first), End::Attempt);
    // Each comes within the time after the one before; together they take far longer.
    for _ in 0..5 {
        sensor.age_handshake(&first, RETRANSMISSION_NS - 30 * SECOND_NS);
        assert_eq!(sensor.end(&first), End::Retransmission);
    }
    sensor.age_handshake(&first, RETRANSMISSION_NS);
    assert_eq!(sensor.end(&first), End::Attempt);
}

#[test]
fn an_ack_that_fits_completes_a_handshake_once() {
    for from in ["192.0.2.7", "2001:db8:9:9::7"] {
        for (seq, ack) in [(100, 101), (u32::MAX, 0), (100, 101 + 0xffff), (0xffff_ff00, 0x100)] {
            for flags in [ACK, ACK | PSH, ACK | FIN] {
                let mut sensor = Sensor::new();
                let first = syn(from, 40_000).seq(seq, 0);
                check(
                    &mut sensor,
                    &[
                        ("a SYN", first.clone(), End::Attempt, FIRST),
                        ("its ACK", first.clone().flags(flags).seq(ack, 7), End::Completion, SENT),
                        ("the next one", first.clone().flags(ACK).seq(ack, 7), End::Segment, &[]),
                    ],
                );
                let record = sensor.records()[0].1;
                assert_eq!((record.attempts, record.completions), (1, 1));
                let kinds: Vec<u8> = sensor.events().iter().map(|e| e.kind).collect();
                assert_eq!(kinds, [kind::ATTEMPT, kind::COMPLETION]);
            }
        }
    }
}

#[test]
fn an_ack_that_does_not_fit_completes_nothing() {
    for (from, other) in [("192.0.2.7", "192.0.2.8"), ("2001:db8:9:9::7", "2001:db8:9:9::8")] {
        let mut sensor = Sensor::new();
        let to_81 = match from.contains('.') {
            true => Frame::tcp("192.0.2.7:40000", (OWN_V4, 81)),
            false => Frame::tcp("[2001:db8:9:9::7]:40000", (OWN_V6, 81)),
        };
        let first = syn(from, 40_000).seq(100, 0);
        let ack = first.clone().flags(ACK).seq(101, 1);
        check(
            &mut sensor,
            &[
                ("a SYN", first.clone(), End::Attempt, FIRST),
                ("the SYN's own number", ack.clone().seq(100, 1), End::Segment, &[]),
                ("a number before it", ack.clone().seq(99, 1), End::Segment, &[]),
                ("a number too far ahead", ack.clone().seq(101 + 0x1_0000, 1), End::Segment, &[]),
                ("the other half of all numbers", ack.clone().seq(101 + 0x8000_0000, 1), End::Segment, &[]),
                ("another port of the source", syn(from, 40_001).flags(ACK).seq(101, 1), End::Segment, &[]),
                ("another port of ours", to_81.flags(ACK).seq(101, 1), End::Segment, &[]),
                ("another source", syn(other, 40_000).flags(ACK).seq(101, 1), End::Segment, &[]),
                ("a RST", ack.clone().flags(RST | ACK), End::Reply, &[]),
                ("a SYN-ACK", ack.clone().flags(SYN | ACK), End::Reply, &[]),
                ("no ACK", ack.clone().flags(FIN), End::Probe, SENT),
                ("the SYN again", first.clone(), End::Retransmission, &[]),
                ("and after all that, the ACK", ack.clone(), End::Completion, SENT),
            ],
        );
    }
}

#[test]
fn a_completion_comes_in_another_shape_than_its_attempt() {
    let mut sensor = Sensor::new();
    for (port, (out, back)) in [(0, 1), (1, 0), (2, 0), (0, 2)].into_iter().enumerate() {
        let port = u16::try_from(port).unwrap() + 1;
        let shaped = |frame: Frame, tags| match tags {
            0 => frame.ip_options(&[1; 8]),
            1 => frame.vlan(7),
            _ => frame.qinq(7, 8),
        };
        let first = syn("192.0.2.7", port);
        assert_eq!(sensor.end(&shaped(first.clone(), out)), End::Attempt);
        assert_eq!(sensor.end(&shaped(first.flags(ACK).seq(2, 1), back)), End::Completion);
    }
}

#[test]
fn a_completion_is_told_if_its_attempt_was_and_no_budget_stops_it() {
    let mut sensor = Sensor::new();
    let (told, untold) = (syn("192.0.2.7", 1), syn("192.0.2.7", 2));
    assert_eq!(sensor.send(&told), (End::Attempt, FIRST.to_vec()));
    sensor.tell(&Wish { source_events_per_s: 0, cpu_events_per_s: 0, ..Wish::default() });
    let ack = |frame: &Frame| frame.clone().flags(ACK).seq(2, 1);
    check(
        &mut sensor,
        &[
            ("an attempt over budget", untold.clone(), End::Attempt, &[Note::EventOverCpuBudget]),
            ("the completion of what was told", ack(&told), End::Completion, SENT),
            ("and of what was not", ack(&untold), End::Completion, &[]),
        ],
    );
    assert_eq!(sensor.record("192.0.2.7").unwrap().completions, 2);
}

#[test]
fn a_handshake_may_move_to_another_cpu() {
    let mut sensor = Sensor::new();
    let cpus = cpus();
    let (here, there) = (cpus[0], cpus[cpus.len() - 1]);
    stay_on(here);
    assert_eq!(sensor.end(&syn("192.0.2.7", 1)), End::Attempt);
    stay_on(there);
    assert_eq!(sensor.end(&syn("192.0.2.7", 1)), End::Retransmission);
    stay_on(here);
    assert_eq!(sensor.end(&syn("192.0.2.7", 1).flags(ACK).seq(2, 1)), End::Completion);
}
