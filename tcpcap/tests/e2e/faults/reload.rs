//! A configuration that changes, well or badly, often or all the time.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
};

use tcpcap_lab::{Capture, Internet, http::Server, layout::CARD, wait_until};

use super::{Config, gets_through, ip, knocker, scan};
use crate::sensor::{SOON, Sensor};

fn reload_errors(sensor: &Sensor) -> u64 {
    tcpcap_lab::Metrics::fetch(&sensor.namespace).unwrap().count("tcpcap_reload_errors_total", &[])
}

#[test]
fn a_changed_configuration_is_taken_over_and_says_what_is_different() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let config = Config::new("");
    let mut sensor = config.start(&net.sensor);
    assert!(gets_through(&net));

    config.taken_over("deny = [\"203.0.113.0/24\"]\nblock_for = \"5m\"\n", &mut sensor);
    sensor.says(&["deny: [] → [203.0.113.0/24]", "block_for"]);
    sensor.metrics("the deny network", |m| m.get("tcpcap_list_entries", &[]) == Some(1.0));
    assert!(!gets_through(&net));

    config.taken_over("deny = [\"203.0.113.0/24\"]\nallow = [\"203.0.113.1\"]\n", &mut sensor);
    sensor.says(&["allow: [] → [203.0.113.1/32]"]);
    assert!(gets_through(&net), "allowed wins");

    config.taken_over("deny = [\"203.0.113.0/24\"]\nobserve = true\n", &mut sensor);
    sensor.says(&["observe: false → true"]);
    assert!(gets_through(&net));
    sensor.metrics("would-be drops", |m| m.count("tcpcap_would_drop_packets_total", &[("reason", "operator")]) > 0);

    config.taken_over("scope = \"syn\"\npreset = \"strict\"\n", &mut sensor);
    sensor.says(&["scope: all → syn"]);
    sensor.says(&["preset: balanced → strict"]);
    sensor.metrics("no deny network", |m| m.get("tcpcap_list_entries", &[]) == Some(0.0));
    assert!(gets_through(&net));
    // Three ports are enough for this preset.
    let injector = tcpcap_lab::Injector::open(&net.internet, "tosensor").unwrap();
    super::syns(&net, super::forged(77), 1000, 3).iter().for_each(|frame| injector.send(frame).unwrap());
    sensor.says(&["Blocked 203.0.113.77 for 10 min"]);
    // A file beside it, in which one key is applied, and another takes a restart.
    std::fs::create_dir(config.0.path().join("config.d")).unwrap();
    config.file("config.d/10.toml", "listen = \"127.0.0.1:2999\"\n[detect.stealth]\nprobes = 5\n");
    for applied in ["taken over: detect.stealth.probes: 3 → 5", "read again: nothing has changed; feeds are read again"]
    {
        sensor.process.signal(libc::SIGHUP);
        sensor.says(&[applied, "; takes a restart: listen: 127.0.0.1:2112 → 127.0.0.1:2999"]);
    }
    assert_eq!(reload_errors(&sensor), 0);
    sensor.metrics("the count of reloads", |m| m.count("tcpcap_reloads_total", &[]) == 6);
    sensor.stop();
}

#[test]
fn a_wrong_configuration_is_refused_as_a_whole_and_counted() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let config = Config::new("deny = [\"203.0.113.1\"]\n");
    let mut sensor = config.start(&net.sensor);
    assert!(!gets_through(&net));
    for (n, (text, problem)) in [
        ("observe = true\nallow = [\"203.0.113.1\"]\npreset = \"wild\"\n", "config.toml:3:"),
        ("observe = true\ndeny = [\"0.0.0.0/0\"]\n", "config.toml:2:"),
        ("observed = true\n", "`observe`"),
    ]
    .into_iter()
    .enumerate()
    {
        config.write(text);
        sensor.process.signal(libc::SIGHUP);
        sensor.says(&["ERROR", "on SIGHUP: the configuration stays as it was:", problem]);
        let n = n as u64 + 1;
        sensor.metrics("the count", |m| m.count("tcpcap_reload_errors_total", &[]) == n);
        assert!(!gets_through(&net), "nothing of it is in force");
    }
    config.write("observe = 1\npresett = \"strict\"\n");
    let (code, said) = sensor.ask(&["reload"]);
    for part in [
        "error: 2 errors: ",
        "config.toml:1: observe: 1 is not true or false; ",
        "did you mean `preset`?",
        "`tcpcap check`",
    ] {
        assert!(code == 1 && said.contains(part), "{part} is missing in {said}");
    }
    config.taken_over("", &mut sensor);
    sensor.metrics("no deny network", |m| m.get("tcpcap_list_entries", &[]) == Some(0.0));
    assert!(gets_through(&net));
    sensor.stop();
}

#[test]
fn a_storm_of_sighups_under_a_scan_costs_no_packet_and_no_block() {
    let net = Internet::build().unwrap();
    let config = Config::new("deny = [\"203.0.113.200\"]\n");
    let mut sensor = config.start(&net.sensor);
    let behind = Capture::incoming(&net.sensor, CARD).unwrap();
    let denied = super::forged(200);
    let knocker = knocker(&net, denied);
    for n in 0..500u16 {
        sensor.process.signal(libc::SIGHUP);
        if n % 50 == 0 {
            scan(&net, super::forged(u8::try_from(100 + n / 50).unwrap()));
            let done = knocker.sent();
            wait_until("more packets", SOON, || knocker.sent() > done).unwrap();
        }
    }
    for n in 100..110 {
        sensor.says(&[&format!("Blocked 203.0.113.{n} for 10 min")]);
    }
    let sent = knocker.stop();
    let metrics = sensor.metrics("the drops", |m| {
        m.count("tcpcap_dropped_packets_total", &[("reason", "operator")]) >= sent
            && m.count("tcpcap_reloads_total", &[]) > 0
    });
    assert_eq!(metrics.count("tcpcap_reload_errors_total", &[]), 0);
    assert_eq!(metrics.count("tcpcap_drift_repaired_total", &[]), 0);
    assert_eq!(behind.snapshot().unwrap().from(ip(denied)), 0);
    sensor.stop();
}

/// The first line of the answer to who asks the HTTP port under this name.
fn answered_to(net: &Internet, name: &str) -> String {
    let mut stream = net.sensor.enter(|| TcpStream::connect(("127.0.0.1", 2112))).unwrap().unwrap();
    write!(stream, "GET /api/v1/status HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n").unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

#[test]
fn browsers_may_ask_by_the_names_that_the_configuration_has() {
    let net = Internet::build().unwrap();
    let sensor = Config::new("http.hosts = [\"sensor.example.org\"]\n").start(&net.sensor);
    assert_eq!(answered_to(&net, "sensor.example.org:2112"), "HTTP/1.1 200 OK");
    assert_eq!(answered_to(&net, "other.example.org"), "HTTP/1.1 421 Misdirected Request");
    sensor.stop();
}
