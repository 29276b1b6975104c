//! The file: opened, checked, made, brought up to date, and moved aside when it is damaged.

use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use tcpcap_core::Time;
use tracing::warn;

use super::{Limits, Problem, problem::Degraded};

/// `tcph`: whose file this is (SQLite's `application_id`).
const APPLICATION: i64 = 0x7463_7068;

/// How many damaged files are kept.
const KEPT: u32 = 3;

/// How long another program may hold the file before a write counts as failed.
const PATIENCE: Duration = Duration::from_secs(1);

/// Step n brings a file of version n to version n + 1; a new file takes them all. A step that was given away once never
/// changes.
const STEPS: &[&str] = &["
    -- One row. `seen`: when, in the time of that boot, something was last written. `file` tells two files apart.
    CREATE TABLE about (one INTEGER PRIMARY KEY CHECK (one = 1), file BLOB NOT NULL, boot TEXT, seen INTEGER NOT NULL,
                        clean INTEGER NOT NULL);
    INSERT INTO about VALUES (1, randomblob(16), NULL, 0, 1);

    -- What happened. `at` is wall time in ms; `first` and `last` bound the network it is about, as 16-byte addresses.
    CREATE TABLE log (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, first BLOB, last BLOB,
                      body TEXT NOT NULL);
    CREATE INDEX log_at ON log (at);
    CREATE INDEX log_first ON log (first) WHERE first IS NOT NULL;

    -- What is now. `since`, `until`: ns of that boot; `since_at`, `ends_at`: wall time in ms, for other boots.
    CREATE TABLE blocks (network TEXT NOT NULL, origin TEXT NOT NULL, rule TEXT, note TEXT, scope TEXT NOT NULL,
                         since INTEGER NOT NULL, since_at INTEGER NOT NULL, until INTEGER, ends_at INTEGER,
                         times INTEGER NOT NULL, unverified INTEGER NOT NULL,
                         PRIMARY KEY (network, origin)) WITHOUT ROWID;
    CREATE TABLE repeaters (network TEXT PRIMARY KEY, times INTEGER NOT NULL, until INTEGER NOT NULL,
                            ends_at INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE allowed (network TEXT PRIMARY KEY, note TEXT) WITHOUT ROWID;
"];

const VERSION: i64 = STEPS.len() as i64;

/// The one row about the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct About {
    pub(super) file: Vec<u8>,
    pub(super) boot: Option<String>,
    pub(super) seen: Time,
}

/// An open file, fit to be written.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) about: About,
    /// The file's number: by it one sees that the file was replaced.
    pub(super) inode: u64,
}

enum Unfit {
    Damaged(String),
    Refused(Problem),
    Failed(rusqlite::Error),
}

impl From<rusqlite::Error> for Unfit {
    fn from(e: rusqlite::Error) -> Self {
        match Degraded::of(&e) {
            Degraded::Corrupt => Self::Damaged(e.to_string()),
            _ => Self::Failed(e),
        }
    }
}

/// Opens the file for writing, and makes it where there is none. A damaged one is moved aside.
pub(super) fn open(path: &Path, limits: &Limits) -> Result<Opened, (Degraded, Problem)> {
    let disk = |e: &io::Error| {
        let why = match e.kind() {
            io::ErrorKind::StorageFull => Degraded::Full,
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Degraded::ReadOnly,
            _ => Degraded::Unopened,
        };
        (why, Problem::with(path, e))
    };
    let mut moved = false;
    loop {
        make(path).map_err(|e| disk(&e))?;
        match attempt(path, limits) {
            Ok(opened) => return Ok(opened),
            Err(Unfit::Damaged(how)) if !moved => {
                let aside = move_aside(path).map_err(|e| disk(&e))?;
                warn!(
                    "the history {} is damaged ({how}); it is kept as {}, and a new one is begun",
                    path.display(),
                    aside.display()
                );
                moved = true;
            }
            Err(Unfit::Damaged(how)) => return Err((Degraded::Corrupt, Problem::with(path, &how))),
            Err(Unfit::Refused(problem)) => return Err((Degraded::Other, problem)),
            Err(Unfit::Failed(e)) => return Err((Degraded::of(&e), Problem::with(path, &e))),
        }
    }
}

/// Makes directory and file, so that their modes are right from the start: SQLite gives its other files the mode of this.
fn make(path: &Path) -> io::Result<()> {
    if let Some(directory) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o750).create(directory)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o640).open(path) {
        // Whatever the umask is.
        Ok(file) => file.set_permissions(Permissions::from_mode(0o640)),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(e),
    }
}

