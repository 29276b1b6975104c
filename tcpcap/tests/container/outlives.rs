//! What goes on without the container, and in the next one.

use std::time::{Duration, Instant};

use serde_json::Value;
use tcpcap_lab::{
    Capture, Internet,
    http::Server,
    layout::{CARD, SENSOR_V4},
    scan::Masscan,
    wait_until,
};

use crate::{
    container::{Container, Home, SOON},
    privileges::{gets_through, scan},
};

/// How long the daemon may take to end when it is asked to.
const STOP: Duration = Duration::from_secs(5);

fn blocks(container: &Container) -> Value {
    serde_json::from_str(&container.ask(&["list", "-o", "json"])).unwrap()
}

#[test]
fn a_removed_containers_block_goes_on_is_adopted_and_ends_when_it_is_due() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let home = Home::prepared();
    let scanner = net.first_scanner().v4;
    let mut sensor = Container::start(&net.sensor, &home, &[]);
    scan(&net, scanner.into());
    sensor.says(&["Blocked 203.0.113.1 for 10 min"]);
    let before = blocks(&sensor);
    assert_eq!((&before[0]["network"], &before[0]["origin"]), (&"203.0.113.1/32".into(), &"automatic".into()));
    let took = sensor.remove();
    assert!(took < STOP, "it stopped after {took:?}");

    // Nobody is there but the kernel.
    let behind = Capture::incoming(&net.sensor, CARD).unwrap();
    assert!(!gets_through(&net));
    Masscan { source: scanner.into(), target: SENSOR_V4.into(), ports: "1-500", rate: 5_000 }.run(&net, SOON).unwrap();
    assert!(behind.snapshot().unwrap().tried(scanner.into()).is_empty());

    let mut sensor = Container::start(&net.sensor, &home, &[]);
    sensor.says(&["1 blocks of an earlier run go on"]);
    let after = blocks(&sensor);
    assert_eq!(after.as_array().unwrap().len(), 1);
    for field in ["network", "origin", "why", "scope", "times"] {
        assert_eq!(after[0][field], before[0][field], "{field}");
    }
    let dropped = |list: &Value| list[0]["packets"].as_u64().unwrap();
    assert!(dropped(&after) >= dropped(&before) + 500, "{after}: those without a daemon are counted, too");
    assert!(after[0]["left_s"].as_u64() < before[0]["left_s"].as_u64(), "{after}");
    assert!(!gets_through(&net));
    assert!(!sensor.process.output().contains("Port scan detected"), "what is dropped is no news");

    sensor.ask(&["unblock", "203.0.113.1"]);
    let start = Instant::now();
    sensor.ask(&["block", "203.0.113.1", "--for", "30s"]);
    sensor.remove();
    assert!(!gets_through(&net));
    wait_until("the end of the block", SOON, || gets_through(&net)).unwrap();
    assert!(start.elapsed() >= Duration::from_secs(29), "it ended after {:?}", start.elapsed());
    assert_ne!(std::fs::read_dir(&home.pins).unwrap().count(), 0, "with nobody there but the kernel");
}
