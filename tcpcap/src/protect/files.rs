//! The host's files, which may lie below another root: a container sees them where they are mounted.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use tracing::warn;

/// More of a file is not read. The longest of them has a record of 400 bytes for each login.
const MOST_BYTES: u64 = 4 << 20;

/// More entries of a directory are not looked at.
const MOST_ENTRIES: usize = 4096;

/// Links that are followed before a file counts as unreadable, as in the kernel.
const MOST_LINKS: usize = 40;

/// Reads files. What cannot be read is not there; it is counted, and said once.
pub(super) struct Files {
    root: PathBuf,
    unreadable: BTreeSet<String>,
}

impl Files {
    pub(super) fn below(root: &Path) -> Self {
        Self { root: root.to_owned(), unreadable: BTreeSet::new() }
    }

    /// How many of the files asked for cannot be read; those that do not exist are not among them.
    pub(super) fn unreadable(&self) -> usize {
        self.unreadable.len()
    }

    /// A file's beginning; `None` where it cannot be read.
    pub(super) fn read(&mut self, path: &str) -> Option<Vec<u8>> {
        let read = self.open(path).and_then(|file| {
            let mut bytes = Vec::new();
            file.take(MOST_BYTES).read_to_end(&mut bytes).map(|_| bytes)
        });
        self.note(path, read)
    }

    /// The names in a directory, sorted; none where it cannot be read.
    pub(super) fn names(&mut self, directory: &str) -> Vec<String> {
        let read = fs::read_dir(self.place(directory)).map(|entries| {
            let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
            let mut names: Vec<String> = names.take(MOST_ENTRIES).collect();
            names.sort();
            names
        });
        self.note(directory, read).unwrap_or_default()
    }

    fn note<T>(&mut self, path: &str, read: io::Result<T>) -> Option<T> {
        match read {
            Ok(found) => {
                self.unreadable.remove(path);
                Some(found)
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => None,
            Err(e) => {
                if self.unreadable.insert(path.to_owned()) {
                    warn!(
                        "cannot read {path}: {e}; sessions or name servers that it tells of may go unprotected: name SSH's \
                         ports in protect.ssh_ports, and whom never to block in allow"
                    );
                }
                None
            }
        }
    }

    /// A link to an absolute path means the host's, not ours.
    fn open(&self, path: &str) -> io::Result<File> {
        let mut place = self.place(path);
        for _ in 0..MOST_LINKS {
            match fs::read_link(&place) {
                Ok(target) if target.is_absolute() => place = self.place(&target),
                Ok(target) => place = place.parent().unwrap_or(&self.root).join(target),
                // A pipe that nobody writes to must not keep us waiting.
                Err(_) => return OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(place),
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }

    fn place(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A root of its own with these files.
    pub(in crate::protect) fn root(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Files) {
        let dir = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = dir.path().join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let files = Files::below(dir.path());
        (dir, files)
    }

    #[test]
    fn a_link_stays_below_the_root() {
        let (dir, mut files) = root(&[("/run/real", b"host"), ("/etc/other", b"x")]);
        let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, dir.path().join(name)).unwrap();
        link("/run/real", "etc/absolute");
        link("../run/real", "etc/relative");
        link("/etc/loop", "etc/loop");
        assert_eq!(files.read("/etc/absolute").unwrap(), b"host");
        assert_eq!(files.read("/etc/relative").unwrap(), b"host");
        assert_eq!(files.read("/etc/loop"), None);
        assert_eq!(files.unreadable(), 0);
    }

    #[test]
    fn what_does_not_exist_is_no_fault_and_what_is_no_file_is_one() {
        let (_dir, mut files) = root(&[("/etc/a/b", b"")]);
        assert_eq!((files.read("/etc/none"), files.read("/etc/a/b/c")), (None, None));
        assert!(files.names("/none").is_empty());
        assert_eq!(files.unreadable(), 0);
        assert_eq!((files.read("/etc/a"), files.read("/etc/a")), (None, None));
        assert_eq!(files.unreadable(), 1);
        assert_eq!(files.names("/etc/a"), ["b"]);
    }
}
