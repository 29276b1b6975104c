//! The `ip` command.

use std::{
    io::Write,
    os::unix::process::CommandExt,
    process::{Command, Stdio},
};

use anyhow::{Context, bail};

/// Runs `ip` with these arguments and, if there are any, these commands as a batch.
pub(crate) fn ip(args: &[&str], batch: &str) -> anyhow::Result<String> {
    let mut command = Command::new("ip");
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Ctrl-C is for us, not for the one that cleans up after us.
    command.process_group(0);
    let mut child = command.spawn().context("cannot run ip\n  run: cargo xtask setup")?;
    if let Some(mut stdin) = child.stdin.take() {
        // It may end before it has read all; then its own words say why.
        drop(stdin.write_all(batch.as_bytes()));
    }
    let out = child.wait_with_output().context("ip has gone")?;
    if !out.status.success() {
        bail!("ip {} {batch:?}: {}", args.join(" "), String::from_utf8_lossy(&out.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}
