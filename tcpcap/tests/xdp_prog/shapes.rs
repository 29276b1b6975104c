//! Every shape a packet can have: what the program makes of it, whole, cut off anywhere, damaged, and listed.

use std::{
    cell::RefCell,
    net::{Ipv4Addr, Ipv6Addr},
};

use proptest::{
    collection::vec,
    prelude::*,
    sample::Index,
    test_runner::{Config, TestRunner},
};
use tcpcap::kernel::Wish;
use tcpcap_common::{
    tally::End,
    wire::{self, Kind},
};
use tcpcap_lab::{
    Frame,
    frame::{Extension, protocol},
};

use crate::sensor::{OWN_V6, SHORTEST_RUN, Sensor, syn};

const V4: &str = "192.0.2.7";
const V6: &str = "2001:db8:9:9::7";

/// A frame with some bytes written over.
fn patched(frame: &Frame, at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut frame = frame.build();
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    frame
}

/// The end that a frame has when it is sent to an own address, each from a port of its own.
fn shapes() -> Vec<(&'static str, Vec<u8>, End)> {
    let mut port = 40_000;
    let mut next = |source| {
        port += 1;
        syn(source, port).payload(b"0123")
    };
    let (mut v4, mut v6) = (next(V4), next(V6));
    let mut out = vec![
        ("IPv4", v4.build(), End::Attempt),
        ("IPv6", v6.build(), End::Attempt),
        ("VLAN", next(V4).vlan(5).build(), End::Attempt),
        ("VLAN, IPv6", next(V6).vlan(5).build(), End::Attempt),
        ("QinQ", next(V4).qinq(5, 6).build(), End::Attempt),
        ("QinQ, IPv6", next(V6).qinq(5, 6).build(), End::Attempt),
        ("QinQ of old", patched(&next(V4).qinq(5, 6), 12, &[0x91, 0x00]), End::Attempt),
        ("three tags", next(V4).qinq(5, 6).vlan(7).build(), End::VlanTooDeep),
        ("IPv4 options", next(V4).ip_options(&[7, 7, 4, 0, 0, 0, 0]).build(), End::Attempt),
        ("all the IPv4 options there can be", next(V4).ip_options(&[1; 40]).build(), End::Attempt),
        ("TCP options", next(V4).options(&[2, 4, 5, 180, 1, 1, 4, 2]).build(), End::Attempt),
        ("all the TCP options there can be", next(V6).options(&[1; 40]).build(), End::Attempt),
        ("first fragment", next(V4).fragment(0, true).build(), End::Attempt),
        ("first fragment, IPv6", next(V6).fragment(0, true).build(), End::Attempt),
        ("the only fragment, IPv6", next(V6).fragment(0, false).build(), End::Attempt),
        ("later fragment", next(V4).fragment(1, true).build(), End::LaterFragment),
        ("last fragment", next(V4).fragment(0x1fff, false).build(), End::LaterFragment),
        ("later fragment, IPv6", next(V6).fragment(1, true).build(), End::LaterFragment),
        ("last fragment, IPv6", next(V6).fragment(0x1fff, false).build(), End::LaterFragment),
        ("UDP", next(V4).protocol(protocol::UDP).build(), End::NotTcp),
        ("UDP, IPv6", next(V6).protocol(protocol::UDP).build(), End::NotTcp),
        ("UDP behind an extension header", next(V6).protocol(17).extension(Extension::Routing).build(), End::NotTcp),
        ("ICMP", next(V4).protocol(protocol::ICMP).payload(&[8; 8]).build(), End::NotTcp),
        ("ICMPv6", next(V6).protocol(protocol::ICMPV6).payload(&[128; 8]).build(), End::NotTcp),
        ("ARP", patched(&next(V4), 12, &[0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1]), End::NotIp),
        ("a length where the EtherType is", patched(&next(V4), 12, &[0, 46]), End::NotIp),
    ];

    v4 = next(V4);
    v6 = next(V6);
    let tiny = patched(&next(V4).fragment(0, true), 16, &[0, 28]);
    let tiny_v6 = patched(&next(V6).fragment(0, true), 18, &[0, 16]);
    let tinier = patched(&next(V4).fragment(0, true), 16, &[0, 27]);
    let from_mapped = Frame::tcp((V4.parse::<Ipv4Addr>().unwrap().to_ipv6_mapped(), 1), (OWN_V6, 80));
    let to_mapped =
        Frame::tcp(("2001:db8:9:9::7".parse::<Ipv6Addr>().unwrap(), 1), (Ipv4Addr::LOCALHOST.to_ipv6_mapped(), 80));
    let lying = next(V6).extension(Extension::Destination);
    out.extend([
        ("IPv4 of another version", patched(&v4, 14, &[0x55]), End::IpMalformed),
        ("IPv6 of another version", patched(&v6, 14, &[0x40]), End::IpMalformed),
        ("an IPv4 header of four words", patched(&v4, 14, &[0x44]), End::IpMalformed),
        ("a packet shorter than its header", patched(&v4, 16, &[0, 19]), End::IpMalformed),
        ("an IPv4 sender in IPv6", from_mapped.build(), End::IpMalformed),
        ("an IPv4 receiver in IPv6", to_mapped.build(), End::IpMalformed),
        ("a packet that ends in the TCP header", patched(&v4, 16, &[0, 39]), End::TcpTruncated),
        ("an IPv6 packet that ends in the TCP header", patched(&v6, 18, &[0, 19]), End::TcpTruncated),
        ("a first fragment that ends in the TCP header", tiny, End::TinyFragment),
        ("an IPv6 one", tiny_v6, End::TinyFragment),
        ("one that ends before the sequence number does", tinier, End::TinyFragment),
        ("a TCP header of four words", patched(&v4, 46, &[0x40]), End::TcpMalformed),
        ("TCP options that the packet has no room for", patched(&v4, 46, &[0xf0]), End::TcpMalformed),
        ("an extension header longer than the packet", patched(&lying, 55, &[9]), End::IpTruncated),
    ]);

    let kinds = [
        ("hop-by-hop options", Extension::HopByHop),
        ("a routing header", Extension::Routing),
        ("an authentication header", Extension::Authentication),
        ("destination options", Extension::Destination),
        ("a mobility header", Extension::Mobility),
    ];
    out.extend(kinds.map(|(what, kind)| (what, next(V6).extension(kind).build(), End::Attempt)));
    let five = kinds.iter().fold(next(V6), |frame, &(_, kind)| frame.extension(kind));
    out.push(("five extension headers and a fragment's", five.clone().fragment(0, true).build(), End::Attempt));
    let seven = five.extension(Extension::Destination).extension(Extension::Destination);
    out.push(("seven extension headers", seven.build(), End::ExtensionsTooDeep));
    out.push(("seven, over QinQ", seven.qinq(5, 6).build(), End::ExtensionsTooDeep));
    out
}

