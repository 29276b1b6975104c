//! What a block does, whom it must not hit, and how it ends.

use std::net::IpAddr;

use tcpcap_lab::{
    Capture, Direct, Internet, Process,
    http::{self, Server},
    layout::{CARD, GATEWAY_V4, SENSOR_V4},
    scan::{Masscan, nmap},
    wait_until,
};

use crate::sensor::{SOON, Sensor};

fn scan(net: &Internet, source: IpAddr) -> Process {
    Masscan { source, target: SENSOR_V4.into(), ports: "2000-2999", rate: 2_000 }.run(net, SOON).unwrap()
}

#[test]
fn after_the_block_nothing_of_the_scanner_gets_behind_the_card() {
    let net = Internet::build().unwrap();
    let mut sensor = Sensor::start(&net.sensor, &[]);
    let source: IpAddr = net.first_scanner().v4.into();
    scan(&net, source);
    sensor.says(&["Blocked"]);
    let before = sensor.metrics("drops", |m| m.dropped() > 0).dropped();
    let (sent, behind) =
        (Capture::both_ways(&net.scanner, CARD).unwrap(), Capture::incoming(&net.sensor, CARD).unwrap());
    scan(&net, source);
    assert_eq!(sent.snapshot().unwrap().from(source), 1000);
    // Polls lie between: the first figure may still have grown by what was on its way.
    let after = sensor.metrics("1,000 more drops", |m| m.dropped() >= before + 1000);
    let ended = |end| after.count("tcpcap_packets_total", &[("end", end)]);
    assert_eq!(ended("blocked") + ended("held"), after.dropped());
    assert!(ended("blocked") >= 1000);
    assert_eq!(behind.snapshot().unwrap().from(source), 0);
}

#[test]
fn a_block_ends_by_itself_and_tells_what_it_dropped() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let mut sensor = Sensor::start(&net.sensor, &["--block-for", "2s"]);
    let source = net.first_scanner().v4;
    scan(&net, source.into());
    sensor.says(&[&format!("Blocked {source} for 2 s")]);
    let over = sensor.says(&[&format!("Block of {source} is over: dropped")]);
    assert!(!over.contains("dropped 0 packets"), "{over}");
    assert_eq!(http::get(&net.scanner, (SENSOR_V4, 80).into(), "/").unwrap().status, 200);
    sensor.metrics("no blocks", |m| m.get("tcpcap_blocks", &[("origin", "automatic")]) == Some(0.0));
    // A repeater is blocked for twice as long.
    scan(&net, source.into());
    sensor.says(&[&format!("Blocked {source} for 4 s, block number 2 in a row")]);
}

#[test]
fn observe_mode_drops_nothing_and_counts_what_it_would_have_dropped() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let mut sensor = Sensor::start(&net.sensor, &["--observe"]);
    let source: IpAddr = net.first_scanner().v4.into();
    let behind = Capture::incoming(&net.sensor, CARD).unwrap();
    scan(&net, source);
    sensor.says(&[&format!("Would block {source} for 10 min")]);
    let metrics = sensor.metrics("would-be drops", |m| m.count("tcpcap_would_drop_packets_total", &[]) > 0);
    assert_eq!(metrics.dropped(), 0);
    assert_eq!(behind.snapshot().unwrap().tried(source).len(), 1000);
    assert_eq!(http::get(&net.scanner, (SENSOR_V4, 80).into(), "/").unwrap().status, 200);
    assert_eq!(sensor.said("Blocked "), 0);
}

#[test]
fn an_allowed_source_is_found_and_not_blocked() {
    let net = Internet::build().unwrap();
    let mut sensor = Sensor::start(&net.sensor, &["--allow", "203.0.113.0/24"]);
    let source: IpAddr = net.first_scanner().v4.into();
    let behind = Capture::incoming(&net.sensor, CARD).unwrap();
    scan(&net, source);
    sensor.says(&[&format!("Not blocked {source}: 203.0.113.0/24 is allowed")]);
    assert_eq!(behind.snapshot().unwrap().tried(source).len(), 1000);
    let metrics =
        sensor.metrics("the decision", |m| m.count("tcpcap_decisions_total", &[("outcome", "suppressed")]) > 0);
    assert_eq!(metrics.dropped(), 0);
}

#[test]
fn the_default_gateway_is_never_blocked() {
    let net = Direct::build(1).unwrap();
    net.sensor.ip(&format!("route add default via {GATEWAY_V4}\n")).unwrap();
    let mut sensor = Sensor::start(&net.sensor, &[]);
    let mut command = net.scanner.command("nmap");
    command.args(["-n", "-Pn", "-sS", "-T4", "-p1-100", &SENSOR_V4.to_string()]);
    let mut nmap = Process::spawn("nmap", command).unwrap();
    sensor.says(&[&format!("Not blocked {GATEWAY_V4}: {GATEWAY_V4} is a default gateway")]);
    nmap.succeed(SOON).unwrap();
}

#[test]
fn an_own_address_in_whose_name_somebody_scans_is_never_blocked() {
    let net = Internet::build().unwrap();
    // The kernel itself would drop such packets behind the card; before that, the program sees them.
    net.internet.ip("route add 198.51.100.1/32 via 198.51.100.1 dev tosensor onlink\n").unwrap();
    let mut sensor = Sensor::start(&net.sensor, &[]);
    let injector = tcpcap_lab::Injector::open(&net.internet, "tosensor").unwrap();
    let (from, to) = (net.internet.card("tosensor").unwrap().mac, net.sensor.card(CARD).unwrap().mac);
    for port in 1..100 {
        let frame = tcpcap_lab::Frame::tcp((SENSOR_V4, 40_000), (SENSOR_V4, port)).macs(from, to);
        injector.send(&frame.build()).unwrap();
    }
    sensor.says(&[&format!("Not blocked {SENSOR_V4}: {SENSOR_V4} is an address of this host")]);
}

#[test]
fn one_scanner_is_blocked_and_its_neighbour_is_not() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let mut sensor = Sensor::start(&net.sensor, &[]);
    let (scanner, neighbour) = (net.first_scanner(), net.fresh_source().unwrap());
    scan(&net, scanner.v4.into());
    sensor.says(&["Blocked"]);
    let mut command = nmap(&net, neighbour.v4.into());
    command.args(["-sS", "-p80", &SENSOR_V4.to_string()]);
    let mut one_port = Process::spawn("nmap", command).unwrap();
    one_port.succeed(SOON).unwrap();
    assert!(one_port.output().contains("80/tcp open"), "{}", one_port.output());
    wait_until("the count", SOON, || sensor.said("Blocked ") == 1).unwrap();
}
