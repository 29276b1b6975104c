//! The tarball, on a host that has no package of it.

use crate::host::{Host, tarball};

#[test]
fn it_is_installed_and_blocks_is_upgraded_and_goes_without_a_trace() {
    let host = Host::boot(&[&tarball()]);
    let before = host.files();
    host.does("sums");
    host.does("tarball-install");
    assert_eq!(host.sh("command -v tcpcap"), "/usr/local/bin/tcpcap\n");
    host.sh("test -s /usr/local/share/man/man1/tcpcap-run.1 -a -s /usr/local/share/bash-completion/completions/tcpcap");
    host.first_steps();
    let source = host.net.first_scanner().v4;
    host.scan_is_blocked(source);

    let pid = host.machine.property("tcpcap", "MainPID").unwrap();
    host.does_unpacked("tarball-upgrade");
    assert_ne!(host.machine.property("tcpcap", "MainPID").unwrap(), pid);
    assert_eq!(host.json("status")["mode"], "enforce", "the configuration is as it was");
    assert!(host.block_of(source).is_some() && !host.reaches(source));

    host.does_unpacked("tarball-remove");
    assert!(!host.is_in_the_kernel() && !host.has_a_place_for_pins());
    assert!(host.reaches(source));
    host.sh("rm -r /root/downloads/tcpcap-*-linux");
    let left: Vec<_> = host.files().into_iter().filter(|file| !before.contains(file)).collect();
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn a_configuration_that_it_does_not_take_changes_nothing() {
    let host = Host::boot(&[&tarball()]);
    host.machine.disk().write("/etc/tcpcap/config.toml", "obsrve = true\n", 0o644).unwrap();
    let unpacked = "/root/downloads/unpacked";
    host.sh(&format!("mkdir {unpacked}; tar -xzf tcpcap-*-linux.tar.gz --strip-components=1 -C {unpacked}"));
    let (done, said) = host.try_in(unpacked, "./install.sh --prefix /opt/tcpcap");
    assert!(!done && said.contains("did you mean `observe`?") && said.contains("\n help: correct it"), "{said}");
    assert!(!host.machine.disk().path("/opt/tcpcap").exists());
    host.sh("rm /etc/tcpcap/config.toml");
    host.try_in(unpacked, "./install.sh --prefix /opt/tcpcap");
    host.sh("systemctl enable --now tcpcap; /opt/tcpcap/bin/tcpcap status");
    for (args, says) in [("--perfix /opt", "usage: "), ("--prefix opt", "no absolute path")] {
        let (done, said) = host.try_in(unpacked, &format!("./install.sh {args}"));
        assert!(!done && said.contains(says), "{said}");
    }
}
