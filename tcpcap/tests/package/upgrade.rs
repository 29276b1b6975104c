//! One version takes the place of another while somebody is blocked.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use tcpcap_lab::{
    Capture, Frame, Knocker,
    layout::{CARD, SENSOR_V4},
    wait_until,
};
use tempfile::TempDir;

use crate::host::{Host, SOON, deb, run};

/// The package as an earlier version, which had another `config.toml`.
fn previous(dir: &TempDir) -> PathBuf {
    let (unpacked, packed) = (dir.path().join("unpacked"), dir.path().join("tcpcap_0.0.1_all.deb"));
    run(Command::new("dpkg-deb").arg("--raw-extract").arg(deb()).arg(&unpacked));
    for (file, from, to) in [
        ("DEBIAN/control", "\nVersion: ", "\nVersion: 0.0.1~"),
        ("etc/tcpcap/config.toml", "# What tcpcap is to do", "# Of an earlier version. What tcpcap is to do"),
    ] {
        let (path, text) = (unpacked.join(file), fs::read_to_string(unpacked.join(file)).unwrap());
        assert!(text.contains(from), "{text}");
        fs::write(path, text.replacen(from, to, 1)).unwrap();
    }
    run(Command::new("dpkg-deb").args(["--root-owner-group", "-Znone", "--build"]).arg(&unpacked).arg(&packed));
    packed
}

#[test]
fn a_blocked_source_is_dropped_all_the_while_and_nothing_is_forgotten() {
    let dir = TempDir::new().unwrap();
    let host = Host::boot(&[&previous(&dir)]);
    host.does("deb-install");
    host.first_steps();
    host.sh("echo 'block_for = \"1h\"' >/etc/tcpcap/config.d/mine.toml; systemctl reload tcpcap");
    let source = host.net.first_scanner().v4;
    host.scan_is_blocked(source);
    let pid = host.machine.property("tcpcap", "MainPID").unwrap();

    let dropped = || host.block_of(source).unwrap()["packets"].as_u64().unwrap();
    let (before, behind) = (dropped(), Capture::incoming(&host.net.sensor, CARD).unwrap());
    let macs = (host.net.internet.card("tosensor").unwrap().mac, host.net.sensor.card(CARD).unwrap().mac);
    let frame = Frame::tcp((source, 40_000), (SENSOR_V4, 22)).macs(macs.0, macs.1).build();
    let knocker = Knocker::start(&host.net.internet, "tosensor", vec![frame], Duration::from_micros(500)).unwrap();
    host.download(&[&deb()]);
    host.does("deb-upgrade");
    assert_ne!(host.machine.property("tcpcap", "MainPID").unwrap(), pid, "it is another daemon");
    wait_until("the new daemon's drops", SOON, || dropped() > before + 10).unwrap();
    let sent = knocker.stop();
    wait_until("all of them", SOON, || dropped() - before >= sent).unwrap();
    assert_eq!(dropped() - before, sent, "every packet was dropped and counted");
    let seen = behind.snapshot().unwrap();
    assert_eq!((seen.from(source.into()), seen.lost), (0, 0), "packets of a blocked source passed");
    println!("{sent} packets while it was upgraded, none passed");

    assert!(host.sh("dpkg -s tcpcap").contains(concat!("\nVersion: ", env!("CARGO_PKG_VERSION"), "\n")));
    assert!(host.sh("tcpcap history --since 1h").contains(&source.to_string()));
    assert!(!host.sh("cat /etc/tcpcap/config.toml").contains("Of an earlier version"), "nobody has changed it");
    assert!(host.sh("cat /etc/tcpcap/config.d/mine.toml").contains("1h"));
    // And once more, though it is that version already.
    host.sh("apt-get install --reinstall ./tcpcap_*.deb");
    assert!(host.block_of(source).is_some() && !host.reaches(source));
}

#[test]
fn a_config_toml_that_the_operator_changed_stays() {
    let dir = TempDir::new().unwrap();
    let host = Host::boot(&[&previous(&dir)]);
    host.does("deb-install");
    host.sh("sed -i 's/^observe = true/observe = false/' /etc/tcpcap/config.toml");
    host.download(&[&deb()]);
    // dpkg would ask; who has nobody to answer says so beforehand.
    host.sh("apt-get -o Dpkg::Options::=--force-confold install ./tcpcap_*.deb");
    let config = host.sh("cat /etc/tcpcap/config.toml");
    assert!(config.contains("Of an earlier version") && config.contains("\nobserve = false\n"), "{config}");
    assert_eq!(host.json("status")["mode"], "enforce");
}

#[test]
fn the_package_knows_the_layout_of_its_binary() {
    let ours = format!("\nlayout={}\n", tcpcap_common::LAYOUT_VERSION);
    assert!(include_str!("../../../deploy/debian/postinst").contains(&ours), "say {} there", ours.trim());
}

#[test]
fn blocks_of_another_layout_come_back_from_the_history() {
    let host = Host::boot(&[&deb()]);
    host.does("deb-install");
    host.does("first-enforce");
    let source = host.net.first_scanner().v4;
    host.scan_is_blocked(source);
    let maps = |version: u32| host.pins().join(format!("maps-v{version}"));
    let ours = tcpcap_common::LAYOUT_VERSION;
    fs::rename(maps(ours), maps(ours - 1)).unwrap();
    host.sh("apt-get install --reinstall ./tcpcap_*.deb");
    assert!(maps(ours).exists() && !maps(ours - 1).exists());
    assert!(host.block_of(source).is_some() && !host.reaches(source));
}
