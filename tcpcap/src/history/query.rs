//! Asking the history, with or without a daemon that writes it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use rusqlite::{Connection, ErrorCode, OpenFlags, params_from_iter, types::Value};

use super::{
    Degraded, Problem,
    clock::to_millis,
    row::{self, Row},
    schema::{self, with_suffix},
};

/// How long a question waits for whoever holds the file.
const PATIENCE: Duration = Duration::from_secs(2);

const FLAGS: OpenFlags = OpenFlags::SQLITE_OPEN_READ_ONLY.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// What is asked for: all of these hold for what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Not before.
    pub since: Option<SystemTime>,
    /// Before.
    pub until: Option<SystemTime>,
    /// About this address or network, one that holds it, or one within it.
    pub about: Option<IpNet>,
    /// At most so many, the newest.
    pub limit: usize,
}

impl Default for Question {
    fn default() -> Self {
        Self { since: None, until: None, about: None, limit: 1000 }
    }
}

/// The history, open for reading.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
    path: PathBuf,
}

impl Reader {
    /// Opens the file, and changes nothing.
    ///
    /// # Errors
    /// There is none, it cannot be read, or is not ours or newer than this.
    pub fn open(path: &Path) -> Result<Self, Problem> {
        if !path.exists() {
            return Err(Problem::new(
                format!("there is no history {}", path.display()),
                "it is begun when the daemon runs; or name the file that the daemon's configuration names",
            ));
        }
        let problem = |e: rusqlite::Error| {
            Problem::new(
                format!("cannot read the history {}: {e}", path.display()),
                "run as root, or as a member of the group that the file belongs to",
            )
        };
        let connection = match connect(path) {
            // Who may not write into the directory cannot make the journal that SQLite wants. There being none, nobody
            // writes, and it is not needed.
            Err(e) if is_unopened(&e) && !with_suffix(path, "-wal").exists() => connect_alone(path).map_err(problem)?,
            other => other.map_err(problem)?,
        };
        if let Some(foreign) = schema::foreign(&connection, path).map_err(problem)? {
            return Err(foreign);
        }
        Ok(Self { connection, path: path.to_owned() })
    }

    /// Reads through a file and changes nothing, neither in it nor beside it. Says what is wrong with it, if anything.
    ///
    /// # Errors
    /// It cannot be read, or is not ours.
    pub fn examine(path: &Path) -> Result<Option<String>, Problem> {
        // SQLite would make the journal's files, and leave them there.
        let alone = !with_suffix(path, "-wal").exists();
        let connected = if alone { connect_alone(path) } else { connect(path) };
        let look = |connection: &Connection| -> rusqlite::Result<Result<Option<String>, Problem>> {
            if let Some(foreign) = schema::foreign(connection, path)? {
                return Ok(Err(foreign));
            }
            let verdict: String = connection.query_row("PRAGMA quick_check(1)", (), |row| row.get(0))?;
            Ok(Ok(Some(verdict).filter(|verdict| verdict != "ok")))
        };
        match connected.and_then(|connection| look(&connection)) {
            Ok(known) => known,
            Err(e) if Degraded::of(&e) == Degraded::Corrupt => Ok(Some(e.to_string())),
            Err(e) => Err(Problem::new(
                format!("cannot read the history {}: {e}", path.display()),
                "run as root, or as a member of the group that the file belongs to",
            )),
        }
    }

    /// What happened, the newest first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn ask(&self, question: &Question) -> Result<Vec<Row>, Problem> {
        self.rows(question).map_err(|e| {
            Problem::new(
                format!("cannot read the history {}: {e}", self.path.display()),
                "ask again; if it stays so, restart tcpcap, which moves a damaged file aside",
            )
        })
    }

    fn rows(&self, question: &Question) -> rusqlite::Result<Vec<Row>> {
        let mut sql = "SELECT id, at, kind, body FROM log WHERE at >= ? AND at < ?".to_owned();
        let mut values: Vec<Value> =
            vec![question.since.map_or(i64::MIN, to_millis).into(), question.until.map_or(i64::MAX, to_millis).into()];
        if let Some(about) = &question.about {
            let (first, last) = row::bounds(about);
            let holders = holders(about);
            let marks = vec!["?"; holders.len()].join(",");
            sql += &format!(" AND (first BETWEEN ? AND ? OR (first IN ({marks}) AND last >= ?))");
            values.extend([blob(first), blob(last)]);
            values.extend(holders.into_iter().map(blob));
            values.push(blob(last));
        }
        sql += " ORDER BY at DESC, id DESC LIMIT ?";
        values.push(i64::try_from(question.limit).unwrap_or(i64::MAX).into());
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        let mut out = Vec::new();
        while let Some(row) = rows.next()? {
            let (kind, body) = (row.get::<_, String>(2)?, row.get::<_, String>(3)?);
            out.extend(Row::read(row.get(0)?, row.get(1)?, &kind, &body));
        }
        Ok(out)
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    look(Connection::open_with_flags(path, FLAGS)?)
}

/// Reads a file that nobody writes, and makes none beside it.
fn connect_alone(path: &Path) -> rusqlite::Result<Connection> {
    look(Connection::open_with_flags(uri(path), FLAGS | OpenFlags::SQLITE_OPEN_URI)?)
}

/// The first look at the file is what fails.
fn look(connection: Connection) -> rusqlite::Result<Connection> {
    connection.busy_timeout(PATIENCE)?;
    connection.query_row("SELECT count(*) FROM sqlite_schema", (), |_| Ok(()))?;
    Ok(connection)
}

fn is_unopened(e: &rusqlite::Error) -> bool {
    matches!(e.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
}

fn blob(octets: [u8; 16]) -> Value {
    Value::Blob(octets.to_vec())
}

/// The first addresses of all networks that hold this one, itself included.
fn holders(network: &IpNet) -> BTreeSet<[u8; 16]> {
    (0..=network.prefix_len())
        .filter_map(|len| match network {
            IpNet::V4(v4) => Ipv4Net::new(v4.addr(), len).ok().map(IpNet::from),
            IpNet::V6(v6) => Ipv6Net::new(v6.addr(), len).ok().map(IpNet::from),
        })
        .map(|holder| row::octets(holder.network()))
        .collect()
}

/// A file that nobody writes, as SQLite wants to be told of it.
fn uri(path: &Path) -> String {
    let path = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    format!("file:{path}?immutable=1")
}
