//! The unit, the user and the place for pins, held against each other and against what tcpcap does.

use std::fs;

use tcpcap::{control::socket, kernel::BPFFS, settings::Settings, surface::log::Kind};

fn shipped(file: &str) -> String {
    fs::read_to_string(format!("{}/../deploy/systemd/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// All values of a key of the unit.
fn values(key: &str) -> Vec<String> {
    let unit = shipped("tcpcap.service");
    unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).map(str::to_owned).collect()
}

#[test]
fn the_unit_the_user_and_the_place_for_pins_are_of_one_name() {
    assert_eq!((values("User"), values("Group")), (vec!["tcpcap".into()], vec![socket::GROUP.into()]));
    assert!(shipped("sysusers.d/tcpcap.conf").contains("\nu tcpcap "));
    let place = format!("{BPFFS}/tcpcap");
    assert_eq!(values("BindPaths"), [format!("-{place}")]);
    for line in shipped("tmpfiles.d/tcpcap.conf").lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        assert_eq!((fields[1], &fields[3..5]), (place.as_str(), &["tcpcap", "tcpcap"][..]), "{line}");
    }
    let settings = Settings::default();
    assert_eq!(settings.state.to_str().unwrap(), format!("/var/lib/{}", values("StateDirectory")[0]));
    assert_eq!(settings.socket.parent().unwrap().to_str().unwrap(), format!("/run/{}", values("RuntimeDirectory")[0]));
}

#[test]
fn it_has_the_three_capabilities_and_no_other() {
    for set in ["CapabilityBoundingSet", "AmbientCapabilities"] {
        assert_eq!(values(set), ["CAP_BPF CAP_NET_ADMIN CAP_PERFMON"], "{set}");
    }
}

#[test]
fn the_journal_takes_all_that_tcpcap_may_write() {
    assert_eq!(values("LogRateLimitIntervalSec"), ["1s"]);
    let most: u32 = Kind::ALL.iter().map(|kind| kind.per_second()).sum();
    // Places in the code whose lines are of no kind: so many that say something in the same second there never are.
    let others = 20 * 100;
    let limit: u32 = values("LogRateLimitBurst")[0].parse().unwrap();
    assert!(most + others <= limit, "{most} + {others} > {limit}");
}
