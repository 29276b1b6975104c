//! What the daemon needs beside the kernel, with and without one that runs.

use std::{fs, net::TcpListener, os::unix::net::UnixListener};

use tcpcap_lab::{Direct, Namespace, Process, layout::CARD, metrics};

use crate::stage::{Place, SOON, doctor, doctor_by};

const IFACE: [&str; 2] = ["--iface", CARD];

/// A daemon of this place, ready.
fn daemon(namespace: &Namespace, place: &Place) -> Process {
    let mut command = namespace.command(env!("CARGO_BIN_EXE_tcpcap"));
    command.args(["run", "--iface", CARD, "--detach"]).args(place.args());
    command.env_remove("INTERFACE_NAME").env_remove("PUBLIC_IP").env_remove("RUST_LOG");
    let mut process = Process::spawn("tcpcap", command).unwrap();
    process.wait_for_line(SOON, |l| l.contains("tcpcap ready")).unwrap();
    process
}

#[test]
fn beside_a_daemon_all_is_well_and_says_whose_it_is() {
    let net = Direct::build(1).unwrap();
    let place = Place::new();
    let mut process = daemon(&net.sensor, &place);
    let said = doctor(&net.sensor, &place, &IFACE);
    said.has("daemon", "ok", "tcpcap is running here, as process ");
    said.has("port", "ok", "is served by the running tcpcap");
    said.has("socket", "ok", "is listened on by process ");
    said.has("other-program", "ok", "tcpcap's own (id ");
    said.has("pins", "ok", "2 programs attached");
    said.has("history", "ok", "history.db is sound");
    assert_eq!(said.json["fail"], 0, "{said:#?}");
    assert!(process.stop(SOON).unwrap().success());
    let said = doctor(&net.sensor, &place, &IFACE);
    said.has("daemon", "ok", "not running");
    said.has("port", "ok", "is free");
    said.has("history", "ok", "history.db is sound");
    said.has("other-program", "ok", "no XDP program yet");
}

#[test]
fn a_port_that_somebody_else_has_is_a_failure() {
    let net = Direct::build(1).unwrap();
    let place = Place::new();
    let _taken = net.sensor.enter(|| TcpListener::bind(metrics::ADDRESS)).unwrap().unwrap();
    let said = doctor(&net.sensor, &place, &IFACE);
    said.has("port", "fail", "shows who listens");
    assert_eq!(said.code, 1);
    doctor(&net.sensor, &place, &["--iface", CARD, "--listen", "192.0.2.99:1"]).has("port", "fail", "of this host");
}

#[test]
fn a_socket_that_is_left_over_is_none_and_anything_else_there_is_a_failure() {
    let net = Direct::build(1).unwrap();
    let place = Place::new();
    drop(UnixListener::bind(place.path("tcpcap.sock")).unwrap());
    doctor(&net.sensor, &place, &IFACE).has("socket", "ok", "is left over");
    fs::remove_file(place.path("tcpcap.sock")).unwrap();
    place.file("tcpcap.sock", "precious");
    doctor(&net.sensor, &place, &IFACE).has("socket", "fail", "is no socket");
}

#[test]
fn a_wrong_configuration_is_one_failure_among_the_others() {
    let net = Direct::build(1).unwrap();
    let place = Place::new();
    let config = place.file("t.toml", "prest = \"strict\"\n");
    let said = doctor(&net.sensor, &place, &["--iface", CARD, "--config", &config]);
    said.has("configuration", "fail", "prest");
    said.has("link", "ok", "veth, up");
    assert_eq!((said.code, &said.json["fail"]), (1, &1.into()));
}

#[test]
fn a_mirror_without_nft_is_a_failure_and_nft_is_asked_for_its_version() {
    let net = Direct::build(1).unwrap();
    let place = Place::new();
    let with = |nft: &str| place.file("t.toml", &format!("[mirror.nftables]\nenabled = true\nnft = \"{nft}\"\n"));
    let said = |config: &str| doctor(&net.sensor, &place, &["--iface", CARD, "--config", config]);
    said(&with("nft")).has("mirror", "ok", "nftables v");
    said(&with("no-such-nft")).has("mirror", "fail", "install nftables");
    let config = place.file("off.toml", "");
    said(&config).has("mirror", "skip", "off");
}

#[test]
fn a_directory_that_is_full_or_read_only_keeps_no_history() {
    let net = Direct::build(1).unwrap();
    let place = Place::new();
    fs::create_dir(place.path("state")).unwrap();
    let state = place.path("state").display().to_string();
    for (options, says) in [("size=1m", "1.00 MiB free"), ("ro", "cannot be written to")] {
        let script = format!("mount -t tmpfs -o {options} none {state} && exec \"$@\"");
        let said = doctor_by(&net.sensor, &["unshare", "--mount", "sh", "-c", &script, "sh"], &place, &IFACE);
        said.has("state", "warn", says);
        said.has("state", "warn", "tcpcap runs, but forgets");
    }
}

#[test]
fn a_history_that_is_damaged_is_told_and_left_as_it_is() {
    let net = Direct::build(1).unwrap();
    let place = Place::new();
    daemon(&net.sensor, &place).stop(SOON).unwrap();
    let file = place.path("state/history.db");
    let mut bytes = fs::read(&file).unwrap();
    // Behind the first page, which says what the file is.
    bytes[4096..].fill(0xa5);
    fs::write(&file, &bytes).unwrap();
    doctor(&net.sensor, &place, &IFACE).has("history", "warn", "is damaged");
    assert_eq!(fs::read(&file).unwrap(), bytes);
    fs::write(&file, "no database").unwrap();
    doctor(&net.sensor, &place, &IFACE).has("history", "warn", "is damaged");
}
