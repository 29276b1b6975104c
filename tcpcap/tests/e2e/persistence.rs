//! What stays when the daemon is gone, and what the next one makes of it.

use std::{fs, net::IpAddr};

use tcpcap_lab::{
    Capture, Internet, Process, http,
    http::Server,
    layout::{CARD, SENSOR_V4},
    scan::Masscan,
    wait_until,
};

use crate::sensor::{SOON, Sensor, has_xdp, pins, tcpcap, verb};

/// A scan that gets its source blocked.
fn scan(net: &Internet, source: IpAddr) {
    Masscan { source, target: SENSOR_V4.into(), ports: "1000-1099", rate: 10_000 }.run(net, SOON).unwrap();
}

/// Whether a page can be had from the scanner's address.
fn gets_through(net: &Internet) -> bool {
    http::get(&net.scanner, (SENSOR_V4, 80).into(), "/").is_ok_and(|answer| answer.status == 200)
}

#[test]
fn a_killed_daemons_blocks_go_on_and_end_when_they_are_due() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let mut sensor = Sensor::start(&net.sensor, &["--block-for", "4s"]);
    scan(&net, net.first_scanner().v4.into());
    sensor.says(&["Blocked 203.0.113.1 for 4 s"]);
    sensor.process.kill();
    assert!(has_xdp(&net.sensor, CARD));
    let behind = Capture::incoming(&net.sensor, CARD).unwrap();
    assert!(!gets_through(&net));
    assert!(behind.snapshot().unwrap().tried(net.first_scanner().v4.into()).is_empty());
    wait_until("the end of the block", SOON, || gets_through(&net)).unwrap();
    assert!(has_xdp(&net.sensor, CARD), "with nobody there but the kernel");
}

#[test]
fn the_next_daemon_takes_over_blocks_counters_and_programs() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let mut sensor = Sensor::start(&net.sensor, &[]);
    scan(&net, net.first_scanner().v4.into());
    sensor.says(&["Blocked 203.0.113.1 for 10 min"]);
    let before = sensor.metrics("drops", |m| m.dropped() > 0).dropped();
    let mut sensor = sensor.replaced_after_kill(&[]);
    sensor.says(&["1 blocks of an earlier run go on"]);
    sensor.says(&["tcpcap ready", "going on with 1 blocks"]);
    let after = sensor.metrics("the counters", |m| m.dropped() >= before);
    assert_eq!(after.get("tcpcap_blocks", &[("origin", "automatic")]), Some(1.0));
    assert!(!gets_through(&net));
    sensor.metrics("more drops", |m| m.dropped() > after.dropped());
    assert_eq!(sensor.said("Port scan detected"), 0, "what it dropped is no news");
}

#[test]
fn a_repeaters_next_block_is_longer_after_a_restart_too() {
    let net = Internet::build().unwrap();
    let mut sensor = Sensor::start(&net.sensor, &["--block-for", "2s"]);
    let source = net.first_scanner().v4;
    scan(&net, source.into());
    sensor.says(&["Blocked 203.0.113.1 for 2 s"]);
    sensor.says(&["Block of 203.0.113.1 is over"]);
    let mut sensor = sensor.replaced_after_kill(&["--block-for", "2s"]);
    scan(&net, source.into());
    sensor.says(&["Blocked 203.0.113.1 for 4 s, block number 2 in a row"]);
}

#[test]
fn a_stopped_daemon_leaves_its_blocks_and_detach_takes_everything_out() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let mut sensor = Sensor::start(&net.sensor, &[]);
    scan(&net, net.first_scanner().v4.into());
    sensor.says(&["Blocked"]);
    assert!(
        sensor.stop().contains("the kernel goes on with its blocks (1) until each is over; `tcpcap detach` lets go")
    );
    assert!(has_xdp(&net.sensor, CARD) && !gets_through(&net));
    let (code, said) = verb(&net.sensor, &["detach"]);
    assert_eq!((code, said.contains("tcpcap is out of the kernel")), (0, true), "{said}");
    assert!(!has_xdp(&net.sensor, CARD) && gets_through(&net));
    assert_eq!(pins(&net.sensor), None);
    let (code, said) = verb(&net.sensor, &["detach"]);
    assert_eq!((code, said.contains("there was nothing of tcpcap in the kernel")), (0, true), "{said}");
}

