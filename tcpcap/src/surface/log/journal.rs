//! Lines for the journal, with their fields.
//!
//! Sending to the journal waits while it is busy, and nobody says for how long. So a thread of its own does it; what
//! waits for that thread is bounded, and what finds no room is dropped and counted.

use std::{
    collections::VecDeque,
    ffi::OsStr,
    io::{self, Write},
    os::{fd::AsFd, unix::net::UnixDatagram},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use tracing::{
    Dispatch, Event, Metadata, Subscriber,
    field::{Field, Value, Visit},
};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::{
    filter::LevelFilter,
    layer::{Context, Layer, SubscriberExt as _},
    registry,
};

use super::human;

/// Where the journal listens.
const SOCKET: &str = "/run/systemd/journal/socket";

/// What the names of an event's fields begin with: `TCPCAP_SOURCE`.
const PREFIX: &str = "TCPCAP";

/// Lines that wait for the journal at most: some seconds' worth, and some ten megabytes.
const WAITING: usize = 16_384;

/// Lines handed over before it is looked whether the journal is still there.
const AT_ONCE: usize = 64;

/// As many fields as a line can have.
const FIELDS: usize = 32;

/// How long the end of the process waits for the last lines.
const END_WITHIN: Duration = Duration::from_secs(1);

/// Whether standard output is connected to the journal, as `$JOURNAL_STREAM` says: `device:inode` of it or, where both are
/// connected, of standard error.
pub(super) fn is_connected(stream: Option<&OsStr>, out: impl AsFd, err: impl AsFd) -> bool {
    let Some((device, inode)) = stream.and_then(OsStr::to_str).and_then(|stream| stream.split_once(':')) else {
        return false;
    };
    let (Ok(device), Ok(inode)) = (device.parse::<u64>(), inode.parse::<u64>()) else { return false };
    let out = Stat::of(out);
    let is_stream = |stat: &Stat| (stat.device, stat.inode) == (device, inode);
    out.as_ref().is_some_and(|out| is_stream(out) || (out.is_socket && Stat::of(err).as_ref().is_some_and(is_stream)))
}

struct Stat {
    device: u64,
    inode: u64,
    is_socket: bool,
}

impl Stat {
    fn of(file: impl AsFd) -> Option<Self> {
        use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
        let file = std::fs::File::from(file.as_fd().try_clone_to_owned().ok()?);
        let metadata = file.metadata().ok()?;
        Some(Self { device: metadata.dev(), inode: metadata.ino(), is_socket: metadata.file_type().is_socket() })
    }
}

/// A line on its way, with everything that was in it.
struct Line {
    metadata: &'static Metadata<'static>,
    values: Vec<(Field, String)>,
}

impl Line {
    fn of(event: &Event<'_>) -> Self {
        let mut line = Self { metadata: event.metadata(), values: Vec::new() };
        event.record(&mut line);
        line
    }

    /// Hands it to a subscriber, as the event that it was.
    fn give(&self, to: &Dispatch) {
        let Some(any) = self.metadata.fields().iter().next() else { return };
        let mut values: [(&Field, Option<&dyn Value>); FIELDS] = [(&any, None); FIELDS];
        for (slot, (field, value)) in values.iter_mut().zip(&self.values) {
            *slot = (field, Some(value));
        }
        to.event(&Event::new(self.metadata, &self.metadata.fields().value_set(&values)));
    }

    /// Writes it as a plain line.
    fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        let message = self.values.iter().find(|(field, _)| field.name() == "message");
        let (word, _) = human::word(*self.metadata.level());
        let line = format!("{word} {}", message.map_or(String::new(), |(_, message)| human::one_line(message)));
        writeln!(to, "{}", line.trim_start())?;
        to.flush()
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.values.push((field.clone(), value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.values.push((field.clone(), format!("{value:?}")));
    }
}

#[derive(Default)]
struct Waiting {
    lines: VecDeque<Line>,
    /// The process ends: nothing is waited for any more.
    closing: bool,
    /// Everything was sent that was to be.
    ended: bool,
}

/// What waits for the thread.
struct Queue {
    waiting: Mutex<Waiting>,
    room: usize,
    changed: Condvar,
    dropped: AtomicU64,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Never waits for the journal.
    fn put(&self, line: Line) {
        let mut waiting = self.waiting();
        if waiting.closing || waiting.lines.len() >= self.room {
            self.drop_one();
            return;
        }
        waiting.lines.push_back(line);
        self.changed.notify_all();
    }

    fn drop_one(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// The next lines; `None` when there will be no more.
    fn take(&self) -> Option<Vec<Line>> {
        let idle = |waiting: &mut Waiting| waiting.lines.is_empty() && !waiting.closing;
        let mut waiting = self.changed.wait_while(self.waiting(), idle).unwrap_or_else(PoisonError::into_inner);
        if waiting.lines.is_empty() {
            waiting.ended = true;
            self.changed.notify_all();
            return None;
        }
        let some = waiting.lines.len().min(AT_ONCE);
        Some(waiting.lines.drain(..some).collect())
    }
}

/// The journal's thread, from outside. Dropping it waits a moment for what is still to be sent.
pub(super) struct Journal {
    queue: Arc<Queue>,
}

impl Journal {
    /// Starts sending to the journal. While that is not there, lines go to standard output.
    ///
    /// # Errors
    /// The journal cannot be reached, or there is no thread to be had.
    pub(super) fn start() -> io::Result<Self> {
        reach()?;
        let mut journal = None;
        let connect = move || {
            reach().ok()?;
            // The library's first call waits like every other one.
            journal = journal.take().or_else(|| dispatch().ok());
            journal.clone()
        };
        Self::start_with(connect, io::stdout(), WAITING)
    }

    fn start_with(
        mut connect: impl FnMut() -> Option<Dispatch> + Send + 'static,
        mut otherwise: impl Write + Send + 'static,
        room: usize,
    ) -> io::Result<Self> {
        let queue =
            Arc::new(Queue { waiting: Mutex::default(), room, changed: Condvar::new(), dropped: AtomicU64::new(0) });
        let from = Arc::clone(&queue);
        thread::Builder::new().name("journal".into()).spawn(move || {
            crate::host::be_ordinary();
            while let Some(lines) = from.take() {
                let journal = connect();
                for line in lines {
                    if let Some(journal) = &journal {
                        line.give(journal);
                    } else if line.write(&mut otherwise).is_err() {
                        from.drop_one();
                    }
                }
            }
        })?;
        Ok(Self { queue })
    }

    /// Lines that were dropped.
    pub(super) fn dropped(&self) -> u64 {
        self.queue.dropped.load(Ordering::Relaxed)
    }

    /// What hands events to the thread.
    pub(super) fn layer(&self) -> ToJournal {
        ToJournal(Arc::clone(&self.queue))
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let mut waiting = self.queue.waiting();
        waiting.closing = true;
        self.queue.changed.notify_all();
        let in_time = self.queue.changed.wait_timeout_while(waiting, END_WITHIN, |waiting| !waiting.ended);
        // Whether or not: the process ends.
        drop(in_time);
    }
}

/// Whether the journal is there; does not wait. One that is being restarted keeps its socket, and what is sent there.
fn reach() -> io::Result<()> {
    UnixDatagram::unbound()?.connect(SOCKET)
}

/// What writes an event to the journal.
fn dispatch() -> io::Result<Dispatch> {
    let layer = tracing_journald::layer()?
        .with_field_prefix(Some(PREFIX.to_owned()))
        .with_syslog_identifier("tcpcap".to_owned())
        .with_priority_mappings(PriorityMappings { info: Priority::Informational, ..PriorityMappings::new() });
    // What comes here has passed the filter; this one tells the places that write lines that nobody here asks for more.
    Ok(Dispatch::new(registry().with(layer).with(LevelFilter::OFF)))
}

/// Hands events to the journal's thread.
pub(super) struct ToJournal(Arc<Queue>);

impl<S: Subscriber> Layer<S> for ToJournal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.0.put(Line::of(event));
    }
}

#[cfg(test)]
mod tests;
