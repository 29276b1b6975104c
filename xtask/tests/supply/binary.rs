//! The binary: needs nothing beside it, tells nothing of where it was built, and names its functions when it falls.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Output},
};

use crate::{contains, dist, place, root, sha256};

/// Runs it where there is nothing but these files: no C library, no /proc.
fn alone(files: &[(&str, &str)], args: &[&str]) -> Output {
    let place = tempfile::tempdir().unwrap();
    let here = place.path().join("tcpcap");
    fs::write(&here, dist("tcpcap")).unwrap();
    fs::set_permissions(&here, fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(place.path().join("etc")).unwrap();
    files.iter().for_each(|(name, text)| fs::write(place.path().join(name), text).unwrap());
    // Anybody may do this in a user name space of one's own.
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--root"]).arg(place.path()).arg("/tcpcap").args(args);
    unshare.output().unwrap()
}

#[test]
fn it_runs_where_there_is_no_other_file() {
    let out = alone(&[], &["--version"]);
    assert_eq!(String::from_utf8_lossy(&out.stderr), "");
    assert_eq!(String::from_utf8_lossy(&out.stdout), format!("tcpcap {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn it_finds_a_group_without_the_machines_c_library() {
    // Of these sources the first is all that there is.
    let files = [("etc/group", "tcpcap:x:4711:\n"), ("etc/nsswitch.conf", "group: files systemd sss\n")];
    let said = |files| String::from_utf8_lossy(&alone(files, &["doctor"]).stdout).into_owned();
    assert!(said(&files).contains("members of tcpcap may use the socket"), "{}", said(&files));
    assert!(said(&[]).contains("there is no group tcpcap"), "{}", said(&[]));
}

#[test]
fn no_path_of_the_building_machine_is_in_it() {
    let (binary, object, home) = (dist("tcpcap"), dist("tcpcap.bpf.o"), std::env::var("HOME").unwrap());
    for path in [root().to_str().unwrap(), &format!("{home}/."), "/registry/src/", "/.rustup/"] {
        assert!(!contains(&binary, path.as_bytes()), "{path} is in the binary");
        assert!(!contains(&object, path.as_bytes()), "{path} is in the object");
    }
}

#[test]
fn its_functions_have_their_names_and_lines_are_left_out() {
    let binary = dist("tcpcap");
    assert!(contains(&binary, b"\0.symtab\0"), "backtraces need names");
    assert!(!contains(&binary, b"\0.debug_info\0"), "lines make it four times as large");
    assert!(binary.len() < 25_000_000, "{} bytes", binary.len());
}

#[test]
fn the_sums_are_those_of_the_files() {
    let mut check = Command::new("sha256sum");
    let out = check.args(["--check", "--strict", "SHA256SUMS"]).current_dir(place()).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    for name in ["tcpcap", "tcpcap.bpf.o", "provenance.json", "THIRD-PARTY-LICENSES.txt"] {
        assert!(said.contains(&format!("{name}: OK\n")), "{name}: {said}");
    }
    let provenance: serde_json::Value = serde_json::from_slice(&dist("provenance.json")).unwrap();
    for name in ["tcpcap", "tcpcap.bpf.o"] {
        assert_eq!(provenance["made"][name], sha256(&dist(name)), "{name} in {}", place().display());
    }
}
