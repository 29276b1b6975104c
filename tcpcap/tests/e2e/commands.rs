//! An operator's commands, carried out by the running daemon.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, TcpListener, TcpStream},
};

use tcpcap_lab::{
    Direct, Internet, http,
    http::Server,
    layout::{CARD, CLIENT_V4, GATEWAY_V4, SENSOR_V4},
    scan::Masscan,
};

use crate::sensor::{SOON, Sensor};

const SCANNER: &str = "203.0.113.1";

/// What a verb says when it is carried out.
fn done(sensor: &Sensor, args: &[&str]) -> String {
    let (code, said) = sensor.ask(args);
    assert_eq!(code, 0, "{args:?}: {said}");
    said
}

/// What a verb says when it is refused: cause and remedy.
fn refused(sensor: &Sensor, args: &[&str]) -> String {
    let (code, said) = sensor.ask(args);
    assert_eq!(code, 1, "{args:?}: {said}");
    assert!(said.starts_with("error: ") && said.contains("\n help: "), "{said}");
    said
}

fn gets_through(net: &Internet) -> bool {
    http::get(&net.scanner, (SENSOR_V4, 80).into(), "/").is_ok_and(|answer| answer.status == 200)
}

fn scan(net: &Internet, source: IpAddr) {
    Masscan { source, target: SENSOR_V4.into(), ports: "1000-1099", rate: 10_000 }.run(net, SOON).unwrap();
}

#[test]
fn an_operator_blocks_and_unblocks_a_source_and_a_network() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let sensor = Sensor::start(&net.sensor, &[]);
    assert!(gets_through(&net));
    for target in [SCANNER, "203.0.113.0/24"] {
        let said = done(&sensor, &["block", target, "--for", "1h", "--reason", "too curious"]);
        assert!(said.contains(&format!("Blocked {target} for 1 h")), "{said}");
        assert!(!gets_through(&net), "{target}");
        let list = done(&sensor, &["list"]);
        assert!(list.contains(target) && list.contains("too curious"), "{list}");
        done(&sensor, &["unblock", target]);
        assert!(gets_through(&net), "{target}");
        assert!(refused(&sensor, &["unblock", target]).contains("is not blocked"));
    }
}

#[test]
fn an_operators_block_has_no_end_unless_one_is_named_and_outlives_daemon_and_pins() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let sensor = Sensor::start(&net.sensor, &[]);
    assert!(done(&sensor, &["block", SCANNER, "--reason", "known"]).contains("for ever"));
    done(&sensor, &["block", "192.0.2.128/25"]);
    done(&sensor, &["allow", "198.18.0.0/15"]);
    // By what is pinned, then by the history alone.
    let sensor = sensor.replaced_after_kill(&["--detach"]);
    let listed = |sensor: &Sensor| {
        let list = done(sensor, &["list", "-o", "json"]);
        let list: serde_json::Value = serde_json::from_str(&list).unwrap();
        let mut listed: Vec<_> = list
            .as_array()
            .unwrap()
            .iter()
            .map(|b| {
                (b["network"].as_str().unwrap().to_owned(), b["why"].as_str().unwrap().to_owned(), b["left_s"].clone())
            })
            .collect();
        listed.sort_by_key(|b| b.0.clone());
        listed
    };
    let expected = [("192.0.2.128/25", ""), ("203.0.113.1/32", "known")]
        .map(|(network, why)| (network.to_owned(), why.to_owned(), serde_json::Value::Null));
    assert_eq!(listed(&sensor), expected);
    let state = std::sync::Arc::clone(&sensor.state);
    sensor.stop();
    assert!(gets_through(&net));
    let sensor = Sensor::run_with(&net.sensor, &["run", "--iface", CARD], state);
    assert_eq!(listed(&sensor), expected);
    assert!(!gets_through(&net));
    assert!(done(&sensor, &["status"]).contains("198.18.0.0/15"));
}

#[test]
fn an_automatic_block_is_lifted_by_unblock_and_its_source_judged_anew() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let mut sensor = Sensor::start(&net.sensor, &[]);
    scan(&net, SCANNER.parse().unwrap());
    sensor.says(&["Blocked 203.0.113.1 for 10 min"]);
    done(&sensor, &["unblock", SCANNER]);
    assert!(gets_through(&net));
    scan(&net, SCANNER.parse().unwrap());
    tcpcap_lab::wait_until("the second block", SOON, || sensor.said("Blocked 203.0.113.1 for 10 min") == 2).unwrap();
}

