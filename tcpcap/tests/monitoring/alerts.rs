//! What fires, when, and what the dashboard shows meanwhile.

use std::{collections::BTreeSet, fs, time::Instant};

use aya::maps::{Map, MapData};
use tcpcap::kernel::Blocks;
use tcpcap_common::{Addr, LAYOUT_VERSION, record::map};
use tcpcap_lab::{Lab, Namespace, layout::CARD, wait_until};

use crate::{
    panels::{dashboard, deploy, queries, text, used},
    prometheus::{Prometheus, SOON},
    stage::Stage,
};

/// Queries that find nothing in a host that is scanned, and why.
const EMPTY: [(&str, &str, &str); 2] = [
    ("Observe mode: would be dropped", "A", "nothing is observed"),
    ("Log lines that were not written", "B", "no line is held back"),
];

#[test]
fn a_healthy_host_fires_nothing_then_a_wave_is_told_of_and_the_end_of_the_daemon_while_its_blocks_go_on() {
    let mut stage = Stage::start("");
    let prometheus = Prometheus::start(&stage.net.sensor);
    let (code, said) = stage.ask(&["status"]);
    assert_eq!(code, 0, "{said}");
    prometheus.judges_every_rule();
    // Until the first scrape there is nothing to scrape, and an alert for that.
    wait_until("nothing to fire", SOON, || prometheus.alerts().is_empty()).unwrap();
    let since = Instant::now();
    prometheus.has_scraped(6);
    assert!(prometheus.firing().is_empty(), "{:?}", prometheus.alerts());
    let span = since.elapsed().as_secs();
    let fired = prometheus.query(&format!("count_over_time(ALERTS{{alertstate=\"firing\"}}[{span}s])"));
    assert!(fired.is_empty(), "{fired:?}");

    let sources = stage.wave();
    let told = prometheus.fires("TcpcapScanWave");
    assert!(told.description.contains("scanners were found in 10 minutes"), "{}", told.description);
    assert_eq!(told.labels["severity"], "warning");
    every_panel_has_something_to_show(&prometheus);
    every_metric_that_is_asked_for_is_served(&stage);
    let critical = prometheus.alerts().into_iter().find(|alert| alert.firing && alert.labels["severity"] == "critical");
    assert!(critical.is_none(), "{critical:?}");

    let blocked = sources[3];
    assert!(!stage.gets_through(blocked));
    stage.tcpcap.kill();
    let told = prometheus.fires("TcpcapDownBlocksRemain");
    assert_eq!(told.labels["severity"], "critical");
    // 32 of the wave, and the feed's entry.
    assert!(told.description.contains("33 sources and networks were blocked"), "{}", told.description);
    assert!(!prometheus.firing().contains(&"TcpcapDown".to_owned()), "one of the two is enough");
    assert!(!stage.gets_through(blocked) && stage.serves());
    // What the description says to do first.
    let (code, said) = stage.ask(&["status"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("blocks       32 automatic, 0 by operators, 1 by lists"), "{said}");

    stage.start_again();
    prometheus.is_over("TcpcapDownBlocksRemain");
    assert!(!stage.gets_through(blocked) && stage.serves());
}

/// Every query of the dashboard is answered, and all but the exceptions with something.
fn every_panel_has_something_to_show(prometheus: &Prometheus) {
    let mut empty = Vec::new();
    for query in queries(&dashboard(), "10s") {
        let found = prometheus.query(&query.expr);
        for series in &found {
            let is_shown = query.labels().iter().all(|label| series["metric"].get(label).is_some());
            assert!(is_shown, "{} {} has not all labels of {}: {series}", query.panel, query.id, query.legend);
        }
        if found.is_empty() {
            empty.push((query.panel, query.id));
        }
    }
    let expected: Vec<_> = EMPTY.iter().map(|(panel, id, _)| ((*panel).to_owned(), (*id).to_owned())).collect();
    assert_eq!(empty, expected, "what has nothing to show");
}

/// Whatever alerts and dashboard name is in a scrape of the running daemon, but for those that have nothing to count there.
fn every_metric_that_is_asked_for_is_served(stage: &Stage) {
    let scrape = stage.metrics("a scrape", |_| true);
    println!("a scrape has {} series", scrape.samples().len());
    assert!(scrape.samples().len() < 300, "{scrape}");
    let served: BTreeSet<_> = scrape.samples().iter().map(|sample| sample.name.as_str()).collect();
    let asked = queries(&dashboard(), "10s").into_iter().map(|query| query.expr);
    let asked = asked.chain([text(&deploy("prometheus/alerts.yml"))]).flat_map(|text| used(&text));
    let missing: BTreeSet<_> = asked.map(|used| used.name).filter(|name| !served.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?} in {served:?}");
}

#[test]
fn what_goes_wrong_on_a_host_is_told_of_by_its_own_alert() {
    let mut stage = Stage::start("caps.per_minute = 5\n");
    let prometheus = Prometheus::start(&stage.net.sensor);
    // A counter's step is seen between two scrapes only.
    prometheus.has_scraped(3);

    fs::remove_file(stage.file("drop.txt")).unwrap();
    fs::write(stage.file("config.toml"), "nonsense = 1\n").unwrap();
    stage.tcpcap.signal(libc::SIGHUP);
    stage.wave();
    let (code, said) = stage.ask(&["block", "203.0.113.250"]);
    assert_eq!(code, 0, "{said}");
    let mut blocks = blocks(&stage.net.sensor);
    assert!(blocks.remove(Addr::from(std::net::IpAddr::from([203, 0, 113, 250]))).unwrap().is_some());

    prometheus.fires("TcpcapCircuitBreakerOpen");
    stage.net.sensor.ip(&format!("link delete dev {CARD}\n")).unwrap();
    let drift = prometheus.fires("TcpcapDrift");
    assert_eq!(drift.labels["backend"], "xdp");
    prometheus.fires("TcpcapReloadFailed");
    let feed = prometheus.fires("TcpcapFeedFailing");
    assert_eq!(feed.labels["feed"], "drop.txt");
    let away = prometheus.fires("TcpcapInterfaceDetached");
    assert_eq!(away.labels["interface"], CARD);
}

#[test]
fn many_hosts_are_scraped_at_their_port_and_called_by_their_name() {
    let lab = Lab::new().unwrap();
    let (_prometheus, known) = Prometheus::start_for_many(&lab.namespace("monitor").unwrap());
    let known: Vec<_> = known.iter().map(|(url, instance)| (url.as_str(), instance.as_str())).collect();
    let expected = [
        ("http://127.0.0.1:2112/metrics", "127.0.0.1"),
        ("http://192.0.2.4:9112/metrics", "192.0.2.4"),
        ("http://[2001:db8::3]:2112/metrics", "[2001:db8::3]"),
        ("http://web1.example.net:2112/metrics", "web1.example.net"),
        ("http://web2.example.net:2112/metrics", "web2.example.net"),
    ];
    assert_eq!(known, expected);
}

/// The kernel's list of sources, as anybody with enough rights can open it.
fn blocks(namespace: &Namespace) -> Blocks {
    use std::os::unix::fs::MetadataExt as _;
    let number = fs::metadata(namespace.path()).unwrap().ino();
    let pin = format!("/sys/fs/bpf/tcpcap/net-{number}/maps-v{LAYOUT_VERSION}/{}", map::BLOCKS);
    Blocks::open(Map::HashMap(MapData::from_pin(pin).unwrap())).unwrap()
}
