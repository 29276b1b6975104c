//! What the binary holds beside crates: the standard library, the C library, SQLite.

use std::{fs, path::Path, process::Command};

use anyhow::Context;
use bpf_toolchain::Toolchain;

use super::crates::Crate;
use crate::workspace;

/// A part of the binary that is no crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Native {
    pub(super) name: &'static str,
    pub(super) version: String,
    /// Where it runs: in the `daemon` or in the `kernel`.
    pub(super) runs_in: &'static str,
    /// An SPDX expression.
    pub(super) licence: &'static str,
    /// What else its licence asks to be said.
    pub(super) remark: Option<&'static str>,
    pub(super) texts: Vec<String>,
}

/// Where Debian keeps what its packages are under.
const C_LIBRARY: [&str; 2] = ["/usr/share/doc/libc6-dev/copyright", "/usr/share/common-licenses/LGPL-2.1"];

const REMARK: &str = "The GNU C library is linked statically. tcpcap's source is free, so whoever wants another C library in\n\
    it builds it anew: docs/supply-chain.md says how.";

/// All of them, as they are on this machine.
///
/// # Errors
/// The compiler or the C library does not say its version.
pub(super) fn all(crates: &[Crate], found: &Toolchain) -> anyhow::Result<Vec<Native>> {
    let library = fs::read_to_string(workspace::root().join("LICENSE-APACHE")).context("cannot read LICENSE-APACHE")?;
    let texts = C_LIBRARY.iter().filter_map(|path| fs::read_to_string(path).ok()).collect();
    let mut natives = vec![
        Native {
            name: "rust-std",
            version: compiler()?,
            runs_in: "daemon",
            licence: "MIT OR Apache-2.0",
            remark: None,
            texts: vec![library.clone()],
        },
        Native {
            name: "rust-core",
            version: found.compiler.version.clone(),
            runs_in: "kernel",
            licence: "MIT OR Apache-2.0",
            remark: None,
            texts: vec![library],
        },
        Native {
            name: "glibc",
            version: glibc()?,
            runs_in: "daemon",
            licence: "LGPL-2.1-or-later",
            remark: Some(REMARK),
            texts,
        },
    ];
    if let Some(version) = crates.iter().find(|found| found.name == "libsqlite3-sys").and_then(|f| sqlite(&f.dir)) {
        let (name, licence, runs_in) = ("sqlite", "blessing", "daemon");
        natives.push(Native { name, version, runs_in, licence, remark: None, texts: Vec::new() });
    }
    Ok(natives)
}

/// Its version, such as `1.95.0`.
pub(super) fn compiler() -> anyhow::Result<String> {
    let said = said(Command::new("rustc").arg("-V").current_dir(workspace::root()))?;
    said.split(' ').nth(1).map(str::to_owned).context("rustc does not say its version")
}

/// The C library's version, with the distribution's own where it has one.
pub(super) fn glibc() -> anyhow::Result<String> {
    let packaged = said(Command::new("dpkg-query").args(["--show", "--showformat=${Version}", "libc6-dev"]));
    packaged.or_else(|_| {
        let said = said(Command::new("getconf").arg("GNU_LIBC_VERSION"))?;
        said.split(' ').nth(1).map(str::to_owned).context("the C library does not say its version")
    })
}

/// As its header says.
fn sqlite(dir: &Path) -> Option<String> {
    let header = fs::read_to_string(dir.join("sqlite3/sqlite3.h")).ok()?;
    let line = header.lines().find_map(|line| line.strip_prefix("#define SQLITE_VERSION "))?;
    Some(line.trim().trim_matches('"').to_owned())
}

/// The first thing that a program says.
///
/// # Errors
/// It is not there, or fails.
pub(super) fn said(command: &mut Command) -> anyhow::Result<String> {
    let name = command.get_program().display().to_string();
    let out = command.output().with_context(|| format!("cannot run {name}"))?;
    let text = String::from_utf8_lossy(&out.stdout);
    let line = text.lines().next().filter(|_| out.status.success());
    Ok(line.with_context(|| format!("{name} ended with {}", out.status))?.trim().to_owned())
}
