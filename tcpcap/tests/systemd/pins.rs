//! Who has the pins: the service's user, and root, who may look, take out, and go before.

use crate::stage::{SOON, Stage};

/// Somebody else's way of running it.
const BY_HAND: &str = "by-hand.service";

/// Runs it as root, without any of the unit's restrictions; returns what it says until it is ready.
fn run_as_root(stage: &Stage) -> String {
    stage.machine.succeed(&["systemd-run", "--quiet", "--unit", BY_HAND, "tcpcap", "run"]).unwrap();
    stage.machine.wait_for_journal(BY_HAND, "tcpcap ready", SOON).unwrap();
    stage.machine.journal(BY_HAND).unwrap()
}

fn owners(stage: &Stage) -> String {
    let list = ["find", "/sys/fs/bpf/tcpcap", "-printf", "%u %g\\n"];
    let mut owners: Vec<String> = stage.machine.succeed(&list).unwrap().lines().map(str::to_owned).collect();
    owners.sort();
    owners.dedup();
    owners.join(", ")
}

#[test]
fn what_root_pinned_by_hand_the_service_takes_over() {
    let stage = Stage::installed("");
    run_as_root(&stage);
    let source = stage.scan();
    assert!(owners(&stage).contains("root root"), "{}", owners(&stage));
    stage.systemctl(&["stop", BY_HAND]);
    assert!(!stage.reaches(source));
    stage.systemctl(&["start", "tcpcap"]);
    assert!(stage.journal().contains("1 blocks of an earlier run go on"), "{}", stage.journal());
    assert_eq!(owners(&stage), "tcpcap tcpcap");
    assert!(stage.blocked().contains(&format!("{source}/32")) && !stage.reaches(source));
}

#[test]
fn root_is_told_who_has_the_pins_and_goes_on_with_them_once_the_service_is_stopped() {
    let stage = Stage::running("");
    let source = stage.scan();
    let detach = stage.machine.run(&["tcpcap", "detach"]).unwrap();
    assert!(!detach.status.success() && detach.output.contains("systemctl stop tcpcap"), "{}", detach.output);
    stage.systemctl(&["stop", "tcpcap"]);
    let said = run_as_root(&stage);
    assert!(said.contains("1 blocks of an earlier run go on"), "{said}");
    assert!(!stage.reaches(source));
}

#[test]
fn without_its_place_it_says_what_to_do_and_works_all_the_same() {
    let stage = Stage::installed("");
    // As where nothing makes it the place: another user's.
    stage.edit("[Service]\nExecStartPre=\nExecStartPre=/usr/bin/tcpcap check\n");
    stage.machine.succeed(&["mkdir", "-p", "-m", "0750", "/sys/fs/bpf/tcpcap"]).unwrap();
    stage.machine.succeed(&["chown", "root:root", "/sys/fs/bpf/tcpcap"]).unwrap();
    stage.systemctl(&["start", "tcpcap"]);
    stage.wait_for_journal("nothing can be pinned");
    let journal = stage.journal();
    assert!(journal.contains("mkdir -p /sys/fs/bpf/tcpcap; chown -R "), "{journal}");
    assert!(
        stage.property("StatusText").ends_with("not pinned, blocks end with it"),
        "{}",
        stage.property("StatusText")
    );
    let source = stage.scan();
    assert!(!stage.reaches(source));
    stage.systemctl(&["stop", "tcpcap"]);
    assert!(stage.reaches(source));
}
