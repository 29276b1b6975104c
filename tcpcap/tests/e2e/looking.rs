//! What the API tells of a scan: the same over the control socket and the HTTP port.

use std::net::IpAddr;

use serde_json::Value;
use tcpcap_lab::{
    Internet,
    http::{self, Server},
    layout::SENSOR_V4,
    scan::Masscan,
    wait::wait_until,
};

use crate::sensor::{SOON, Sensor};

const SCANNER: &str = "203.0.113.1";

/// What the HTTP port answers.
fn get(net: &Internet, path: &str) -> Value {
    let answer = http::get(&net.sensor, ([127, 0, 0, 1], 2112).into(), path).unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

fn named<'a>(list: &'a Value, key: &str) -> Option<&'a Value> {
    list.as_array().unwrap().iter().find(|entry| entry[key] == SCANNER || entry[key] == format!("{SCANNER}/32"))
}

#[test]
fn a_scan_is_seen_in_every_view_over_the_port_and_explained_with_its_evidence() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let mut sensor = Sensor::start(&net.sensor, &[]);
    let source: IpAddr = SCANNER.parse().unwrap();
    Masscan { source, target: SENSOR_V4.into(), ports: "1000-1999", rate: 5_000 }.run(&net, SOON).unwrap();
    sensor.says(&["Blocked 203.0.113.1 for 10 min"]);
    wait_until("the source to be live and its packets to be dropped", SOON, || {
        named(&get(&net, "/api/v1/sources"), "source").is_some_and(|seen| seen["attempts"].as_u64() > Some(3))
            && get(&net, "/api/v1/blocks")[0]["packets"].as_u64() > Some(0)
    })
    .unwrap();

    let sources = get(&net, "/api/v1/sources");
    let seen = named(&sources, "source").unwrap();
    assert_eq!((&seen["state"], &seen["rule"]), (&"blocked".into(), &"port-scan".into()), "{seen}");
    assert_eq!(seen["why"], "port-scan", "{seen}");
    assert!(seen["dropped_packets"].as_u64() > Some(0), "{seen}");
    assert!(seen["ports"].as_u64() > Some(2) && seen["left_s"].as_u64() <= Some(600), "{seen}");

    let story = get(&net, &format!("/api/v1/explain/{SCANNER}"));
    assert_eq!((&story["now"]["state"], &story["now"]["protected"]), (&"blocked".into(), &Value::Null), "{story}");
    assert_eq!(story["now"]["blocks"][0]["why"], "port-scan");
    assert_eq!((&story["next"]["times"], &story["next"]["repeat_s"]), (&1.into(), &1200.into()), "{story}");
    let past: Vec<&str> = story["past"].as_array().unwrap().iter().map(|row| row["type"].as_str().unwrap()).collect();
    assert!(past.contains(&"finding") && past.contains(&"block"), "{story}");
    assert_eq!(story["past_missing"], Value::Null);

    assert_eq!(get(&net, "/api/v1/findings")[0]["source"], SCANNER);
    assert_eq!(get(&net, "/api/v1/history?about=203.0.113.0/24&limit=1").as_array().unwrap().len(), 1);
    assert!(get(&net, "/api/v1/status")["blocks"]["automatic"] == 1);
    let minutes = get(&net, "/api/v1/timeline");
    let sum = |key: &str| minutes["minutes"].as_array().unwrap().iter().filter_map(|m| m[key].as_u64()).sum::<u64>();
    assert!(
        sum("attempts") > 3 && sum("dropped_packets") > 0 && sum("findings") == 1 && sum("blocks") == 1,
        "{minutes}"
    );

    let stranger = get(&net, "/api/v1/explain/192.0.2.99");
    assert_eq!((&stranger["now"]["state"], &stranger["seen"]), (&"free".into(), &Value::Null));
    let own = get(&net, &format!("/api/v1/explain/{SENSOR_V4}"));
    assert_eq!(own["now"]["state"], "protected");
    assert!(own["now"]["protected"].as_str().unwrap().ends_with("is an address of this host"), "{own}");
}
