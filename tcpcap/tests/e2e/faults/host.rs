//! The host changes under the daemon: its interfaces, its addresses, its clock.

use std::{fs, path::PathBuf, time::Duration};

use tcpcap_lab::{
    Capture, End, Internet, Veth,
    http::{self, Server},
    layout::{CARD, GATEWAY_V4, SENSOR_V4},
    wait_until,
};

use super::{Config, blocks, gets_through, ip, scan};
use crate::sensor::{SOON, Sensor, has_xdp, pins, tcpcap};

/// The pinned links by name.
fn links(net: &Internet) -> Vec<String> {
    let dir = fs::read_dir(pins(&net.sensor).unwrap().join("links")).unwrap();
    let mut links: Vec<String> = dir.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    links.sort();
    links
}

/// The cable to the sensor, made anew.
fn plug_in(net: &Internet) {
    let ends = [(&net.sensor, CARD, SENSOR_V4), (&net.internet, "tosensor", GATEWAY_V4)];
    let addresses = ends.map(|(.., address)| [(address.into(), 24)]);
    let ends = [0, 1].map(|n| End { namespace: ends[n].0, card: ends[n].1, addresses: &addresses[n] });
    net.lab.connect(&Veth { ends, queues: 1 }).unwrap();
    net.sensor.ip(&format!("route add default via {GATEWAY_V4}\n")).unwrap();
}

#[test]
fn a_block_outlasts_its_interface() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let mut sensor = Sensor::start(&net.sensor, &[]);
    scan(&net, net.first_scanner().v4);
    sensor.says(&["Blocked 203.0.113.1 for 10 min"]);
    let pin = |net: &Internet| format!("xdp-native-{}", net.sensor.card(CARD).unwrap().index);
    let first = pin(&net);
    assert!(links(&net).contains(&first));

    net.sensor.ip(&format!("link set dev {CARD} down\n")).unwrap();
    net.sensor.ip(&format!("link set dev {CARD} up\nroute replace default via {GATEWAY_V4}\n")).unwrap();
    assert!(has_xdp(&net.sensor, CARD) && !gets_through(&net));

    net.sensor.ip(&format!("link delete {CARD}\n")).unwrap();
    sensor.says(&["WARN", "card0 has disappeared"]);
    wait_until("the end of its pin", SOON, || links(&net).is_empty()).unwrap();
    let up = |up: f64| {
        sensor.metrics("the interface", |m| m.get("tcpcap_interface_up", &[("interface", CARD)]) == Some(up));
    };
    up(0.0);

    plug_in(&net);
    sensor.says(&["card0 is back, watched in native mode"]);
    assert!(has_xdp(&net.sensor, CARD));
    assert!(links(&net).contains(&pin(&net)) && pin(&net) != first);
    assert!(!gets_through(&net), "the block goes on");
    assert_eq!(http::get(&net.client, (SENSOR_V4, 80).into(), "/").unwrap().status, 200);
    let mut sensor = sensor.replaced_after_kill(&[]);
    sensor.says(&["1 blocks of an earlier run go on"]);
    assert!(!gets_through(&net));
    sensor.stop();
}

#[test]
fn an_address_that_becomes_an_own_one_is_blocked_no_more_and_one_that_goes_counts_no_more() {
    let net = Internet::build().unwrap();
    let mut sensor = Sensor::start(&net.sensor, &[]);
    let source = net.first_scanner().v4;
    scan(&net, source);
    sensor.says(&["Blocked 203.0.113.1 for 10 min"]);
    net.sensor.ip(&format!("address add {source}/32 dev lo\n")).unwrap();
    sensor.says(&["Block of 203.0.113.1 is lifted", "is an address of this host"]);
    let blocks = blocks(&net.sensor);
    assert!(blocks.get(ip(source).into()).is_none());
    net.sensor.ip(&format!("address delete {source}/32 dev lo\n")).unwrap();
    // The change arrives by itself; the scan is repeated until it has.
    let again = wait_until("the block", SOON, || {
        scan(&net, source);
        blocks.get(ip(source).into()).is_some()
    });
    again.unwrap();

    net.sensor.ip(&format!("address delete {SENSOR_V4}/24 dev {CARD}\n")).unwrap();
    let other = super::forged(60);
    wait_until("attempts that are for nobody", SOON, || {
        scan(&net, other);
        tcpcap_lab::Metrics::fetch(&net.sensor)
            .is_ok_and(|m| m.count("tcpcap_packets_total", &[("end", "not_own")]) >= 100)
    })
    .unwrap();
    sensor.stop();
}

/// The library that shows a process another time of day.
fn false_time() -> PathBuf {
    let dirs = fs::read_dir("/usr/lib").unwrap().map(|dir| dir.unwrap().path());
    let mut found = dirs.map(|dir| dir.join("faketime/libfaketimeMT.so.1")).filter(|path| path.exists());
    found.next().expect("run: cargo xtask setup")
}

#[test]
fn a_clock_that_steps_an_hour_either_way_neither_shortens_nor_prolongs_a_block() {
    for (step, back) in [("+3600", "-3600"), ("-3600", "+3600")] {
        let net = Internet::build().unwrap();
        let config = Config::new("");
        let clock = config.file("clock", "+0\n");
        let start = |state: &std::sync::Arc<tempfile::TempDir>| {
            let directory = state.path().to_str().unwrap();
            let socket = format!("{directory}/tcpcap.sock");
            let args = ["run", "--iface", CARD, "--block-for", "5s", "--state", directory, "--socket", &socket];
            let mut command = tcpcap(&net.sensor, &args);
            command.env("LD_PRELOAD", false_time()).env("FAKETIME_TIMESTAMP_FILE", &clock);
            command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
            let mut process = tcpcap_lab::Process::spawn("tcpcap", command).unwrap();
            process.wait_for_line(SOON, |l| l.contains("tcpcap ready")).unwrap();
            Sensor { process, namespace: net.sensor.clone(), state: std::sync::Arc::clone(state) }
        };
        let state = std::sync::Arc::new(tempfile::TempDir::new().unwrap());
        let mut sensor = start(&state);
        let source = super::forged(70);
        scan(&net, source);
        sensor.says(&["Blocked 203.0.113.70 for 5 s"]);
        let map = blocks(&net.sensor);
        let until = || map.get(ip(source).into()).map(|block| block.until);
        let due = until().unwrap();

        config.file("clock", &format!("{step}\n"));
        sensor.metrics("a poll", |m| m.get("tcpcap_blocks", &[("origin", "automatic")]) == Some(1.0));
        assert_eq!(until(), Some(due), "while it runs");
        sensor.process.kill();
        let mut sensor = start(&state);
        sensor.says(&["1 blocks of an earlier run go on"]);
        assert_eq!(until(), Some(due), "over a start");
        config.file("clock", &format!("{back}\n"));
        let behind = Capture::incoming(&net.sensor, CARD).unwrap();
        let knocker = super::knocker(&net, source);
        wait_until("the end of the block", SOON, || behind.snapshot().unwrap().from(ip(source)) > 0).unwrap();
        let late = tcpcap::host::now().as_nanos().checked_sub(due).expect("not before its time");
        assert!(Duration::from_nanos(late) < Duration::from_secs(1), "{late} ns late");
        drop(knocker);
        sensor.says(&["Block of 203.0.113.70 is over"]);
        sensor.stop();
    }
}
