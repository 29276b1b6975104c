//! What tcpcap says of the kernel: the one it runs on, and one that is too old.

use std::{fs, process::Command};

use serde_json::Value;
use tcpcap_lab::{Direct, Process, layout::CARD};

use crate::{
    kernel::{self, COUNTED_BY_CGROUP, FRAGS, has, release},
    sensor::{SOON, tcpcap},
};

/// What `tcpcap doctor` says: the code, and of each check what it found, by level.
fn doctor(net: &Direct) -> Value {
    let mut command = tcpcap(&net.sensor, &["doctor", "--iface", CARD, "-o", "json"]);
    let out = command.output().unwrap();
    serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {out:?}"))
}

#[track_caller]
fn says(told: &Value, check: &str, level: &str, found: &str) {
    let line = told["checks"].as_array().unwrap().iter().find(|line| line["check"] == check).unwrap();
    let (is, says) = (line["level"].as_str().unwrap(), line["found"].as_str().unwrap());
    assert!(is == level && says.contains(found), "{check} is not {level}, {found}: {line}");
}

#[test]
fn doctor_tells_what_this_kernel_has() {
    let net = Direct::build(1).unwrap();
    let told = doctor(&net);
    let frags = if has(FRAGS) { ", packets of several buffers" } else { "" };
    let answers = if kernel::answers() == "tcx" { "tcx" } else { "clsact (tcx comes with 6.6)" };
    says(&told, "version", "ok", &format!("{}: ring buffer, XDP links{frags}, {answers}", release()));
    says(&told, "programs", "ok", &format!("the kernel takes {} and the program on the way out", kernel::program()));
    says(&told, "bpf", "ok", "bpf(2) works");
    says(&told, "btf", "ok", "");
    says(&told, "mode", "ok", "native");
    says(&told, "answers", "ok", kernel::answers());
    let memlock = if has(COUNTED_BY_CGROUP) { "of no concern" } else { "which tcpcap raises by itself" };
    says(&told, "memlock", "ok", memlock);
}

/// A command that sees this kernel's release as another one.
fn under(net: &Direct, release: &str, command: &Command) -> Process {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), format!("{release}\n")).unwrap();
    let mut unshare = net.sensor.command("unshare");
    unshare.args(["--mount", "sh", "-c", "mount --bind \"$0\" /proc/sys/kernel/osrelease && exec \"$@\""]);
    unshare.arg(file.path()).arg(command.get_program()).args(command.get_args());
    let mut process = Process::spawn("tcpcap", unshare).unwrap();
    process.wait(SOON).unwrap();
    process
}

#[test]
fn a_kernel_that_is_too_old_is_refused_with_one_line_of_cause_and_one_of_remedy() {
    let net = Direct::build(1).unwrap();
    let run = tcpcap(&net.sensor, &["run", "--iface", CARD]);
    let mut process = under(&net, "5.4.0-150-generic", &run);
    assert_eq!(process.ended().unwrap().code(), Some(1));
    assert_eq!(
        process.output(),
        "error: this kernel (5.4.0-150-generic) is too old for the XDP program\n help: tcpcap needs Linux 5.10 or newer\n"
    );
    assert!(crate::DOCUMENT.contains(&process.output()));
    let doctor = tcpcap(&net.sensor, &["doctor", "--iface", CARD]);
    let mut process = under(&net, "4.19.0-27-amd64", &doctor);
    assert_eq!(process.ended().unwrap().code(), Some(1));
    assert!(process.output().contains("4.19.0-27-amd64 is too old"), "{}", process.output());
}
