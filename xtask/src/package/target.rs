//! What the binary is built for, and with which flags: linked statically, and without a path of where it is built.

use std::{env, fs, path::PathBuf, process::Command};

use bpf_toolchain::remap;

use super::natives::said;
use crate::{
    step,
    workspace::{self, cargo_command},
};

/// An architecture that tcpcap is shipped for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Arch {
    #[value(name = "x86_64")]
    X86,
    #[value(name = "aarch64")]
    Arm,
}

impl Arch {
    /// This machine's.
    pub(crate) const HERE: Self = if cfg!(target_arch = "aarch64") { Self::Arm } else { Self::X86 };

    /// As cargo and kernels call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::X86 => "x86_64",
            Self::Arm => "aarch64",
        }
    }

    /// The target. It is named although it may be this machine's, because flags for it must not reach build scripts.
    pub(crate) fn triple(self) -> String {
        format!("{}-unknown-linux-gnu", self.name())
    }

    /// Where cargo leaves what it builds for it with this profile.
    pub(crate) fn built(self, profile: &str) -> PathBuf {
        self.target_dir().join(self.triple()).join(profile)
    }

    /// Where cargo leaves everything.
    pub(crate) fn target_dir(self) -> PathBuf {
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace::root().join("target"), PathBuf::from)
    }

    /// The C compiler for it, which also links.
    pub(crate) fn c_compiler(self) -> String {
        if self == Self::HERE { "cc".to_owned() } else { format!("{}-linux-gnu-gcc", self.name()) }
    }

    /// The linker that this calls.
    pub(crate) fn linker(self) -> String {
        if self == Self::HERE { "ld".to_owned() } else { format!("{}-linux-gnu-ld", self.name()) }
    }

    /// Sees to it that the compiler has a standard library for it.
    pub(crate) fn ensure_library(self) -> anyhow::Result<()> {
        let asked = said(Command::new("rustc").args(["--print", "target-libdir", "--target", &self.triple()]))?;
        let there = fs::read_dir(asked)
            .is_ok_and(|files| files.flatten().any(|file| file.file_name().to_string_lossy().starts_with("libstd-")));
        if there {
            return Ok(());
        }
        let mut add = Command::new("rustup");
        add.args(["target", "add", &self.triple()]).current_dir(workspace::root());
        let remedy = "it is a part of Rust: rustup target add, or what your distribution has for cross-compilation";
        step::run("Rust's library", &format!("installed for {}", self.name()), remedy, &mut add)
    }

    /// `cargo`, which will link statically for it, and leave no path of this machine in what it makes.
    pub(crate) fn cargo(self, args: &[&str]) -> anyhow::Result<Command> {
        let sysroot = said(Command::new("rustc").args(["--print", "sysroot"]).current_dir(workspace::root()))?;
        let remaps = remap::remaps(&workspace::root(), sysroot.as_ref());
        let (triple, flags) = (self.triple().replace('-', "_"), self.flags(&remaps));
        let mut cargo = cargo_command(args);
        cargo.args(["--target", &self.triple()]).env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        // As an array, so that a path may hold a blank.
        cargo.args(["--config", &format!("target.{}.rustflags={}", self.triple(), serde_json::to_string(&flags)?)]);
        let c: Vec<_> = remaps.iter().map(|(from, to)| format!("-ffile-prefix-map={}={to}", from.display())).collect();
        cargo.env(format!("CFLAGS_{triple}"), c.join(" "));
        if self != Self::HERE {
            let gcc = self.c_compiler();
            cargo.env(format!("CARGO_TARGET_{}_LINKER", triple.to_uppercase()), &gcc).env(format!("CC_{triple}"), gcc);
        }
        Ok(cargo)
    }

    fn flags(self, remaps: &[(PathBuf, &'static str)]) -> Vec<String> {
        let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned()];
        flags.extend(remap::flags(remaps));
        flags
    }
}
