//! Our own answers as they leave: what they make of the handshakes that wait for them, and what userspace hears of it.

use std::net::IpAddr;

use tcpcap::kernel::Wish;
use tcpcap_common::{
    record::{Event, OPTIONS_LEN, kind},
    tally::{End, Note},
    wire::flag::{ACK, FIN, PSH, RST, SYN},
};
use tcpcap_lab::{Frame, frame::protocol};

use crate::sensor::{IN_VIEW, OWN_V4, OWN_V6, Sensor, addr, now, syn};

const SENT: &[Note] = &[Note::EventSent];
const FIRST: &[Note] = &[Note::EventSent, Note::SourceAdded];

/// The SYN's and our numbers.
const THEIRS: u32 = u32::MAX;
const OURS: u32 = 7000;

const FROM: [&str; 2] = ["192.0.2.7", "2001:db8:9:9::7"];
const SHAPES: [fn(Frame) -> Frame; 3] = [|f| f, |f| f.vlan(5), |f| f.qinq(5, 6)];

fn seeing() -> Sensor {
    let mut sensor = Sensor::new();
    sensor.see_answers();
    sensor
}

fn attempt(from: &str) -> Frame {
    syn(from, 40_000).seq(THEIRS, 0)
}

/// The ACK of the handshake: of our number plus one.
fn completion(from: &str, acknowledges: u32) -> Frame {
    syn(from, 40_000).flags(ACK).seq(THEIRS.wrapping_add(1), acknowledges)
}

/// What we send back.
fn answer(to: &str, flags: u8, seq: u32, ack: u32) -> Frame {
    let to: IpAddr = to.parse().unwrap();
    let from: IpAddr = if to.is_ipv4() { OWN_V4.into() } else { OWN_V6.into() };
    Frame::tcp((from, 80), (to, 40_000)).flags(flags).seq(seq, ack)
}

fn syn_ack(to: &str) -> Frame {
    answer(to, SYN | ACK, OURS, THEIRS.wrapping_add(1))
}

fn refusal(to: &str) -> Frame {
    answer(to, RST | ACK, 0, THEIRS.wrapping_add(1))
}

fn kinds(sensor: &mut Sensor) -> Vec<u8> {
    sensor.events().iter().map(|e| e.kind).collect()
}

#[test]
fn an_answered_handshake_is_completed_by_the_ack_of_our_number() {
    for from in FROM {
        for shaped in SHAPES {
            for ahead in [0, 1, 0xffff] {
                let mut sensor = seeing();
                assert_eq!(sensor.send(&attempt(from)), (End::Attempt, FIRST.to_vec()));
                assert_eq!(sensor.leave(&shaped(syn_ack(from))), [Note::Accepted]);
                assert_eq!(sensor.leave(&shaped(syn_ack(from))), [], "again");
                let ack = completion(from, OURS + 1 + ahead);
                assert_eq!(sensor.send(&ack), (End::Completion, SENT.to_vec()));
                assert_eq!(sensor.send(&ack), (End::Segment, vec![]));
                assert_eq!(kinds(&mut sensor), [kind::ATTEMPT, kind::COMPLETION]);
                assert_eq!(sensor.records()[0].1.completions, 1);
            }
        }
    }
}

#[test]
fn an_ack_of_a_number_that_we_never_sent_completes_nothing() {
    for from in FROM {
        let mut sensor = seeing();
        sensor.send(&attempt(from));
        sensor.leave(&syn_ack(from));
        for guess in [OURS, OURS - 1, OURS + 0x1_0001, 0, OURS ^ 0x8000_0000] {
            let mismatch = vec![Note::MismatchedCompletion];
            assert_eq!(sensor.send(&completion(from, guess)), (End::Segment, mismatch), "{guess}");
        }
        assert_eq!(sensor.end(&completion(from, OURS + 1)), End::Completion, "nor does it spoil the handshake");
        assert_eq!(kinds(&mut sensor), [kind::ATTEMPT, kind::COMPLETION]);
    }
}

#[test]
fn a_syn_ack_that_comes_again_with_another_number_counts() {
    let mut sensor = seeing();
    let from = FROM[0];
    sensor.send(&attempt(from));
    sensor.leave(&syn_ack(from));
    assert_eq!(sensor.leave(&answer(from, SYN | ACK, 9_000_000, THEIRS.wrapping_add(1))), []);
    assert_eq!(sensor.end(&completion(from, OURS + 1)), End::Segment);
    assert_eq!(sensor.end(&completion(from, 9_000_001)), End::Completion);
}

#[test]
fn an_answer_to_another_syn_is_no_answer() {
    let mut sensor = seeing();
    let from = FROM[0];
    sensor.send(&attempt(from));
    let first = THEIRS.wrapping_add(1);
    for ack in [THEIRS, THEIRS - 9, first + 0x1_0000] {
        assert_eq!(sensor.leave(&answer(from, SYN | ACK, OURS, ack)), [], "{ack}");
        assert_eq!(sensor.leave(&answer(from, RST | ACK, 0, ack)), [], "{ack}");
    }
    assert_eq!(sensor.leave(&answer("192.0.2.8", SYN | ACK, OURS, first)), [], "another source");
    // A SYN may carry data (RFC 7413), and the answer acknowledge it.
    assert_eq!(sensor.leave(&answer(from, SYN | ACK, OURS, first + 500)), [Note::Accepted]);
}

