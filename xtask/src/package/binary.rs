//! tcpcap in one file: linked statically, so that the one that was tested runs on every Linux of its architecture, in
//! an image that holds nothing else too. It carries the list of what it was made of (cargo auditable).

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::Context;

use super::target::Arch;
use crate::{needs::TOOLS_PLACE, step, workspace};

/// The profile of what is shipped.
pub(super) const PROFILE: &str = "ship";

/// Builds it, and puts it into the place.
pub(super) fn make(place: &Path, arch: Arch) -> anyhow::Result<PathBuf> {
    let tools = workspace::root().join(TOOLS_PLACE).join("bin");
    let path = env::join_paths([tools].into_iter().chain(env::split_paths(&env::var_os("PATH").unwrap_or_default())))?;
    let args = ["auditable", "build", "--locked", "--profile", PROFILE, "--package", "tcpcap", "--bin", "tcpcap"];
    let mut cargo = arch.cargo(&args)?;
    step::run(&format!("tcpcap for {}", arch.name()), "built", "see the messages above", cargo.env("PATH", path))?;
    let (built, here) = (arch.built(PROFILE).join("tcpcap"), place.join("tcpcap"));
    fs::copy(&built, &here).with_context(|| format!("cannot copy {} to {}", built.display(), here.display()))?;
    Ok(here)
}
