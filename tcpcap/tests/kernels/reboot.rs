//! A real reboot, which takes everything out of the kernel. The two tests run in two boots of one machine, one after the
//! other, with a directory that both have.

use std::{fs, path::PathBuf};

use tcpcap_lab::{
    Internet, Process,
    http::Server,
    layout::{CARD, SENSOR_V4},
    metrics, wait_until,
};

use crate::{
    life::{gets_through, is_cut_off, scan},
    sensor::{SOON, pins, tcpcap},
};

/// The variable that names that directory.
pub const KEPT: &str = "TCPCAP_KEPT";

fn kept() -> PathBuf {
    let kept = std::env::var_os(KEPT);
    PathBuf::from(kept.expect("this machine would have to be booted twice: run `cargo xtask test --kernel 6.12`"))
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap()
}

/// A daemon that keeps everything where it outlives the boot.
fn daemon(net: &Internet) -> Process {
    let kept = kept().join("state");
    let (state, socket) = (kept.to_str().unwrap().to_owned(), "/run/tcpcap.sock");
    let run = tcpcap(&net.sensor, &["run", "--iface", CARD, "--state", &state, "--socket", socket]);
    let mut daemon = Process::spawn("tcpcap", run).unwrap();
    daemon.wait_for_line(SOON, |line| line.contains("tcpcap ready")).unwrap();
    daemon
}

#[test]
fn before_it_a_scanner_is_blocked_for_ten_minutes() {
    let net = Internet::build().unwrap();
    let mut daemon = daemon(&net);
    let _scan = scan(&net, net.first_scanner().v4.into(), SENSOR_V4.into());
    daemon.wait_for_line(SOON, |line| line.contains("Blocked 203.0.113.1 for 10 min")).unwrap();
    assert!(daemon.stop(SOON).unwrap().success());
    fs::write(kept().join("boot"), boot_id()).unwrap();
}

#[test]
fn after_it_nothing_is_pinned_and_the_block_is_back_with_what_time_it_had_left() {
    let before = fs::read_to_string(kept().join("boot")).expect("another boot, with the test before it");
    assert_ne!(before, boot_id(), "a boot of its own");
    let net = Internet::build().unwrap();
    assert!(fs::read_dir("/sys/fs/bpf").unwrap().next().is_none() && pins(&net.sensor).is_none());
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    assert!(gets_through(&net));
    let mut daemon = daemon(&net);
    daemon.wait_for_line(SOON, |line| line.contains("1 blocks of an earlier run go on")).unwrap();
    assert!(is_cut_off(&net));
    let list = tcpcap_lab::http::get(&net.sensor, metrics::ADDRESS, "/api/v1/blocks").unwrap().body;
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list[0]["network"], "203.0.113.1/32", "{list}");
    assert!(list[0]["left_s"].as_u64().is_some_and(|left| left > 0 && left < 600), "{list}");
    wait_until("a drop", SOON, || {
        let metrics = tcpcap_lab::Metrics::wait_until(&net.sensor, "metrics", SOON, |_| true).unwrap();
        metrics.dropped() > 0
    })
    .unwrap();
}
