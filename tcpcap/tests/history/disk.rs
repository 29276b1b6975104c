//! Disks that are full, or may not be written.

use std::{
    ffi::CString,
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    ptr, thread,
};

use tcpcap::history::{Degraded, History, HostClock, Limits, Question, Reader};
use tcpcap_lab::wait_until;

use super::support::{SOON, begun, block, numbers, open, open_within, verdict};

/// Runs in a mount name space of its own, with a disk of so many KiB that is gone with it.
fn with_disk(kib: u32, run: impl FnOnce(&Path) + Send) {
    let dir = tempfile::tempdir().unwrap();
    thread::scope(|scope| {
        scope
            .spawn(|| {
                // SAFETY: has no preconditions; moves this thread, and the threads that it starts, alone.
                let moved = unsafe { libc::unshare(libc::CLONE_NEWNS) };
                assert_eq!(moved, 0, "run as root: {}", io::Error::last_os_error());
                mount("none", Path::new("/"), None, libc::MS_REC | libc::MS_PRIVATE, "");
                mount("tmpfs", dir.path(), Some("tmpfs"), 0, &format!("size={kib}k"));
                run(dir.path());
            })
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

fn mount(what: &str, place: &Path, kind: Option<&str>, flags: libc::c_ulong, data: &str) {
    let c = |bytes: &[u8]| CString::new(bytes).unwrap();
    let (what, place) = (c(what.as_bytes()), c(place.as_os_str().as_bytes()));
    let (kind, data) = (kind.map(|k| c(k.as_bytes())), c(data.as_bytes()));
    let kind = kind.as_ref().map_or(ptr::null(), |k| k.as_ptr());
    // SAFETY: all pointers are to strings that end, and outlive the call.
    let mounted = unsafe { libc::mount(what.as_ptr(), place.as_ptr(), kind, flags, data.as_ptr().cast()) };
    assert_eq!(mounted, 0, "run as root: {}", io::Error::last_os_error());
}

/// Takes all the room there is.
fn fill(dir: &Path) -> PathBuf {
    let ballast = dir.join("ballast");
    let mut file = fs::OpenOptions::new().append(true).create(true).open(&ballast).unwrap();
    while io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
    while io::Write::write_all(&mut file, &[0]).is_ok() {}
    ballast
}

fn degraded(history: &History) -> Option<Degraded> {
    history.stats().degraded
}

#[test]
fn on_a_full_disk_it_says_so_counts_and_has_the_present_state_complete_once_there_is_room() {
    with_disk(4096, |dir| {
        let path = dir.join("history.db");
        let (history, _) = open_within(&path, Limits { bytes: 2 << 20, ..Limits::default() });
        (1..=10).for_each(|n| history.record(begun(&block(n))));
        assert!(history.flush(SOON));
        let ballast = fill(dir);
        // More than the pages that are there already can take.
        (11..=2000).for_each(|n| history.record(begun(&block(n))));
        wait_until("the disk to be full", SOON, || degraded(&history) == Some(Degraded::Full)).unwrap();
        assert!(history.stats().errors > 0);
        // What ends meanwhile must not come back.
        let gone = block(5);
        history.record(tcpcap::history::Entry::Block {
            change: tcpcap::history::Change::Ended(tcpcap::history::Drops::default()),
            at: gone.since,
            block: gone,
        });
        // More than there is room to keep.
        for _ in 0..10 {
            (0..4000).for_each(|n| history.record(verdict(n)));
            let before = history.stats();
            wait_until("the queue to be taken", SOON, || {
                let now = history.stats();
                now.lost.disk > before.lost.disk || now.errors > before.errors
            })
            .unwrap();
        }
        let stats = history.stats();
        assert!(stats.lost.disk > 0, "{stats:?}");
        fs::remove_file(ballast).unwrap();
        wait_until("it to be written again", SOON, || degraded(&history).is_none()).unwrap();
        assert!(history.flush(SOON));
        drop(history);
        let (_history, restored) = open(&path);
        assert_eq!(numbers(&restored), (1..=2000).filter(|n| *n != 5).collect::<Vec<_>>());
    });
}

#[test]
fn a_process_that_ends_while_the_disk_is_full_does_not_hang_and_leaves_a_file_that_restores() {
    with_disk(4096, |dir| {
        let path = dir.join("history.db");
        let (history, _) = open(&path);
        (1..=10).for_each(|n| history.record(begun(&block(n))));
        assert!(history.flush(SOON));
        let ballast = fill(dir);
        (11..=2000).for_each(|n| history.record(begun(&block(n))));
        wait_until("the disk to be full", SOON, || degraded(&history).is_some()).unwrap();
        let start = std::time::Instant::now();
        drop(history);
        assert!(start.elapsed().as_secs() < 10);
        // Closing gave back the journal's room.
        fill(dir);
        let restores = || numbers(&open(&path).1).starts_with(&(1..=10).collect::<Vec<_>>());
        assert!(restores(), "while it is still full");
        fs::remove_file(ballast).unwrap();
        assert!(restores());
    });
}

#[test]
fn a_read_only_disk_is_a_problem_with_a_remedy_and_the_history_on_it_can_be_asked() {
    with_disk(4096, |dir| {
        let path = dir.join("history.db");
        drop(open(&path));
        mount("none", dir, None, libc::MS_REMOUNT | libc::MS_RDONLY, "");
        let problem = History::open(&path, Limits::default(), std::sync::Arc::new(HostClock)).map(drop).unwrap_err();
        assert!(problem.cause.contains("history.db") && problem.remedy.contains("writable"), "{problem}");
        assert!(Reader::open(&path).unwrap().ask(&Question::default()).unwrap().is_empty());
        mount("none", dir, None, libc::MS_REMOUNT, "");
        drop(open(&path));
    });
}

#[test]
fn who_may_only_read_the_directory_can_ask_with_and_without_a_writer() {
    with_disk(4096, |dir| {
        let path = dir.join("history.db");
        fs::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let (history, _) = open(&path);
        history.record(verdict(1));
        assert!(history.flush(SOON));
        for file in ["history.db", "history.db-wal", "history.db-shm"] {
            fs::set_permissions(dir.join(file), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        }
        let ask = || as_nobody(|| Reader::open(&path).and_then(|r| r.ask(&Question::default())).map(|rows| rows.len()));
        assert_eq!(ask(), Ok(1));
        drop(history);
        assert_eq!(ask(), Ok(1));
    });
}

/// Runs with the rights of nobody, on a thread of its own.
fn as_nobody<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    const NOBODY: libc::c_long = 65_534;
    let inside = move || {
        // SAFETY: no preconditions; as system calls these concern this thread alone.
        unsafe {
            assert_eq!(libc::syscall(libc::SYS_setresgid, NOBODY, NOBODY, NOBODY), 0);
            assert_eq!(libc::syscall(libc::SYS_setresuid, NOBODY, NOBODY, NOBODY), 0);
        }
        run()
    };
    thread::scope(|scope| scope.spawn(inside).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
}
