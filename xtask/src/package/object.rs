//! tcpcap.bpf.o: the program that runs in the kernel, as it is in the binary, to be looked at and made again.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use bpf_toolchain::{Build, Toolchain, build_command};

use super::target::Arch;
use crate::{machine::host_target, step, workspace};

pub(super) const NAME: &str = "tcpcap.bpf.o";

/// Builds it beside the binary, and sees that it is the one inside.
///
/// # Errors
/// It does not compile, or the binary has another one.
pub(super) fn make(place: &Path, arch: Arch, found: &Toolchain, binary: &Path) -> anyhow::Result<PathBuf> {
    let (root, cargo) = (workspace::root(), workspace::cargo());
    let build = Build {
        target: host_target(),
        arch: arch.name(),
        root: &root,
        cargo: Path::new(&cargo),
        target_dir: &arch.target_dir().join(format!("ebpf-{}", arch.name())),
        deny_warnings: false,
    };
    step::run(NAME, "built", "see the messages above", &mut build_command(found, &build))?;
    let object = fs::read(build.object()).with_context(|| format!("cannot read {}", build.object().display()))?;
    let all = fs::read(binary).with_context(|| format!("cannot read {}", binary.display()))?;
    if !contains(&all, &object) {
        bail!("{} has another {NAME} in it than these sources make\n  remove it, and build again", binary.display());
    }
    let here = place.join(NAME);
    fs::write(&here, object).with_context(|| format!("cannot write {}", here.display()))?;
    Ok(here)
}

/// Whether these bytes are in those, in one piece.
fn contains(all: &[u8], piece: &[u8]) -> bool {
    let Some(first) = piece.get(..16) else { return false };
    all.windows(16).enumerate().filter(|(_, start)| *start == first).any(|(at, _)| all[at..].starts_with(piece))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_found_whole_or_not_at_all() {
        let piece: Vec<u8> = (0..64).collect();
        let all = [&piece[..40], &piece[..], &[9]].concat();
        assert!(contains(&all, &piece));
        assert!(!contains(&all[..all.len() - 2], &piece));
    }
}
