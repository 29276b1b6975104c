//! The nested cargo call that compiles the eBPF program.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Toolchain, remap};

/// The eBPF crate's binary target. It names the object file, and the crate that may use unstable inline assembly.
pub const PROGRAM: &str = "tcpcap";

/// Set by whoever runs cargo around us, and wrong for a compiler of another version and another target.
const FOREIGN: [&str; 6] = [
    "RUSTUP_TOOLCHAIN",
    "RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_RUSTC_WRAPPER",
    "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
    // clippy-driver's; without its wrapper it would only spoil cargo's cache.
    "CLIPPY_ARGS",
];

/// How the eBPF program is to be built.
#[derive(Debug, Clone, Copy)]
pub struct Build<'a> {
    /// The BPF target triple, see [`crate::target`].
    pub target: &'a str,
    /// The architecture of the kernel that will run it, as `CARGO_CFG_TARGET_ARCH` spells it.
    pub arch: &'a str,
    /// The workspace's root directory.
    pub root: &'a Path,
    /// The cargo to use, unless the compiler brings its own and must be driven by it.
    pub cargo: &'a Path,
    /// Where cargo may leave its files; not the outer build's directory, which is locked.
    pub target_dir: &'a Path,
    /// A warning is an error.
    pub deny_warnings: bool,
}

/// The command that compiles `tcpcap-ebpf`. The same compiler, linker and sources make the same bytes with it, wherever
/// they lie.
///
/// Whether cargo may use the network is inherited from the environment (`CARGO_NET_OFFLINE`) and from its
/// configuration; the versions are those of the lock file, which the outer cargo has already brought up to date.
pub fn build_command(found: &Toolchain, build: &Build<'_>) -> Command {
    let compiler = &found.compiler;
    // `-Z build-std` wants the cargo that belongs to the compiler.
    let own = compiler.cargo.as_deref().filter(|_| compiler.build_std);
    let mut command = Command::new(own.unwrap_or(build.cargo));
    command.args(["build", "--locked", "--release", "--package", "tcpcap-ebpf", "--bins", "--target", build.target]);
    command.arg("--target-dir").arg(build.target_dir);
    if compiler.build_std {
        command.args(["-Z", "build-std=core"]);
    }
    for name in FOREIGN {
        command.env_remove(name);
    }
    let arch = format!("--cfg=bpf_target_arch=\"{}\"", build.arch);
    let mut flags = vec![arch, "-Cdebuginfo=2".to_owned(), "-Clink-arg=--btf".to_owned()];
    flags.extend(remap::flags(&remap::remaps(build.root, &compiler.sysroot)));
    if build.deny_warnings {
        flags.push("-Dwarnings".to_owned());
    }
    command
        .current_dir(build.root)
        .env("RUSTC", &compiler.rustc)
        // Empty, not removed: that also switches off a wrapper named in cargo's configuration.
        .env("RUSTC_WRAPPER", "")
        .env("RUSTC_WORKSPACE_WRAPPER", "")
        // aya-ebpf and our program use inline assembly, unstable on BPF; building core is unstable as a whole.
        .env("RUSTC_BOOTSTRAP", if compiler.build_std { "1".to_owned() } else { format!("aya_ebpf,{PROGRAM}") })
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        // The target's default linker is named without a directory.
        .env("PATH", with_dir_of(&found.linker.path));
    command
}

impl Build<'_> {
    /// Where the command leaves the object.
    pub fn object(&self) -> PathBuf {
        self.target_dir.join(self.target).join("release").join(PROGRAM)
    }
}

/// PATH with the program's directory in front, unless it is on it already.
fn with_dir_of(program: &Path) -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let dirs: Vec<PathBuf> = env::split_paths(&path).collect();
    match program.parent() {
        Some(dir) if !dirs.iter().any(|d| d == dir) => {
            env::join_paths(std::iter::once(dir.to_owned()).chain(dirs)).unwrap_or(path)
        }
        _ => path,
    }
}
