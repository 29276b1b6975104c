//! A log that a test reads.

use std::{
    io,
    sync::{Arc, Mutex},
};

use tracing_subscriber::{
    fmt::{MakeWriter, format::Writer, time::FormatTime},
    layer::SubscriberExt as _,
};

use super::{Format, Gate, Limit, to_writer};

/// The time of every line.
pub(crate) const TIME: &str = "2026-11-24T05:11:28.123456Z";

struct Stopped;

impl FormatTime for Stopped {
    fn format_time(&self, w: &mut Writer<'_>) -> std::fmt::Result {
        w.write_str(TIME)
    }
}

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Page {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The text that these lines make in a format.
pub(crate) fn said(format: Format, lines: impl FnOnce()) -> String {
    said_within(&Arc::new(Limit::new(|| tcpcap_core::Time::ZERO)), format, false, lines)
}

/// The same under limits of the test's own, in colour or not.
pub(super) fn said_within(limit: &Arc<Limit>, format: Format, colour: bool, lines: impl FnOnce()) -> String {
    let page = Page::default();
    let to_page = to_writer(format, page.clone(), colour, Stopped);
    let subscriber = tracing_subscriber::registry().with(to_page).with(Gate(Arc::clone(limit)));
    tracing::subscriber::with_default(subscriber, lines);
    let text = page.0.lock().unwrap().clone();
    String::from_utf8(text).unwrap()
}
