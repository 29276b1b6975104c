//! What is seen without reloading.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, TcpStream},
};

use serde_json::json;

use tcpcap_lab::{
    Internet,
    http::Server,
    layout::{SENSOR_V4, SENSOR_V6},
    scan::Masscan,
};

use crate::{
    browser::Browser,
    looks::stands_out,
    sensor::{SOON, Sensor},
};

pub const SCANNER: &str = "203.0.113.1";

pub fn scan(net: &Internet, source: IpAddr, ports: &str) {
    let target = if source.is_ipv4() { SENSOR_V4.into() } else { SENSOR_V6.into() };
    Masscan { source, target, ports, rate: 5_000 }.run(net, SOON).unwrap();
}

#[test]
fn a_scan_appears_as_finding_block_and_source_without_a_reload_and_counts_down() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let _sensor = Sensor::start(&net.sensor, &[]);
    let browser = Browser::open(&net.sensor);
    browser.visit("/");
    browser.shows("#health-line", "All is well");
    browser.shows("#health-line", "card0 (native)");
    browser.shows("#blocks-note", "Nobody is blocked.");
    browser.shows("#findings-note", "Nothing has been found since the start.");
    browser.shows("#sources-note", "Nobody has knocked within 10 minutes.");
    browser.run("window.stayed = true");

    scan(&net, SCANNER.parse().unwrap(), "1000-1999");
    browser.shows("#findings-rows li .address", SCANNER);
    browser.shows("#findings-rows li", "Port scan");
    browser.shows("#findings-rows li", "Blocked for 10 min.");
    browser.shows("#findings-rows li", "masscan");
    browser.shows("#blocks-rows tr", SCANNER);
    browser.shows("#blocks-rows tr", "Port scan");
    browser.shows("#sources-rows tr", SCANNER);
    browser.shows("#sources-rows tr .state", "blocked");
    browser.shows("#tile-blocks", "1");
    browser.until(
        "the drops to be counted",
        "return parseInt(document.querySelector('#blocks-rows .drops').textContent.replaceAll(',', '')) > 100",
    );
    browser.until("the chart to show them", "return /[1-9][0-9]+ packets? dropped/.test(readout.textContent)");
    browser.until("a mark at the finding", "return document.querySelectorAll('#chart-attempts .mark').length === 1");

    let left = browser.wait_for("the time left", "return document.querySelector('#blocks-rows .left').textContent");
    let left = left.as_str().unwrap();
    assert!(left.starts_with("9 min 5"), "{left}");
    let less = format!("return document.querySelector('#blocks-rows .left').textContent !== {left:?}");
    browser.until("less time to be left", &less);
    assert_eq!(browser.run("return window.stayed"), true, "it was reloaded");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_page_whose_daemon_is_gone_says_so_and_recovers_when_another_comes() {
    let net = Internet::build().unwrap();
    let mut sensor = Sensor::start(&net.sensor, &[]);
    let browser = Browser::open(&net.sensor);
    browser.visit("/");
    assert_eq!(sensor.ask(&["block", "192.0.2.99"]).0, 0);
    browser.shows("#blocks-rows", "192.0.2.99");
    sensor.process.kill();
    browser.shows("#link", "Not connected since ");
    browser.shows("#link", "tcpcap does not answer");
    browser.shows("#blocks-rows", "192.0.2.99");
    stands_out(&browser, "gone");
    let sensor = sensor.replaced_after_kill(&[]);
    browser.shows("#link", "Live");
    assert_eq!(sensor.ask(&["block", "192.0.2.98"]).0, 0);
    browser.shows("#blocks-rows", "192.0.2.98");
}

#[test]
fn what_is_wrong_is_said_in_words_and_only_then_is_it_red() {
    let net = Internet::build().unwrap();
    let _sensor = Sensor::start(&net.sensor, &["--observe"]);
    let browser = Browser::open(&net.sensor);
    browser.visit("/");
    browser.shows("#health-line", "Observing: nothing is dropped");
    assert_eq!(browser.run("return health.className"), "health warn");
    scan(&net, SCANNER.parse().unwrap(), "1000-1999");
    browser.shows("#findings-rows li", "Would be blocked for 10 min.");
    browser.shows("#sources-rows .state", "would be blocked");
    browser.shows("#tile-drops-name", "Would be dropped");
    browser.shows("#drops-name", "Packets would be dropped per second");
    stands_out(&browser, "observing");
    net.sensor.ip("link set dev card0 down\nlink del dev card0\n").unwrap();
    browser.shows("#health-line", "1 thing is wrong");
    browser.shows("#health-problems", "The interface card0 is gone");
    assert_eq!(browser.run("return health.className"), "health bad");
    stands_out(&browser, "wrong");
}

#[test]
fn of_many_blocks_the_newest_are_shown_the_rest_is_counted_and_the_filter_finds_any() {
    let net = Internet::build().unwrap();
    let sensor = Sensor::start(&net.sensor, &[]);
    for n in 0..=210 {
        assert_eq!(sensor.ask(&["block", &format!("10.77.0.{n}"), "--reason", "one of many"]).0, 0);
    }
    let browser = Browser::open(&net.sensor);
    browser.visit("/");
    browser.shows("#tile-blocks", "211");
    browser.shows("#blocks-more", "And 11 more");
    assert_eq!(browser.run("return document.querySelectorAll('#blocks-rows tr').length"), 200);
    browser.click("#filter");
    browser.press("0.200");
    browser.shows("#blocks-note", "1 of 211 blocks fit.");
    assert_eq!(browser.text("#blocks-rows .who"), "10.77.0.200");
    browser.press("x");
    browser.shows("#blocks-note", "No block fits the filter.");
}

#[test]
fn where_too_many_listen_the_page_says_so_and_reads_anew_until_there_is_room() {
    let net = Internet::build().unwrap();
    let sensor = Sensor::start(&net.sensor, &[]);
    let listen = || {
        let mut stream = TcpStream::connect(("127.0.0.1", 2112)).unwrap();
        stream.write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        assert_eq!(&status, b"HTTP/1.1 200");
        stream
    };
    let listeners = net.sensor.enter(|| (0..64).map(|_| listen()).collect::<Vec<_>>()).unwrap();
    let browser = Browser::open(&net.sensor);
    browser.go("/");
    browser.shows("#link", "Connected, without live events");
    assert_eq!(sensor.ask(&["block", "192.0.2.99"]).0, 0);
    browser.shows("#blocks-rows", "192.0.2.99");
    drop(listeners);
    browser.shows("#link", "Live");
}

#[test]
fn after_missed_events_everything_is_read_anew() {
    let net = Internet::build().unwrap();
    let _sensor = Sensor::start(&net.sensor, &[]);
    let browser = Browser::open(&net.sensor);
    let lend =
        "window.EventSource = class extends EventSource { constructor(url) { super(url); window.stream = this; } };";
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": lend }));
    browser.visit("/");
    let read = "return performance.getEntriesByType('resource').filter((e) => e.name.endsWith('/findings')).length";
    let before = browser.run(read).as_u64().unwrap();
    browser.run("stream.dispatchEvent(new MessageEvent('missed', { data: JSON.stringify({ events: 4096 }) }))");
    browser.shows("#news", "4,096 events were missed; everything is read anew.");
    browser.until("findings to be asked for again", &format!("{read} > {before}"));
}
