//! What the Debian package and the tarball have in common, made ready below `target/`: what tcpcap prints of itself,
//! documentation, licences, and examples.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};

use super::{changelog, epoch, licences};
use crate::workspace;

/// Where it is made, below the workspace; package.metadata.deb of tcpcap names it too.
const PLACE: &str = "target/tree";

/// Shells, and the names of the files in which each looks for what completes tcpcap.
const COMPLETIONS: [(&str, &str); 3] = [("bash", "tcpcap"), ("zsh", "_tcpcap"), ("fish", "tcpcap.fish")];

/// What of `deploy/` goes elsewhere, or nowhere; everything else is an example.
const NO_EXAMPLES: [&str; 4] = ["config.d", "debian", "systemd", "tarball"];

/// Makes it anew, and says where it is.
pub(super) fn make(place: &Path, binary: &Path) -> anyhow::Result<PathBuf> {
    let root = workspace::root();
    let tree = root.join(PLACE);
    if tree.exists() {
        fs::remove_dir_all(&tree).with_context(|| format!("cannot remove {}", tree.display()))?;
    }
    for directory in ["bin", "man", "completions", "doc", "examples"] {
        fs::create_dir_all(tree.join(directory))?;
    }
    fs::copy(binary, tree.join("bin/tcpcap")).with_context(|| format!("cannot copy {}", binary.display()))?;
    printed(binary, &["man", "--dir", &tree.join("man").display().to_string()])?;
    for (shell, name) in COMPLETIONS {
        fs::write(tree.join("completions").join(name), printed(binary, &["completions", shell])?)?;
    }
    fs::write(tree.join("examples/config.toml"), printed(binary, &["config", "--defaults"])?)?;
    for entry in fs::read_dir(root.join("deploy"))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() && !NO_EXAMPLES.contains(&name.as_str()) {
            copy_all(&entry.path(), &tree.join("examples").join(name))?;
        }
    }
    // Makes the image, and is of no use to anybody else.
    fs::remove_file(tree.join("examples/docker/root.sh")).context("examples/docker/root.sh")?;
    copy_files(&root.join("docs"), &tree.join("doc"))?;
    for name in ["README.md", "CHANGELOG.md"] {
        fs::copy(root.join(name), tree.join("doc").join(name))?;
    }
    fs::copy(place.join(licences::NAME), tree.join("doc").join(licences::NAME)).context("the licences are missing")?;
    fs::write(
        tree.join("changelog"),
        changelog::for_debian(&fs::read_to_string(root.join("CHANGELOG.md"))?, epoch()?)?,
    )?;
    Ok(tree)
}

/// All files below a directory, in the order of their names, relative to it.
pub(super) fn files(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(&next).with_context(|| format!("cannot read {}", next.display()))? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                waiting.push(entry.path());
            } else {
                found.push(entry.path().strip_prefix(directory)?.to_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}

fn copy_all(from: &Path, to: &Path) -> anyhow::Result<()> {
    for file in files(from)? {
        let to = to.join(&file);
        fs::create_dir_all(to.parent().unwrap_or(&to))?;
        fs::copy(from.join(&file), &to).with_context(|| format!("cannot copy {}", file.display()))?;
    }
    Ok(())
}

/// Only the files, and no directory.
fn copy_files(from: &Path, to: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// What it prints, told to do this.
fn printed(binary: &Path, args: &[&str]) -> anyhow::Result<Vec<u8>> {
    let mut command = Command::new(binary);
    // Where it is made says nothing about where it is read.
    command.args(args).env_clear();
    let output = command.output().with_context(|| format!("cannot run {}", binary.display()))?;
    if !output.status.success() {
        bail!("{} {} failed:\n  {}", binary.display(), args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output.stdout)
}
