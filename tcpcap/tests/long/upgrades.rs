//! One binary takes the place of another.

use std::{fs, path::Path};

use tcpcap_lab::{Internet, Process, layout::CARD};

use crate::stage::{SOON, Stage};

const UPGRADES: usize = 20;

/// Number of the program on the card.
fn program(net: &Internet) -> u32 {
    let mut command = net.sensor.command("ip");
    command.args(["-d", "link", "show", "dev", CARD]);
    let mut ip = Process::spawn("ip", command).unwrap();
    ip.succeed(SOON).unwrap();
    let said = ip.output();
    let number = said.split("prog/xdp id ").nth(1).and_then(|rest| rest.split_whitespace().next());
    number.unwrap_or_else(|| panic!("{said}")).parse().unwrap()
}

#[test]
fn twenty_upgrades_let_no_packet_of_a_blocked_source_pass_and_leave_none_uncounted() {
    let dir = tempfile::TempDir::new().unwrap();
    let copies = [dir.path().join("old"), dir.path().join("new")];
    for copy in &copies {
        fs::copy(Path::new(env!("CARGO_BIN_EXE_tcpcap")), copy).unwrap();
    }
    let (stage, mut tcpcap) = Stage::begin(&copies[0]);
    let mut before = program(&stage.net);
    for n in 1..=UPGRADES {
        assert!(tcpcap.stop(SOON).unwrap().success(), "{}", tcpcap.output());
        let dropped = stage.sent_and_dropped();
        stage.goes_on();
        assert_eq!(program(&stage.net), before, "nobody is there, and the program is");
        tcpcap = stage.start(&copies[n % 2], &[]);
        tcpcap.wait_for_line(SOON, |l| l.contains("tcpcap ready")).unwrap();
        let now = program(&stage.net);
        assert_ne!(now, before, "upgrade {n} has replaced the program");
        before = now;
        stage.goes_on();
        for ((source, sent, dropped), (_, _, earlier)) in stage.sent_and_dropped().into_iter().zip(dropped) {
            assert!(dropped > earlier && dropped >= sent, "{source}: {dropped} of {sent} after {earlier}");
        }
        stage.check();
        let log = tcpcap.output();
        assert!(!log.contains("ERROR") && !log.contains("there is no history"), "{log}");
    }
    println!("{UPGRADES} upgrades");
    stage.end();
    assert!(tcpcap.stop(SOON).unwrap().success());
}
