//! Blocks of new connections alone: what opens something is dropped, and what goes on goes on.

use tcpcap::kernel::Wish;
use tcpcap_common::{
    record::Block,
    tally::{End, Note},
    wire::flag::{ACK, FIN, PSH, RST, SYN, URG},
};
use tcpcap_lab::{Frame, frame::protocol};

use crate::sensor::{Sensor, TICK_NS, addr, check, now, syn};

const SOURCES: [(&str, &str); 2] = [("192.0.2.7", "192.0.2.7"), ("2001:db8:9:9::7", "2001:db8:9:9::")];

#[test]
fn what_opens_something_is_dropped_and_what_exists_goes_on() {
    let mut sensor = Sensor::new();
    for (from, source) in SOURCES {
        for shaped in [|f: Frame| f, |f: Frame| f.vlan(5), |f: Frame| f.qinq(5, 6)] {
            sensor.block_opening(source);
            let with = |flags| shaped(syn(from, 1).flags(flags));
            check(
                &mut sensor,
                &[
                    ("an attempt", with(SYN), End::Blocked, &[]),
                    ("the SYN again", with(SYN), End::Blocked, &[]),
                    ("no flag", with(0), End::Blocked, &[]),
                    ("XMAS", with(FIN | PSH | URG), End::Blocked, &[]),
                    ("SYN and FIN", with(SYN | FIN), End::Blocked, &[]),
                    ("a tiny fragment", shaped(syn(from, 1).first_bytes(8)), End::Blocked, &[]),
                    ("a segment", with(ACK), End::Segment, &[]),
                    ("data", with(ACK | PSH), End::Segment, &[]),
                    ("an end", with(ACK | FIN), End::Segment, &[]),
                    ("a RST", with(RST), End::Reply, &[]),
                    ("a SYN-ACK", with(SYN | ACK), End::Reply, &[]),
                    ("UDP", shaped(syn(from, 1).protocol(protocol::UDP)), End::NotTcp, &[]),
                    ("a later fragment", shaped(syn(from, 1).fragment(9, false)), End::LaterFragment, &[]),
                    ("a fragment without ports", shaped(syn(from, 1).first_bytes(7)), End::TinyFragment, &[]),
                ],
            );
            assert_eq!(sensor.blocks.remove(addr(source)).unwrap().unwrap().packets, 6);
        }
    }
    assert_eq!((sensor.records(), sensor.events()), (vec![], vec![]));
}

#[test]
fn a_handshake_under_way_is_completed() {
    let mut sensor = Sensor::new();
    for (from, source) in SOURCES {
        assert_eq!(sensor.end(&syn(from, 1)), End::Attempt);
        sensor.block_opening(source);
        assert_eq!(sensor.end(&syn(from, 2)), End::Blocked);
        assert_eq!(sensor.end(&syn(from, 1).flags(ACK).seq(2, 1)), End::Completion);
        assert_eq!(sensor.end(&syn(from, 2).flags(ACK).seq(2, 1)), End::Segment, "it never got to us");
    }
}

#[test]
fn its_entry_counts_what_it_drops() {
    let mut sensor = Sensor::new();
    for (from, source) in SOURCES {
        let block = sensor.block_opening(source);
        let (before, frame) = (now(), syn(from, 1).payload(&[0; 100]));
        assert_eq!(sensor.end(&frame.clone().flags(ACK)), End::Segment);
        assert_eq!(sensor.blocks.get(addr(source)), Some(block), "nothing yet");
        assert_eq!(sensor.end(&frame), End::Blocked);
        let after = sensor.blocks.get(addr(source)).unwrap();
        assert!((before - TICK_NS..=now()).contains(&after.last_drop));
        let bytes = frame.build().len() as u64;
        assert_eq!(after, Block { packets: 1, bytes, last_drop: after.last_drop, ..block });
    }
}

#[test]
fn expiry_allow_list_and_observe_mode_speak_for_it_as_for_any_other() {
    let attempt = |port| syn("192.0.2.7", port);
    let first = |note| vec![Note::EventSent, Note::SourceAdded, note];
    let mut sensor = Sensor::new();
    let block = sensor.block_opening("192.0.2.7");
    sensor.blocks.put(addr("192.0.2.7"), Block { until: now() - TICK_NS, ..block }).unwrap();
    assert_eq!(sensor.send(&attempt(1)), (End::Attempt, first(Note::BlockExpired)));
    assert_eq!(sensor.send(&attempt(1).flags(ACK)), (End::Segment, vec![]), "it would have passed anyway");

    let mut sensor = Sensor::new();
    sensor.block_opening("192.0.2.7");
    sensor.allow(&["192.0.2.0/24"], &Wish::default());
    assert_eq!(sensor.send(&attempt(1)), (End::Attempt, first(Note::AllowedOverBlock)));

    let mut sensor = Sensor::new();
    sensor.block_opening("192.0.2.7");
    sensor.tell(&Wish { observe: true, ..Wish::default() });
    let counted = sensor.repeat(&attempt(1).build(), 1);
    assert_eq!((counted.end(End::Attempt), counted.would_drop()), (1, 1));
    assert_eq!(sensor.repeat(&attempt(1).flags(ACK).build(), 1).would_drop(), 0);
}

#[test]
fn told_so_the_program_takes_every_block_for_one_of_new_connections() {
    let mut sensor = Sensor::new();
    sensor.block("192.0.2.7", 0);
    sensor.block_network("203.0.113.0/24", Block::default());
    for source in ["192.0.2.7", "203.0.113.7"] {
        for syn_only in [true, false] {
            sensor.tell(&Wish { syn_only, ..Wish::default() });
            let segment = if syn_only { End::Segment } else { End::Blocked };
            assert_eq!(sensor.end(&syn(source, 1).flags(ACK)), segment, "{source}");
            assert_eq!(sensor.end(&syn(source, 1)), End::Blocked, "{source}");
        }
    }
}

#[test]
fn a_block_can_be_widened_and_narrowed() {
    let mut sensor = Sensor::new();
    let segment = syn("192.0.2.7", 1).flags(ACK);
    sensor.block_opening("192.0.2.7");
    assert_eq!(sensor.end(&segment), End::Segment);
    sensor.block("192.0.2.7", 0);
    assert_eq!(sensor.end(&segment), End::Blocked);
    sensor.block_opening("192.0.2.7");
    assert_eq!(sensor.end(&segment), End::Segment);
    assert_eq!(sensor.blocks.get(addr("192.0.2.7")).unwrap().packets, 1, "what it had counted goes on");
}
