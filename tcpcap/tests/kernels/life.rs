//! From the start to `tcpcap detach`.

use std::{
    net::{IpAddr, TcpStream},
    time::Duration,
};

use tcpcap_lab::{
    Internet, Metrics, Namespace, Process,
    http::{self, Client, Server},
    layout::{CARD, SENSOR_V4, SENSOR_V6},
    scan::nmap,
    wait_until,
};

use crate::{
    kernel,
    sensor::{SOON, Sensor, has_xdp, pins, verb},
};

/// A scan that goes on until it is killed or has asked every port.
pub fn scan(net: &Internet, source: IpAddr, target: IpAddr) -> Process {
    let mut command = nmap(net, source);
    command.args(["-sS", "-T4", "-p1-1000"]).arg(target.to_string());
    Process::spawn("nmap", command).unwrap()
}

/// Whether a page can be had from the scanner's address.
pub fn gets_through(net: &Internet) -> bool {
    http::get(&net.scanner, (SENSOR_V4, 80).into(), "/").is_ok_and(|answer| answer.status == 200)
}

/// Whether a connection from the scanner's address comes to nothing. Only the kernel's own count tells that it was dropped.
pub fn is_cut_off(net: &Internet) -> bool {
    let server = (SENSOR_V4, 80).into();
    net.scanner.enter(|| TcpStream::connect_timeout(&server, Duration::from_secs(1)).is_err()).unwrap()
}

fn has_clsact(namespace: &Namespace) -> bool {
    let mut command = namespace.command("tc");
    command.args(["qdisc", "show", "dev", CARD]);
    let mut tc = Process::spawn("tc", command).unwrap();
    tc.succeed(SOON).unwrap();
    tc.output().contains("clsact")
}

/// Programs and links of tcpcap in the kernel, whoever loaded them.
fn left_in_the_kernel() -> Vec<String> {
    let programs = aya::programs::loaded_programs().flatten();
    let names = programs.filter_map(|program| program.name_as_str().map(str::to_owned));
    names.filter(|name| name.starts_with("tcpcap")).collect()
}

#[test]
fn scanners_of_both_families_are_dropped_at_the_card_and_an_honest_client_is_served() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let mut sensor = Sensor::start(&net.sensor, &["--mode", "native"]);
    sensor.says(&[&format!("watching card0 (native, answers by {})", kernel::answers())]);
    let servers = [IpAddr::from(SENSOR_V4), SENSOR_V6.into()].map(|server| (server, 80).into());
    let client = Client::start(&net.client, &servers, Duration::from_millis(10)).unwrap();
    let (v4, v6) = (net.first_scanner().v4, net.first_scanner().v6);
    let _scans = [scan(&net, v4.into(), SENSOR_V4.into()), scan(&net, v6.into(), SENSOR_V6.into())];
    sensor.says(&[&format!("Blocked {v4} for 10 min")]);
    sensor.says(&["Blocked 2001:db8:cb00:1::/64 for 10 min"]);
    sensor.metrics("drops", |m| m.dropped() > 0);
    wait_until("some pages", SOON, || client.fared().ok >= 20).unwrap();
    let fared = client.stop();
    assert_eq!(fared.failed, 0, "{fared:?}");
    let metrics = sensor.metrics("all answers", |m| answers(m, "accepted") >= fared.ok && answers(m, "refused") > 0);
    for name in ["tcpcap_unanswered_completions_total", "tcpcap_mismatched_completions_total"] {
        assert_eq!(metrics.count(name, &[]), 0, "{metrics}");
    }
    let way = [("interface", CARD), ("kind", kernel::answers())];
    assert_eq!(metrics.get("tcpcap_interface_egress_view", &way), Some(1.0), "{metrics}");
}

fn answers(m: &Metrics, outcome: &str) -> u64 {
    m.count("tcpcap_answers_total", &[("outcome", outcome)])
}

#[test]
fn a_block_ends_by_itself() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let mut sensor = Sensor::start(&net.sensor, &["--block-for", "3s"]);
    let source = net.first_scanner().v4;
    let mut scan = scan(&net, source.into(), SENSOR_V4.into());
    sensor.says(&[&format!("Blocked {source} for 3 s")]);
    scan.kill();
    sensor.says(&[&format!("Block of {source} is over: dropped")]);
    wait_until("a page", SOON, || gets_through(&net)).unwrap();
}

#[test]
fn a_killed_daemons_block_goes_on_the_next_takes_it_over_and_detach_leaves_nothing() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let mut sensor = Sensor::start(&net.sensor, &[]);
    let mut scan = scan(&net, net.first_scanner().v4.into(), SENSOR_V4.into());
    sensor.says(&["Blocked 203.0.113.1 for 10 min"]);
    let before = sensor.metrics("drops", |m| m.dropped() > 0).dropped();
    scan.kill();
    sensor.process.kill();
    assert!(has_xdp(&net.sensor, CARD));
    assert!(is_cut_off(&net), "with nobody there but the kernel");
    let mut sensor = Sensor::run_with(&net.sensor, &["run", "--iface", CARD], sensor.state.clone());
    sensor.says(&["1 blocks of an earlier run go on"]);
    sensor.metrics("the counters", |m| m.dropped() > before);
    assert!(is_cut_off(&net));
    sensor.stop();
    assert!(has_xdp(&net.sensor, CARD) && is_cut_off(&net));
    let (code, said) = verb(&net.sensor, &["detach"]);
    assert_eq!((code, said.contains("tcpcap is out of the kernel")), (0, true), "{said}");
    assert!(!has_xdp(&net.sensor, CARD) && !has_clsact(&net.sensor));
    assert_eq!(pins(&net.sensor), None);
    assert!(gets_through(&net));
    // Where nobody else runs one, no program is left at all.
    if std::env::var_os(crate::reboot::KEPT).is_some() {
        wait_until("the last program's end", SOON, || left_in_the_kernel().is_empty()).unwrap();
    }
}
