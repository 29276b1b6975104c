//! tcpcap in one file: linked statically, so that the one that was tested runs on every Linux of its architecture, in
//! an image that holds nothing else too. It carries the list of what it was made of (cargo auditable).

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::Context;

use crate::{
    needs::TOOLS_PLACE,
    step,
    workspace::{self, cargo_command},
};

/// What it is built for. It is named although it is this machine's, because flags for it must not reach build scripts.
const TARGET: &str = concat_target();

const fn concat_target() -> &'static str {
    if cfg!(target_arch = "aarch64") { "aarch64-unknown-linux-gnu" } else { "x86_64-unknown-linux-gnu" }
}

/// Builds it, and puts it into the place.
pub(super) fn make(place: &Path) -> anyhow::Result<PathBuf> {
    let tools = workspace::root().join(TOOLS_PLACE).join("bin");
    let path = env::join_paths([tools].into_iter().chain(env::split_paths(&env::var_os("PATH").unwrap_or_default())))?;
    let args = ["auditable", "build", "--locked", "--profile", "ship", "--target", TARGET, "--package", "tcpcap"];
    let mut cargo = cargo_command(&args);
    cargo.args(["--bin", "tcpcap"]).env("PATH", path);
    let flags = format!("CARGO_TARGET_{}_RUSTFLAGS", TARGET.to_uppercase().replace('-', "_"));
    cargo.env(flags, "-C target-feature=+crt-static");
    step::run("tcpcap, static", "built", "see the messages above", &mut cargo)?;
    let target_dir = env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace::root().join("target"), PathBuf::from);
    let (built, here) = (target_dir.join(TARGET).join("ship/tcpcap"), place.join("tcpcap"));
    fs::copy(&built, &here).with_context(|| format!("cannot copy {} to {}", built.display(), here.display()))?;
    Ok(here)
}
