//! The tarball: the same as the Debian package for other systems, with a script that installs it. The same files make the
//! same bytes: they are sorted, belong to root, and are of the time of the commit.

use std::{
    env::consts::ARCH,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Context;
use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

use super::{epoch, tree};
use crate::{step, workspace};

/// What lies where in it: a directory or file of the tree or the workspace, and where that goes.
const CONTENT: &[(From, &str, &str)] = &[
    (From::Tree, "bin", "bin"),
    (From::Tree, "man", "share/man/man1"),
    (From::Tree, "completions/tcpcap", "share/bash-completion/completions/tcpcap"),
    (From::Tree, "completions/_tcpcap", "share/zsh/site-functions/_tcpcap"),
    (From::Tree, "completions/tcpcap.fish", "share/fish/vendor_completions.d/tcpcap.fish"),
    (From::Tree, "doc", "share/doc/tcpcap"),
    (From::Tree, "examples", "share/doc/tcpcap/examples"),
    (From::Workspace, "LICENSE-APACHE", "share/doc/tcpcap/LICENSE-APACHE"),
    (From::Workspace, "LICENSE-GPL2", "share/doc/tcpcap/LICENSE-GPL2"),
    (From::Workspace, "LICENSE-MIT", "share/doc/tcpcap/LICENSE-MIT"),
    (From::Workspace, "deploy/config.toml", "etc/tcpcap/config.toml"),
    (From::Workspace, "deploy/config.d/README", "etc/tcpcap/config.d/README"),
    (From::Workspace, "deploy/systemd", "systemd"),
    (From::Workspace, "deploy/tarball/install.sh", "install.sh"),
    (From::Workspace, "docs/install.md", "INSTALL.md"),
];

#[derive(Clone, Copy)]
enum From {
    Tree,
    Workspace,
}

pub(super) fn make(place: &Path, binary: &Path) -> anyhow::Result<()> {
    let tree = tree::make(place, binary)?;
    let mut files: Vec<(PathBuf, PathBuf)> = Vec::new();
    for (from, what, to) in CONTENT {
        let from = match from {
            From::Tree => tree.join(what),
            From::Workspace => workspace::root().join(what),
        };
        if from.is_dir() {
            files.extend(tree::files(&from)?.into_iter().map(|file| (Path::new(to).join(&file), from.join(file))));
        } else {
            files.push((to.into(), from));
        }
    }
    files.sort();
    let name = format!("tcpcap-{}-{ARCH}-linux", env!("CARGO_PKG_VERSION"));
    let path = place.join(format!("{name}.tar.gz"));
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    // Without a time and a name of its own.
    write(GzBuilder::new().write(file, Compression::best()), Path::new(&name), &files, epoch()?)?.finish()?;
    step::line("tarball", "made");
    Ok(())
}

/// Writes all of them below one directory.
fn write<W: Write>(to: W, below: &Path, files: &[(PathBuf, PathBuf)], time: u64) -> anyhow::Result<W> {
    let mut archive = Builder::new(to);
    for (name, from) in files {
        let content = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        let is_program = name.starts_with("bin") || name.extension().is_some_and(|extension| extension == "sh");
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(content.len() as u64);
        header.set_mode(if is_program { 0o755 } else { 0o644 });
        header.set_mtime(time);
        header.set_uid(0);
        header.set_gid(0);
        header.set_username("root")?;
        header.set_groupname("root")?;
        archive.append_data(&mut header, below.join(name), &content[..])?;
    }
    Ok(archive.into_inner()?)
}