#[test]
fn a_completion_without_an_answer_in_view_is_told_as_one() {
    for from in FROM {
        let mut sensor = seeing();
        sensor.send(&attempt(from));
        let notes = vec![Note::EventSent, Note::UnansweredCompletion];
        assert_eq!(sensor.send(&completion(from, 1)), (End::Completion, notes));
        assert_eq!(kinds(&mut sensor), [kind::ATTEMPT, kind::UNANSWERED_COMPLETION]);
        assert_eq!(sensor.end(&completion(from, 1)), End::Segment, "once");
    }
}

#[test]
fn completions_are_held_against_answers_only_while_they_are_in_view() {
    let from = FROM[0];
    // Off: as if we could not see them.
    let mut sensor = seeing();
    sensor.tell(&Wish::default());
    sensor.send(&attempt(from));
    assert_eq!(sensor.leave(&syn_ack(from)), [Note::Accepted]);
    assert_eq!(sensor.send(&completion(from, 1)), (End::Completion, SENT.to_vec()));
    // Switched on while a handshake is under way: its answer may have left before.
    sensor.send(&attempt(from));
    sensor.tell(&IN_VIEW);
    assert_eq!(sensor.send(&completion(from, 1)), (End::Completion, SENT.to_vec()));
    // Switched off: what was noted counts no more.
    sensor.send(&attempt(from));
    sensor.tell(&Wish::default());
    assert_eq!(sensor.send(&completion(from, 1)), (End::Completion, SENT.to_vec()));
}

#[test]
fn a_rst_refuses_an_attempt_once() {
    for from in FROM {
        for shaped in SHAPES {
            let mut sensor = seeing();
            sensor.send(&attempt(from));
            assert_eq!(sensor.leave(&shaped(refusal(from))), [Note::EventSent, Note::Refused]);
            assert_eq!(sensor.leave(&shaped(refusal(from))), [], "again");
            assert_eq!(sensor.end(&attempt(from)), End::Retransmission);
            assert_eq!(sensor.leave(&shaped(refusal(from))), [], "some stacks try three times");
            assert_eq!(kinds(&mut sensor), [kind::ATTEMPT, kind::REFUSAL]);
            assert_eq!(sensor.records()[0].1.refusals, 1);
            assert_eq!(sensor.send(&attempt(from).seq(5, 0)), (End::Attempt, SENT.to_vec()));
            assert_eq!(sensor.leave(&answer(from, RST | ACK, 0, 6)), [Note::EventSent, Note::Refused], "another one");
        }
    }
}

#[test]
fn what_was_refused_is_not_completed() {
    let mut sensor = seeing();
    let from = FROM[0];
    sensor.send(&attempt(from));
    sensor.leave(&refusal(from));
    assert_eq!(sensor.send(&completion(from, 1)), (End::Segment, vec![Note::MismatchedCompletion]));
    // Unless it tries again, and the service has come up meanwhile.
    assert_eq!(sensor.end(&attempt(from)), End::Retransmission);
    assert_eq!(sensor.leave(&syn_ack(from)), [Note::Accepted]);
    assert_eq!(sensor.end(&completion(from, OURS + 1)), End::Completion);
}

#[test]
fn a_refusal_tells_the_attempts_ends_and_our_numbers() {
    for from in FROM {
        let mut sensor = seeing();
        sensor.send(&attempt(from).options(&[1; 40]));
        sensor.events();
        let before = now();
        sensor.leave(&refusal(from).ttl(9).window(3));
        let [event] = sensor.events()[..] else { panic!("one event") };
        assert!((before..=now()).contains(&event.time));
        let to: IpAddr = if from.contains('.') { OWN_V4.into() } else { OWN_V6.into() };
        let expected = Event {
            time: event.time,
            from: addr(from),
            to: to.into(),
            seq: 0,
            ack: THEIRS.wrapping_add(1),
            from_port: 40_000,
            to_port: 80,
            window: 3,
            ip_id: if from.contains('.') { 1 } else { 0 },
            // A test run leaves by the loopback interface of the name space.
            interface: 1,
            kind: kind::REFUSAL,
            flags: RST | ACK,
            ttl: 9,
            options_len: 0,
            options: [0; OPTIONS_LEN],
        };
        assert_eq!(event, expected);
    }
}

