//! Maps and a ring without room.

use std::net::{IpAddr, Ipv4Addr};

use aya::maps::{HashMap, Map};
use tcpcap::kernel::BLOCKS;
use tcpcap_common::{
    Addr,
    record::{self, Block, map, reason},
};
use tcpcap_lab::{Capture, Injector, Internet, layout::CARD, wait_until};

use super::{Config, blocks, forged, ip, knocker, pinned, scan, syns};
use crate::sensor::{SOON, Sensor};

/// Source address and its place in an IPv4 frame without VLAN tags.
const SOURCE_AT: std::ops::Range<usize> = 26..30;

/// `10.0.0.0` and so on.
fn nobody(n: u32) -> Ipv4Addr {
    Ipv4Addr::from((10 << 24) + n)
}

/// SYNs of so many sources, one each.
fn flood(net: &Internet, from: u32, sources: u32) {
    let injector = Injector::open(&net.internet, "tosensor").unwrap();
    let mut frame = syns(net, forged(9), 1000, 1).remove(0);
    for n in from..from + sources {
        // The program looks at no checksum.
        frame[SOURCE_AT].copy_from_slice(&nobody(n).octets());
        // What the card cannot take is lost, as in any flood.
        injector.send(&frame).ok();
    }
}

#[test]
fn in_a_full_block_map_an_automatic_block_is_owed_and_an_operators_takes_the_oldest_automatics_place() {
    let net = Internet::build().unwrap();
    let config = Config::new("");
    let mut sensor = config.start(&net.sensor);
    scan(&net, forged(50));
    sensor.says(&["Blocked 203.0.113.50 for 10 min"]);
    let state = std::sync::Arc::clone(&sensor.state);
    sensor.stop();
    let mut full = blocks(&net.sensor);
    let block = Block { reason: reason::OPERATOR, ..Block::default() };
    let added = (0..=BLOCKS).take_while(|n| full.add(Addr::from(ip(nobody(*n))), block).is_ok()).count();
    assert!(added + 1 >= BLOCKS as usize, "{added}");
    let mut sensor = Sensor::run_with(&net.sensor, &["run", "--iface", CARD, "--config", &config.path()], state);
    sensor.says(&[&format!("{} blocks of an earlier run go on", added + 1)]);

    scan(&net, forged(51));
    sensor.says(&["203.0.113.51/32 is not blocked yet, the kernel refuses the entry"]);
    let owed = sensor.metrics("a second try", |m| m.count("tcpcap_backend_errors_total", &[("backend", "xdp")]) > 1);
    assert_eq!(owed.get("tcpcap_blocks_owed", &[]), Some(1.0));
    sensor.metrics("a round of comparing", |m| {
        let blocks = [("map", map::BLOCKS)];
        m.get("tcpcap_map_entries", &blocks) == m.get("tcpcap_map_max_entries", &blocks)
    });
    assert_eq!(sensor.said("is not blocked yet"), 1);

    config.taken_over("deny = [\"192.0.2.77\"]\n", &mut sensor);
    sensor.says(&["Block of 203.0.113.50 gave way"]);
    sensor.metrics("the change", |m| m.count("tcpcap_blocks_given_way_total", &[]) >= 1);
    let denied: IpAddr = "192.0.2.77".parse().unwrap();
    assert!(full.get(Addr::from(denied)).is_some() && full.get(Addr::from(ip(forged(50)))).is_none());
    assert!(full.get(Addr::from(ip(forged(51)))).is_none(), "an operator's does not give way to it");

    config.taken_over("deny = [\"192.0.2.77\", \"192.0.2.78\"]\n", &mut sensor);
    sensor.says(&["192.0.2.78/32 is not blocked yet"]);
    let owed = sensor.metrics("both owed", |m| m.get("tcpcap_blocks_owed", &[]) == Some(2.0));
    assert_eq!(owed.count("tcpcap_blocks_given_way_total", &[]), 1, "who is not in the map has no room to give");

    config.taken_over("", &mut sensor);
    sensor.says(&["203.0.113.51/32 is blocked now"]);
    assert!(full.get(Addr::from(ip(forged(51)))).is_some() && full.get(Addr::from(denied)).is_none());
    sensor.metrics("nothing owed", |m| m.get("tcpcap_blocks_owed", &[]) == Some(0.0));
    sensor.stop();
}

