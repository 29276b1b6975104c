//! The sandbox of `cargo xtask run`. Needs root and, in `TCPCAP_BUILT`, the tcpcap to show; fails without. `cargo xtask
//! test` sees to both.

use std::{env, fs, process::Command, time::Duration};

use tcpcap_lab::{Process, wait_until};

const LONG: Duration = Duration::from_secs(120);

fn run(args: &[&str]) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let tcpcap = env::var_os("TCPCAP_BUILT").expect("TCPCAP_BUILT names a tcpcap that was built: cargo xtask test");
    command.args(["run", "--built"]).arg(tcpcap).args(args);
    Process::spawn("cargo xtask run", command).unwrap()
}

fn namespaces_of(pid: u32) -> usize {
    let names = fs::read_dir("/run/netns").into_iter().flatten().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.starts_with(&format!("tcpcap-{pid}-"))).count()
}

#[test]
fn the_whole_show_is_as_it_is_to_be_and_leaves_nothing_behind() {
    let mut show = run(&[]);
    show.succeed(LONG).unwrap();
    let said = show.output();
    for part in [
        "nmap gets to see 1,000 ports of 1,000",
        "tcpcap ready: watching card0 (native, answers by ",
        "Port scan detected: 203.0.113.1 -> 198.51.100.1 on ports",
        "Blocked 203.0.113.1 for 10 min",
        "Blocked 2001:db8:cb00:1::/64 for 10 min",
        "packets have come since tcpcap's decision: none reached the host",
        "masscan 100,000/s",
        "0 failed",
    ] {
        assert!(said.contains(part), "{part:?} is missing in\n{said}");
    }
    assert!(!said.contains("FAILED"), "{said}");
    assert_eq!(said.lines().filter(|l| l.trim_start().starts_with("ok ")).count(), 6, "{said}");
    assert_eq!(namespaces_of(show.id()), 0);
}

#[test]
fn observing_shows_what_would_be_dropped_and_drops_nothing() {
    let mut show = run(&["--", "--observe"]);
    show.succeed(LONG).unwrap();
    assert!(show.output().contains("Would block 203.0.113.1"), "{}", show.output());
}

#[test]
fn a_show_in_which_the_scanner_is_not_dropped_fails() {
    let mut show = run(&["--quick", "--", "--allow", "203.0.113.0/24"]);
    assert_eq!(show.wait(LONG).unwrap().code(), Some(1));
    assert!(show.output().contains("error: not as it was to be: scan over IPv4"), "{}", show.output());
    assert_eq!(namespaces_of(show.id()), 0);
}

#[test]
fn ctrl_c_ends_it_and_clears_everything_away() {
    for at in ["1. Without tcpcap", "3. The same scan over IPv4"] {
        let mut show = run(&[]);
        show.wait_for_line(LONG, |l| l.contains(at)).unwrap();
        assert_eq!(namespaces_of(show.id()), 4);
        show.signal(libc::SIGINT);
        assert_eq!(show.wait(LONG).unwrap().code(), Some(130), "{}", show.output());
        assert!(show.output().ends_with("interrupted; the sandbox has been cleared away\n"), "{}", show.output());
        wait_until("the end of the namespaces", LONG, || namespaces_of(show.id()) == 0).unwrap();
    }
}
