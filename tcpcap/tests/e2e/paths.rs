//! The ways that packets come in by: VLAN tags, two cards, generic mode.

use tcpcap_lab::{
    Direct, Frame, Injector, Internet, Process,
    http::{self, Server},
    layout::{CARD, CARD1, GATEWAY_V4, SENSOR_V4, SENSOR1_V4},
};

use crate::sensor::{SOON, Sensor, has_xdp};

#[test]
fn the_same_source_over_vlans_is_one_source() {
    let net = Direct::build(1).unwrap();
    let mut sensor = Sensor::start(&net.sensor, &[]);
    let injector = Injector::open(&net.scanner, CARD).unwrap();
    let (from, to) = (net.scanner.card(CARD).unwrap().mac, net.sensor.card(CARD).unwrap().mac);
    let syn = |port| Frame::tcp((GATEWAY_V4, 40_000), (SENSOR_V4, port)).macs(from, to);
    // Eleven ports each way: enough together, too few alone.
    for port in 2000..2011 {
        injector.send(&syn(port).build()).unwrap();
        injector.send(&syn(port + 100).vlan(7).build()).unwrap();
        injector.send(&syn(port + 200).qinq(7, 8).build()).unwrap();
    }
    sensor.says(&[&format!("Blocked {GATEWAY_V4}")]);
    let before =
        sensor.metrics("the block", |m| m.get("tcpcap_blocks", &[("origin", "automatic")]) == Some(1.0)).dropped();
    // The block holds on every one of them.
    injector.send(&syn(1).build()).unwrap();
    injector.send(&syn(2).vlan(9).build()).unwrap();
    injector.send(&syn(3).qinq(9, 9).build()).unwrap();
    sensor.metrics("three drops", |m| m.dropped() >= before + 3);
}

#[test]
fn two_interfaces_share_what_they_see_and_what_they_block() {
    let net = Direct::build(1).unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let mut sensor = Sensor::run(&net.sensor, &["run", "--iface", CARD, "--iface", CARD1]);
    sensor.says(&["watching card0 (native, answers by ", ", card1 (native, answers by "]);
    let send = |namespace, card, ports: std::ops::Range<u16>| {
        let injector = Injector::open(namespace, CARD).unwrap();
        let (from, to) =
            (tcpcap_lab::Namespace::card(namespace, CARD).unwrap().mac, net.sensor.card(card).unwrap().mac);
        for port in ports {
            let frame = Frame::tcp(("203.0.113.77".parse::<std::net::IpAddr>().unwrap(), 4000), (SENSOR_V4, port));
            injector.send(&frame.macs(from, to).build()).unwrap();
        }
    };
    // Sixteen ports by each card: enough together.
    send(&net.scanner, CARD, 2000..2016);
    send(&net.client, CARD1, 3000..3016);
    sensor.says(&["Blocked 203.0.113.77"]);
    let before =
        sensor.metrics("the block", |m| m.get("tcpcap_blocks", &[("origin", "automatic")]) == Some(1.0)).dropped();
    send(&net.scanner, CARD, 1..11);
    send(&net.client, CARD1, 11..21);
    sensor.metrics("drops by both cards", |m| m.dropped() >= before + 20);
    assert_eq!(http::get(&net.client, (SENSOR1_V4, 80).into(), "/").unwrap().status, 200);
    drop(sensor);
    assert!(has_xdp(&net.sensor, CARD) && has_xdp(&net.sensor, CARD1), "the kernel goes on");
    assert_eq!(crate::sensor::verb(&net.sensor, &["detach"]).0, 0);
    assert!(!has_xdp(&net.sensor, CARD) && !has_xdp(&net.sensor, CARD1));
}

#[test]
fn an_interface_without_native_mode_falls_back_visibly() {
    let net = Direct::build(1).unwrap();
    net.sensor.ip("link add br0 type bridge\nlink set br0 up\n").unwrap();
    let mut sensor = Sensor::run(&net.sensor, &["run", "--iface", "br0"]);
    sensor.says(&["WARN", "br0 has no native XDP", "generic mode"]);
    sensor.says(&["watching br0 (generic, answers by "]);
    let metrics = sensor.metrics("the fallback", |m| m.count("tcpcap_native_fallbacks_total", &[]) == 1);
    assert_eq!(metrics.get("tcpcap_interface_mode", &[("interface", "br0"), ("mode", "generic")]), Some(1.0));
    assert_eq!(metrics.get("tcpcap_interface_mode", &[("interface", "br0"), ("mode", "native")]), Some(0.0));
}

#[test]
fn generic_mode_sees_and_drops_the_same() {
    let net = Direct::build(1).unwrap();
    let mut sensor = Sensor::start(&net.sensor, &["--mode", "generic"]);
    sensor.says(&["watching card0 (generic, answers by "]);
    let mut command = net.scanner.command("nmap");
    command.args(["-n", "-Pn", "-sS", "-T4", "-p1-2000", "--max-retries", "0", &SENSOR_V4.to_string()]);
    let _nmap = Process::spawn("nmap", command).unwrap();
    sensor.says(&[&format!("Blocked {GATEWAY_V4}")]);
    sensor.metrics("drops", |m| m.dropped() > 0);
}

#[test]
fn without_a_name_the_interface_of_the_default_route_is_watched() {
    let net = Internet::build().unwrap();
    let mut sensor = Sensor::run(&net.sensor, &["run"]);
    sensor.says(&["watching card0 (native, answers by "]);
}

#[test]
fn the_originals_environment_variables_are_honoured() {
    let net = Direct::build(1).unwrap();
    let mut command = crate::sensor::tcpcap(&net.sensor, &["run"]);
    // An address that this host answers for and no interface has.
    command.env("INTERFACE_NAME", CARD1).env("PUBLIC_IP", "203.0.113.50");
    let mut process = Process::spawn("tcpcap", command).unwrap();
    process.wait_for_line(SOON, |l| l.contains("watching card1 (native, answers by ")).unwrap();
    let injector = Injector::open(&net.client, CARD).unwrap();
    let (from, to) = (net.client.card(CARD).unwrap().mac, net.sensor.card(CARD1).unwrap().mac);
    injector.send(&Frame::tcp("192.0.2.2:4000", "203.0.113.51:80").macs(from, to).build()).unwrap();
    injector.send(&Frame::tcp("192.0.2.2:4000", "203.0.113.50:80").macs(from, to).build()).unwrap();
    process.wait_for_line(SOON, |l| l.ends_with("New connection: 192.0.2.2:4000 -> 203.0.113.50:80")).unwrap();
    assert!(!process.output().contains("203.0.113.51"), "{}", process.output());
}
