//! The search, against compilers and linkers that are shell scripts.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use bpf_toolchain::{Build, Missing, Search, build_command, remap};

const TARGET: &str = "bpfel-unknown-none";

/// A directory of scripts, removed at the end.
///
/// One test at a time: a script that one test is writing is held open by a process that another test forks meanwhile,
/// and Linux does not run a file that is open for writing.
struct World {
    dir: PathBuf,
    _alone: MutexGuard<'static, ()>,
}

impl World {
    fn new(name: &str) -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = std::env::temp_dir().join(format!("bpf-toolchain-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Self { dir, _alone: alone }
    }

    fn script(&self, path: &str, body: &str) -> PathBuf {
        let path = self.dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// A rustc of this version that answers as the real one does. Its sysroot is its own directory.
    fn rustc(&self, dir: &str, version: &str) -> PathBuf {
        let root = self.dir.join(dir);
        let root = root.display();
        self.script(
            &format!("{dir}/rustc"),
            &format!(
                "case \"$*\" in\n\
                 -vV) printf 'rustc {version}\\nrelease: {version}\\nLLVM version: 22.1.2\\n' ;;\n\
                 *--target*{TARGET}*) printf '{root}/libdir\\n{root}\\n' ;;\n\
                 *) exit 1 ;;\nesac"
            ),
        )
    }

    fn file(&self, path: &str) {
        let path = self.dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }

    fn with_core(&self, dir: &str) {
        self.file(&format!("{dir}/libdir/libcore-0123456789abcdef.rlib"));
    }

    fn with_source(&self, dir: &str) {
        self.file(&format!("{dir}/lib/rustlib/src/rust/library/core/src/lib.rs"));
    }

    fn linker(&self) -> PathBuf {
        self.script("bin/bpf-linker", "echo bpf-linker 0.13.0")
    }

    fn search(&self) -> Search {
        Search { target: TARGET, linker_dirs: vec![self.dir.join("empty"), self.dir.join("bin")], ..Search::default() }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.dir).unwrap();
    }
}

fn reasons(missing: &Missing) -> Vec<String> {
    missing.compiler.iter().flatten().map(|r| r.reason.clone()).collect()
}

#[test]
fn a_prebuilt_core_is_used_as_it_is() {
    let world = World::new("prebuilt");
    let rustc = world.rustc("a", "1.96.0");
    world.with_core("a");
    world.with_source("a");
    let linker = world.linker();
    let found = Search { default: Some(rustc.clone()), ..world.search() }.toolchain().unwrap();
    assert_eq!((&found.compiler.rustc, found.compiler.build_std), (&rustc, false));
    assert_eq!((found.compiler.version.as_str(), found.compiler.llvm), ("1.96.0", 22));
    assert_eq!((found.linker.path, found.linker.version.as_str()), (linker, "0.13.0"));
}

#[test]
fn the_source_of_core_is_built_with_the_compilers_own_cargo() {
    let world = World::new("source");
    let rustc = world.rustc("nightly/bin", "1.97.0-nightly");
    let cargo = world.script("nightly/bin/cargo", "");
    world.with_source("nightly/bin");
    world.linker();
    let found = Search { default: Some(rustc), ..world.search() }.toolchain().unwrap();
    assert!(found.compiler.build_std);
    let command = build_command(&found, &build("/usr/bin/cargo"));
    assert_eq!(command.get_program(), cargo.as_os_str());
    assert!(command.get_args().any(|a| a == "build-std=core"));
    assert_eq!(variable(&command, "RUSTC_BOOTSTRAP"), "1");
}

#[test]
fn the_first_usable_compiler_wins_and_rustup_is_asked_last() {
    let world = World::new("order");
    let plain = world.rustc("stable", "1.95.0");
    let system = world.rustc("system", "1.96.0");
    world.linker();
    world.rustc("nightly", "1.97.0-nightly");
    world.with_source("nightly");
    let nightly = world.dir.join("nightly/rustc");
    let rustup = world.script(
        "rustup",
        &format!("[ \"$4\" = nightly ] || exit 1; echo '{}'", world.dir.join("nightly/rustc").display()),
    );
    let search = Search { default: Some(plain), system: Some(system.clone()), rustup: Some(rustup), ..world.search() };
    assert_eq!(search.find_compiler().unwrap().rustc, nightly);
    world.with_core("system");
    assert_eq!(search.find_compiler().unwrap().rustc, system);
}

#[test]
fn a_named_compiler_is_the_only_one_looked_at() {
    let world = World::new("named");
    let good = world.rustc("good", "1.96.0");
    world.with_core("good");
    world.linker();
    let named = world.script("named", "exit 1");
    let missing = Search { named: Some(named), default: Some(good), ..world.search() }.toolchain().unwrap_err();
    assert_eq!(reasons(&missing), ["fails (exit status: 1)"]);
    assert!(missing.overridden);
    let message = missing.to_string();
    assert!(message.contains("unset TCPCAP_BPF_RUSTC"), "{message}");
}

#[test]
fn every_unusable_compiler_is_listed_with_its_reason() {
    let world = World::new("unusable");
    let old = world.rustc("old", "1.63.0");
    world.with_core("old");
    let bare = world.rustc("bare", "1.95.0");
    world.linker();
    let missing = Search { default: Some(old), system: Some(bare), ..world.search() }.toolchain().unwrap_err();
    assert_eq!(
        reasons(&missing),
        [
            "is Rust 1.63.0, and 1.95 is the oldest that will do",
            "has neither core for bpfel-unknown-none nor the component rust-src",
        ]
    );
    assert_eq!(missing.linker, None);
    let absent = Search { default: Some(world.dir.join("nowhere")), ..world.search() }.toolchain().unwrap_err();
    assert!(reasons(&absent)[0].starts_with("cannot be run: "));
    let other = Search { default: Some(world.script("echo", "echo hello")), ..world.search() }.toolchain().unwrap_err();
    assert_eq!(reasons(&other), ["is not a Rust compiler"]);
}

#[test]
fn a_missing_linker_is_told_apart_from_a_broken_one() {
    let world = World::new("linker");
    let rustc = world.rustc("a", "1.96.0");
    world.with_core("a");
    let search = Search { default: Some(rustc), ..world.search() };
    let missing = search.toolchain().unwrap_err();
    assert_eq!((missing.compiler.as_ref(), missing.linker.as_ref()), (None, Some(&vec![])));
    let broken = world.script("bin/bpf-linker", "echo 'error while loading libLLVM.so' >&2; exit 127");
    let missing = search.toolchain().unwrap_err();
    let rejected = &missing.linker.as_ref().unwrap()[0];
    assert_eq!((&rejected.path, rejected.reason.as_str()), (&broken, "fails: error while loading libLLVM.so"));
}

#[test]
fn nothing_usable_is_one_message_that_names_setup_first() {
    let world = World::new("nothing");
    let message = world.search().toolchain().unwrap_err().to_string();
    let lines: Vec<&str> = message.lines().collect();
    assert!(lines[0].contains("a compiler for the BPF target and bpf-linker are missing"), "{message}");
    assert_eq!(lines[1], "  run: cargo xtask setup");
    for recipe in ["--component rust-src", "libstd-rust-web-dev-bpf", "--features llvm-22"] {
        assert!(message.contains(recipe), "{message}");
    }
}

#[test]
fn the_build_does_not_inherit_the_outer_builds_compiler_settings() {
    let world = World::new("command");
    let rustc = world.rustc("a", "1.96.0");
    world.with_core("a");
    world.linker();
    let found = Search { default: Some(rustc.clone()), ..world.search() }.toolchain().unwrap();
    let command = build_command(&found, &build("/usr/bin/cargo"));
    assert_eq!(command.get_program(), "/usr/bin/cargo");
    assert!(!command.get_args().any(|a| a == "build-std=core"));
    assert_eq!(variable(&command, "RUSTC"), rustc.to_str().unwrap());
    assert_eq!(variable(&command, "RUSTC_BOOTSTRAP"), "aya_ebpf,tcpcap");
    assert_eq!(variable(&command, "RUSTC_WORKSPACE_WRAPPER"), "");
    let removed: Vec<_> = command.get_envs().filter(|(_, value)| value.is_none()).map(|(name, _)| name).collect();
    for name in ["RUSTUP_TOOLCHAIN", "RUSTFLAGS", "CLIPPY_ARGS"] {
        assert!(removed.iter().any(|r| *r == name), "{name} is inherited");
    }
    assert!(variable(&command, "CARGO_ENCODED_RUSTFLAGS").starts_with("--cfg=bpf_target_arch=\"x86_64\"\x1f"));
    assert_eq!(command.get_current_dir(), Some(Path::new("/workspace")));
    let path = variable(&command, "PATH");
    assert!(path.starts_with(world.dir.join("bin").to_str().unwrap()), "the linker's directory is not on {path}");
}

#[test]
fn where_sources_lie_is_not_told_to_what_is_built() {
    let world = World::new("remap");
    let rustc = world.rustc("a", "1.96.0");
    world.with_core("a");
    world.linker();
    let found = Search { default: Some(rustc), ..world.search() }.toolchain().unwrap();
    let flags = variable(&build_command(&found, &build("/usr/bin/cargo")), "CARGO_ENCODED_RUSTFLAGS");
    let library = world.dir.join("a/lib/rustlib/src/rust");
    for (from, to) in [(Path::new("/workspace"), remap::WORKSPACE), (&library, remap::LIBRARY)] {
        let flag = format!("--remap-path-prefix={}={to}", from.display());
        assert!(flags.split('\x1f').any(|f| f == flag), "{flag} is not among {flags}");
    }
}

fn build(cargo: &str) -> Build<'_> {
    Build {
        target: TARGET,
        arch: "x86_64",
        root: Path::new("/workspace"),
        cargo: Path::new(cargo),
        target_dir: Path::new("/nowhere"),
        deny_warnings: false,
    }
}

fn variable(command: &std::process::Command, name: &str) -> String {
    let (_, value) = command.get_envs().find(|(n, _)| *n == name).unwrap_or_else(|| panic!("{name} is not set"));
    value.unwrap_or_else(|| panic!("{name} is removed")).to_str().unwrap().to_owned()
}
