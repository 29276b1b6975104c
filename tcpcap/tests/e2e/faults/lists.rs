//! Deny networks and feeds: wrong ones, changing ones, a million of them.

use std::{
    fmt::Write as _,
    fs,
    time::{Duration, Instant},
};

use tcpcap_lab::{Capture, Internet, http::Server, layout::CARD, wait_until};

use super::{Config, blocks, gets_through, ip, knocker, networks};
use crate::sensor::Sensor;

#[test]
fn a_feeds_bad_lines_are_told_with_their_numbers_and_a_changed_file_is_taken_over() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let config = Config::new("");
    let feed = config.file("drop.txt", "# mine\n192.0.2.0/30 ; one\nnonsense\n0.0.0.0/0\n192.0.2.77\n");
    config.write(&format!("[[feeds]]\npath = \"{}\"\n", feed.display()));
    let mut sensor = config.start(&net.sensor);
    let told = sensor.says(&["WARN", "feed drop.txt: 2 entries in force; 2 lines skipped"]);
    assert!(told.contains("the first is line 3: \"nonsense\""), "{told}");
    let metrics = sensor.metrics("the entries", |m| m.get("tcpcap_list_entries", &[]) == Some(2.0));
    assert_eq!(metrics.get("tcpcap_feed_lines_skipped", &[]), Some(2.0));
    assert!(gets_through(&net));

    config.file("drop.txt", "203.0.113.0/25\n");
    sensor.says(&["feed drop.txt: 1 entries in force"]);
    let metrics = sensor.metrics("the entries", |m| m.get("tcpcap_list_entries", &[]) == Some(1.0));
    assert_eq!(metrics.get("tcpcap_feed_lines_skipped", &[]), Some(0.0));
    wait_until("the trie", crate::sensor::SOON, || {
        networks(&net.sensor).walk(|_, _| {}).unwrap() == 1 && blocks(&net.sensor).walk(|_, _| {}).unwrap() == 0
    })
    .unwrap();
    assert!(!gets_through(&net));

    fs::remove_file(&feed).unwrap();
    sensor.says(&["WARN", "feed drop.txt: its file cannot be read", "its 1 entries from before stay in force"]);
    assert!(!gets_through(&net));
    sensor.stop();

    // Over a restart, too, until there is something to read.
    let sensor = config.start(&net.sensor);
    assert!(!gets_through(&net));
    config.file("drop.txt", "192.0.2.0/30\n");
    wait_until("the old entry to go", crate::sensor::SOON, || gets_through(&net)).unwrap();
    let metrics = sensor.metrics("the new entry", |m| m.get("tcpcap_list_entries", &[]) == Some(1.0));
    assert_eq!(metrics.get("tcpcap_drift_repaired_total", &[("backend", "xdp")]), Some(0.0));
    sensor.stop();
}

/// A million networks that cannot be merged, and in the end the one that is given.
fn million(first: u8, last: &str) -> String {
    let mut text = String::new();
    for n in 0..999_999u32 {
        let [_, a, b, c] = (n << 4).to_be_bytes();
        writeln!(text, "{first}.{a}.{b}.{c}/29").unwrap();
    }
    text + last + "\n"
}

/// More than two plans of a million entries, and what was read for them, take.
const MOST_MIB: u64 = 256;

/// What a process holds in memory, in MiB.
fn resident(sensor: &Sensor) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", sensor.process.id())).unwrap();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap().trim().trim_end_matches(" kB");
    kib.parse::<u64>().unwrap() / 1024
}

#[test]
fn a_million_deny_networks_are_in_force_from_the_start_and_replaced_by_another_million_without_a_gap() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let config = Config::new("");
    let feed = config.file("drop.txt", &million(20, "203.0.113.0/25"));
    config.write(&format!("[[feeds]]\npath = \"{}\"\n", feed.display()));
    let start = Instant::now();
    let sensor = config.start(&net.sensor);
    println!(
        "a million networks: ready after {:.1} s, {} MiB resident",
        start.elapsed().as_secs_f64(),
        resident(&sensor)
    );
    assert!(!gets_through(&net));
    sensor.metrics("all of them", |m| m.get("tcpcap_list_entries", &[]) == Some(1e6));
    assert_eq!(networks(&net.sensor).walk(|_, _| {}).unwrap(), 1_000_000);

    let behind = Capture::incoming(&net.sensor, CARD).unwrap();
    let denied = super::forged(100);
    let knocker = knocker(&net, denied);
    let start = Instant::now();
    config.file("drop.txt", &million(21, "203.0.113.0/25"));
    let (trie, mut most) = (networks(&net.sensor), 0);
    let holds = |network: &str| trie.longest(&network.parse().unwrap()).is_some();
    wait_until("the other million", Duration::from_secs(180), || {
        most = most.max(resident(&sensor));
        holds("21.0.0.0/29") && holds("21.244.35.224/29")
    })
    .unwrap();
    println!("another million: in force after {:.1} s, {most} MiB resident at most", start.elapsed().as_secs_f64());
    assert!(most < MOST_MIB, "{most} MiB");
    assert!(!holds("20.0.0.0/29") && !holds("20.244.35.224/29"));
    assert_eq!(networks(&net.sensor).walk(|_, _| {}).unwrap(), 1_000_000);
    let sent = knocker.stop();
    assert!(sent > 0);
    assert_eq!(behind.snapshot().unwrap().from(ip(denied)), 0);
    let metrics =
        sensor.metrics("the drops", |m| m.count("tcpcap_dropped_packets_total", &[("reason", "feed")]) >= sent);
    assert_eq!(metrics.count("tcpcap_drift_repaired_total", &[]), 0, "{metrics}");
    assert_eq!(metrics.get("tcpcap_blocks_owed", &[]), Some(0.0));
    sensor.stop();
}