#[test]
fn in_a_full_map_of_sources_new_ones_still_get_a_record_and_are_found() {
    let net = Internet::build().unwrap();
    let mut sensor = Sensor::start(&net.sensor, &["--deny", "203.0.113.200"]);
    let capacity = pinned(&net.sensor, map::SOURCES).info().unwrap().max_entries();
    let sources = Map::LruHashMap(pinned(&net.sensor, map::SOURCES));
    let mut sources = HashMap::<_, Addr, record::Source>::try_from(sources).unwrap();
    for n in 0..capacity + capacity / 8 {
        sources.insert(Addr::from(ip(nobody(n))), record::Source::default(), 0).unwrap();
    }
    let behind = Capture::incoming(&net.sensor, CARD).unwrap();
    let knocker = knocker(&net, forged(200));
    let full = |m: &tcpcap_lab::Metrics| m.get("tcpcap_source_records", &[]).unwrap_or(0.0);
    let almost = f64::from(capacity) * 0.9;
    sensor.metrics("a full map", |m| full(m) > almost && full(m) <= f64::from(capacity));
    flood(&net, 1 << 20, 30_000);
    scan(&net, forged(51));
    sensor.says(&["Blocked 203.0.113.51 for 10 min"]);
    let metrics =
        sensor.metrics("new records", |m| m.count("tcpcap_source_records_made_total", &[("outcome", "added")]) > 1000);
    assert!(full(&metrics) <= f64::from(capacity), "{metrics}");
    assert_eq!(metrics.count("tcpcap_source_records_made_total", &[("outcome", "insert_failed")]), 0, "{metrics}");
    assert!(knocker.stop() > 0);
    assert_eq!(behind.snapshot().unwrap().from(ip(forged(200))), 0, "blocks are not pushed out");
    sensor.stop();
}

#[test]
fn with_a_full_ring_events_are_lost_and_counted_and_blocks_hold() {
    let net = Internet::build().unwrap();
    let mut sensor = Sensor::start(&net.sensor, &["--deny", "203.0.113.200", "--reflex=false"]);
    let behind = Capture::incoming(&net.sensor, CARD).unwrap();
    let knocker = knocker(&net, forged(200));
    sensor.process.signal(libc::SIGSTOP);
    // More than the ring has room for.
    flood(&net, 0, 150_000);
    sensor.process.signal(libc::SIGCONT);
    let metrics = sensor.metrics("lost events", |m| m.count("tcpcap_events_total", &[("outcome", "ring_full")]) > 0);
    let sent = metrics.count("tcpcap_events_total", &[("outcome", "sent")]);
    sensor.metrics("the rest to be read", |m| m.count("tcpcap_events_read_total", &[]) >= sent);
    sensor.says(&["WARN", " more new connections, too many to log each"]);
    wait_until("each connection to be logged or counted", SOON, || {
        let metrics = sensor.metrics("metrics", |_| true);
        let held = metrics.count("tcpcap_log_lines_held_back_total", &[("event", "connection")]);
        let logged = sensor.said("New connection: ") as u64 + metrics.count("tcpcap_log_lines_dropped_total", &[]);
        // A few events are about something else.
        let others = metrics.count("tcpcap_events_read_total", &[]).checked_sub(held + logged);
        held > 0 && logged >= 10_000 && others.is_some_and(|others| others < 10)
    })
    .unwrap();
    scan(&net, forged(51));
    sensor.says(&["Blocked 203.0.113.51 for 10 min"]);
    assert!(knocker.stop() > 0);
    assert_eq!(behind.snapshot().unwrap().from(ip(forged(200))), 0);
    sensor.stop();
}

#[test]
fn past_the_cap_nobody_new_is_blocked_until_a_block_ends_and_who_is_denied_is_all_the_same() {
    let net = Internet::build().unwrap();
    let config = Config::new("block_for = \"5s\"\n[caps]\nblocks = 2\nunverified = 2\n");
    let mut sensor = config.start(&net.sensor);
    for n in [50, 51] {
        scan(&net, forged(n));
        sensor.says(&[&format!("Blocked 203.0.113.{n} for 5 s")]);
    }
    scan(&net, forged(52));
    sensor.says(&["Not blocked 203.0.113.52: 2 sources", "are blocked already"]);
    config
        .taken_over("block_for = \"5s\"\ndeny = [\"203.0.113.52\"]\n[caps]\nblocks = 2\nunverified = 2\n", &mut sensor);
    let denied = Addr::from(ip(forged(52)));
    wait_until("the denied", SOON, || blocks(&net.sensor).get(denied).is_some()).unwrap();
    sensor.says(&["Block of 203.0.113.50 is over"]);
    scan(&net, forged(53));
    sensor.says(&["Blocked 203.0.113.53 for 5 s"]);
    sensor.stop();
}

#[test]
fn too_many_blocks_in_a_minute_open_the_circuit_breaker_and_those_there_are_hold() {
    let net = Internet::build().unwrap();
    let config = Config::new("[caps]\nper_minute = 2\n");
    let mut sensor = config.start(&net.sensor);
    (50..54).for_each(|n| scan(&net, forged(n)));
    sensor.says(&["ERROR", "Circuit breaker open"]);
    sensor.says(&["Not blocked 203.0.113.53: the circuit breaker is open: 2 sources were blocked within a minute"]);
    let metrics = sensor.metrics("the breaker", |m| m.get("tcpcap_circuit_breaker_open", &[]) == Some(1.0));
    assert_eq!(metrics.get("tcpcap_blocks", &[("origin", "automatic")]), Some(2.0));
    assert_eq!(sensor.said("Circuit breaker open"), 1);
    let blocks = blocks(&net.sensor);
    for n in [50, 51] {
        let before = blocks.get(Addr::from(ip(forged(n)))).unwrap().packets;
        scan(&net, forged(n));
        assert_eq!(blocks.get(Addr::from(ip(forged(n)))).unwrap().packets, before + 100);
    }
    sensor.stop();
}
