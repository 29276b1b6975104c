//! What can be wrong from outside: each ends in one line of cause and one of remedy, with nothing attached.

use std::{fs, net::TcpListener, process::Command};

use tcpcap_lab::{Direct, Namespace, Process, layout::CARD};

use crate::sensor::{SOON, Sensor, has_xdp, pins, tcpcap};

/// Runs it, and returns exit code and what it said.
fn fails(command: Command) -> (i32, String) {
    let mut process = Process::spawn("tcpcap", command).unwrap();
    let status = process.wait(SOON).unwrap();
    (status.code().unwrap(), process.output())
}

/// Asserts a failure of exactly two lines, with these words in cause and remedy, and nothing attached.
fn refused(namespace: &Namespace, args: &[&str], code: i32, cause: &str, remedy: &str) {
    let (ended, said) = fails(tcpcap(namespace, args));
    two_lines(&said, cause, remedy);
    assert_eq!(ended, code, "{said}");
    assert!(!has_xdp(namespace, CARD));
}

fn two_lines(said: &str, cause: &str, remedy: &str) {
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(lines[0].starts_with("error: ") && lines[0].contains(cause), "{said}");
    assert!(lines[1].starts_with(" help: ") && lines[1].contains(remedy), "{said}");
}

#[test]
fn an_unknown_interface_is_refused_beside_those_that_exist() {
    let net = Direct::build(1).unwrap();
    refused(&net.sensor, &["run", "--iface", "eth9"], 1, "no interface `eth9`", "card0");
}

#[test]
fn of_two_interfaces_none_is_attached_when_one_refuses() {
    let net = Direct::build(1).unwrap();
    net.sensor.ip("link add br0 type bridge\n").unwrap();
    let args = ["run", "--iface", CARD, "--iface", "br0", "--mode", "native"];
    refused(&net.sensor, &args, 1, "br0 has no native XDP", "--mode auto");
}

#[test]
fn no_interface_to_be_found_is_refused() {
    let net = Direct::build(1).unwrap();
    refused(&net.sensor, &["run"], 1, "no default route", "--iface");
}

#[test]
fn a_taken_port_is_refused_and_says_how_to_see_by_whom() {
    let net = Direct::build(1).unwrap();
    let _taken = net.sensor.enter(|| TcpListener::bind("127.0.0.1:2112").unwrap()).unwrap();
    refused(&net.sensor, &["run", "--iface", CARD], 1, "cannot listen on 127.0.0.1:2112", "ss -ltnp");
}

#[test]
fn an_interface_with_an_xdp_program_of_somebody_else_is_refused() {
    let net = Direct::build(1).unwrap();
    let _first = Sensor::start(&net.sensor, &[]);
    // Whose pins are not where ours would be is somebody else.
    let dir = pins(&net.sensor).unwrap();
    std::fs::rename(&dir, dir.with_file_name("net-0")).unwrap();
    let (code, said) = fails(tcpcap(&net.sensor, &["run", "--iface", CARD, "--listen", "127.0.0.1:2113"]));
    two_lines(&said, "card0 has another XDP program already", "ip link show card0");
    assert_eq!(code, 1);
    assert!(has_xdp(&net.sensor, CARD), "the first one goes on");
}

#[test]
fn values_that_cannot_be_read_are_usage_errors() {
    let net = Direct::build(1).unwrap();
    for (args, word) in [
        (["--allow", "10.0.0.0/99"], "10.0.0.0/99"),
        (["--preset", "wild"], "strict, balanced, relaxed"),
        (["--mode", "fast"], "--mode: \"fast\" is not one of auto, native, generic"),
        (["--block-for", "10 parsecs"], "10 parsecs"),
        (["--listen", "everywhere"], "everywhere"),
    ] {
        let (code, said) = fails(tcpcap(&net.sensor, &[&["run", "--iface", CARD], &args[..]].concat()));
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(word), "{word} is missing in {said}");
    }
    let path = std::env::temp_dir().join(format!("tcpcap-e2e-{}.toml", std::process::id()));
    fs::write(&path, "observe = true\nallow = [\"10.0.0.0/99\"]\n").unwrap();
    let path = path.to_str().unwrap();
    refused(&net.sensor, &["run", "--config", path], 2, &format!("{path}:2: allow: "), "correct that");
    fs::remove_file(path).unwrap();
    refused(&net.sensor, &["run", "--config", path], 2, "cannot read the configuration", "--config");
}

#[test]
fn without_capabilities_the_missing_ones_are_named() {
    let net = Direct::build(1).unwrap();
    for (keep, missing) in [("", "CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON"), ("+bpf,+net_admin", "CAP_PERFMON")] {
        let mut command = net.sensor.command("setpriv");
        let caps = if keep.is_empty() { "-all".to_owned() } else { format!("-all,{keep}") };
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]);
        command.args([
            format!("--inh-caps={caps}"),
            format!("--ambient-caps={caps}"),
            format!("--bounding-set={caps}"),
        ]);
        command.args([env!("CARGO_BIN_EXE_tcpcap"), "run", "--iface", CARD]);
        let (code, said) = fails(command);
        two_lines(&said, missing, "root");
        assert_eq!(code, 1);
    }
}

#[test]
fn three_capabilities_and_no_others_are_enough() {
    let net = Direct::build(1).unwrap();
    let mut command = net.sensor.command("setpriv");
    let caps = "-all,+bpf,+net_admin,+perfmon";
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]);
    command.args([format!("--inh-caps={caps}"), format!("--ambient-caps={caps}"), format!("--bounding-set={caps}")]);
    command.args([env!("CARGO_BIN_EXE_tcpcap"), "run", "--iface", CARD]);
    let mut process = Process::spawn("tcpcap", command).unwrap();
    process.wait_for_line(SOON, |l| l.contains("tcpcap ready")).unwrap();
    assert!(process.stop(SOON).unwrap().success());
}

#[test]
fn without_bpffs_it_runs_all_the_same() {
    let net = Direct::build(1).unwrap();
    // A mount namespace of its own, in which /sys/fs/bpf is empty.
    let run = tcpcap(&net.sensor, &["run", "--iface", CARD]);
    let mut command = net.sensor.command("unshare");
    command.args(["--mount", "sh", "-c", "mount -t tmpfs none /sys/fs/bpf && exec \"$@\"", "sh"]);
    command.arg(run.get_program()).args(run.get_args());
    let mut process = Process::spawn("tcpcap", command).unwrap();
    process.wait_for_line(SOON, |l| l.contains("tcpcap ready")).unwrap();
    assert!(process.stop(SOON).unwrap().success());
}
