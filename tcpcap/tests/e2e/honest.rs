//! Honest traffic: never blocked, never slowed, and never taken for what it is not.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tcpcap_lab::{
    Internet, Process,
    http::{self, Client, Server},
    layout::{CLIENT_V4, SENSOR_V4, SENSOR_V6},
    scan::Masscan,
    wait_until,
};

use crate::sensor::{SOON, Sensor};

fn at(address: impl Into<IpAddr>, port: u16) -> SocketAddr {
    (address.into(), port).into()
}

#[test]
fn an_honest_client_is_served_while_a_scanner_is_dropped() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let mut sensor = Sensor::start(&net.sensor, &[]);
    let servers = [at(SENSOR_V4, 80), at(SENSOR_V6, 80)];
    let client = Client::start(&net.client, &servers, Duration::from_millis(2)).unwrap();
    wait_until("the first pages", SOON, || client.fared().ok > 20).unwrap();
    let scan =
        Masscan { source: net.first_scanner().v4.into(), target: SENSOR_V4.into(), ports: "1-65535", rate: 20_000 };
    scan.run(&net, SOON).unwrap();
    sensor.says(&["Blocked"]);
    let before = client.fared().ok;
    wait_until("more pages", SOON, || client.fared().ok > before + 20).unwrap();
    let fared = client.stop();
    assert_eq!(fared.failed, 0, "{fared:?}");
    assert_eq!(sensor.said("Port scan detected"), 1);
}

#[test]
fn outgoing_connections_are_never_counted_as_incoming() {
    let net = Internet::build().unwrap();
    // A hundred servers outside, and ports where nobody answers: SYN-ACKs and RSTs come back from each.
    let ports: Vec<u16> = (8000..8100).collect();
    let _servers = Server::start(&net.client, &ports).unwrap();
    let sensor = Sensor::start(&net.sensor, &["--preset", "strict"]);
    for &port in &ports {
        assert_eq!(http::get(&net.sensor, at(CLIENT_V4, port), "/").unwrap().status, 200);
        assert!(http::get(&net.sensor, at(CLIENT_V4, port + 1000), "/").is_err());
    }
    let metrics = sensor.metrics("the answers", |m| m.count("tcpcap_packets_total", &[("end", "reply")]) >= 200);
    assert_eq!(metrics.count("tcpcap_processed_conns_total", &[]), 0);
    assert_eq!(metrics.count("tcpcap_packets_total", &[("end", "attempt")]), 0);
    assert_eq!(metrics.count("tcpcap_packets_total", &[("end", "completion")]), 0);
    assert_eq!(sensor.said("New connection"), 0);
    assert_eq!(metrics.dropped(), 0);
}

#[test]
fn a_client_that_uses_a_hundred_open_ports_is_no_scanner() {
    let net = Internet::build().unwrap();
    let ports: Vec<u16> = (8000..8100).collect();
    let _server = Server::start(&net.sensor, &ports).unwrap();
    let sensor = Sensor::start(&net.sensor, &[]);
    for &port in &ports {
        assert_eq!(http::get(&net.client, at(SENSOR_V4, port), "/").unwrap().status, 200);
    }
    let metrics =
        sensor.metrics("the completions", |m| m.count("tcpcap_packets_total", &[("end", "completion")]) == 100);
    assert_eq!(metrics.count("tcpcap_processed_conns_total", &[]), 100);
    assert_eq!(sensor.said("Port scan detected"), 0);
}

#[test]
fn every_new_connection_is_logged_once_in_the_agreed_format() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let mut sensor = Sensor::start(&net.sensor, &[]);
    for to in [at(SENSOR_V4, 80), at(SENSOR_V6, 80)] {
        http::get(&net.client, to, "/").unwrap();
        let line = sensor.says(&["New connection: ", &format!(" -> {to}")]);
        // 2026-11-24T05:11:28.123456Z New connection: 192.0.2.2:41000 -> 198.51.100.1:80
        let (time, rest) = line.split_once(' ').unwrap();
        assert!(time.ends_with('Z') && time.as_bytes()[10] == b'T', "{line}");
        assert!(rest.starts_with("New connection: "), "{line}");
    }
    assert_eq!(sensor.said("New connection"), 2);
}

#[test]
fn an_idle_daemon_sleeps() {
    let net = Internet::build().unwrap();
    let sensor = Sensor::start(&net.sensor, &[]);
    let ticks = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", daemon_pid(&sensor.process))).unwrap();
        let fields: Vec<u64> =
            stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2).map(|n| n.parse().unwrap()).collect();
        fields.iter().sum::<u64>()
    };
    let polls = |m: &tcpcap_lab::Metrics| m.count("tcpcap_poll_duration_seconds_count", &[]);
    let first = polls(&sensor.metrics("metrics", |_| true));
    let before = ticks();
    sensor.metrics("three polls", |m| polls(m) > first + 3);
    // A busy loop would use 300 ticks of 10 ms.
    let used = ticks() - before;
    assert!(used < 100, "{used} ticks in three idle seconds");
}

/// nsenter execs: the process is tcpcap itself.
fn daemon_pid(process: &Process) -> u32 {
    process.id()
}
