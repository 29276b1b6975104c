//! Where the binary comes from: which sources, which tools. With the same ones the same object comes out.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::Context;
use bpf_toolchain::Toolchain;
use serde_json::json;

use super::{
    natives::{self, said},
    sums::{hex, sha256},
    target::Arch,
};
use crate::{step, workspace};

pub(super) const NAME: &str = "provenance.json";

/// The sources.
pub(super) struct Source {
    /// The commit, or "unknown" where there is no repository.
    pub(super) commit: String,
    /// They are as they were committed.
    pub(super) clean: bool,
    /// When they were committed, or `SOURCE_DATE_EPOCH`, as RFC 3339.
    pub(super) time: String,
}

impl Source {
    /// Those of this workspace. Says so if they are not as committed.
    pub(super) fn here() -> Self {
        let git = |args: &[&str]| said(Command::new("git").args(args).current_dir(workspace::root()));
        let commit = git(&["rev-parse", "HEAD"]).unwrap_or_else(|_| "unknown".to_owned());
        // The command succeeds and says nothing.
        let mut status = Command::new("git");
        status.args(["status", "--porcelain"]).current_dir(workspace::root());
        let clean = status.output().is_ok_and(|out| out.status.success() && out.stdout.is_empty());
        if !clean {
            step::line("sources", "not as committed: not to be given away");
        }
        let seconds = super::epoch().unwrap_or(0);
        let time = std::time::UNIX_EPOCH + Duration::from_secs(seconds);
        Self { commit, clean, time: humantime::format_rfc3339_seconds(time).to_string() }
    }
}

/// Writes it.
pub(super) fn write(
    place: &Path,
    arch: Arch,
    source: &Source,
    found: &Toolchain,
    [binary, object]: [&Path; 2],
) -> anyhow::Result<()> {
    let sum = |path: &Path| fs::read(path).map(|content| hex(&sha256(&content)));
    let version = |program: &str| said(Command::new(program).arg("--version")).unwrap_or_else(|_| "unknown".to_owned());
    let Toolchain { compiler, linker } = found;
    let provenance = json!({
        "name": "tcpcap",
        "version": env!("CARGO_PKG_VERSION"),
        "source": { "commit": source.commit, "clean": source.clean, "time": source.time },
        "made": { "tcpcap": sum(binary)?, "tcpcap.bpf.o": sum(object)? },
        "tcpcap": {
            "target": arch.triple(),
            "profile": super::binary::PROFILE,
            "rustc": said(Command::new("rustc").arg("-V").current_dir(workspace::root()))?,
            "c_compiler": version(&arch.c_compiler()),
            "linker": version(&arch.linker()),
            "c_library": natives::glibc()?,
        },
        "tcpcap.bpf.o": {
            "target": crate::machine::host_target(),
            "rustc": compiler.version,
            "llvm": compiler.llvm,
            "core": if compiler.build_std { "built" } else { "prebuilt" },
            "linker": format!("bpf-linker {}", linker.version),
        },
    });
    let text = serde_json::to_string_pretty(&provenance)? + "\n";
    fs::write(place.join(NAME), text).with_context(|| format!("cannot write {NAME}"))
}
