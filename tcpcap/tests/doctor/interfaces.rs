//! Interfaces: what they are, and what stands in the way there.

use std::{fs, os::unix::fs::MetadataExt as _};

use tcpcap::kernel::{Kernel, Mode, ModeChoice};
use tcpcap_lab::{
    Direct, Internet, Lab,
    layout::{CARD, CARD1},
};

use crate::stage::{Place, command, doctor};

#[test]
fn a_cable_is_watched_natively_and_nothing_is_amiss() {
    let net = Internet::build().unwrap();
    let place = Place::new();
    // None is named: that of the default route.
    let said = doctor::<&str>(&net.sensor, &place, &[]);
    said.has("link", "ok", "veth, up");
    said.has("mode", "ok", "native");
    said.has("mtu", "ok", "1500 bytes");
    said.has("other-program", "ok", "no XDP program yet");
    said.has("offloads", "ok", "none");
    said.has("queues", "ok", "1 receive queue");
    said.has("answers", "ok", "our own answers are seen");
    assert_eq!(said.about("link", Some(CARD)), said.of("link"));
    assert_eq!(said.json["fail"], 0, "{said:#?}");
}

#[test]
fn what_stands_in_for_no_driver_is_generic_and_the_reason_is_told() {
    let net = Direct::build(1).unwrap();
    let place = Place::new();
    net.sensor.ip("link add br0 type bridge\nlink set br0 up\nlink add ifb7 type ifb\n").unwrap();
    let said = doctor(&net.sensor, &place, &["--iface", "lo", "--iface", "br0", "--iface", "ifb7"]);
    for (interface, why) in [("lo", "the loopback"), ("br0", "a bridge"), ("ifb7", "ifb")] {
        let mode = said.about("mode", Some(interface));
        assert!(mode.level == "warn" && mode.text.starts_with(&format!("generic: {why}")), "{interface}: {mode:?}");
    }
    let told = doctor(&net.sensor, &place, &["--iface", "br0", "--mode", "native"]);
    told.has("mode", "fail", "use --mode auto");
    doctor(&net.sensor, &place, &["--iface", "br0", "--mode", "generic"]).has("mode", "ok", "as it is told");
}

#[test]
fn a_cable_with_too_few_receive_queues_is_generic() {
    let lab = Lab::new().unwrap();
    let host = lab.namespace("host").unwrap();
    host.ip("link add few numrxqueues 1 numtxqueues 1 type veth peer name many numrxqueues 2 numtxqueues 2\n\
         link set few up\nlink set many up\n")
        .unwrap();
    let said = doctor(&host, &Place::new(), &["--iface", "few"]);
    said.has("mode", "warn", "as many receive queues as the other end has transmit queues");
    // And so it is.
    let (mut kernel, index) = (Kernel::load().unwrap(), host.card("few").unwrap().index);
    let attached = host.enter(|| kernel.attach("few", index, ModeChoice::Auto, None)).unwrap().unwrap();
    assert_eq!(attached.mode, Mode::Generic);
}

#[test]
fn an_interface_that_is_down_unplugged_or_not_there_is_told_apart() {
    let net = Direct::build(1).unwrap();
    let place = Place::new();
    net.sensor.ip(&format!("link set {CARD} down\n")).unwrap();
    net.client.ip(&format!("link set {CARD} down\n")).unwrap();
    let said = doctor(&net.sensor, &place, &["--iface", CARD, "--iface", CARD1, "--iface", "eth9"]);
    for (interface, level, says) in [
        (CARD, "warn", "ip link set dev card0 up"),
        (CARD1, "warn", "no carrier"),
        ("eth9", "fail", "name one of these with --iface: lo, card"),
    ] {
        let link = said.about("link", Some(interface));
        assert!(link.level == level && link.text.contains(says), "{interface}: {link:?}");
    }
    let of_missing = said.json["checks"].as_array().unwrap().iter().filter(|line| line["interface"] == "eth9");
    assert_eq!(of_missing.count(), 1, "what is not there is said once");
}

