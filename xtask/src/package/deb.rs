//! The Debian package: what stands in `package.metadata.deb` of tcpcap, put together by cargo-deb.

use std::{env, path::Path};

use super::{epoch, target::Arch, tree};
use crate::{
    needs::TOOLS_PLACE,
    step,
    workspace::{self, cargo_command},
};

pub(super) fn make(place: &Path, binary: &Path) -> anyhow::Result<()> {
    tree::make(place, binary)?;
    let version = env!("CARGO_PKG_VERSION");
    let tools = workspace::root().join(TOOLS_PLACE).join("bin");
    let path = env::join_paths([tools].into_iter().chain(env::split_paths(&env::var_os("PATH").unwrap_or_default())))?;
    let mut cargo = cargo_command(&["deb", "--package", "tcpcap", "--no-build", "--no-strip", "--locked"]);
    cargo.args(["--target", &Arch::HERE.triple(), "--deb-version", version, "--output"]).arg(place);
    cargo.env("PATH", path).env("SOURCE_DATE_EPOCH", epoch()?.to_string());
    step::run("Debian package", "made", "see the messages above", &mut cargo)
}
