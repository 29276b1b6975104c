//! What was looked at and why it will not do, rendered as one message with its remedy.

use std::{fmt, path::PathBuf};

use crate::{
    OVERRIDE,
    recipe::{COMPILER_PACKAGES, LINKER_INSTALL, LINKER_PACKAGES, LLVM_PREFIX},
};

/// A program that was found or named, and the reason why it cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The program.
    pub path: PathBuf,
    /// Why not, as the rest of a sentence that begins with the path.
    pub reason: String,
}

/// What the eBPF part cannot be built without. At least one of the two is `Some`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    /// No compiler will do: these were looked at.
    pub compiler: Option<Vec<Rejected>>,
    /// No bpf-linker will do: these were looked at, which may be none.
    pub linker: Option<Vec<Rejected>>,
    /// The user named the compiler, so that no other was looked at and installing one does not help.
    pub overridden: bool,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match (&self.compiler, &self.linker) {
            (Some(_), Some(_)) => "a compiler for the BPF target and bpf-linker are",
            (Some(_), None) => "a compiler for the BPF target is",
            _ => "bpf-linker is",
        };
        writeln!(f, "{what} missing: the eBPF part of tcpcap cannot be built")?;
        if self.overridden && self.compiler.is_some() {
            writeln!(f, "  unset {OVERRIDE}, or let it name a usable compiler; then run: cargo xtask setup")?;
        } else {
            writeln!(f, "  run: cargo xtask setup")?;
        }
        write!(f, "or by hand{}:", if self.compiler.is_some() { ", one compiler of" } else { "" })?;
        if self.compiler.is_some() {
            write!(f, "\n  rustup:  rustup toolchain install nightly --component rust-src")?;
            write!(f, "\n  Debian:  apt-get install {}", COMPILER_PACKAGES.join(" "))?;
        }
        if self.linker.is_some() {
            write!(f, "\n  linker:  apt-get install {}, then", LINKER_PACKAGES.join(" "))?;
            write!(f, "\n           LLVM_PREFIX={LLVM_PREFIX} cargo {}", LINKER_INSTALL.join(" "))?;
        }
        let rejected: Vec<&Rejected> = [&self.compiler, &self.linker].into_iter().flatten().flatten().collect();
        if !rejected.is_empty() {
            write!(f, "\nlooked at:")?;
        }
        rejected.iter().try_for_each(|r| write!(f, "\n  {} {}", r.path.display(), r.reason))
    }
}

impl std::error::Error for Missing {}
