//! Where the daemon keeps what it remembers.

use std::{ffi::CString, io, mem::MaybeUninit, os::unix::ffi::OsStrExt as _, path::Path};

use indicatif::BinaryBytes;

use super::{Finding, Host};
use crate::{history::query::Reader, kernel::survey};

/// Bytes: the history, as large as it may grow.
const ROOM: u64 = 256 << 20;
/// Bytes: below this even a start may fail to write.
const LITTLE: u64 = 4 << 20;

const FORGETS: &str = "tcpcap runs, but forgets: after a reboot nobody is blocked, and `history` is empty";

/// The path itself, or the nearest above it that exists.
pub(super) fn existing(path: &Path) -> &Path {
    path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"))
}

/// Bytes that are free for this user where a path is.
fn free(path: &Path) -> io::Result<u64> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut found = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the path ends in a zero, and the place for the answer is ours.
    match unsafe { libc::statvfs(path.as_ptr(), found.as_mut_ptr()) } {
        // SAFETY: the call succeeded, so it has written the answer.
        0 => Ok(unsafe { found.assume_init() }).map(|found| found.f_bavail * found.f_frsize),
        _ => Err(io::Error::last_os_error()),
    }
}

pub(super) fn state(host: &Host) -> Finding {
    let directory = &host.settings.state;
    let shown = directory.display();
    let there = existing(directory);
    if there == directory && !directory.is_dir() {
        return Finding::warn(
            format!("{shown} is no directory"),
            FORGETS,
            "move it away, or choose another with --state",
        );
    }
    match survey::may_write(there) {
        Ok(()) => {}
        Err(_) if !host.has_rights() => return host.unseen(),
        Err(e) => {
            return Finding::warn(
                format!("{shown} cannot be written to: {e}"),
                FORGETS,
                "let this user write there, or choose another directory with --state",
            );
        }
    }
    match free(there) {
        Ok(free) => room(&shown.to_string(), free, there == directory),
        Err(e) => Finding::skip(format!("{shown} can be written to; how much is free is not told: {e}")),
    }
}

/// What so many free bytes are good for.
pub(super) fn room(shown: &str, free: u64, exists: bool) -> Finding {
    let has = format!("{shown}, {} free", BinaryBytes(free));
    let remedy =
        format!("make room for the history there, {}, or choose another directory with --state", BinaryBytes(ROOM));
    if free < LITTLE {
        return Finding::warn(has, FORGETS, remedy);
    }
    if free < ROOM {
        return Finding::warn(has, "the history may fill it up: what happens then is not remembered", remedy);
    }
    Finding::ok(if exists { has } else { format!("{has}; it is made by the first start") })
}

pub(super) fn history(host: &Host) -> Finding {
    let file = host.settings.state.join("history.db");
    let shown = file.display();
    match file.symlink_metadata() {
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Finding::ok("none yet"),
        Err(_) => return host.unseen(),
    }
    match Reader::examine(&file) {
        Ok(None) => Finding::ok(format!("{shown} is sound")),
        Ok(Some(damage)) => Finding::warn(
            format!("{shown} is damaged: {damage}"),
            "the next start moves it aside and begins a new one; blocks in the kernel go on",
            "none needed; to keep what can be saved, copy the file first",
        ),
        Err(_) if !host.has_rights() => host.unseen(),
        Err(problem) => Finding::warn(problem.cause, FORGETS, problem.remedy),
    }
}
