//! One long command, one line: what it is doing while it runs, how it ended, and its last words if it failed.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, IsTerminal, PipeReader, pipe, stderr},
    process::{Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};

/// How much of a failed command's output is shown.
const LAST_LINES: usize = 40;
/// How often a line says that a step goes on, where there is no terminal to draw on.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How often the spinner turns and the child is looked at.
const TICK: Duration = Duration::from_millis(100);

/// Prints a step's line.
pub(crate) fn line(label: &str, state: &str) {
    eprintln!("  {label:<20} {state}");
}

/// A duration as people read it: `0.4 s`, `21 s`, `2 min 5 s`.
pub(crate) fn seconds(took: Duration) -> String {
    match took.as_secs() {
        0..10 => format!("{:.1} s", took.as_secs_f64()),
        s @ 10..120 => format!("{s} s"),
        s => format!("{} min {} s", s / 60, s % 60),
    }
}

/// Runs a command to its end, showing progress instead of its output. `done` is the state on success.
///
/// # Errors
/// When it cannot be started or fails; then its last lines have been shown, and the error ends in `remedy`.
pub(crate) fn run(label: &str, done: &str, remedy: &str, command: &mut Command) -> anyhow::Result<()> {
    let start = Instant::now();
    // One pipe for both, so that the lines keep their order.
    let (output, write) = pipe()?;
    command.stdin(Stdio::null()).stdout(write.try_clone()?).stderr(write);
    let spawned = command.spawn().with_context(|| format!("cannot run {}", command.get_program().display()));
    // Lets go of our ends of the pipe: its end is seen only when nobody holds it open for writing.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = spawned?;
    let (lines, said) = mpsc::channel();
    thread::spawn(move || forward(output, &lines));

    let progress = Progress::new(label);
    let mut last: VecDeque<String> = VecDeque::with_capacity(LAST_LINES);
    let mut next_beat = HEARTBEAT;
    let mut remember = |line: String| {
        progress.doing(&line);
        if last.len() == LAST_LINES {
            last.pop_front();
        }
        last.push_back(line);
    };
    let status = loop {
        match said.recv_timeout(TICK) {
            Ok(line) => remember(line),
            Err(RecvTimeoutError::Timeout) => {
                // A daemon that the command started may hold the pipe open for ever: the child's end is the end.
                if let Some(status) = child.try_wait()? {
                    said.try_iter().for_each(&mut remember);
                    break status;
                }
            }
            Err(RecvTimeoutError::Disconnected) => break child.wait()?,
        }
        if start.elapsed() >= next_beat {
            next_beat += HEARTBEAT;
            progress.beat(label, start.elapsed());
        }
    };
    progress.finish();

    if status.success() {
        line(label, &format!("{done} ({})", seconds(start.elapsed())));
        return Ok(());
    }
    line(label, &format!("failed ({})", seconds(start.elapsed())));
    last.iter().for_each(|l| eprintln!("    {l}"));
    bail!("{label}: {} ended with {status}\n  {remedy}", command.get_program().display())
}

/// Sends what is read line by line, until its end or until nobody listens.
fn forward(from: PipeReader, to: &Sender<String>) {
    let mut from = BufReader::new(from);
    let mut bytes = Vec::new();
    while matches!(from.read_until(b'\n', &mut bytes), Ok(1..)) {
        let text = String::from_utf8_lossy(&bytes);
        // Progress bars overwrite their line: what stands last is what was to be seen.
        let shown = text.trim_end().rsplit('\r').next().unwrap_or_default().trim_end();
        if !shown.is_empty() && to.send(shown.to_owned()).is_err() {
            return;
        }
        bytes.clear();
    }
}

/// A spinner on a terminal, nothing but heartbeats elsewhere.
struct Progress(Option<ProgressBar>);

impl Progress {
    fn new(label: &str) -> Self {
        if !stderr().is_terminal() {
            return Self(None);
        }
        let style = ProgressStyle::with_template("  {prefix:<20} {spinner} {elapsed} {wide_msg:.dim}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = ProgressBar::new_spinner().with_style(style).with_prefix(label.to_owned());
        bar.enable_steady_tick(TICK);
        Self(Some(bar))
    }

    fn doing(&self, line: &str) {
        if let Some(bar) = &self.0 {
            bar.set_message(line.trim().to_owned());
        }
    }

    fn beat(&self, label: &str, elapsed: Duration) {
        if self.0.is_none() {
            line(label, &format!("still at it ({})", seconds(elapsed)));
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
