//! The log: one line an event, on standard output.
//!
//! Lines are written by a thread of their own: a slow terminal or pipe must not hold up a block. When the thread
//! cannot keep up, lines are dropped and counted ([`Log::dropped`]).

use std::io::{self, IsTerminal as _};

use tracing::{Event, Level, Subscriber};
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    EnvFilter,
    fmt::{
        FmtContext, FormatEvent, FormatFields, MakeWriter,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people
    #[default]
    Human,
    /// One JSON object a line
    Json,
}

/// Keeps the log alive; dropping it writes what is still waiting.
pub struct Log {
    dropped: Option<ErrorCounter>,
    _guard: Option<WorkerGuard>,
}

impl Log {
    /// Starts the log. A second start in the same process keeps the first.
    #[must_use]
    pub fn start(format: Format) -> Self {
        let (writer, guard) = NonBlockingBuilder::default().lossy(true).finish(io::stdout());
        let dropped = writer.error_counter();
        if init(format, writer).is_err() {
            return Self { dropped: None, _guard: None };
        }
        Self { dropped: Some(dropped), _guard: Some(guard) }
    }

    /// Lines dropped since the start.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.as_ref().map_or(0, |d| d.dropped_lines() as u64)
    }
}

fn init<W>(format: Format, writer: W) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // Libraries speak up from warnings on; RUST_LOG overrides.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,tcpcap=info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    match format {
        Format::Json => builder.json().flatten_event(true).with_target(false).try_init(),
        Format::Human => {
            let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
            builder.event_format(Human { colour }).try_init()
        }
    }
}

/// `2026-11-24T05:11:28.123456Z New connection: 192.0.2.56:5973 -> 10.0.0.5:80`: the time in UTC, the level where it is
/// not the usual one, the message. The fields behind it are for the JSON format.
struct Human {
    colour: bool,
}

impl<S, N> FormatEvent<S, N> for Human
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut w: Writer<'_>, event: &Event<'_>) -> std::fmt::Result {
        SystemTime.format_time(&mut w)?;
        let (word, colour) = match *event.metadata().level() {
            Level::ERROR => (" ERROR", "\x1b[31m"),
            Level::WARN => (" WARN", "\x1b[33m"),
            _ => ("", ""),
        };
        if self.colour && !colour.is_empty() {
            write!(w, "{colour}{word}\x1b[0m ")?;
        } else {
            write!(w, "{word} ")?;
        }
        let mut message = Message(String::new());
        event.record(&mut message);
        writeln!(w, "{}", message.0)
    }
}

/// Picks the message out of an event's fields.
struct Message(String);

impl tracing::field::Visit for Message {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
