//! What it may do, and what it does with that.

use std::{fs, net::IpAddr};

use tcpcap_lab::{
    Internet, Process, http,
    http::Server,
    layout::{CARD, SENSOR_V4},
    scan::nmap,
    wait_until,
};

use crate::container::{Container, Home, SOON, USER};

/// `CAP_NET_ADMIN`, `CAP_PERFMON`, `CAP_BPF`.
pub const THREE: &str = "000000c000001000";

/// A real scan, to its end.
pub fn scan(net: &Internet, source: IpAddr) {
    let mut command = nmap(net, source);
    command.args(["-sS", "-T4", "-p", "1-200", "--max-retries", "0", "--host-timeout", "20s"]);
    command.arg(SENSOR_V4.to_string());
    Process::spawn("nmap", command).unwrap().succeed(SOON).unwrap();
}

/// Whether a page can be had from the scanner's address.
pub fn gets_through(net: &Internet) -> bool {
    http::get(&net.scanner, (SENSOR_V4, 80).into(), "/").is_ok_and(|answer| answer.status == 200)
}

#[test]
fn with_three_capabilities_no_root_and_nothing_to_write_to_it_blocks_a_real_scan() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    assert!(gets_through(&net));
    let home = Home::prepared();
    let mut sensor = Container::start(&net.sensor, &home, &[]);

    let of_process = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", sensor.pid())).unwrap();
    let status = of_process("status");
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    assert_eq!(field("Uid:"), format!("{USER}\t{USER}\t{USER}\t{USER}"));
    for set in ["CapPrm:", "CapEff:", "CapBnd:"] {
        assert_eq!(field(set), THREE, "{set}");
    }
    assert_eq!((field("NoNewPrivs:").as_str(), field("Seccomp:").as_str()), ("1", "2"));
    let mounts = of_process("mountinfo");
    let root = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/")).unwrap();
    assert!(root.split(' ').nth(5).unwrap().split(',').any(|option| option == "ro"), "{root}");

    scan(&net, net.first_scanner().v4.into());
    sensor.says(&["Port scan detected: 203.0.113.1 -> 198.51.100.1"]);
    sensor.says(&["Blocked 203.0.113.1 for 10 min"]);
    assert!(!gets_through(&net));
}

#[test]
fn every_verb_works_inside() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let home = Home::prepared();
    let mut sensor = Container::start(&net.sensor, &home, &[]);
    scan(&net, net.first_scanner().v4.into());
    sensor.says(&["Blocked 203.0.113.1"]);

    let status = sensor.ask(&["status"]);
    assert!(status.contains(&format!("{CARD}  native, answers seen by tcx")), "{status}");
    assert!(status.contains("pins         on") && status.contains("history      on"), "{status}");
    assert!(sensor.ask(&["list"]).contains("203.0.113.1"));
    assert!(sensor.ask(&["sources"]).contains("203.0.113.1"));
    assert!(sensor.ask(&["explain", "203.0.113.1"]).contains("203.0.113.1 is blocked"));
    assert!(sensor.ask(&["history"]).contains("203.0.113.1"));
    assert!(sensor.ask(&["events"]).contains("203.0.113.1"));
    sensor.ask(&["check"]);
    let doctor = sensor.ask(&["doctor"]);
    assert!(doctor.contains("ok    bpf ") && doctor.contains("ok    programs"), "{doctor}");
    assert!(doctor.contains("/sys/fs/bpf/tcpcap is tcpcap's"), "{doctor}");
    assert!(doctor.contains("the host's files are in /host") && doctor.contains("no failures"), "{doctor}");

    sensor.ask(&["block", "203.0.113.77", "--for", "1h"]);
    sensor.ask(&["unblock", "203.0.113.1"]);
    assert!(gets_through(&net));
    sensor.ask(&["allow", "203.0.113.1"]);
    sensor.ask(&["disallow", "203.0.113.1"]);
    sensor.ask(&["mode", "--observe"]);
    sensor.ask(&["reload"]);
    let (code, said) = sensor.exec(&["tcpcap", "detach"]);
    assert!(code == 1 && said.contains("running here already"), "{said}");
    sensor.remove();

    // What is left of it is read, and taken out, without a daemon.
    let (code, said) = Container::verb(&net.sensor, &home, &[], &["list"]).end();
    assert!(code == 0 && said.contains("203.0.113.77"), "{said}");
    let (code, said) = Container::verb(&net.sensor, &home, &[], &["detach"]).end();
    assert!(code == 0 && said.contains("tcpcap is out of the kernel"), "{said}");
    assert_eq!(fs::read_dir(&home.pins).unwrap().count(), 0);
}

#[test]
fn blocks_are_mirrored_to_nftables_from_inside() {
    let net = Internet::build().unwrap();
    let home = Home::prepared();
    let config = home.host.path().join("etc/config.toml");
    fs::write(&config, "[mirror.nftables]\nenabled = true\n").unwrap();
    let mount = format!("--volume={}:/etc/tcpcap/config.toml:ro", config.display());
    let mut sensor = Container::run(&net.sensor, &home, &[&mount], &[]);
    sensor.says(&["tcpcap ready"]);
    sensor.ask(&["block", "203.0.113.77", "--for", "1h"]);
    // The host's nft may be older than the image's, and not know what that has written.
    let table = || sensor.exec(&["nft", "list", "table", "inet", "tcpcap"]).1;
    wait_until("the entry", SOON, || table().contains("203.0.113.77")).unwrap();
    assert!(sensor.ask(&["status"]).contains("mirror       on"));
}

#[test]
fn root_without_any_other_capability_needs_no_preparation_as_docker_wants_it() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let home = Home::owned_by(0);
    let mut sensor = Container::run(&net.sensor, &home, &[&format!("--user=0:{USER}")], &[]);
    sensor.says(&["tcpcap ready"]);
    assert!(!sensor.process.output().contains("WARN"), "{}", sensor.process.output());
    scan(&net, net.first_scanner().v4.into());
    sensor.says(&["Blocked 203.0.113.1"]);
    let status = sensor.ask(&["status"]);
    assert!(status.contains("pins         on") && status.contains("history      on"), "{status}");
}

#[test]
fn who_is_logged_in_to_the_host_is_never_blocked_from_inside() {
    let net = Internet::build().unwrap();
    let home = Home::prepared();
    let sessions = home.host.path().join("run/systemd/sessions");
    fs::create_dir_all(&sessions).unwrap();
    fs::write(sessions.join("7"), "REMOTE=1\nREMOTE_HOST=203.0.113.1\nSTATE=active\n").unwrap();
    fs::write(home.host.path().join("etc/resolv.conf"), "nameserver 203.0.113.53\n").unwrap();
    let _sshd = Server::start(&net.sensor, &[22]).unwrap();
    let session = net.scanner.enter(|| std::net::TcpStream::connect((SENSOR_V4, 22))).unwrap().unwrap();
    let mut sensor = Container::start(&net.sensor, &home, &[]);
    let status = sensor.ask(&["status"]);
    assert!(status.contains("203.0.113.53") && status.contains("203.0.113.1 "), "{status}");
    scan(&net, net.first_scanner().v4.into());
    sensor.says(&["Port scan detected: 203.0.113.1"]);
    assert!(sensor.ask(&["explain", "203.0.113.1"]).contains("is never blocked"));
    drop(session);
}
