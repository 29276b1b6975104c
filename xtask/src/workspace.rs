//! Where the workspace is, what is in it, and how cargo is called in it.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};
use serde_json::Value;

/// The workspace's root directory.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(|| PathBuf::from("."), Path::to_owned)
}

/// The cargo that runs us.
pub(crate) fn cargo() -> String {
    env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// That cargo, in the root directory, without the variables it set for us: they would make builds started from here
/// differ from those started by hand.
pub(crate) fn cargo_command(args: &[&str]) -> Command {
    let mut command = Command::new(cargo());
    command.args(args).current_dir(root());
    for (name, _) in env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        let ours = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
        if ours.iter().any(|prefix| name.starts_with(prefix)) || name == "LD_LIBRARY_PATH" {
            command.env_remove(name);
        }
    }
    command
}

/// A target of a member: package, kind such as `lib`, `bin` or `test`, and name.
pub(crate) struct Target {
    pub(crate) package: String,
    pub(crate) kind: String,
    pub(crate) name: String,
}

/// Every target of every member.
///
/// # Errors
/// When cargo cannot read the workspace.
pub(crate) fn targets() -> anyhow::Result<Vec<Target>> {
    let mut metadata = cargo_command(&["metadata", "--no-deps", "--format-version", "1"]);
    let out = metadata.output().context("cannot run cargo")?;
    if !out.status.success() {
        bail!("cargo metadata fails: {}", String::from_utf8_lossy(&out.stderr).trim());
    }
    let metadata: Value = serde_json::from_slice(&out.stdout).context("cargo metadata is not JSON")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut targets = Vec::new();
    for package in list(&metadata["packages"]) {
        for target in list(&package["targets"]) {
            let (package, kind, name) = (text(&package["name"]), text(&target["kind"][0]), text(&target["name"]));
            targets.push(Target { package, kind, name });
        }
    }
    Ok(targets)
}
