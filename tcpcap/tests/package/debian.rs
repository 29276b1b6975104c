//! The package, from its installation to its end.

use std::process::Command;

use crate::host::{Host, deb, run};

#[test]
fn lintian_finds_nothing() {
    // On stderr it may say that it had better not be root.
    let output = Command::new("lintian").args(["--fail-on", "error,warning,info"]).arg(deb()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    assert!(output.status.success());
}

#[test]
fn it_asks_for_no_library() {
    let fields = run(Command::new("dpkg-deb").arg("--field").arg(deb()));
    assert!(!fields.contains("libc6") && fields.contains("Recommends: nftables"), "{fields}");
    assert!(!run(Command::new("dpkg-deb").arg("--contents").arg(deb())).contains(".so"));
}

#[test]
fn it_is_installed_and_observes_then_blocks_and_goes_without_a_trace() {
    let host = Host::boot(&[&deb()]);
    let before = host.files();
    host.does("sums");
    host.does("deb-install");

    let service = |property| host.machine.property("tcpcap", property).unwrap();
    assert_eq!([service("ActiveState"), service("UnitFileState")], ["active", "enabled"]);
    assert_eq!(host.sh("stat -c '%U:%G %a' /var/lib/tcpcap"), "tcpcap:tcpcap 750\n");
    for file in [
        "man/man1/tcpcap.1.gz",
        "man/man1/tcpcap-run.1.gz",
        "bash-completion/completions/tcpcap",
        "zsh/vendor-completions/_tcpcap",
        "fish/vendor_completions.d/tcpcap.fish",
        "doc/tcpcap/changelog.gz",
        "doc/tcpcap/copyright",
        "doc/tcpcap/install.md",
        "doc/tcpcap/examples/config.toml",
    ] {
        host.sh(&format!("test -s /usr/share/{file}"));
    }
    host.sh("bash -n /usr/share/bash-completion/completions/tcpcap");
    host.first_steps();
    let source = host.net.first_scanner().v4;
    host.scan_is_blocked(source);

    host.does("deb-remove");
    assert!(!host.is_in_the_kernel() && !host.has_a_place_for_pins());
    assert!(host.reaches(source));
    host.sh("test -s /etc/tcpcap/config.toml -a -s /etc/tcpcap/config.d/enforce.toml -a -s /var/lib/tcpcap/history.db");
    host.sh("! command -v tcpcap && ! test -e /usr/lib/systemd/system/tcpcap.service");

    // Back again, as it was left.
    host.does("deb-install");
    assert_eq!([service("ActiveState"), service("UnitFileState")], ["active", "enabled"]);
    assert!(host.block_of(source).is_some() && !host.reaches(source), "from the history");

    host.does("deb-purge");
    assert!(!host.is_in_the_kernel());
    let left: Vec<_> = host.files().into_iter().filter(|file| !before.contains(file)).collect();
    assert_eq!(left, Vec::<String>::new());
    assert!(host.sh("getent passwd tcpcap").contains("nologin"), "its number is not given to somebody else");
}

#[test]
fn what_the_operator_has_switched_off_stays_off() {
    let host = Host::boot(&[&deb()]);
    host.does("deb-install");
    host.sh("systemctl disable --now tcpcap");
    host.sh("apt-get install --reinstall ./tcpcap_*.deb");
    let service = |property| host.machine.property("tcpcap", property).unwrap();
    assert_eq!([service("ActiveState"), service("UnitFileState")], ["inactive", "disabled"]);
}

#[test]
fn a_policy_that_nothing_is_started_is_kept() {
    let host = Host::boot(&[&deb()]);
    host.machine.disk().write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755).unwrap();
    host.does("deb-install");
    let service = |property| host.machine.property("tcpcap", property).unwrap();
    assert_eq!([service("ActiveState"), service("UnitFileState")], ["inactive", "enabled"]);
    assert!(!host.is_in_the_kernel());
}
