//! Every packet is accounted for by name.

use std::{collections::BTreeSet, fs};

use tcpcap_lab::{
    Internet, Metrics,
    http::{self, Server},
    layout::{CARD, SENSOR_V4, SENSOR_V6},
    scan::Masscan,
    wait_for,
};

use crate::sensor::{SOON, Sensor};

/// What the card itself received since an earlier count is what the program has counted, to the packet.
#[test]
fn every_packet_received_is_passed_or_dropped_under_100k_packets_a_second() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let sensor = Sensor::start(&net.sensor, &[]);
    // What came before the program was attached is the card's alone. Read once the card has been silent for two polls.
    let card = || net.sensor.counters(CARD).unwrap().rx_packets;
    let (mut silent_since, mut polls) = (card(), BTreeSet::new());
    let before = wait_for("silence", SOON, || {
        let metrics = Metrics::fetch(&net.sensor).unwrap();
        if card() != silent_since {
            (silent_since, polls) = (card(), BTreeSet::new());
        }
        polls.insert(metrics.get("tcpcap_poll_duration_seconds_count", &[])?.to_bits());
        (polls.len() > 2).then(|| silent_since - metrics.received())
    })
    .unwrap();
    let source = net.first_scanner();
    for (source, target) in [(source.v4.into(), SENSOR_V4.into()), (source.v6.into(), SENSOR_V6.into())] {
        Masscan { source, target, ports: "1-65535", rate: 100_000 }.run(&net, SOON).unwrap();
        http::get(&net.client, (target, 80).into(), "/").unwrap();
    }
    let metrics = sensor.metrics("every packet counted", |m| {
        let received = card();
        received >= 131_070 && m.received() + before == received
    });
    assert_eq!(metrics.received(), metrics.passed() + metrics.dropped());
    assert!(metrics.dropped() > 100_000, "{metrics}");
    let sent = metrics.count("tcpcap_events_total", &[("outcome", "sent")]);
    assert_eq!(metrics.count("tcpcap_events_read_total", &[]), sent, "events lost between program and daemon");
}

#[test]
fn metrics_are_those_that_are_documented() {
    let net = Internet::build().unwrap();
    // Feeds have metrics of their own.
    let place = tempfile::tempdir().unwrap();
    let (feed, config) = (place.path().join("feed.txt"), place.path().join("config.toml"));
    fs::write(&feed, "192.0.2.77\n").unwrap();
    fs::write(&config, format!("feeds = [{{ path = \"{}\", name = \"drop\" }}]\n", feed.display())).unwrap();
    let sensor = Sensor::start(&net.sensor, &["--config", config.to_str().unwrap()]);
    Masscan { source: net.first_scanner().v4.into(), target: SENSOR_V4.into(), ports: "1-999", rate: 5000 }
        .run(&net, SOON)
        .unwrap();
    assert_eq!(sensor.ask(&["status"]).0, 0);
    assert_eq!(http::get(&net.sensor, tcpcap_lab::metrics::ADDRESS, "/api/v1/status").unwrap().status, 200);
    let metrics = sensor.metrics("a finding", |m| m.count("tcpcap_findings_total", &[]) > 0);
    let text = include_str!("../../../docs/metrics.md");
    let documented: BTreeSet<&str> = text
        .lines()
        .filter_map(|l| l.strip_prefix("| `")?.split(['`', '{']).next())
        .filter(|n| n.starts_with("tcpcap_"))
        .collect();
    let base = |name: &str| {
        let name = name.strip_suffix("_created").unwrap_or(name);
        ["_bucket", "_sum", "_count"].iter().find_map(|s| name.strip_suffix(s)).unwrap_or(name).to_owned()
    };
    let served: BTreeSet<String> = metrics.samples().iter().map(|s| base(&s.name)).collect();
    assert_eq!(served, documented.iter().map(|s| (*s).to_owned()).collect());
}
