//! What a segment is taken for, and which addresses are our own.

use std::net::IpAddr;

use tcpcap::kernel::Wish;
use tcpcap_common::{
    tally::{End, Note},
    wire::flag::{ACK, FIN, PSH, RST, SYN, URG},
};
use tcpcap_lab::Frame;

use crate::sensor::{OWN_V4, OWN_V6, Sensor, check, syn};

const FIRST: &[Note] = &[Note::EventSent, Note::SourceAdded];
const AGAIN: &[Note] = &[Note::EventSent];

#[test]
fn flags_decide_what_a_segment_counts_as() {
    let mut sensor = Sensor::new();
    for source in ["192.0.2.7", "2001:db8:9:9::7"] {
        let with = |flags| syn(source, 40_000).flags(flags);
        check(
            &mut sensor,
            &[
                ("a SYN-ACK answers us", with(SYN | ACK), End::Reply, &[]),
                ("a RST answers us", with(RST), End::Reply, &[]),
                ("and so does one with an ACK", with(RST | ACK), End::Reply, &[]),
                ("an ACK belongs to something", with(ACK), End::Segment, &[]),
                ("so does data", with(ACK | PSH), End::Segment, &[]),
                ("so does an end", with(ACK | FIN), End::Segment, &[]),
                ("a SYN is an attempt", with(SYN), End::Attempt, FIRST),
                ("no flag at all: a probe", with(0), End::Probe, AGAIN),
                ("FIN alone", with(FIN), End::Probe, AGAIN),
                ("XMAS", with(FIN | PSH | URG), End::Probe, AGAIN),
                ("SYN and FIN", with(SYN | FIN), End::Probe, AGAIN),
                ("SYN and RST", with(SYN | RST), End::Probe, AGAIN),
                ("SYN, FIN and ACK", with(SYN | FIN | ACK), End::Probe, AGAIN),
                ("every flag there is", with(0xff), End::Probe, AGAIN),
            ],
        );
    }
    // The congestion flags of an honest SYN (RFC 3168) do not make it another segment.
    assert_eq!(sensor.end(&syn("192.0.2.8", 1).flags(SYN | 0xc0)), End::Attempt);
}

#[test]
fn answers_and_segments_leave_no_record_and_no_event() {
    let mut sensor = Sensor::new();
    for flags in [SYN | ACK, RST, RST | ACK, ACK, ACK | PSH, ACK | FIN] {
        sensor.send(&syn("192.0.2.7", 40_000).flags(flags));
    }
    assert_eq!((sensor.records(), sensor.events()), (vec![], vec![]));
}

#[test]
fn only_what_is_sent_to_an_own_address_counts() {
    let mut sensor = Sensor::new();
    let v4 = |to: &str, flags| Frame::tcp("192.0.2.7:40000", to).flags(flags);
    let v6 = |to: &str, flags| Frame::tcp("[2001:db8:9:9::7]:40000", to).flags(flags);
    check(
        &mut sensor,
        &[
            ("a neighbour's address", v4("198.51.100.2:80", SYN), End::NotOwn, &[]),
            ("a probe of it", v4("198.51.100.2:80", 0), End::NotOwn, &[]),
            ("an IPv6 neighbour's", v6("[2001:db8:1:2::2]:80", SYN), End::NotOwn, &[]),
            ("a probe of it, IPv6", v6("[2001:db8:1:2::2]:80", FIN), End::NotOwn, &[]),
            ("a broadcast", v4("255.255.255.255:80", SYN), End::NotOwn, &[]),
            ("our compatible address in IPv6", v6("[::198.51.100.1]:80", SYN), End::NotOwn, &[]),
            ("a stranger's segment is a segment", v4("198.51.100.2:80", ACK), End::Segment, &[]),
        ],
    );
    assert_eq!((sensor.records(), sensor.events()), (vec![], vec![]));
    // Nothing waits for the handshake of an attempt that was not for us.
    assert_eq!(sensor.end(&v4("198.51.100.2:80", ACK).seq(2, 1)), End::Segment);
}

#[test]
fn own_addresses_come_and_go() {
    let mut sensor = Sensor::new();
    let to = |address: IpAddr, port| match address.is_ipv4() {
        true => Frame::tcp("192.0.2.7:40000", (address, port)),
        false => Frame::tcp("[2001:db8:9:9::7]:40000", (address, port)),
    };
    let new: [IpAddr; 2] = ["203.0.113.9".parse().unwrap(), "2001:db8:77::9".parse().unwrap()];
    assert_eq!(new.map(|a| sensor.end(&to(a, 1))), [End::NotOwn; 2]);
    sensor.own(&[new[0], new[1], OWN_V4.into()]);
    assert_eq!(new.map(|a| sensor.end(&to(a, 1))), [End::Attempt; 2]);
    assert_eq!([OWN_V4.into(), OWN_V6.into()].map(|a| sensor.end(&to(a, 1))), [End::Attempt, End::NotOwn]);
    sensor.own(&[]);
    assert_eq!(new.map(|a| sensor.end(&to(a, 2))), [End::NotOwn; 2]);
}

#[test]
fn own_networks_are_own_addresses_to_their_last_bit() {
    let mut sensor = Sensor::new();
    sensor.own_networks(&["203.0.113.64/26", "2001:db8:77::/49"]);
    for (to, end) in [
        ("203.0.113.63:80", End::NotOwn),
        ("203.0.113.64:80", End::Attempt),
        ("203.0.113.127:80", End::Attempt),
        ("203.0.113.128:80", End::NotOwn),
        ("[2001:db8:76:ffff:ffff:ffff:ffff:ffff]:80", End::NotOwn),
        ("[2001:db8:77::]:80", End::Attempt),
        ("[2001:db8:77:7fff:ffff:ffff:ffff:ffff]:80", End::Attempt),
        ("[2001:db8:77:8000::]:80", End::NotOwn),
        ("198.51.100.1:80", End::Attempt),
    ] {
        let from = if to.starts_with('[') { "[2001:db8:9:9::7]:40000" } else { "192.0.2.7:40000" };
        assert_eq!(sensor.end(&Frame::tcp(from, to)), end, "{to}");
    }
    // Every address may be our own, of one family and of both.
    for (network, other) in [("0.0.0.0/0", End::NotOwn), ("::/0", End::Attempt)] {
        let mut sensor = Sensor::untold();
        sensor.own_networks(&[network]);
        assert_eq!(sensor.end(&Frame::tcp("192.0.2.7:1", "8.8.8.8:80")), End::Attempt, "{network}");
        assert_eq!(sensor.end(&Frame::tcp("[2001:db8:9:9::7]:1", "[2001:db8::8]:80")), other, "{network}");
    }
}

#[test]
fn before_it_is_told_anything_everything_passes_and_nothing_is_our_own() {
    let mut sensor = Sensor::untold();
    for source in ["192.0.2.7", "2001:db8:9:9::7"] {
        let with = |flags| syn(source, 40_000).flags(flags);
        check(
            &mut sensor,
            &[
                ("an attempt", with(SYN), End::NotOwn, &[]),
                ("a probe", with(0), End::NotOwn, &[]),
                ("an answer", with(RST), End::Reply, &[]),
                ("a segment", with(ACK), End::Segment, &[]),
            ],
        );
    }
    assert_eq!((sensor.records(), sensor.events()), (vec![], vec![]));
    sensor.own(&[OWN_V4.into()]);
    sensor.tell(&Wish::default());
    assert_eq!(sensor.end(&syn("192.0.2.7", 40_000)), End::Attempt);
}
