//! Debians that are not booted: images being made, and another suite.

use std::{path::Path, process::Command};

use tcpcap_lab::machine::Disk;

use crate::host::{Host, deb, debian, run, shipped};

/// A command in a directory that is the root of a Debian, without `/proc` and all that.
fn inside(disk: &Disk, line: &[&str]) -> Command {
    let mut command = Command::new("chroot");
    command.arg(disk.path("/")).args(line).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

fn with_the_package(suite: &str) -> Disk {
    let disk = Disk::copy_of(&debian(suite)).unwrap();
    disk.write("/root/tcpcap.deb", std::fs::read(deb()).unwrap(), 0o644).unwrap();
    disk
}

#[test]
fn it_is_installed_where_nothing_runs_and_starts_where_that_is_booted() {
    let disk = with_the_package("bookworm");
    for verb in ["--install", "--install"] {
        run(&mut inside(&disk, &["dpkg", verb, "/root/tcpcap.deb"]));
    }
    let host = Host::of(disk, &[]);
    assert_eq!(host.machine.property("tcpcap", "ActiveState").unwrap(), "active");
    host.first_steps();
    host.scan_is_blocked(host.net.first_scanner().v4);
}

#[test]
fn it_is_removed_and_purged_where_nothing_runs() {
    let disk = with_the_package("bookworm");
    run(&mut inside(&disk, &["dpkg", "--install", "/root/tcpcap.deb"]));
    run(&mut inside(&disk, &["dpkg", "--remove", "tcpcap"]));
    assert!(disk.path("/etc/tcpcap/config.toml").exists());
    run(&mut inside(&disk, &["dpkg", "--purge", "tcpcap"]));
    assert!(!disk.path("/etc/tcpcap").exists());
}

#[test]
fn the_binary_runs_on_the_next_debian_too_beside_a_libc_that_is_not_its_own() {
    let disk = with_the_package("trixie");
    let binary = shipped("tcpcap", "tcpcap");
    disk.write("/root/tcpcap", std::fs::read(binary).unwrap(), 0o755).unwrap();
    // Looks for a group that is not there, for which a libc asks modules of the system.
    let said = inside(&disk, &["/root/tcpcap", "doctor", "-o", "json"]).output().unwrap();
    let said: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    assert!(said["checks"].as_array().unwrap().iter().any(|check| check["check"] == "group"), "{said:#}");

    run(&mut inside(&disk, &["dpkg", "--install", "/root/tcpcap.deb"]));
    assert_eq!(run(&mut inside(&disk, &["tcpcap", "--version"])), concat!("tcpcap ", env!("CARGO_PKG_VERSION"), "\n"));
    let capture = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("captures/scan-nmap-decoys.pcap.gz");
    disk.write("/root/capture.pcap.gz", std::fs::read(&capture).unwrap(), 0o644).unwrap();
    let said = run(&mut inside(&disk, &["tcpcap", "replay", "/root/capture.pcap.gz"]));
    assert!(said.contains("Port scan detected"), "{said}");
}