/// The end of a frame by the parser as the host runs it, where nothing is an own address.
fn by_the_parser(frame: &[u8]) -> End {
    match wire::parse(frame).map(|(_, segment)| segment.kind()) {
        Err(end) => end,
        Ok(Kind::Attempt | Kind::Probe | Kind::TinyFragment) => End::NotOwn,
        Ok(Kind::Reply) => End::Reply,
        Ok(Kind::Segment) => End::Segment,
    }
}

fn without_own_addresses() -> Sensor {
    let mut sensor = Sensor::untold();
    sensor.tell(&Wish::default());
    sensor
}

#[test]
fn every_shape_ends_as_it_must() {
    let mut sensor = Sensor::new();
    for (what, frame, end) in shapes() {
        assert_eq!(sensor.run(&frame).0, end, "{what}");
    }
}

#[test]
fn every_shape_cut_off_anywhere_passes_under_the_name_that_the_parser_gives_it() {
    let mut sensor = without_own_addresses();
    for (what, frame, _) in shapes() {
        let mut before = 0;
        // A run takes no less than an Ethernet header; shorter frames are the parser's own tests' business.
        for len in SHORTEST_RUN..=frame.len() {
            let (end, notes) = sensor.run(&frame[..len]);
            assert_eq!((end, &notes[..]), (by_the_parser(&frame[..len]), &[][..]), "{what} at {len}");
            let now = match end {
                End::FrameTruncated => 0,
                End::IpTruncated => 1,
                End::TcpTruncated => 2,
                _ => 3,
            };
            assert!(now >= before, "{what} at {len}: {end:?}");
            before = now;
        }
    }
}

#[test]
fn every_shape_of_a_listed_source_is_dropped_once_its_address_is_there() {
    let mut sensor = without_own_addresses();
    sensor.block(V4, 0);
    sensor.block("2001:db8:9:9::", 0);
    for (what, frame, _) in shapes() {
        for len in SHORTEST_RUN..=frame.len() {
            let (start, end) = wire::span(&frame[..len]);
            // SAFETY: `start..end` is the slice.
            let network = unsafe { wire::link(start, end).and_then(|link| wire::network(start, end, link)) };
            let expected = network.err().unwrap_or(End::Blocked);
            assert_eq!(sensor.run(&frame[..len]).0, expected, "{what} at {len}");
        }
    }
}

#[test]
fn what_is_damaged_passes_under_the_name_that_the_parser_gives_it() {
    let sensor = RefCell::new(without_own_addresses());
    let frames: Vec<Vec<u8>> = shapes().into_iter().map(|(_, frame, _)| frame).collect();
    // The first twelve bytes are nobody's business.
    let damage = vec((12..90usize, any::<u8>()), 1..5);
    let damaged = (any::<Index>(), damage, any::<Index>());
    let config = Config { failure_persistence: None, ..Config::with_cases(3000) };
    TestRunner::new(config)
        .run(&damaged, |(which, damage, cut)| {
            let mut frame = which.get(&frames).clone();
            for (at, byte) in damage {
                if let Some(place) = frame.get_mut(at) {
                    *place = byte;
                }
            }
            // One in two is whole.
            frame.truncate(SHORTEST_RUN + cut.index(2 * (frame.len() - SHORTEST_RUN)));
            prop_assert_eq!(sensor.borrow_mut().run(&frame).0, by_the_parser(&frame));
            Ok(())
        })
        .unwrap();
}
