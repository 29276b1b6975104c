//! Where the workspace is, what is in it, and how cargo is called in it.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

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

/// The executables that cargo names in its JSON messages, of the artifacts that are wanted.
pub(crate) fn executables(messages: &[u8], wanted: impl Fn(&Value) -> bool) -> Vec<PathBuf> {
    let messages = String::from_utf8_lossy(messages);
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages.filter(wanted).filter_map(|m| m["executable"].as_str().map(PathBuf::from)).collect()
}
