//! Forgetting: the oldest of what happened gives way, in steps so small that no write waits long.

use std::{fs, path::Path};

use rusqlite::Connection;

use super::{
    Limits,
    schema::{PAGE, number, with_suffix},
};

/// Rows forgotten at once. More than one transaction writes, so that forgetting keeps up with any flood.
const STEP: i64 = 1024;

/// Pages given back to the file system at once.
const PAGES: i64 = 512;

impl Limits {
    fn pages(&self) -> i64 {
        i64::try_from(self.bytes.max(1 << 20)).unwrap_or(i64::MAX) / PAGE
    }

    /// Pages of the journal after which it is written back into the file: a sixteenth of all, and no more than SQLite
    /// takes unless told.
    pub(super) fn wal_pages(&self) -> i64 {
        (self.pages() / 16).min(1000)
    }

    /// Pages that the file may have: the journal needs its room, and more while one transaction goes past it.
    fn file_pages(&self) -> i64 {
        self.pages() - 3 * self.wal_pages()
    }
}

/// What one step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) rows: u64,
    /// There is more to forget.
    pub(super) more: bool,
}

/// One step of forgetting what is older than `cutoff` (wall time in ms), and what is too much.
pub(super) fn step(connection: &Connection, limits: &Limits, cutoff: i64) -> rusqlite::Result<Step> {
    let old = connection
        .prepare_cached("DELETE FROM log WHERE id IN (SELECT id FROM log WHERE at < ? ORDER BY at LIMIT ?)")?
        .execute((cutoff, STEP))?;
    let most = limits.file_pages();
    let used = || Ok::<_, rusqlite::Error>(number(connection, "page_count")? - number(connection, "freelist_count")?);
    let mut rows = old as u64;
    let mut over = used()? > most;
    if over {
        let oldest = connection
            .prepare_cached("DELETE FROM log WHERE id IN (SELECT id FROM log ORDER BY id LIMIT ?)")?
            .execute([STEP])?;
        rows += oldest as u64;
        // Where nothing is left to forget, it is present state that takes the room.
        over = oldest > 0 && used()? > most;
    }
    let spare = number(connection, "freelist_count")?;
    let too_long = number(connection, "page_count")? > most;
    if spare > 0 && (too_long || spare > PAGES) {
        // Frees a page a row.
        let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
        let mut freed = statement.query(())?;
        while freed.next()?.is_some() {}
    }
    Ok(Step { rows, more: over || i64::try_from(old).unwrap_or(STEP) == STEP })
}

/// Bytes of file and journal.
pub(super) fn size(path: &Path) -> u64 {
    let len = |path: &Path| fs::metadata(path).map_or(0, |m| m.len());
    len(path) + len(&with_suffix(path, "-wal"))
}
