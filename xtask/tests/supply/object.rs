//! The same BPF object from the same sources, wherever they lie: the one that is in what is shipped.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use bpf_toolchain::{Build, Search, build_command};

use crate::{contains, dist, root, sha256};

/// A copy of the sources.
fn copy(to: &Path) {
    fn tree(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            let (name, kind) = (entry.file_name(), entry.file_type().unwrap());
            if kind.is_dir() && name != "target" && name != ".git" {
                tree(&entry.path(), &to.join(name));
            } else if kind.is_file() {
                fs::copy(entry.path(), to.join(name)).unwrap();
            }
        }
    }
    tree(root(), to);
}

/// Builds the object of a copy, from nothing.
fn build(sources: &Path, target_dir: &Path) -> Vec<u8> {
    let target = bpf_toolchain::target(if cfg!(target_endian = "big") { "big" } else { "little" });
    let found = Search::from_env(target).toolchain().unwrap_or_else(|missing| panic!("{missing}"));
    let (arch, cargo) = (env::consts::ARCH, Path::new(env!("CARGO")));
    let build = Build { target, arch, root: sources, cargo, target_dir, deny_warnings: false };
    let out = build_command(&found, &build).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    fs::read(build.object()).unwrap()
}

#[test]
fn two_clean_builds_in_different_directories_make_the_object_that_is_shipped() {
    let place = tempfile::tempdir().unwrap();
    let sources: [PathBuf; 2] = ["a", "another/place/that/is/named/at/length"].map(|dir| place.path().join(dir));
    sources.iter().for_each(|dir| copy(dir));
    let inside = build(&sources[0], &sources[0].join("target/ebpf"));
    let outside = build(&sources[1], &place.path().join("elsewhere"));
    assert_eq!(sha256(&inside), sha256(&outside), "two builds differ");
    assert_eq!(sha256(&inside), sha256(&dist("tcpcap.bpf.o")), "the one beside the binary is another");
    assert!(contains(&dist("tcpcap"), &inside), "the one in the binary is another");
}