#[test]
fn detach_removes_the_mirrors_table_too_as_the_configuration_names_it() {
    let net = Internet::build().unwrap();
    let tables = || {
        let mut command = net.sensor.command("nft");
        command.args(["list", "tables"]);
        let mut nft = Process::spawn("nft", command).unwrap();
        nft.succeed(SOON).unwrap();
        nft.output()
    };
    for (name, line) in [("tcpcap", ""), ("mine", "table = \"mine\"\n")] {
        let state = std::sync::Arc::new(tempfile::TempDir::new().unwrap());
        let config = state.path().join("config.toml");
        fs::write(&config, format!("[mirror.nftables]\nenabled = true\n{line}")).unwrap();
        let config = config.to_str().unwrap();
        let sensor = Sensor::run_with(&net.sensor, &["run", "--iface", CARD, "--config", config], state.clone());
        wait_until("the table", SOON, || tables().contains(&format!("table inet {name}"))).unwrap();
        sensor.stop();
        assert!(tables().contains(&format!("table inet {name}")), "it goes on, as the rest does");
        assert_eq!(verb(&net.sensor, &["detach", "--config", config]).0, 0);
        assert_eq!(tables(), "");
    }
}

#[test]
fn a_second_daemon_is_refused_with_the_firsts_process_id_and_so_is_detach() {
    let net = Internet::build().unwrap();
    let sensor = Sensor::start(&net.sensor, &[]);
    let pid = sensor.process.id();
    for args in [&["run", "--iface", CARD, "--listen", "127.0.0.1:2113"][..], &["detach"]] {
        let (code, said) = verb(&net.sensor, args);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains(&format!("tcpcap is running here already, as process {pid}")), "{said}");
        assert!(said.contains(&format!("kill {pid}")), "{said}");
    }
    assert!(has_xdp(&net.sensor, CARD), "the first goes on");
    sensor.stop();
}

#[test]
fn what_is_pinned_of_another_layout_is_refused_and_goes_on() {
    let net = Internet::build().unwrap();
    let mut sensor = Sensor::start(&net.sensor, &[]);
    scan(&net, net.first_scanner().v4.into());
    sensor.says(&["Blocked"]);
    sensor.stop();
    let dir = pins(&net.sensor).unwrap();
    let ours = format!("maps-v{}", tcpcap_common::LAYOUT_VERSION);
    fs::rename(dir.join(&ours), dir.join("maps-v99")).unwrap();
    let socket = dir.join("none").display().to_string();
    let (code, said) = verb(&net.sensor, &["run", "--iface", CARD, "--socket", &socket]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("are of layout 99, and this tcpcap knows layout"), "{said}");
    assert!(said.contains("tcpcap detach"), "{said}");
    assert!(has_xdp(&net.sensor, CARD));
    let (code, said) = verb(&net.sensor, &["detach"]);
    assert_eq!(code, 0, "{said}");
    assert!(!has_xdp(&net.sensor, CARD));
}

#[test]
fn what_is_not_denied_any_more_is_free_after_a_restart() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let sensor = Sensor::start(&net.sensor, &["--deny", "203.0.113.0/24", "--deny", "203.0.113.1"]);
    assert!(!gets_through(&net));
    let sensor = sensor.replaced_after_kill(&["--deny", "203.0.113.1"]);
    assert!(!gets_through(&net));
    let sensor = sensor.replaced_after_kill(&[]);
    assert!(gets_through(&net));
    assert_eq!(sensor.said("of an earlier run go on"), 0);
}

#[test]
fn lists_that_need_more_room_get_it_at_the_next_start_and_blocks_move_along() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let mut sensor = Sensor::start(&net.sensor, &[]);
    scan(&net, net.first_scanner().v4.into());
    sensor.says(&["Blocked 203.0.113.1 for 10 min"]);
    assert!(!gets_through(&net));
    let (feed, config) = (sensor.state.path().join("feed"), sensor.state.path().join("config.toml"));
    let addresses: String =
        (0..300_000u32).map(|n| format!("{}\n", std::net::Ipv4Addr::from(0x0b00_0000 + n))).collect();
    fs::write(&feed, addresses).unwrap();
    fs::write(&config, format!("[[feeds]]\npath = {feed:?}\n")).unwrap();
    let config = config.to_str().unwrap().to_owned();
    let mut sensor = sensor.replaced_after_kill(&["--config", &config]);
    sensor.says(&["1 blocks were moved to a map of another size"]);
    let metrics = sensor.metrics("the list", |m| m.get("tcpcap_list_entries", &[]) == Some(300_000.0));
    assert_eq!(metrics.get("tcpcap_blocks", &[("origin", "automatic")]), Some(1.0));
    assert!(!gets_through(&net));
    let listed = sensor.ask(&["list", "-o", "json"]).1;
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let moved = listed[0]["packets"].as_u64().unwrap();
    assert!(moved > 0, "what it had counted went along: {listed}");
    // With less to list the larger map is kept.
    let mut sensor = sensor.replaced_after_kill(&[]);
    sensor.says(&["1 blocks of an earlier run go on"]);
    assert_eq!(sensor.said("another size"), 0);
    assert!(!gets_through(&net));
}

