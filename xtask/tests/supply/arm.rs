//! aarch64, as qemu runs it: the pure parts pass their tests there, and a replay says what it says here.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::{place, root};

const RUNNER: &str = "qemu-aarch64-static";

/// Builds for aarch64 what is shipped, as a user would.
fn packaged() -> PathBuf {
    let out = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["package", "--arch", "aarch64"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    root().join("target/dist/aarch64")
}

fn replay(mut tcpcap: Command, capture: &Path) -> Output {
    tcpcap.args(["replay", "-o", "json"]).arg(capture).output().unwrap()
}

#[test]
#[ignore = "compiles tcpcap once more: cargo xtask test --builds"]
fn what_is_shipped_for_aarch64_replays_every_capture_as_the_other_does() {
    let (arm, here) = (packaged().join("tcpcap"), place().join("tcpcap"));
    let elf = fs::read(&arm).unwrap();
    assert_eq!(elf[18..20], [183, 0], "it is not for aarch64");
    let mut seen = 0;
    for capture in captures(&root().join("captures")) {
        let mut emulated = Command::new(RUNNER);
        emulated.arg(&arm);
        let (there, here) = (replay(emulated, &capture), replay(Command::new(&here), &capture));
        let name = capture.display();
        assert_eq!(there.status.code(), here.status.code(), "{name}");
        assert_eq!(String::from_utf8_lossy(&there.stdout), String::from_utf8_lossy(&here.stdout), "{name}");
        assert!(!here.stdout.is_empty(), "{name}");
        seen += 1;
    }
    assert!(seen > 10, "{seen} captures");
}

fn captures(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(captures(&path));
        } else if path.to_str().is_some_and(|name| name.contains(".pcap")) {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
#[ignore = "compiles tcpcap once more: cargo xtask test --builds"]
fn the_pure_parts_pass_their_tests_on_aarch64() {
    let target = "aarch64-unknown-linux-gnu";
    let out = Command::new(env!("CARGO"))
        .args(["test", "--locked", "--target", target, "--package", "tcpcap-common", "--package", "tcpcap-core"])
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc")
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS", "-Ctarget-feature=+crt-static")
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", RUNNER)
        .current_dir(root())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{said}{}", String::from_utf8_lossy(&out.stderr));
    assert!(said.matches("test result: ok").count() >= 4, "{said}");
}
