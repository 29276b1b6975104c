//! Blocks: whose packets are dropped, for how long, what speaks for them, and what is counted.

use std::{collections::BTreeSet, net::IpAddr};

use aya::maps::{HashMap, MapData};
use tcpcap::kernel::Wish;
use tcpcap_common::{
    Addr,
    record::{Block, map},
    tally::{End, Note},
    wire::flag::{ACK, RST, SYN},
};
use tcpcap_lab::{Frame, frame::protocol};

use crate::sensor::{OWN_V4, OWN_V6, Sensor, TICK_NS, addr, check, now, syn};

const OBSERVE: Wish = Wish {
    observe: true,
    source_events_per_s: 512,
    cpu_events_per_s: 512,
    cpu_new_sources_per_s: 512,
    ..Wish::DEFAULT
};
const HOUR_NS: u64 = 3_600_000_000_000;

/// A source of each family, and how it stands in the map.
const SOURCES: [(&str, &str); 2] = [("192.0.2.7", "192.0.2.7"), ("2001:db8:9:9::7", "2001:db8:9:9::")];

#[test]
fn a_blocked_source_is_dropped_and_its_entry_counts() {
    let mut sensor = Sensor::new();
    for (from, source) in SOURCES {
        for until in [0, now() + HOUR_NS] {
            let block = sensor.block(source, until);
            let frames = [syn(from, 1), syn(from, 1), syn(from, 2).payload(&[0; 700])];
            let before = now();
            for frame in &frames {
                assert_eq!(sensor.send(frame), (End::Blocked, vec![]), "{source}");
            }
            let after = sensor.blocks.get(addr(source)).unwrap();
            assert!((before - TICK_NS..=now()).contains(&after.last_drop));
            let bytes = frames.iter().map(|f| f.build().len() as u64).sum();
            assert_eq!(after, Block { packets: 3, bytes, last_drop: after.last_drop, ..block }, "{source}");
            sensor.blocks.remove(addr(source)).unwrap().unwrap();
        }
    }
    assert_eq!((sensor.records(), sensor.events()), (vec![], vec![]), "nothing else is counted of it");
}

#[test]
fn what_is_not_there_is_taken_out_without_complaint() {
    let mut sensor = Sensor::new();
    assert_eq!(sensor.blocks.remove(addr("192.0.2.7")).unwrap(), None);
    // Somebody else has emptied the map of own addresses.
    let addresses: BTreeSet<IpAddr> = [OWN_V4.into(), OWN_V6.into()].into();
    let mut map: HashMap<MapData, Addr, u32> = sensor.map(map::OWN);
    for address in &addresses {
        map.remove(&Addr::from(*address)).unwrap();
    }
    sensor.own(&[]);
    assert_eq!(map.keys().count(), 0);
}

#[test]
fn everything_from_a_blocked_source_is_dropped_and_nothing_else() {
    let mut sensor = Sensor::new();
    for (from, source) in SOURCES {
        sensor.block(source, 0);
        let other = from.replace('7', "8").replace("9:9", "9:8");
        let from_us: IpAddr = if from.contains('.') { OWN_V4.into() } else { OWN_V6.into() };
        let to_it = Frame::tcp((from_us, 80), (from.parse::<IpAddr>().unwrap(), 80)).flags(ACK);
        check(
            &mut sensor,
            &[
                ("an attempt", syn(from, 1), End::Blocked, &[]),
                ("a segment", syn(from, 1).flags(ACK), End::Blocked, &[]),
                ("an answer", syn(from, 1).flags(RST), End::Blocked, &[]),
                ("a SYN-ACK", syn(from, 1).flags(SYN | ACK), End::Blocked, &[]),
                ("a probe", syn(from, 1).flags(0), End::Blocked, &[]),
                ("UDP", syn(from, 1).protocol(protocol::UDP), End::Blocked, &[]),
                ("ICMP", syn(from, 1).protocol(protocol::ICMP), End::Blocked, &[]),
                ("a first fragment", syn(from, 1).fragment(0, true), End::Blocked, &[]),
                ("a later fragment", syn(from, 1).fragment(9, false), End::Blocked, &[]),
                ("the same source over a VLAN", syn(from, 1).vlan(5), End::Blocked, &[]),
                ("and over QinQ", syn(from, 1).qinq(5, 6), End::Blocked, &[]),
                ("another source", syn(&other, 1).flags(ACK), End::Segment, &[]),
                ("a packet that is sent to it", to_it, End::Segment, &[]),
            ],
        );
        sensor.blocks.remove(addr(source)).unwrap().unwrap();
        assert_eq!(sensor.end(&syn(from, 1)), End::Attempt, "once it is no longer listed");
    }
}

