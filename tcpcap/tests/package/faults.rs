//! What is amiss on the host must not leave a package half installed, nor end what runs.

use crate::host::{Host, deb};

#[test]
fn a_daemon_that_cannot_start_is_told_of_and_the_package_is_installed() {
    let host = Host::boot(&[&deb()]);
    host.machine.disk().write("/etc/tcpcap/config.d/mine.toml", "interfaces = [\"nowhere0\"]\n", 0o644).unwrap();
    let said = host.does("deb-install");
    assert!(said.contains("tcpcap: the service does not start"), "{said}");
    assert!(host.sh("dpkg -s tcpcap").contains("Status: install ok installed"));
    host.sh("rm /etc/tcpcap/config.d/mine.toml; systemctl reset-failed tcpcap; systemctl restart tcpcap");
    host.does("first-look");
}

#[test]
fn a_daemon_that_runs_is_not_ended_for_one_that_would_not_start() {
    let host = Host::boot(&[&deb()]);
    host.does("deb-install");
    let pid = host.machine.property("tcpcap", "MainPID").unwrap();
    host.sh("echo 'obsrve = true' >/etc/tcpcap/config.d/mine.toml");
    let said = host.sh("apt-get install --reinstall ./tcpcap_*.deb");
    assert!(said.contains("did you mean `observe`?") && said.contains("the service is left as it is"), "{said}");
    assert_eq!(host.machine.property("tcpcap", "MainPID").unwrap(), pid);
    host.does("deb-remove");
    assert!(!host.is_in_the_kernel());
}
