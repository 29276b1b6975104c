//! Blocked networks, and what goes before what where lists overlap.

use tcpcap::kernel::Wish;
use tcpcap_common::{
    record::{Block, reason, scope},
    tally::{End, Note},
    wire::flag::ACK,
};

use crate::sensor::{Sensor, TICK_NS, now, syn};

#[test]
fn every_packet_of_a_blocked_network_is_dropped_and_counted_in_its_entry() {
    let mut sensor = Sensor::new();
    for (network, within, outside) in [
        ("203.0.113.0/24", "203.0.113.255", "203.0.114.0"),
        ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
        ("2001:db8:5::/48", "2001:db8:5:ffff::1", "2001:db8:6::1"),
        ("2001:db8:7:7::7/128", "2001:db8:7:7::7", "2001:db8:7:7::8"),
    ] {
        let block = sensor.block_network(network, Block::default());
        let frames = [syn(within, 1), syn(within, 2).flags(ACK), syn(within, 3).payload(&[0; 100])];
        for frame in &frames {
            assert_eq!(sensor.end(frame), End::Blocked, "{network}");
        }
        assert_eq!(sensor.end(&syn(outside, 1)), End::Attempt, "{network}");
        let after = sensor.network(network).unwrap();
        let bytes = frames.iter().map(|f| f.build().len() as u64).sum();
        assert_eq!(after, Block { packets: 3, bytes, last_drop: after.last_drop, ..block }, "{network}");
    }
}

#[test]
fn drops_are_counted_by_the_reason_of_the_entry_that_decided() {
    let mut sensor = Sensor::new();
    sensor.block_network("203.0.113.0/24", Block::default());
    let block = sensor.block("203.0.113.7", 0);
    let dropped = |sensor: &mut Sensor, from| sensor.repeat(&syn(from, 1).build(), 1).dropped();
    assert_eq!(dropped(&mut sensor, "203.0.113.8")[reason::FEED as usize], 1);
    sensor
        .blocks
        .put(
            tcpcap_common::Addr::from(std::net::IpAddr::from([203, 0, 113, 7])),
            Block { reason: reason::SWEEP, ..block },
        )
        .unwrap();
    assert_eq!(dropped(&mut sensor, "203.0.113.7")[reason::SWEEP as usize], 1, "a source's own entry comes first");
}

#[test]
fn allowed_wins_over_a_blocked_network_whatever_is_longer() {
    let mut sensor = Sensor::new();
    sensor.block_network("203.0.113.0/24", Block::default());
    sensor.block_network("198.18.5.5/32", Block::default());
    sensor.allow(&["203.0.113.7/32", "198.18.0.0/16"], &Wish::default());
    for from in ["203.0.113.7", "198.18.5.5"] {
        assert_eq!(sensor.send(&syn(from, 1)).1.last(), Some(&Note::AllowedOverBlock), "{from}");
    }
    assert_eq!(sensor.end(&syn("203.0.113.8", 1)), End::Blocked);
}

#[test]
fn an_expired_network_lets_pass_and_neither_entry_speaks_for_the_other() {
    let mut sensor = Sensor::new();
    sensor.block_network("203.0.113.0/24", Block { until: now() - TICK_NS, ..Block::default() });
    assert_eq!(sensor.end(&syn("203.0.113.7", 1)), End::Attempt);
    sensor.block("203.0.113.7", 0);
    assert_eq!(sensor.end(&syn("203.0.113.7", 1)), End::Blocked, "by its own entry");
    sensor.block_network("203.0.113.0/24", Block::default());
    sensor.block("203.0.113.7", now() - TICK_NS);
    assert_eq!(sensor.end(&syn("203.0.113.7", 1)), End::Blocked, "by the network's");
}

#[test]
fn a_network_may_be_blocked_for_new_connections_alone() {
    let mut sensor = Sensor::new();
    sensor.block_network("203.0.113.0/24", Block { scope: scope::SYN, ..Block::default() });
    assert_eq!(sensor.end(&syn("203.0.113.7", 1).flags(ACK)), End::Segment);
    assert_eq!(sensor.end(&syn("203.0.113.7", 1)), End::Blocked);
    // Each entry has a scope of its own.
    sensor.block_network("203.0.113.0/24", Block::default());
    sensor.block_opening("203.0.113.7");
    assert_eq!(sensor.end(&syn("203.0.113.7", 1).flags(ACK)), End::Blocked);
}

#[test]
fn networks_are_looked_at_only_when_the_program_is_told_that_there_are_any() {
    let mut sensor = Sensor::new();
    sensor.networks.put(&"203.0.113.0/24".parse().unwrap(), Block::default()).unwrap();
    assert_eq!(sensor.networks.len(), 1);
    assert_eq!(sensor.end(&syn("203.0.113.7", 1)), End::Attempt, "nobody has told it yet");
    sensor.tell(&Wish::default());
    assert_eq!(sensor.end(&syn("203.0.113.7", 1)), End::Blocked);
    assert!(sensor.networks.remove(&"203.0.113.0/24".parse().unwrap()).unwrap());
    assert!(!sensor.networks.remove(&"203.0.113.0/24".parse().unwrap()).unwrap(), "it was there once");
    assert!(sensor.networks.is_empty());
    assert_eq!(sensor.end(&syn("203.0.113.7", 2)), End::Attempt);
}

#[test]
fn what_a_network_had_counted_goes_on_and_the_network_around_it_is_left_alone() {
    let mut sensor = Sensor::new();
    sensor.block_network("10.0.0.0/8", Block { packets: 5, ..Block::default() });
    let network = "10.1.0.0/16".parse().unwrap();
    let counted_on = |old: Option<Block>| Block { packets: old.map_or(7, |old| old.packets + 1), ..Block::default() };
    sensor.networks.put_with(&network, counted_on).unwrap();
    assert_eq!(sensor.network("10.1.0.0/16").unwrap().packets, 7, "it had no entry before, its neighbours have");
    sensor.networks.put_with(&network, counted_on).unwrap();
    assert_eq!((sensor.networks.len(), sensor.network("10.0.0.0/8").unwrap().packets), (2, 5));
    assert_eq!(sensor.network("10.1.0.0/16").unwrap().packets, 8);
}

#[test]
fn a_walk_gives_every_network_back_as_it_was_put_in() {
    let mut sensor = Sensor::new();
    let mut put: Vec<ipnet::IpNet> =
        ["0.0.0.0/1", "10.0.0.0/8", "10.0.0.0/9", "192.0.2.7/32", "2001:db8::/32", "2001:db8::1/128"]
            .map(|n| n.parse().unwrap())
            .to_vec();
    put.extend(
        (0..10_000u32).map(|n| ipnet::IpNet::from(ipnet::Ipv4Net::new((0x2000_0000 + (n << 8)).into(), 24).unwrap())),
    );
    for network in &put {
        sensor.networks.put(network, Block::default()).unwrap();
    }
    let mut walked = Vec::new();
    sensor.networks.walk(|network, _| walked.push(network)).unwrap();
    put.sort();
    walked.sort();
    assert_eq!(walked, put);
}
