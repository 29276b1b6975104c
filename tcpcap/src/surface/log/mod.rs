//! The log: one line an event, on standard output or in the journal.
//!
//! Lines are written by a thread of their own: a slow terminal, pipe or journal must not hold up a block. When the thread
//! cannot keep up, lines are dropped and counted ([`Log::dropped`]). Of each kind there are so many lines a second at most;
//! what is more is held back, counted ([`Log::held_back`]) and told of ([`Log::tell_held_back`]).

mod human;
mod journal;
mod kind;
mod limit;

use std::{
    io::{self, IsTerminal as _},
    sync::Arc,
};

use tcpcap_core::Time;
use tracing::Subscriber;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    EnvFilter, Layer,
    fmt::{MakeWriter, time::FormatTime, time::SystemTime},
    layer::SubscriberExt as _,
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

use super::tell;
use crate::host;
use human::Human;
use journal::Journal;
pub use kind::Kind;
pub use limit::OTHER;
use limit::{Gate, Limit};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people; with fields where standard output is the journal
    #[default]
    Human,
    /// One JSON object a line
    Json,
    /// To the journal, with fields, wherever standard output goes
    Journald,
}

/// Keeps the log alive; dropping it writes what is still waiting.
pub struct Log {
    limit: Arc<Limit>,
    lines: Option<(ErrorCounter, WorkerGuard)>,
    journal: Option<Journal>,
}

impl Log {
    /// Starts the log. A second start in the same process keeps the first.
    #[must_use]
    pub fn start(format: Format) -> Self {
        let limit = Arc::new(Limit::new(host::now));
        let journal = match format {
            Format::Json => None,
            Format::Journald => Some(Journal::start()),
            Format::Human => {
                let stream = std::env::var_os("JOURNAL_STREAM");
                journal::is_connected(stream.as_deref(), io::stdout(), io::stderr()).then(Journal::start)
            }
        };
        match journal {
            Some(Ok(journal)) => {
                let started = init(&limit, journal.layer());
                Self { limit, lines: None, journal: started.then_some(journal) }
            }
            Some(Err(e)) => {
                let log = Self::to_output(limit, Format::Human);
                tell::no_journal(&e);
                log
            }
            None => Self::to_output(limit, format),
        }
    }

    fn to_output(limit: Arc<Limit>, format: Format) -> Self {
        let (writer, guard) = NonBlockingBuilder::default().lossy(true).finish(io::stdout());
        let dropped = NonBlocking::error_counter(&writer);
        let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        let started = init(&limit, to_writer(format, writer, colour, SystemTime));
        Self { limit, lines: started.then_some((dropped, guard)), journal: None }
    }

    /// Lines dropped since the start, because they were read too slowly.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        let lines = self.lines.as_ref().map_or(0, |(dropped, _)| dropped.dropped_lines() as u64);
        lines + self.journal.as_ref().map_or(0, Journal::dropped)
    }

    /// Whether a new connection is to be logged, or is one too many in its second and held back. To be asked once for each.
    #[must_use]
    pub fn takes_connection(&self, now: Time) -> bool {
        self.limit.takes_connection(now)
    }

    /// Lines held back since the start, by kind; [`OTHER`] for those that have none.
    #[must_use]
    pub fn held_back(&self) -> Vec<(&'static str, u64)> {
        self.limit.totals()
    }

    /// Tells what was held back since this was last called; once a second is often enough.
    pub fn tell_held_back(&self) {
        for held in self.limit.take_held() {
            tell::held_back(held.kind, held.lines, &held.first);
        }
    }
}

#[cfg(test)]
impl Log {
    /// One that was never started.
    pub(crate) fn silent() -> Self {
        Self { limit: Arc::new(Limit::new(|| Time::ZERO)), lines: None, journal: None }
    }
}

/// Says whether this log is the process's first.
fn init<L>(limit: &Arc<Limit>, layer: L) -> bool
where
    L: Layer<Filtered> + Send + Sync,
{
    // Libraries speak up from warnings on; RUST_LOG overrides.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,tcpcap=info"));
    tracing_subscriber::registry().with(filter).with(layer).with(Gate(Arc::clone(limit))).try_init().is_ok()
}

type Filtered = tracing_subscriber::layer::Layered<EnvFilter, tracing_subscriber::Registry>;

/// Lines as text.
fn to_writer<S, W>(
    format: Format,
    writer: W,
    colour: bool,
    clock: impl FormatTime + Send + Sync + 'static,
) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    match format {
        Format::Json => layer.json().flatten_event(true).with_target(false).with_timer(clock).boxed(),
        Format::Human | Format::Journald => layer.event_format(Human { colour, clock }).boxed(),
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