#[test]
fn allowing_a_blocked_source_lets_it_go_and_it_is_never_blocked_again_until_disallowed() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let mut sensor = Sensor::start(&net.sensor, &[]);
    scan(&net, SCANNER.parse().unwrap());
    sensor.says(&["Blocked 203.0.113.1 for 10 min"]);
    done(&sensor, &["allow", "203.0.113.0/24"]);
    assert!(gets_through(&net));
    scan(&net, SCANNER.parse().unwrap());
    sensor.says(&["Not blocked 203.0.113.1: 203.0.113.0/24 is allowed"]);
    assert!(refused(&sensor, &["block", SCANNER]).contains("203.0.113.0/24 is allowed"));
    done(&sensor, &["disallow", "203.0.113.0/24"]);
    assert!(refused(&sensor, &["disallow", "203.0.113.0/24"]).contains("is not among what was allowed"));
    assert!(done(&sensor, &["block", SCANNER]).contains("Blocked"));
}

#[test]
fn a_block_that_would_lock_somebody_needed_out_is_refused_with_the_reason() {
    let net = Internet::build().unwrap();
    let sensor = Sensor::start(&net.sensor, &[]);
    for (target, why) in [
        (SENSOR_V4.to_string(), "is an address of this host"),
        (GATEWAY_V4.to_string(), "is a default gateway"),
        ("198.51.100.0/24".to_owned(), "is an address of this host"),
        ("0.0.0.0/0".to_owned(), "would shut out"),
        ("127.0.0.0/8".to_owned(), "127.0.0."),
    ] {
        assert!(refused(&sensor, &["block", &target]).contains(why), "{target}");
    }
    assert!(refused(&sensor, &["allow", "::/0"]).contains("holds the IPv4 addresses too"));
    assert_eq!(done(&sensor, &["list", "-o", "json"]).trim(), "[]");
}

#[test]
fn modes_are_switched_while_packets_come_and_nothing_passes_in_between() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let sensor = Sensor::start(&net.sensor, &[]);
    done(&sensor, &["block", SCANNER]);
    assert!(!gets_through(&net));
    assert!(done(&sensor, &["mode", "--observe"]).contains("Observing"));
    assert!(gets_through(&net));
    let would = [("reason", "operator")];
    sensor.metrics("would-be drops", |m| m.count("tcpcap_would_drop_packets_total", &would) > 0);
    done(&sensor, &["mode", "--enforce"]);
    assert!(!gets_through(&net));
    // New connections alone: one that exists goes on.
    done(&sensor, &["unblock", SCANNER]);
    let listener = net.sensor.enter(|| TcpListener::bind((SENSOR_V4, 7000))).unwrap().unwrap();
    let mut there = net.scanner.enter(|| TcpStream::connect((SENSOR_V4, 7000))).unwrap().unwrap();
    let (mut here, _) = listener.accept().unwrap();
    let mut goes_on = || {
        there.write_all(b"still here?").unwrap();
        here.read_exact(&mut [0; 11]).unwrap();
    };
    goes_on();
    done(&sensor, &["mode", "--scope", "syn"]);
    done(&sensor, &["block", SCANNER]);
    goes_on();
    assert!(!gets_through(&net));
    let status = done(&sensor, &["status", "-o", "json"]);
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!((status["mode"].as_str(), status["scope"].as_str()), (Some("enforce"), Some("syn")));
}

#[test]
fn status_shows_who_is_never_blocked_and_how_each_part_is() {
    let net = Internet::build().unwrap();
    let sensor = Sensor::start(&net.sensor, &["--allow", "192.0.2.0/24"]);
    let status: serde_json::Value = serde_json::from_str(&done(&sensor, &["status", "-o", "json"])).unwrap();
    let never: Vec<String> =
        status["never_block"].as_array().unwrap().iter().map(|p| p["why"].as_str().unwrap().to_owned()).collect();
    for why in [format!("{SENSOR_V4} is an address of this host"), format!("{GATEWAY_V4} is a default gateway")] {
        assert!(never.contains(&why), "{never:?}");
    }
    assert_eq!(status["allowed"], serde_json::json!(["192.0.2.0/24"]));
    for part in ["pins", "history"] {
        assert_eq!(status[part]["state"], "on", "{part}");
    }
    assert_eq!(status["mirror"]["state"], "off");
    assert_eq!(status["interfaces"][0]["mode"], "native");
    assert_eq!(status["pid"].as_u64(), Some(u64::from(sensor.process.id())));
}

#[test]
fn a_neighbour_can_be_blocked_and_commands_are_logged_with_who_gave_them() {
    let net = Direct::build(1).unwrap();
    let mut sensor = Sensor::run(&net.sensor, &["run", "--iface", CARD, "--iface", "card1"]);
    done(&sensor, &["block", &CLIENT_V4.to_string(), "--for", "5s"]);
    sensor.says(&["uid 0, pid ", &format!("block: Blocked {CLIENT_V4} for 5 s")]);
    sensor.says(&[&format!("Block of {CLIENT_V4} is over")]);
}

#[test]
fn without_a_daemon_a_verb_says_how_to_start_one() {
    let net = Direct::build(1).unwrap();
    let (code, said) = crate::sensor::verb(&net.sensor, &["status", "--socket", "/nonexistent/tcpcap.sock"]);
    assert_eq!(code, 1);
    assert!(said.contains("tcpcap is not running") && said.contains("tcpcap run"), "{said}");
}