#[test]
fn a_block_ends_by_itself() {
    let mut sensor = Sensor::new();
    for (from, source) in SOURCES {
        let expired = sensor.block(source, now() - TICK_NS);
        let first = &[Note::EventSent, Note::SourceAdded, Note::BlockExpired];
        check(
            &mut sensor,
            &[
                ("what comes later passes", syn(from, 1), End::Attempt, first),
                ("and counts", syn(from, 1), End::Retransmission, &[Note::BlockExpired]),
                ("whatever it is", syn(from, 1).protocol(protocol::UDP), End::NotTcp, &[Note::BlockExpired]),
            ],
        );
        assert_eq!(sensor.blocks.get(addr(source)), Some(expired), "the sweep is userspace's business");
        sensor.block(source, now() + HOUR_NS);
        assert_eq!(sensor.end(&syn(from, 1)), End::Blocked, "until it is extended");
    }
}

#[test]
fn a_block_ends_while_its_packets_keep_coming_and_not_before() {
    let mut sensor = Sensor::new();
    let until = now() + TICK_NS;
    sensor.block("192.0.2.7", until);
    while sensor.end(&syn("192.0.2.7", 1)) == End::Blocked {
        assert!(now() < until + 10 * TICK_NS, "it goes on and on");
    }
    assert!(now() >= until);
}

#[test]
fn allowed_wins_over_blocked_whatever_came_first() {
    for allowed_first in [true, false] {
        let mut sensor = Sensor::new();
        let allow = |sensor: &mut Sensor| sensor.allow(&["192.0.2.0/29", "2001:db8:9::/48"], &Wish::default());
        if allowed_first {
            allow(&mut sensor);
        }
        let blocks = SOURCES.map(|(_, source)| sensor.block(source, 0));
        sensor.block("192.0.2.8", 0);
        sensor.block("2001:db8:a::", 0);
        if !allowed_first {
            allow(&mut sensor);
        }
        let over = &[Note::EventSent, Note::SourceAdded, Note::AllowedOverBlock];
        check(
            &mut sensor,
            &[
                ("an allowed source passes and counts", syn("192.0.2.7", 1), End::Attempt, over),
                ("so does an IPv6 one", syn("2001:db8:9:9::7", 1), End::Attempt, over),
                ("whatever it sends", syn("192.0.2.7", 1).flags(ACK), End::Segment, &[Note::AllowedOverBlock]),
                ("beyond the network", syn("192.0.2.8", 1), End::Blocked, &[]),
                ("beyond the IPv6 network", syn("2001:db8:a::7", 1), End::Blocked, &[]),
            ],
        );
        assert_eq!(SOURCES.map(|(_, source)| sensor.blocks.get(addr(source)).unwrap()), blocks, "it was not dropped");
    }
}

#[test]
fn one_allowed_address_passes_out_of_a_blocked_prefix() {
    let mut sensor = Sensor::new();
    sensor.block("2001:db8:9:9::", 0);
    assert_eq!(sensor.end(&syn("2001:db8:9:9::7", 1)), End::Blocked);
    sensor.allow(&["2001:db8:9:9::7/128"], &Wish::default());
    assert_eq!(sensor.end(&syn("2001:db8:9:9::7", 1)), End::Attempt);
    for neighbour in ["2001:db8:9:9::6", "2001:db8:9:9::8", "2001:db8:9:9:ffff:ffff:ffff:ffff"] {
        assert_eq!(sensor.end(&syn(neighbour, 1)), End::Blocked, "{neighbour}");
    }
}

