//! Starting: who it runs as, with what rights, and that it does its work so.

use crate::stage::{PORT, Stage};

const ONLY_THESE: &str = "000000c000001000";

#[test]
fn it_is_ready_when_it_watches_and_blocks_as_a_user_with_three_capabilities() {
    let stage = Stage::running("");
    assert_eq!((stage.property("ActiveState"), stage.property("User")), ("active".into(), "tcpcap".into()));
    let status = stage.machine.succeed(&["cat", &format!("/proc/{}/status", stage.pid())]).unwrap();
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(status.contains(&format!("{set}:\t{ONLY_THESE}")), "{status}");
    }
    assert!(status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2"), "{status}");
    let source = stage.scan();
    assert!(!stage.reaches(source));
    let _ = PORT;
}