#[test]
fn without_an_interface_named_and_without_a_default_route_there_is_none() {
    let net = Direct::build(1).unwrap();
    let said = doctor::<&str>(&net.sensor, &Place::new(), &[]);
    said.has("link", "fail", "there is no default route");
    assert_eq!(said.code, 1);
}

#[test]
fn a_tunnel_has_no_ethernet_header_to_be_read() {
    let net = Direct::build(1).unwrap();
    net.sensor.ip("tuntap add dev tun7 mode tun\nlink set tun7 up\n").unwrap();
    let said = doctor(&net.sensor, &Place::new(), &["--iface", "tun7"]);
    said.has("link", "warn", "tcpcap reads Ethernet");
    said.has("answers", "warn", "without an Ethernet header");
}

#[test]
fn somebody_elses_program_on_the_interface_is_a_failure_that_names_it() {
    let net = Direct::build(1).unwrap();
    let place = Place::new();
    let index = net.sensor.card(CARD).unwrap().index;
    // Not pinned, and no daemon behind it: nobody that we know.
    let mut kernel = Kernel::load().unwrap();
    let held = net.sensor.enter(|| kernel.attach(CARD, index, ModeChoice::Generic, None)).unwrap().unwrap();
    let said = doctor(&net.sensor, &place, &["--iface", CARD]);
    said.has("other-program", "fail", "generic) has the interface");
    said.has("other-program", "fail", &format!("`{}`", kernel.program_name()));
    assert_eq!(said.code, 1);
    held.end();
    doctor(&net.sensor, &place, &["--iface", CARD]).has("other-program", "ok", "no XDP program yet");
}

/// What the kernel has of this namespace: links with their programs, qdiscs, tables, addresses; and what is pinned.
fn state(net: &Direct) -> String {
    let mut all = String::new();
    for (program, args) in [("ip", &["-details", "address"][..]), ("tc", &["qdisc"]), ("nft", &["list", "ruleset"])] {
        let output = net.sensor.command(program).args(args).output().unwrap();
        assert!(output.status.success(), "{program}");
        all += &String::from_utf8(output.stdout).unwrap();
    }
    let number = fs::metadata(net.sensor.path()).unwrap().ino();
    all + &format!("{:?}", fs::metadata(format!("/sys/fs/bpf/tcpcap/net-{number}")).is_ok())
}

#[test]
fn it_changes_nothing() {
    let net = Direct::build(1).unwrap();
    let place = Place::new();
    let config = place.file("t.toml", "[mirror.nftables]\nenabled = true\n");
    let before = state(&net);
    let said = doctor(&net.sensor, &place, &["--iface", CARD, "--iface", CARD1, "--config", &config]);
    said.has("programs", "ok", "the kernel takes");
    said.has("mirror", "ok", "nftables v");
    assert_eq!(state(&net), before);
    let mut left: Vec<_> = fs::read_dir(place.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["t.toml"], "neither socket nor state is made");
}

#[test]
fn for_people_it_fits_eighty_columns_and_ends_with_a_summary() {
    let net = Direct::build(1).unwrap();
    let place = Place::new();
    let mut command = command(&net.sensor, &[], std::path::Path::new(env!("CARGO_BIN_EXE_tcpcap")), &place);
    let output = command.args(["--iface", "lo", "--iface", "eth9"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(!text.contains('\x1b'), "no colour where no terminal is");
    for heading in ["Kernel\n", "\nRights\n", "\nContainer\n", "\nInterface lo\n", "\nInterface eth9\n", "\nService\n"]
    {
        assert!(text.contains(heading), "{heading}: {text}");
    }
    // Paths are not broken: those of a test may be long.
    let long: Vec<_> =
        text.lines().filter(|l| l.chars().count() > 80 && !l.contains(place.path("").to_str().unwrap())).collect();
    assert_eq!(long, Vec::<&str>::new());
    assert!(text.lines().last().unwrap().ends_with("1 failure"), "{text}");
}