#[test]
fn a_blocked_prefix_ends_at_its_last_bit_and_spares_our_neighbours() {
    let mut sensor = Sensor::new();
    sensor.block("2001:db8:9:9::", 0);
    sensor.block("2001:db8:1:2::", 0);
    for (from, end) in [
        ("2001:db8:9:9::", End::Blocked),
        ("2001:db8:9:9:ffff:ffff:ffff:ffff", End::Blocked),
        ("2001:db8:9:8:ffff:ffff:ffff:ffff", End::Attempt),
        ("2001:db8:9:a::", End::Attempt),
        // A neighbour on our own link is itself, not the whole of the link, our router included.
        ("2001:db8:1:2::99", End::Attempt),
    ] {
        assert_eq!(sensor.end(&syn(from, 1)), end, "{from}");
    }
    sensor.block("2001:db8:1:2::99", 0);
    assert_eq!(sensor.end(&syn("2001:db8:1:2::99", 1)), End::Blocked);
    assert_eq!(sensor.end(&syn("2001:db8:1:2::98", 1)), End::Attempt);
}

#[test]
fn observe_mode_counts_what_it_would_have_dropped() {
    let mut sensor = Sensor::new();
    sensor.tell(&OBSERVE);
    for (from, source) in SOURCES {
        let block = sensor.block(source, 0);
        let frame = syn(from, 1);
        for end in [End::Attempt, End::Retransmission] {
            let counted = sensor.repeat(&frame.build(), 1);
            assert_eq!((counted.end(end), counted.would_drop()), (1, 1));
        }
        let after = sensor.blocks.get(addr(source)).unwrap();
        let bytes = 2 * frame.build().len() as u64;
        assert_eq!(after, Block { packets: 2, bytes, last_drop: after.last_drop, ..block });
        assert_ne!(after.last_drop, 0);
    }
    sensor.allow(&["192.0.2.7/32"], &OBSERVE);
    let counted = sensor.repeat(&syn("192.0.2.7", 1).build(), 1);
    assert_eq!((counted.notes(), counted.would_drop()), (vec![Note::AllowedOverBlock], 0));
    sensor.tell(&Wish::default());
    assert_eq!(sensor.end(&syn("2001:db8:9:9::7", 1)), End::Blocked);
}

#[test]
fn a_packet_of_several_buffers_counts_with_all_its_bytes() {
    let mut sensor = Sensor::new();
    if !sensor.takes_several_buffers() {
        // Before Linux 5.18 there are no such packets.
        return;
    }
    let frame = syn("192.0.2.7", 1).payload(&[0; 20_000]);
    assert_eq!(sensor.end(&frame), End::Attempt);
    sensor.block("192.0.2.7", 0);
    assert_eq!(sensor.end(&frame), End::Blocked);
    assert_eq!(sensor.blocks.get(addr("192.0.2.7")).unwrap().bytes, 20_054);
}

#[test]
fn a_full_list_of_blocks_refuses_the_next_and_keeps_every_one_it_has() {
    let mut sensor = Sensor::new();
    let nth = |n: u32| Addr::from_v4_word((0x0b00_0000 + n).to_be());
    let mut list: HashMap<MapData, Addr, Block> = sensor.map(map::BLOCKS);
    let full = (0u32..).find(|&n| list.insert(nth(n), Block::default(), 0).is_err()).unwrap();
    assert!(full >= 100_000, "{full}");
    // New sources come in meanwhile; they have no business in this list.
    (0..100).for_each(|n| assert_eq!(sensor.end(&syn(&format!("192.0.2.{n}"), 1)), End::Attempt));
    for n in [0, full / 2, full - 1] {
        assert_eq!(sensor.end(&syn(&nth(n).to_ip().to_string(), 1)), End::Blocked);
    }
    assert!(sensor.blocks.put(nth(full), Block::default()).is_err());
    assert!(sensor.blocks.put(nth(0), Block { reason: 9, ..Block::default() }).is_ok(), "what is there can be changed");
    sensor.blocks.remove(nth(0)).unwrap().unwrap();
    sensor.blocks.put(nth(full), Block::default()).unwrap();
    assert_eq!(sensor.end(&syn(&nth(0).to_ip().to_string(), 1)), End::Attempt);
}
