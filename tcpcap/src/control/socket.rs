//! The socket file: made for the operators' group, replaced when stale, left alone when somebody listens behind it.

use std::{
    fs::{self, DirBuilder, Permissions},
    io::{self, ErrorKind},
    os::unix::{
        fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, chown},
        net::UnixListener,
    },
    path::{Path, PathBuf},
};

use nix::unistd::Group;
use tokio::net::UnixStream;

use super::Refused;
use crate::failure::Failure;

/// Where it is unless told otherwise.
pub const DEFAULT_PATH: &str = "/run/tcpcap/tcpcap.sock";
/// Whose members may use it beside root, where there is such a group.
pub const GROUP: &str = "tcpcap";
/// Who may use it: owner and group.
const MODE: u32 = 0o660;
/// The directory's, where it has to be made.
const DIRECTORY_MODE: u32 = 0o750;

/// A socket that is listened on, or why there is none.
#[derive(Debug)]
pub enum Socket {
    /// Commands can come.
    Open(Bound),
    /// They cannot; the daemon runs without them.
    Unavailable(Refused),
}

/// A socket that is listened on. Dropping it removes the file.
#[derive(Debug)]
pub struct Bound {
    listener: UnixListener,
    file: File,
}

impl Bound {
    /// The listener, which does not block, and the file that is to be kept while it listens.
    pub(super) fn into_parts(self) -> (UnixListener, File) {
        (self.listener, self.file)
    }
}

/// Removes the socket file, if it still is the one that was made.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    identity: (u64, u64),
}

impl Drop for File {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|now| now == self.identity)
            && let Err(e) = fs::remove_file(&self.path)
        {
            tracing::warn!("cannot remove the control socket {}: {e}", self.path.display());
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|m| (m.dev(), m.ino()))
}

/// Takes the path. What keeps it from being made is no error: it is told, and the daemon does its work without.
///
/// # Errors
/// Somebody listens there already, or what is there is no socket. Must be called inside a runtime.
pub async fn listen(path: &Path) -> Result<Socket, Failure> {
    match fs::symlink_metadata(path) {
        Ok(there) if !there.file_type().is_socket() => {
            return Err(Failure::failed(
                format!("{} is no socket, so it is not replaced by the control socket", path.display()),
                "move it away, or choose another path with --socket",
            ));
        }
        Ok(_) if is_alive(path).await => {
            return Err(Failure::failed(
                format!("another tcpcap listens on {}", path.display()),
                "stop it first (`tcpcap status` shows its pid), or choose another path with --socket",
            ));
        }
        _ => {}
    }
    Ok(match bind(path, group()) {
        Ok(bound) => Socket::Open(bound),
        Err(e) => Socket::Unavailable(Refused {
            cause: format!("cannot make the control socket {}: {e}", path.display()),
            remedy: "choose a path that this process may write with --socket; until then no verb reaches this tcpcap"
                .to_owned(),
        }),
    })
}

/// Whether somebody listens. Who has too much to do also does.
async fn is_alive(path: &Path) -> bool {
    match UnixStream::connect(path).await {
        Ok(_) => true,
        Err(e) => !matches!(e.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound),
    }
}

fn group() -> Option<u32> {
    match Group::from_name(GROUP) {
        Ok(group) => group.map(|group| group.gid.as_raw()),
        Err(e) => {
            tracing::warn!("cannot look up the group {GROUP}, so only root may use the control socket: {e}");
            None
        }
    }
}

fn bind(path: &Path, group: Option<u32>) -> io::Result<Bound> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !directory.exists() {
        DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory)?;
        give(directory, DIRECTORY_MODE, group)?;
    }
    // Nobody else can enter the directory that it is made in, so nobody connects before the permissions are as they
    // should be. Moving it replaces a stale one.
    let private = tempfile::Builder::new().prefix(".").rand_bytes(6).tempdir_in(directory)?;
    let new = private.path().join("s");
    let listener = UnixListener::bind(&new)?;
    listener.set_nonblocking(true)?;
    give(&new, MODE, group)?;
    let identity = identity(&new)?;
    fs::rename(&new, path)?;
    Ok(Bound { listener, file: File { path: path.to_owned(), identity } })
}

/// Sets the mode, and the group where there is one and this process may give it.
fn give(path: &Path, mode: u32, group: Option<u32>) -> io::Result<()> {
    if let Some(group) = group
        && let Err(e) = chown(path, None, Some(group))
    {
        tracing::warn!("the group {GROUP} may not use {}: {e}", path.display());
    }
    fs::set_permissions(path, Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn bound(path: &Path) -> Bound {
        match block_on(listen(path)).unwrap() {
            Socket::Open(bound) => bound,
            Socket::Unavailable(why) => panic!("{why:?}"),
        }
    }

    #[test]
    fn the_socket_is_for_owner_and_group_and_so_is_a_directory_made_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("made/tcpcap.sock");
        let bound = bound(&path);
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o660, 0o750));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else stays there");
        drop(bound);
        assert!(!path.exists());
    }

    #[test]
    fn a_directory_that_is_there_keeps_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        let _bound = bound(&dir.path().join("s"));
        assert_eq!(mode(dir.path()), 0o755);
    }

    #[test]
    fn a_stale_socket_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        // Its listener is gone, the file stays.
        drop(UnixListener::bind(&path).unwrap());
        let before = identity(&path).unwrap();
        let bound = bound(&path);
        assert_ne!(identity(&path).unwrap(), before);
        std::os::unix::net::UnixStream::connect(&path).unwrap();
        drop(bound);
    }

    #[test]
    fn a_socket_with_a_listener_behind_it_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let first = bound(&path);
        let f = block_on(listen(&path)).unwrap_err();
        assert!(f.cause.contains("another tcpcap listens on") && f.remedy.contains("--socket"), "{f}");
        std::os::unix::net::UnixStream::connect(&path).unwrap();
        drop(first);
    }

    #[test]
    fn what_is_no_socket_is_never_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("precious");
        fs::write(&path, "data").unwrap();
        let f = block_on(listen(&path)).unwrap_err();
        assert!(f.cause.contains("is no socket"), "{f}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "data");
    }

    #[test]
    fn where_no_socket_can_be_made_the_reason_is_told_and_nothing_fails() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let long = dir.path().join("x".repeat(200));
        for path in [Path::new("/proc/tcpcap/s"), &file.join("s"), &long.join("s")] {
            match block_on(listen(path)).unwrap() {
                Socket::Unavailable(why) => {
                    assert!(why.cause.contains(path.to_str().unwrap()) && why.remedy.contains("--socket"), "{why:?}");
                }
                Socket::Open(_) => panic!("{}", path.display()),
            }
        }
    }

    #[test]
    fn somebody_elses_socket_in_our_place_is_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let ours = bound(&path);
        fs::remove_file(&path).unwrap();
        let _theirs = UnixListener::bind(&path).unwrap();
        drop(ours);
        assert!(path.exists());
    }

    #[test]
    fn the_group_is_given_the_socket_where_there_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        // Our own group, which every process may give.
        let own = nix::unistd::getegid().as_raw();
        let _bound = bind(&path, Some(own)).unwrap();
        assert_eq!((fs::metadata(&path).unwrap().gid(), mode(&path)), (own, 0o660));
    }
}