#[test]
fn without_pins_as_after_a_reboot_blocks_with_time_left_come_back_from_the_history() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let mut sensor = Sensor::start(&net.sensor, &["--detach"]);
    scan(&net, net.first_scanner().v4.into());
    sensor.says(&["Blocked 203.0.113.1 for 10 min"]);
    let state = std::sync::Arc::clone(&sensor.state);
    sensor.stop();
    assert!(gets_through(&net));
    let mut sensor = Sensor::run_with(&net.sensor, &["run", "--iface", CARD], state);
    sensor.says(&["1 blocks of an earlier run go on"]);
    assert!(!gets_through(&net));
}

#[test]
fn the_pins_of_a_namespace_that_is_gone_are_removed_by_the_next_start() {
    let gone = {
        let net = Internet::build().unwrap();
        let mut sensor = Sensor::start(&net.sensor, &[]);
        sensor.process.kill();
        pins(&net.sensor).unwrap()
    };
    assert!(gone.exists());
    let net = Internet::build().unwrap();
    // The namespace is taken apart a moment after its last user has left.
    wait_until("the removal", SOON, || {
        verb(&net.sensor, &["detach"]);
        !gone.exists()
    })
    .unwrap();
}

#[test]
fn pins_of_a_namespace_that_is_gone_are_not_taken_for_those_of_one_with_the_same_number() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let mut sensor = Sensor::start(&net.sensor, &[]);
    scan(&net, net.first_scanner().v4.into());
    sensor.says(&["Blocked"]);
    sensor.process.kill();
    // What is left when a namespace is gone: maps, and links that hold nothing.
    net.sensor.ip(&format!("link delete {CARD}\n")).unwrap();
    let net2 = Internet::build().unwrap();
    let dir = pins(&net.sensor).unwrap();
    let number = |namespace: &tcpcap_lab::Namespace| {
        std::os::unix::fs::MetadataExt::ino(&fs::metadata(namespace.path()).unwrap())
    };
    fs::rename(&dir, dir.with_file_name(format!("net-{}", number(&net2.sensor)))).unwrap();
    let sensor = Sensor::start(&net2.sensor, &[]);
    assert_eq!(sensor.said("of an earlier run go on"), 0);
    let metrics = sensor.metrics("the counters", |m| m.get("tcpcap_pinned", &[]) == Some(1.0));
    assert_eq!(metrics.get("tcpcap_blocks", &[("origin", "automatic")]), Some(0.0));
}

#[test]
fn where_nothing_can_be_pinned_it_runs_and_says_that_blocks_end_with_it() {
    let net = Internet::build().unwrap();
    let run = tcpcap(&net.sensor, &["run", "--iface", CARD]);
    let mut command = net.sensor.command("unshare");
    command.args(["--mount", "sh", "-c", "mount -o remount,ro,bind /sys/fs/bpf /sys/fs/bpf && exec \"$@\"", "sh"]);
    command.arg(run.get_program()).args(run.get_args());
    let mut process = Process::spawn("tcpcap", command).unwrap();
    process.wait_for_line(SOON, |l| l.contains("blocks will end with this process")).unwrap();
    process.wait_for_line(SOON, |l| l.contains("tcpcap ready")).unwrap();
    let metrics =
        tcpcap_lab::Metrics::wait_until(&net.sensor, "the state", SOON, |m| m.get("tcpcap_pinned", &[]).is_some());
    assert_eq!(metrics.unwrap().get("tcpcap_pinned", &[]), Some(0.0));
    process.stop(SOON).unwrap();
    assert!(process.output().contains("lets go of its blocks: 0"), "{}", process.output());
    wait_until("the detach", SOON, || !has_xdp(&net.sensor, CARD)).unwrap();
}
