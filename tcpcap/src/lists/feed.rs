//! One feed: when its file is read, and what of it is in force.
//!
//! A file is read once it has been still for one look, so that one being written is not read in halves, and what was read
//! counts only if the file is the same afterwards. Whatever goes wrong, the last good content stays in force.
//!
//! A file without a single entry where there were some may be a download that has just begun: it counts once a second
//! reading, [`DOUBT`] later or when asked for, finds the same. If it has lines that are no entries instead, an error page
//! say, it is no list and never counts.

use std::{
    fmt,
    fs::{File, Metadata, OpenOptions},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Entry, FeedConfig, List, Parser, Report};

/// Largest file that is read.
pub const MAX_FILE_BYTES: u64 = 256 << 20;

/// How long a file must stay empty to be believed.
pub(super) const DOUBT: Duration = Duration::from_secs(10);
/// How soon a file that could not be read is tried again, as long as it looks the same.
const RETRY: Duration = Duration::from_secs(10);
/// How long a file may change from look to look before somebody is told.
const RESTLESS: Duration = Duration::from_secs(60);

const PIECE_BYTES: usize = 64 << 10;

/// What happened to a feed, worth a line in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Its name.
    pub feed: Arc<str>,
    /// Its entries in force from now on.
    pub in_force: usize,
    /// When what is in force was last written, in Unix seconds; none until it was read.
    pub modified: Option<i64>,
    /// What happened.
    pub what: What,
}

/// What happened to a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It was read, and counts.
    Taken(Box<Report>),
    /// It was not, and what counted before still does. Said once until something else happens.
    Trouble(Trouble),
}

/// Why a feed's file does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It cannot be read; the system's words.
    Unreadable(String),
    /// It is no regular file.
    NoFile,
    /// It is larger than [`MAX_FILE_BYTES`].
    TooLarge,
    /// It never stands still.
    Restless,
    /// It is empty, and was not.
    Emptied,
    /// It has lines, and none is an entry, where some were.
    NoList(Box<Report>),
}

impl News {
    /// Whether somebody should look into it.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        match &self.what {
            What::Taken(report) => report.skipped() > 0,
            What::Trouble(_) => true,
        }
    }
}

/// `feed drop.txt: 1012 entries in force; 2 lines skipped: line 7: "x": it is neither …`
impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "feed {}: ", self.feed)?;
        match &self.what {
            What::Taken(report) => write!(f, "{} entries in force{report}", self.in_force),
            What::Trouble(trouble) if self.in_force == 0 => write!(f, "{trouble}; nothing of it is in force"),
            What::Trouble(trouble) => write!(f, "{trouble}; its {} entries from before stay in force", self.in_force),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(e) => write!(f, "its file cannot be read ({e})"),
            Self::NoFile => f.write_str("its path names no regular file"),
            Self::TooLarge => write!(f, "its file is larger than {} MiB", MAX_FILE_BYTES >> 20),
            Self::Restless => f.write_str("its file changes all the time; write it aside and rename it"),
            Self::Emptied => f.write_str("its file has no entry any more, which counts only if it stays so"),
            Self::NoList(report) => write!(f, "its file is no list{report}"),
        }
    }
}

/// A file's content is the same while this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: (u64, u64),
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(meta: &Metadata) -> Result<Self, Trouble> {
        if !meta.is_file() {
            return Err(Trouble::NoFile);
        }
        if meta.len() > MAX_FILE_BYTES {
            return Err(Trouble::TooLarge);
        }
        Ok(Self {
            inode: (meta.dev(), meta.ino()),
            bytes: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        })
    }

    fn at(path: &Path) -> Result<Self, Trouble> {
        Self::of(&path.metadata().map_err(|e| unreadable(&e))?)
    }
}

fn unreadable(e: &io::Error) -> Trouble {
    Trouble::Unreadable(e.to_string())
}