fn attempt(path: &Path, limits: &Limits) -> Result<Opened, Unfit> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    if let Some(problem) = foreign(&connection, path)? {
        return Err(Unfit::Refused(problem));
    }
    // Only heeded before the first table.
    connection.pragma_update(None, "auto_vacuum", 2)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", limits.wal_pages(), |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", limits.wal_pages() * PAGE, |_| Ok(()))?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    migrate(&mut connection, STEPS)?;
    let clean: bool = connection.query_row("SELECT clean FROM about", (), |row| row.get(0))?;
    if !clean {
        let verdict: String = connection.query_row("PRAGMA quick_check(1)", (), |row| row.get(0))?;
        if verdict != "ok" {
            return Err(Unfit::Damaged(verdict));
        }
    }
    let about = about(&connection)?;
    let inode = fs::metadata(path).map_err(|e| Unfit::Refused(Problem::with(path, &e)))?.ino();
    Ok(Opened { connection, about, inode })
}

fn about(connection: &Connection) -> rusqlite::Result<About> {
    connection.query_row("SELECT file, boot, seen FROM about", (), |row| {
        Ok(About { file: row.get(0)?, boot: row.get(1)?, seen: time(row.get(2)?) })
    })
}

/// Opens a file to be read on a disk that is full: who is alone with it needs no index of the journal beside it.
pub(super) fn open_on_full(path: &Path) -> Option<Opened> {
    let look = || -> rusqlite::Result<Option<(Connection, About)>> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(PATIENCE)?;
        connection.pragma_update_and_check(None, "locking_mode", "EXCLUSIVE", |_| Ok(()))?;
        let known = foreign(&connection, path)?.is_none() && number(&connection, "user_version")? == VERSION;
        let about = about(&connection)?;
        Ok(known.then_some((connection, about)))
    };
    let (connection, about) = look().ok().flatten()?;
    Some(Opened { connection, about, inode: fs::metadata(path).ok()?.ino() })
}

/// SQLite's default; the limits count in it.
pub(super) const PAGE: i64 = 4096;

pub(super) fn number(connection: &Connection, pragma: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, pragma, |row| row.get(0))
}

/// What is wrong with a file that another program or a newer tcpcap wrote.
pub(super) fn foreign(connection: &Connection, path: &Path) -> rusqlite::Result<Option<Problem>> {
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
    if number(connection, "application_id")? != APPLICATION && tables > 0 {
        return Ok(Some(Problem::new(
            format!("{} is a database of another program", path.display()),
            "name another file for the history",
        )));
    }
    let version = number(connection, "user_version")?;
    let newer = || {
        let path = path.display();
        format!("the history {path} was written by a newer tcpcap (layout {version}, this one knows {VERSION})")
    };
    Ok((version > VERSION).then(|| Problem::new(newer(), "run that version, or move the file away to begin a new one")))
}

/// Takes the steps that are missing, all or none.
fn migrate(connection: &mut Connection, steps: &[&str]) -> rusqlite::Result<()> {
    let version = usize::try_from(number(connection, "user_version")?).unwrap_or(0);
    if version >= steps.len() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in &steps[version..] {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", i64::try_from(steps.len()).unwrap_or(i64::MAX))?;
    transaction.commit()
}

/// Moves the file and its journal to the next free name, and removes the oldest of those that are too many.
fn move_aside(path: &Path) -> io::Result<PathBuf> {
    let numbers = kept(path)?;
    let next = numbers.last().map_or(1, |n| n.saturating_add(1));
    for old in numbers.iter().filter(|old| **old + KEPT <= next) {
        let old = with_suffix(path, &format!(".corrupt-{old}"));
        gone(fs::remove_file(with_suffix(&old, "-wal")))?;
        gone(fs::remove_file(old))?;
    }
    let aside = with_suffix(path, &format!(".corrupt-{next}"));
    // The journal first: it must never be applied to the new file.
    gone(fs::rename(with_suffix(path, "-wal"), with_suffix(&aside, "-wal")))?;
    gone(fs::remove_file(with_suffix(path, "-shm")))?;
    fs::rename(path, &aside)?;
    Ok(aside)
}

/// Removes the journal of a file that is not there any more, before it is taken for that of the next.
pub(super) fn remove_journal(path: &Path) -> io::Result<()> {
    gone(fs::remove_file(with_suffix(path, "-wal")))?;
    gone(fs::remove_file(with_suffix(path, "-shm")))
}

/// The numbers of the damaged files that are kept, ascending.
fn kept(path: &Path) -> io::Result<Vec<u32>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned() + ".corrupt-";
    let directory = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut numbers = Vec::new();
    for entry in fs::read_dir(directory)? {
        let file = entry?.file_name();
        numbers.extend(file.to_string_lossy().strip_prefix(&*name).and_then(|n| n.parse::<u32>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Times fit a column for the first 292 years after boot.
pub(super) fn column(time: Time) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

pub(super) fn time(column: i64) -> Time {
    Time::from_nanos(u64::try_from(column).unwrap_or(0))
}

#[cfg(test)]
mod tests;
