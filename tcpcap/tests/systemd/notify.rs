//! What is said to a service manager, and that nobody minds one who is not there.

use std::{os::unix::net::UnixDatagram, path::Path, process::Command, time::Duration};

use tcpcap_lab::{Internet, Process, layout::CARD};
use tempfile::TempDir;

use crate::stage::SOON;

/// tcpcap, not started, which leaves nothing and tells somebody here.
fn tcpcap(net: &Internet, place: &TempDir, to: &Path) -> Command {
    let mut command = net.sensor.command(env!("CARGO_BIN_EXE_tcpcap"));
    command.args(["run", "--detach", "--iface", CARD, "--state"]).arg(place.path());
    command.arg("--socket").arg(place.path().join("tcpcap.sock"));
    command.env("TCPCAP_CONFIG", "/dev/null").env("NOTIFY_SOCKET", to);
    command
}

/// The next message that is no sign of life, line by line.
fn heard(manager: &UnixDatagram, signs: &mut u32) -> Vec<String> {
    loop {
        let mut message = [0; 4096];
        let length = manager.recv(&mut message).unwrap();
        let text = String::from_utf8(message[..length].to_vec()).unwrap();
        if text != "WATCHDOG=1\n" {
            return text.lines().map(str::to_owned).collect();
        }
        *signs += 1;
    }
}

#[test]
fn a_manager_hears_of_start_signs_of_life_reload_and_end() {
    let (net, place) = (Internet::build().unwrap(), TempDir::new().unwrap());
    let path = place.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(SOON)).unwrap();
    let mut command = tcpcap(&net, &place, &path);
    command.env("WATCHDOG_USEC", "100000");
    let mut daemon = Process::spawn("tcpcap", command).unwrap();
    let mut signs = 0;
    let status = "STATUS=enforcing on card0 (native, answers by tcx): blocks: 0 of rules, 0 of operators";
    let ready = ["READY=1", status];
    assert_eq!(heard(&manager, &mut signs), ready);
    assert_eq!(signs, 0, "what has not begun gives no sign of life");
    daemon.signal(libc::SIGHUP);
    let reloading = heard(&manager, &mut signs);
    assert_eq!(reloading[0], "RELOADING=1");
    let at: u64 = reloading[1].strip_prefix("MONOTONIC_USEC=").unwrap().parse().unwrap();
    assert!(at > 0);
    assert_eq!(heard(&manager, &mut signs), ready);
    // Twice as often as it is wanted, whatever else is to be done.
    manager.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    for _ in 0..10 {
        let mut message = [0; 64];
        let length = manager.recv(&mut message).unwrap();
        assert_eq!(&message[..length], b"WATCHDOG=1\n");
    }
    daemon.signal(libc::SIGTERM);
    assert_eq!(heard(&manager, &mut signs), ["STOPPING=1"]);
    assert!(daemon.wait(SOON).unwrap().success());
}

#[test]
fn a_manager_that_cannot_be_told_is_named_once_and_nothing_fails() {
    let (net, place) = (Internet::build().unwrap(), TempDir::new().unwrap());
    let mut command = tcpcap(&net, &place, &place.path().join("nobody"));
    command.env("WATCHDOG_USEC", "20000");
    let mut daemon = Process::spawn("tcpcap", command).unwrap();
    let complaint = "the service manager cannot be told how it is going";
    daemon.wait_for_line(SOON, |line| line.contains(complaint)).unwrap();
    daemon.signal(libc::SIGHUP);
    daemon.wait_for_line(SOON, |line| line.contains("Configuration read again")).unwrap();
    assert!(daemon.stop(SOON).unwrap().success());
    assert_eq!(daemon.output().matches(complaint).count(), 1, "{}", daemon.output());
}
