//! How far a replay has come, on a terminal and nowhere else.

use std::io::{IsTerminal as _, stderr};

use indicatif::{ProgressBar, ProgressStyle};

/// How many packets pass between two looks at the bar: some milliseconds.
const EVERY: u32 = 1 << 14;

/// A bar on standard error.
pub struct Progress {
    bar: Option<ProgressBar>,
    packets: u32,
    /// Bytes of the files before the present one.
    before: u64,
}

impl Progress {
    /// A bar for so many bytes; none where the number is not known, or where nobody looks.
    #[must_use]
    pub fn of(what: &'static str, bytes: Option<u64>) -> Self {
        let bar = bytes.filter(|_| stderr().is_terminal()).map(|bytes| {
            let template = "{prefix} {wide_bar} {percent:>3} % of {total_bytes}, {eta} to go";
            let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(bytes).with_style(style).with_prefix(what)
        });
        Self { bar, packets: 0, before: 0 }
    }

    /// A packet has been played; so many bytes of the present file have been read.
    #[inline]
    pub fn packet(&mut self, read: u64) {
        self.packets = self.packets.wrapping_add(1);
        if self.packets.is_multiple_of(EVERY)
            && let Some(bar) = &self.bar
        {
            bar.set_position(self.before + read);
        }
    }

    /// The present file has been read; the next one begins.
    pub fn next_file(&mut self, read: u64) {
        self.before += read;
    }

    /// Does something that writes to the terminal, with the bar out of the way.
    pub fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
