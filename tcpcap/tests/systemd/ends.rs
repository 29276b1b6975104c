//! Restarting, stopping, disabling, rebooting: what stays, and for how long.

use tcpcap_lab::wait_until;

use crate::{
    stage::{SOON, Stage},
    start::has_xdp,
};

#[test]
fn a_restart_takes_the_blocks_over() {
    let stage = Stage::running("");
    let source = stage.scan();
    stage.systemctl(&["restart", "tcpcap"]);
    assert!(!stage.reaches(source) && stage.blocked().contains(&format!("{source}/32")));
    assert!(stage.journal().contains("1 blocks of an earlier run go on"), "{}", stage.journal());
}

#[test]
fn a_stop_leaves_the_blocks_in_force_and_they_end_on_time() {
    let stage = Stage::running("");
    let scanner = stage.scan();
    let other = stage.net.fresh_source().unwrap().v4.into();
    assert!(stage.reaches(other));
    stage.tcpcap(&["block", &other.to_string(), "--for", "10s"]);
    stage.systemctl(&["stop", "tcpcap"]);
    assert_eq!((stage.property("ActiveState"), stage.property("Result")), ("inactive".into(), "success".into()));
    assert!(has_xdp(&stage.net.sensor));
    assert!(!stage.reaches(scanner) && !stage.reaches(other), "nobody runs, and they are dropped");
    // Root sees them without a daemon, wherever its user keeps them.
    assert!(stage.blocked().contains(&format!("{scanner}/32")));
    wait_until("the end of the block", SOON, || stage.reaches(other)).unwrap();
    assert!(!stage.reaches(scanner), "its block has minutes left");
}

#[test]
fn disabled_and_detached_it_leaves_nothing() {
    let mut stage = Stage::running("[mirror.nftables]\nenabled = true\n");
    let source = stage.scan();
    stage.systemctl(&["disable", "--now", "tcpcap"]);
    assert!(!stage.reaches(source));
    assert!(stage.tcpcap(&["detach"]).contains("out of the kernel"));
    assert!(stage.reaches(source) && !has_xdp(&stage.net.sensor));
    assert_eq!(stage.machine.succeed(&["ls", "/sys/fs/bpf/tcpcap"]).unwrap(), "");
    assert_eq!(stage.machine.succeed(&["nft", "list", "ruleset"]).unwrap(), "");
    stage.machine.reboot().unwrap();
    assert_eq!(stage.property("ActiveState"), "inactive");
    assert!(!has_xdp(&stage.net.sensor));
}

#[test]
fn after_a_reboot_it_is_back_with_the_blocks_that_have_time_left() {
    let mut stage = Stage::running("");
    let source = stage.scan();
    stage.machine.reboot().unwrap();
    wait_until("the service", SOON, || stage.property("ActiveState") == "active")
        .unwrap_or_else(|e| panic!("{e:#}\n{}\n{}", stage.systemctl(&["list-jobs"]), stage.journal()));
    assert!(!stage.reaches(source), "{}", stage.journal());
    assert_eq!(stage.machine.succeed(&["stat", "-c", "%a %U", "/sys/fs/bpf/tcpcap"]).unwrap(), "750 tcpcap\n");
}
