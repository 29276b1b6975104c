//! Without root, with the three capabilities: what kernels before 5.11 want besides.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use tcpcap_lab::{Direct, Process, layout::CARD};

use crate::{
    kernel::{COUNTED_BY_CGROUP, has},
    sensor::{SOON, tcpcap},
};

const CAPABILITIES: &str = "-all,+bpf,+net_admin,+perfmon";

/// `tcpcap run` as nobody, with the capabilities and this much memory locked, in KiB or `unlimited`.
fn as_nobody(net: &Direct, place: &Path, locked: &str) -> Command {
    fs::set_permissions(place, fs::Permissions::from_mode(0o777)).unwrap();
    let program = place.join("tcpcap");
    fs::copy(env!("CARGO_BIN_EXE_tcpcap"), &program).unwrap();
    let (state, socket) = (place.join("state"), place.join("tcpcap.sock"));
    let [state, socket] = [&state, &socket].map(|path| path.to_str().unwrap());
    let run = tcpcap(&net.sensor, &["run", "--iface", CARD, "--state", state, "--socket", socket]);
    let mut command = net.sensor.command("sh");
    // By its path: a shell may have a lesser one of its own.
    command.args(["-c", "ulimit -l $0 && exec /usr/bin/setpriv \"$@\"", locked]);
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs"]);
    command.args(["--bounding-set", CAPABILITIES, "--inh-caps", CAPABILITIES, "--ambient-caps", CAPABILITIES]);
    // The first four words enter the namespace and name the program, which is another one here.
    command.arg(&program).args(run.get_args().skip(3)).env("TCPCAP_CONFIG", "/dev/null");
    command
}

#[test]
fn with_the_usual_limit_of_locked_memory_it_runs_or_names_the_limit_and_the_remedy() {
    let net = Direct::build(1).unwrap();
    let place = tempfile::tempdir().unwrap();
    let mut process = Process::spawn("tcpcap", as_nobody(&net, place.path(), "64")).unwrap();
    if has(COUNTED_BY_CGROUP) {
        process.wait_for_line(SOON, |line| line.contains("tcpcap ready")).unwrap();
        return;
    }
    assert_eq!(process.wait(SOON).unwrap().code(), Some(1));
    let said = process.output();
    let lines: Vec<&str> = said.lines().filter(|line| !line.contains("WARN")).collect();
    assert!(
        lines[0].contains("64 KiB of memory may be locked") && lines[1].contains("LimitMEMLOCK=infinity"),
        "{said}"
    );
    assert!(lines.iter().all(|line| crate::DOCUMENT.contains(line)), "{said}");
}

#[test]
fn with_memory_to_lock_it_runs_on_every_kernel() {
    let net = Direct::build(1).unwrap();
    let place = tempfile::tempdir().unwrap();
    // Where it does not count, it need not be raised, which not every machine lets root do.
    let limit = if has(COUNTED_BY_CGROUP) { "64" } else { "unlimited" };
    let mut process = Process::spawn("tcpcap", as_nobody(&net, place.path(), limit)).unwrap();
    process.wait_for_line(SOON, |line| line.contains("tcpcap ready")).unwrap();
    assert!(process.stop(SOON).unwrap().success(), "{}", process.output());
}
