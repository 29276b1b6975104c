//! The same binary makes the same package and the same tarball, whenever and wherever that is.

use std::{fs, path::Path, process::Command};

use tempfile::TempDir;

use crate::host::{deb, run, shipped, tarball};

#[test]
fn made_again_they_are_the_same_byte_for_byte() {
    let again = TempDir::new().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["xtask", "package", "deb", "tarball", "--binary"]).arg(shipped("tcpcap", "tcpcap"));
    cargo.arg("--place").arg(again.path()).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap());
    run(&mut cargo);
    for first in [deb(), tarball()] {
        let second = again.path().join(first.file_name().unwrap());
        assert!(fs::read(&first).unwrap() == fs::read(second).unwrap(), "{} is another one", first.display());
    }
}
