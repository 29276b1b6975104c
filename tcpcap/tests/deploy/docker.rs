//! What stands in `deploy/docker`: rights, and what is named elsewhere too.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use crate::compose::{Compose, directory};

/// Who the image's user is.
fn user() -> String {
    let dockerfile = fs::read_to_string(directory().join("../../Dockerfile")).unwrap();
    dockerfile.lines().find_map(|line| line.strip_prefix("USER ")).unwrap().to_owned()
}

#[test]
fn the_container_has_three_capabilities_and_nothing_else() {
    let compose = Compose::shipped();
    let tcpcap = &compose.services["tcpcap"];
    assert_eq!(tcpcap.cap_drop, ["ALL"]);
    assert_eq!(tcpcap.cap_add, ["BPF", "NET_ADMIN", "PERFMON"]);
    assert_eq!(tcpcap.security_opt, ["no-new-privileges", "seccomp=./seccomp.json"]);
    assert_eq!((tcpcap.read_only, tcpcap.network_mode.as_str()), (true, "host"));
    assert_eq!(tcpcap.user.as_deref(), Some(&*user()));
    assert_eq!(tcpcap.image, format!("localhost/tcpcap:{}", env!("CARGO_PKG_VERSION")));
    assert_eq!((tcpcap.command.as_slice(), tcpcap.restart.as_str()), (&["run".to_owned()][..], "unless-stopped"));
}

#[test]
fn prometheus_beside_it_has_no_rights_and_what_is_mounted_is_there() {
    let compose = Compose::shipped();
    assert_eq!(compose.name, "tcpcap");
    let prometheus = &compose.services["prometheus"];
    assert!(prometheus.cap_add.is_empty() && prometheus.read_only);
    assert_eq!((prometheus.cap_drop.as_slice(), &*prometheus.network_mode), (&["ALL".to_owned()][..], "host"));
    assert!(prometheus.image.contains("/prometheus:v") && prometheus.user.is_none(), "the image's own user");
    for (name, service) in &compose.services {
        for volume in &service.volumes {
            let source = volume.split(':').next().unwrap();
            match source.strip_prefix("../") {
                Some(beside) => assert!(directory().join("..").join(beside).is_dir(), "{name}: {source}"),
                None => assert!(source.starts_with('/') || compose.volumes.contains_key(source), "{name}: {source}"),
            }
        }
    }
}

#[test]
fn the_users_number_is_the_same_wherever_it_stands() {
    let user = user();
    let (id, group) = user.split_once(':').unwrap();
    let tmpfiles = fs::read_to_string(directory().join("tmpfiles.conf")).unwrap();
    let line = tmpfiles.lines().find(|line| line.starts_with("d ")).unwrap();
    assert_eq!(line, format!("d /sys/fs/bpf/tcpcap 0750 {id} {group} -"));
    let root = fs::read_to_string(directory().join("root.sh")).unwrap();
    assert!(root.lines().any(|line| line == format!("id={id}")));
    // What systemd gives to nobody (systemd.io/UIDS-GIDS).
    assert!((60_578..=61_183).contains(&id.parse::<u32>().unwrap()));
}

#[test]
fn the_seccomp_profile_allows_bpf_to_its_capability_and_no_way_out_to_anybody() {
    let profile: Value = serde_json::from_slice(&fs::read(directory().join("seccomp.json")).unwrap()).unwrap();
    assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
    let rules = profile["syscalls"].as_array().unwrap();
    let names = |rule: &Value| -> Vec<String> { serde_json::from_value(rule["names"].clone()).unwrap() };
    let mut allowed = BTreeSet::new();
    for rule in rules.iter().filter(|rule| rule["action"] == "SCMP_ACT_ALLOW") {
        let caps = &rule["includes"]["caps"];
        if names(rule) == ["bpf"] {
            assert_eq!(caps, &serde_json::json!(["CAP_BPF"]));
            continue;
        }
        assert!(caps.is_null(), "{rule}");
        allowed.extend(names(rule));
    }
    let ways_out = ["mount", "umount2", "setns", "unshare", "ptrace", "keyctl", "perf_event_open", "pivot_root"];
    let more = ["init_module", "kexec_load", "io_uring_setup", "open_by_handle_at", "userfaultfd", "reboot", "chroot"];
    for call in ways_out.iter().chain(&more) {
        assert!(!allowed.contains(*call), "{call}");
    }
    for rule in rules.iter().filter(|rule| rule["action"] == "SCMP_ACT_ERRNO" && rule["args"].is_null()) {
        for name in names(rule) {
            assert!(!allowed.contains(&name), "{name} is allowed, and refused");
        }
    }
}