/// The content, if the file is what the stamp says from before the first byte until after the last.
fn read(path: &Path, stamp: &Stamp) -> Result<Option<(Vec<Entry>, Report)>, Trouble> {
    // A pipe that has taken the file's place must not keep us waiting.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(|e| unreadable(&e))?;
    let is_same = |file: &File| -> Result<bool, Trouble> {
        Ok(Stamp::of(&file.metadata().map_err(|e| unreadable(&e))?)? == *stamp)
    };
    if !is_same(&file)? {
        return Ok(None);
    }
    let mut parser = Parser::default();
    let mut piece = vec![0; PIECE_BYTES];
    let mut left = stamp.bytes;
    while left > 0 {
        let room = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        match (&file).read(&mut piece[..room]) {
            Ok(0) => return Ok(None),
            Ok(n) => {
                parser.push(&piece[..n]);
                left -= n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(unreadable(&e)),
        }
    }
    // By path too: what was renamed away meanwhile is not what stands there now.
    Ok((is_same(&file)? && Stamp::at(path)? == *stamp).then(|| parser.finish()))
}

/// A feed and what of it is in force.
#[derive(Debug)]
pub(super) struct Feed {
    config: FeedConfig,
    entries: Arc<Vec<Entry>>,
    /// What the last look saw, and since when looks have seen something new each time.
    seen: Option<Stamp>,
    restless_since: Option<Instant>,
    /// What was read last.
    read: Option<Stamp>,
    /// When it is read again though it looks the same.
    again: Option<Instant>,
    emptied: bool,
    modified: Option<i64>,
    trouble: Option<Trouble>,
}

impl Feed {
    pub(super) fn new(config: FeedConfig) -> Self {
        Self {
            config,
            entries: Arc::default(),
            seen: None,
            restless_since: None,
            read: None,
            again: None,
            emptied: false,
            modified: None,
            trouble: None,
        }
    }

    pub(super) fn config(&self) -> &FeedConfig {
        &self.config
    }

    pub(super) fn list(&self) -> List {
        List::feed(Arc::clone(&self.config.name), Arc::clone(&self.entries))
    }

    /// Looks at the file, and reads it if there is something new, if something is to be tried again, or if `asked` to.
    pub(super) fn look(&mut self, now: Instant, asked: bool) -> Option<News> {
        let stamp = match Stamp::at(&self.config.path) {
            Ok(stamp) => stamp,
            Err(trouble) => {
                // Whatever appears there next is new.
                (self.seen, self.read, self.restless_since) = (None, None, None);
                return self.complain(trouble);
            }
        };
        let before = self.seen.replace(stamp);
        let is_still = before.is_none_or(|before| before == stamp);
        let is_due = self.read != Some(stamp) || self.again.is_some_and(|again| now >= again);
        if !(asked || is_due && is_still) {
            return if is_still { None } else { self.wait(now) };
        }
        match read(&self.config.path, &stamp) {
            Ok(Some((entries, report))) => {
                self.restless_since = None;
                self.take(now, stamp, entries, report)
            }
            Ok(None) => self.wait(now),
            Err(trouble) => {
                (self.read, self.again) = (Some(stamp), Some(now + RETRY));
                self.complain(trouble)
            }
        }
    }

    fn take(&mut self, now: Instant, stamp: Stamp, entries: Vec<Entry>, report: Report) -> Option<News> {
        let is_again = self.read == Some(stamp) && self.emptied;
        (self.read, self.again, self.emptied) = (Some(stamp), None, false);
        if entries.is_empty() && !self.entries.is_empty() {
            if report.skipped() > 0 {
                return self.complain(Trouble::NoList(Box::new(report)));
            }
            if !is_again {
                (self.again, self.emptied) = (Some(now + DOUBT), true);
                return self.complain(Trouble::Emptied);
            }
        }
        (self.trouble, self.modified) = (None, Some(stamp.modified.0));
        if *self.entries != entries {
            self.entries = Arc::new(entries);
        }
        Some(self.news(What::Taken(Box::new(report))))
    }

    /// It changes while one looks.
    fn wait(&mut self, now: Instant) -> Option<News> {
        let since = *self.restless_since.get_or_insert(now);
        if now.saturating_duration_since(since) < RESTLESS { None } else { self.complain(Trouble::Restless) }
    }

    /// Says so, unless it has just been said.
    fn complain(&mut self, trouble: Trouble) -> Option<News> {
        if self.trouble.as_ref() == Some(&trouble) {
            return None;
        }
        self.trouble = Some(trouble.clone());
        Some(self.news(What::Trouble(trouble)))
    }

    fn news(&self, what: What) -> News {
        News { feed: Arc::clone(&self.config.name), in_force: self.entries.len(), modified: self.modified, what }
    }
}

#[cfg(test)]
mod tests;
