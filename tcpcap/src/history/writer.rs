//! The thread that owns the file.

use std::{
    collections::VecDeque,
    fs,
    io::ErrorKind,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use rusqlite::{Connection, TransactionBehavior};
use tracing::{info, warn};

use super::{
    Clock, Degraded, Entry, Limits,
    clock::Moment,
    present::{Changes, Present},
    prune,
    queue::{Farewell, QUEUE, Shared},
    row::Line,
    schema::{self, Opened, column},
};

/// What happened and waits for the disk to be well again, at most.
const BACKLOG: usize = 16_384;

/// How often the old is looked for.
const TIDY: Duration = Duration::from_secs(60);

/// Lines and changes of present state in one transaction, of each at most: so that the journal stays small.
const AT_ONCE: usize = 512;

/// When a failed write is tried again: after this, then twice as long each time, up to the second.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The owner of the file.
pub(super) struct Writer {
    path: PathBuf,
    limits: Limits,
    clock: Arc<dyn Clock>,
    boot: Option<String>,
    /// None while it cannot be opened.
    connection: Option<Connection>,
    /// Tells the file from another of its name.
    file: (Vec<u8>, u64),
    present: Present,
    lines: VecDeque<Line>,
    shared: Arc<Shared>,
    /// When to try again, and how long to wait after that.
    retry: Option<(Instant, Duration)>,
    /// Lines lost since the disk failed.
    lost: u64,
    tidied: Instant,
    /// There is more to forget.
    untidy: bool,
}

impl Writer {
    pub(super) fn new(
        path: &Path,
        limits: Limits,
        clock: Arc<dyn Clock>,
        boot: Option<String>,
        opened: Opened,
        present: Present,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            path: path.to_owned(),
            limits,
            clock,
            boot,
            connection: Some(opened.connection),
            file: (opened.about.file, opened.inode),
            present,
            lines: VecDeque::new(),
            shared,
            retry: None,
            lost: 0,
            tidied: Instant::now(),
            untidy: true,
        }
    }

    /// Brings the file to this boot. Where there is no room for that it is done later: what it holds can be used.
    /// `full` says how it is known that there is none.
    pub(super) fn begin(&mut self, ended: Vec<Line>, full: Option<String>) -> rusqlite::Result<()> {
        self.lines.extend(ended);
        if let Some(text) = full {
            self.connection = None;
            self.degrade(Degraded::Full, &text);
            return Ok(());
        }
        // At least once: the boot must stand there before anything of it does.
        let begun = self.write().and_then(|()| {
            while !self.is_done() {
                self.write()?;
            }
            Ok(())
        });
        self.measure();
        match begun {
            Err(e) if matches!(Degraded::of(&e), Degraded::Full | Degraded::Busy) => {
                self.degrade(Degraded::of(&e), &e.to_string());
                Ok(())
            }
            other => other,
        }
    }

    pub(super) fn run(mut self) {
        let farewell = Farewell(Arc::clone(&self.shared));
        let mut entries = Vec::with_capacity(QUEUE);
        loop {
            let time = !self.untidy || self.retry.is_some();
            let (changes, ticket, closing) = self.shared.wait(&mut entries, time, self.retry.is_some());
            self.take(&mut entries, changes);
            self.work(closing);
            if self.is_done() {
                self.shared.flushed(ticket);
            }
            if closing {
                break;
            }
        }
        self.end();
        drop(farewell);
    }

    fn is_done(&self) -> bool {
        self.lines.is_empty() && self.present.is_saved()
    }

    /// Takes what came out of the queue.
    fn take(&mut self, entries: &mut Vec<Entry>, changes: Changes) {
        let now = Moment::of(&*self.clock);
        let refused = self.present.apply(changes, now, self.limits.entries);
        self.shared.counters.lost_entries.fetch_add(refused, Relaxed);
        for entry in entries.drain(..) {
            if self.retry.is_some() && self.lines.len() >= BACKLOG {
                // The oldest are kept: they tell how it began.
                self.lost += 1;
                self.shared.counters.lost_disk.fetch_add(1, Relaxed);
                continue;
            }
            self.lines.extend(match &entry {
                Entry::Verdict(verdict) => Line::verdict(verdict, now),
                Entry::Block { block, change, at } => Line::block(block, change, *at, now),
                Entry::Command(command) => Line::command(command, now),
                // Present state, which has been taken.
                Entry::Repeater(_) | Entry::Forgotten(_) | Entry::Allowed(_) | Entry::Disallowed(_) => None,
            });
        }
    }

    /// Writes what is there, unless it is to wait because it failed; `last` waits for nothing.
    fn work(&mut self, last: bool) {
        let due = match self.retry {
            Some((at, _)) => Instant::now() >= at,
            None => !self.is_done() || self.untidy || self.tidied.elapsed() >= TIDY,
        };
        if !due && !last {
            return;
        }
        let failed = self.retry.is_some();
        match self.try_work() {
            Ok(()) if failed => {
                self.retry = None;
                self.shared.counters.degrade(None);
                let lost = std::mem::take(&mut self.lost);
                info!(lost, "the history {} is written again; {lost} entries were lost", self.path.display());
            }
            Ok(()) => {}
            Err((why, text)) => self.degrade(why, &text),
        }
        self.measure();
    }

    fn try_work(&mut self) -> Result<(), (Degraded, String)> {
        let told = |e: &rusqlite::Error| (Degraded::of(e), e.to_string());
        // Somebody may have moved the file away, to begin a new one.
        let replaced = match fs::metadata(&self.path) {
            Ok(found) => found.ino() != self.file.1,
            Err(e) => e.kind() == ErrorKind::NotFound,
        };
        if self.connection.is_some() && replaced {
            self.connection = None;
            schema::remove_journal(&self.path).map_err(|e| (Degraded::Io, e.to_string()))?;
        }
        if self.connection.is_none() {
            self.open().map_err(|(why, problem)| (why, problem.cause))?;
        }
        if self.retry.is_some() && self.is_done() {
            // Nothing to write, but it must be seen that it could be.
            self.write().map_err(|e| told(&e))?;
        }
        if self.tidied.elapsed() >= TIDY {
            self.tidied = Instant::now();
            self.present.forget(self.clock.boot());
            self.untidy = true;
        }
        while !self.is_done() {
            self.write().map_err(|e| told(&e))?;
            self.tidy().map_err(|e| told(&e))?;
        }
        if self.untidy {
            self.tidy().map_err(|e| told(&e))?;
        }
        Ok(())
    }

    fn open(&mut self) -> Result<(), (Degraded, super::Problem)> {
        let opened = schema::open(&self.path, &self.limits)?;
        if opened.about.file != self.file.0 {
            self.present.invalidate();
        }
        self.file = (opened.about.file, opened.inode);
        self.connection = Some(opened.connection);
        Ok(())
    }

    /// One transaction: some lines, some of the present state.
    fn write(&mut self) -> rusqlite::Result<()> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let part = self.present.part(AT_ONCE);
        // Where there may be little room, it is for the present state.
        let wait = self.retry.is_some() && !self.present.is_saved();
        let lines = if wait { 0 } else { self.lines.len().min(AT_ONCE) };
        {
            let mut insert =
                transaction.prepare_cached("INSERT INTO log (at, kind, first, last, body) VALUES (?, ?, ?, ?, ?)")?;
            for line in self.lines.iter().take(lines) {
                let (first, last) = line.bounds.unzip();
                insert.execute((line.at, line.kind, first, last, &line.body))?;
            }
        }
        self.present.save(&part, &transaction)?;
        transaction
            .prepare_cached("UPDATE about SET boot = ?, seen = ?, clean = 0")?
            .execute((&self.boot, column(self.clock.boot())))?;
        transaction.commit()?;
        self.lines.drain(..lines);
        self.present.saved(&part);
        self.shared.counters.written.fetch_add(lines as u64, Relaxed);
        Ok(())
    }

    /// One step of forgetting.
    fn tidy(&mut self) -> rusqlite::Result<()> {
        let Some(connection) = &self.connection else { return Ok(()) };
        let age = i64::try_from(self.limits.age.as_millis()).unwrap_or(i64::MAX);
        let cutoff = super::clock::to_millis(self.clock.wall()).saturating_sub(age);
        let step = prune::step(connection, &self.limits, cutoff)?;
        self.shared.counters.pruned.fetch_add(step.rows, Relaxed);
        self.untidy = step.more;
        Ok(())
    }

    fn degrade(&mut self, why: Degraded, text: &str) {
        self.shared.counters.errors.fetch_add(1, Relaxed);
        self.shared.counters.degrade(Some(why));
        // What else failed may have left it in a state that only a new one gets over.
        if !matches!(why, Degraded::Full | Degraded::Busy) {
            self.connection = None;
        }
        if self.retry.is_none() {
            warn!(
                reason = why.name(),
                "the history {} cannot be written: {text}; blocking goes on, and it is tried again",
                self.path.display()
            );
        }
        let wait = self.retry.map_or(RETRY.0, |(_, wait)| wait);
        self.retry = Some((Instant::now() + wait, (wait * 2).min(RETRY.1)));
    }

    fn measure(&self) {
        self.shared.counters.bytes.store(prune::size(&self.path), Relaxed);
    }

    /// Leaves the file as one that needs no check when it is opened next.
    fn end(&mut self) {
        if !self.is_done() {
            warn!(
                "the history {} ends with {} entries unwritten{}",
                self.path.display(),
                self.lines.len(),
                if self.present.is_saved() { "" } else { ", and the present state is not all in it" }
            );
        }
        if let Some(connection) = self.connection.take()
            && let Err(e) = connection.execute("UPDATE about SET clean = 1", ()).map(drop).and_then(|()| {
                // Closing writes the journal back and removes it.
                connection.close().map_err(|(_, e)| e)
            })
        {
            info!("the history {} is checked at the next start: {e}", self.path.display());
        }
    }
}
