//! What it says where it is not given what it needs.

use tcpcap_lab::Internet;

use crate::container::{Container, Home};

/// The engine's own profile.
fn stock() -> Option<String> {
    let path = "/usr/share/containers/seccomp.json";
    std::path::Path::new(path).exists().then(|| format!("--security-opt=seccomp={path}"))
}

#[test]
fn podmans_own_seccomp_profile_is_named_with_the_remedy() {
    let net = Internet::build().unwrap();
    let home = Home::prepared();
    let stock = stock().expect("podman's seccomp profile is missing\n  run: cargo xtask setup");
    let (code, said) = Container::run(&net.sensor, &home, &[&stock], &[]).end();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("error: a seccomp filter denies bpf(2): Operation not permitted (os error 1)\n"), "{said}");
    assert!(said.contains(" help: use a profile that allows bpf, as deploy/docker/seccomp.json does"), "{said}");
    assert!(said.contains("--security-opt seccomp=FILE"), "{said}");
    let (code, said) = Container::verb(&net.sensor, &home, &[&stock], &["doctor"]).end();
    assert!(code == 1 && said.contains("a seccomp filter denies"), "{said}");
}

#[test]
fn without_its_capabilities_it_names_them() {
    let net = Internet::build().unwrap();
    let home = Home::prepared();
    let (code, said) = Container::run_with_capabilities(&net.sensor, &home, &["BPF", "NET_ADMIN"]).end();
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("it lacks CAP_PERFMON\n") && said.contains("give the service or container CAP_BPF"),
        "{said}"
    );
}

#[test]
fn where_it_has_no_place_for_pins_it_says_how_to_make_one_and_runs() {
    let net = Internet::build().unwrap();
    let home = Home::owned_by(0);
    let mut sensor = Container::start(&net.sensor, &home, &[]);
    let said = sensor.says(&["WARN", "nothing can be pinned"]);
    assert!(said.contains("mkdir -p /sys/fs/bpf/tcpcap; chown -R 61112 /sys/fs/bpf/tcpcap"), "{said}");
    assert!(said.contains("-v /sys/fs/bpf/tcpcap:/sys/fs/bpf"), "{said}");
    assert!(sensor.ask(&["doctor", "-o", "json"]).contains("chown -R 61112 /sys/fs/bpf/tcpcap"));
}