#[test]
fn a_refusal_is_told_if_its_attempt_was_and_no_budget_stops_it() {
    let mut sensor = seeing();
    sensor.send(&attempt("192.0.2.7"));
    sensor.tell(&Wish { cpu_events_per_s: 0, source_events_per_s: 0, ..IN_VIEW });
    assert_eq!(sensor.send(&attempt("192.0.2.8")).1, [Note::EventOverCpuBudget, Note::SourceAdded]);
    assert_eq!(sensor.leave(&refusal("192.0.2.7")), [Note::EventSent, Note::Refused]);
    assert_eq!(sensor.leave(&refusal("192.0.2.8")), [Note::Refused], "nobody knows of that attempt");
    assert_eq!(sensor.record("192.0.2.8").unwrap().refusals, 1);
}

#[test]
fn a_rst_without_ack_tells_of_a_stray_within_the_budget() {
    for from in FROM {
        for shaped in SHAPES {
            let mut sensor = seeing();
            sensor.tell(&Wish { source_events_per_s: 2, ..IN_VIEW });
            let rst = shaped(answer(from, RST, 9, 0));
            assert_eq!(sensor.leave(&rst), [Note::EventSent, Note::SourceAdded, Note::StrayRefused]);
            assert_eq!(sensor.leave(&rst), [Note::EventSent, Note::StrayRefused]);
            assert_eq!(sensor.leave(&rst), [Note::EventOverSourceBudget, Note::StrayRefused]);
            let event = sensor.events()[0];
            assert_eq!((event.kind, event.flags), (kind::STRAY_REFUSED, RST));
            assert_eq!((event.from, event.from_port, event.to_port), (addr(from), 40_000, 80));
            let record = sensor.records()[0].1;
            assert_eq!((record.strays, record.probes, record.events_withheld), (3, 0, 1));
        }
    }
}

#[test]
fn our_rst_to_a_syn_ack_that_nobody_asked_for_tells_of_no_stray() {
    for from in FROM {
        let mut sensor = seeing();
        assert_eq!(sensor.end(&syn(from, 40_000).flags(SYN | ACK).seq(5, 9)), End::Reply);
        assert_eq!(sensor.leave(&answer(from, RST, 9, 0)), [], "the backscatter of somebody else's flood");
        // An attempt on the same flow is a new one, and what answers it is told as ever.
        assert_eq!(sensor.end(&attempt(from)), End::Attempt);
        assert_eq!(sensor.end(&syn(from, 40_000).flags(SYN | ACK).seq(5, 9)), End::Reply);
        assert_eq!(sensor.leave(&refusal(from)), [Note::EventSent, Note::Refused]);
    }
}

#[test]
fn only_an_own_address_answers_strays() {
    let mut sensor = seeing();
    for (from, to) in [("198.51.100.2:80", "192.0.2.7:1"), ("[2001:db8:1:2::2]:80", "[2001:db8:9:9::7]:1")] {
        assert_eq!(sensor.leave(&Frame::tcp(from, to).flags(RST)), []);
    }
    assert_eq!((sensor.records(), sensor.events()), (vec![], vec![]));
}

#[test]
fn an_rst_beside_a_pending_attempt_tells_of_no_stray() {
    let mut sensor = seeing();
    sensor.send(&attempt(FROM[0]));
    sensor.leave(&syn_ack(FROM[0]));
    // Our answer to a guessed ACK of a handshake under way.
    assert_eq!(sensor.leave(&answer(FROM[0], RST, 5, 0)), []);
    assert_eq!(sensor.end(&completion(FROM[0], OURS + 1)), End::Completion);
    // We end the connection ourselves.
    assert_eq!(sensor.leave(&answer(FROM[0], RST | ACK, 9, 9)), []);
}

#[test]
fn everything_else_leaves_without_a_trace() {
    let mut sensor = seeing();
    for from in FROM {
        sensor.send(&attempt(from));
        sensor.events();
        let with = |flags| answer(from, flags, OURS, THEIRS.wrapping_add(1));
        for shaped in SHAPES {
            for frame in [
                with(ACK),
                with(ACK | PSH).payload(&[7; 1400]),
                with(ACK | FIN),
                with(SYN),
                with(0),
                with(SYN | FIN | ACK),
                with(SYN | RST),
                with(SYN | ACK).protocol(protocol::UDP),
                with(SYN | ACK).fragment(9, false),
                with(SYN | ACK).first_bytes(16),
                with(SYN | ACK).qinq(7, 8).vlan(9),
            ] {
                assert_eq!(sensor.leave(&shaped(frame.clone())), [], "{frame:?}");
            }
        }
        let notes = vec![Note::EventSent, Note::UnansweredCompletion];
        assert_eq!(sensor.send(&completion(from, OURS + 1)), (End::Completion, notes), "nothing was an answer");
    }
}

#[test]
fn before_it_is_told_anything_it_sees_nothing() {
    let mut sensor = Sensor::untold();
    sensor.see_answers();
    for from in FROM {
        for frame in [syn_ack(from), refusal(from), answer(from, RST, 1, 0)] {
            assert_eq!(sensor.leave(&frame), []);
        }
    }
    assert_eq!((sensor.records(), sensor.events()), (vec![], vec![]));
}
