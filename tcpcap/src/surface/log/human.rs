//! Lines for people.

use std::fmt::{self, Debug};

use tracing::{Event, Level, Subscriber, field::Field};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer, time::FormatTime},
    registry::LookupSpan,
};

/// `2026-11-24T05:11:28.123456Z New connection: 192.0.2.56:5973 -> 10.0.0.5:80`: the time in UTC, the level where it is
/// not the usual one, the message. The fields behind it are for the other formats.
pub(super) struct Human<T> {
    pub(super) colour: bool,
    pub(super) clock: T,
}

impl<S, N, T> FormatEvent<S, N> for Human<T>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    T: FormatTime,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut w: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        self.clock.format_time(&mut w)?;
        let (word, colour) = word(*event.metadata().level());
        if self.colour && !colour.is_empty() {
            write!(w, "{colour}{word}\x1b[0m ")?;
        } else {
            write!(w, "{word} ")?;
        }
        writeln!(w, "{}", one_line(&message(event)))
    }
}

/// How a level is written, if it is, and its colour.
pub(super) fn word(level: Level) -> (&'static str, &'static str) {
    match level {
        Level::ERROR => (" ERROR", "\x1b[31m"),
        Level::WARN => (" WARN", "\x1b[33m"),
        _ => ("", ""),
    }
}

/// An event is one line, whatever a file or a library put into its message.
pub(super) fn one_line(message: &str) -> String {
    message.replace(char::is_control, " ")
}

/// The message among an event's fields.
pub(super) fn message(event: &Event<'_>) -> String {
    let mut message = Message(String::new());
    event.record(&mut message);
    message.0
}

struct Message(String);

impl tracing::field::Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
