//! A supervised child process: its output line by line, its end, and no way to outlive us.

use std::{
    fmt::Write as _,
    io::{BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use crate::{
    interrupt, spawner,
    wait::{patience, wait_for, wait_until},
};

/// How much of the output an error shows.
const LAST_LINES: usize = 30;
/// How long the output of an ended process may take to be read; somebody it started may hold the pipe open.
const DRAIN: Duration = Duration::from_secs(1);

/// Which of the two outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// A line that a process wrote.
#[derive(Clone, Debug)]
pub struct Line {
    /// When it was read.
    pub at: Instant,
    /// Where it was written.
    pub stream: Stream,
    /// What, without the line end.
    pub text: String,
}

/// A running or ended child.
#[derive(Debug)]
pub struct Process {
    label: String,
    child: Child,
    status: Option<ExitStatus>,
    lines: Arc<Mutex<Vec<Line>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts a command, with no input. The label names it in errors.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(label: &str, command: Command) -> anyhow::Result<Self> {
        Self::spawn_with(label, command, |_| ())
    }

    /// Starts a command and shows every line to `look` as it comes.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn_with(
        label: &str,
        mut command: Command,
        look: impl Fn(&Line) + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        interrupt::check()?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let program = command.get_program().to_owned();
        let mut child = spawner::spawn(command)
            .with_context(|| format!("cannot run {} ({label})\n  run: cargo xtask setup", program.display()))?;
        let lines = Arc::new(Mutex::new(Vec::new()));
        let look = Arc::new(look);
        let mut readers = Vec::new();
        let mut read = |from: Option<Box<dyn Read + Send>>, stream| {
            let (lines, look) = (Arc::clone(&lines), Arc::clone(&look));
            readers.extend(from.map(|from| thread::spawn(move || collect(from, stream, &lines, &*look))));
        };
        read(child.stdout.take().map(|s| Box::new(s) as _), Stream::Out);
        read(child.stderr.take().map(|s| Box::new(s) as _), Stream::Err);
        Ok(Self { label: label.to_owned(), child, status: None, lines, readers })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All lines so far, in the order in which they were read.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        self.locked().clone()
    }

    /// The text of all lines so far.
    #[must_use]
    pub fn output(&self) -> String {
        self.locked().iter().fold(String::new(), |all, line| all + &line.text + "\n")
    }

    /// How many lines there are so far: the `since` of [`Process::wait_for_line_since`].
    #[must_use]
    pub fn mark(&self) -> usize {
        self.locked().len()
    }

    /// Waits for a line, those that came already included, and returns it.
    ///
    /// # Errors
    /// When it does not come in time, or the process ends without it; the error shows the last lines.
    pub fn wait_for_line(&mut self, within: Duration, is_it: impl Fn(&str) -> bool) -> anyhow::Result<String> {
        self.wait_for_line_since(0, within, is_it)
    }

    /// Waits for a line among those after the first `since`.
    ///
    /// # Errors
    /// As [`Process::wait_for_line`].
    pub fn wait_for_line_since(
        &mut self,
        since: usize,
        within: Duration,
        is_it: impl Fn(&str) -> bool,
    ) -> anyhow::Result<String> {
        let found = wait_for("the line", within, || {
            // Looked at before the lines: what an ended process wrote has been read by then.
            let ended = self.ended();
            let line = self.locked().iter().skip(since).map(|l| &l.text).find(|text| is_it(text)).cloned();
            line.map(Ok).or_else(|| ended.map(Err))
        });
        match found {
            Ok(Ok(line)) => Ok(line),
            Ok(Err(status)) => bail!("{} ended ({status}) without the line waited for{}", self.label, self.tail()),
            Err(error) => Err(self.explain(error)),
        }
    }

    /// Its status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            let status = self.child.try_wait().ok().flatten()?;
            let start = Instant::now();
            while self.readers.iter().any(|r| !r.is_finished()) && start.elapsed() < DRAIN {
                thread::sleep(crate::wait::INTERVAL);
            }
            self.status = Some(status);
        }
        self.status
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it does not end in time; it goes on running then.
    pub fn wait(&mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        wait_for("its end", within, || self.ended()).map_err(|error| self.explain(error))
    }

    /// Waits for its end and its success.
    ///
    /// # Errors
    /// When it does not end in time, or fails.
    pub fn succeed(&mut self, within: Duration) -> anyhow::Result<()> {
        let status = self.wait(within)?;
        if !status.success() {
            bail!("{} ended with {status}{}", self.label, self.tail());
        }
        Ok(())
    }

    /// Sends a signal to it alone; does nothing if it has ended.
    pub fn signal(&mut self, signal: libc::c_int) {
        if self.ended().is_none() {
            // SAFETY: has no preconditions; the child is not reaped yet, so the id is still its own.
            unsafe { libc::kill(self.child.id().cast_signed(), signal) };
        }
    }

    /// Asks it to end with SIGTERM, and waits.
    ///
    /// # Errors
    /// When it does not end in time; then it has been killed.
    pub fn stop(&mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        self.signal(libc::SIGTERM);
        // On the way out after Ctrl-C too: hence not `wait`, which would end at once.
        let start = Instant::now();
        while start.elapsed() < patience(within) {
            if let Some(status) = self.ended() {
                return Ok(status);
            }
            thread::sleep(crate::wait::INTERVAL);
        }
        self.kill();
        bail!("{} did not end within {} s of SIGTERM and was killed{}", self.label, within.as_secs(), self.tail())
    }

    /// Ends it and what it started with SIGKILL, and waits.
    pub fn kill(&mut self) {
        if self.ended().is_none() {
            // SAFETY: as in `signal`; the child leads the process group of its id.
            unsafe { libc::kill(-self.child.id().cast_signed(), libc::SIGKILL) };
            self.status = self.child.wait().ok();
        }
    }

    /// Waits until its output has gone quiet: no new line for a while.
    ///
    /// # Errors
    /// When it goes on talking.
    pub fn wait_for_quiet(&self, quiet: Duration, within: Duration) -> anyhow::Result<()> {
        wait_until("silence", within, || self.locked().last().is_none_or(|line| line.at.elapsed() >= quiet))
    }

    fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        if error.is::<interrupt::Interrupted>() {
            error
        } else {
            error.context(format!("{}{}", self.label, self.tail()))
        }
    }

    /// The last lines, for an error.
    fn tail(&self) -> String {
        let lines = self.locked();
        let from = lines.len().saturating_sub(LAST_LINES);
        let mut out = if lines.is_empty() { ", which said nothing".to_owned() } else { ", which said:".to_owned() };
        for line in &lines[from..] {
            // Writing to a string does not fail.
            let _infallible = write!(out, "\n    {}", line.text);
        }
        out
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Reads lines; a bare carriage return, with which progress lines overwrite themselves, ends one too.
fn collect(from: impl Read, stream: Stream, lines: &Mutex<Vec<Line>>, look: &(impl Fn(&Line) + ?Sized)) {
    let mut bytes = Vec::new();
    let emit = |bytes: &mut Vec<u8>| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        bytes.clear();
        let line = Line { at: Instant::now(), stream, text };
        look(&line);
        lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    };
    let mut after_return = false;
    for byte in BufReader::new(from).bytes().map_while(Result::ok) {
        match byte {
            b'\n' if after_return => {}
            b'\n' | b'\r' => emit(&mut bytes),
            byte => bytes.push(byte),
        }
        after_return = byte == b'\r';
    }
    if !bytes.is_empty() {
        emit(&mut bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn shell(script: &str) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::spawn("the script", command).unwrap()
    }

    #[test]
    fn lines_and_status_are_seen() {
        let mut process = shell("echo one; echo two >&2; exit 3");
        assert_eq!(process.wait_for_line(SOON, |l| l.starts_with("tw")).unwrap(), "two");
        assert_eq!(process.wait(SOON).unwrap().code(), Some(3));
        assert_eq!(process.lines().iter().find(|l| l.text == "two").unwrap().stream, Stream::Err);
        assert!(process.succeed(SOON).unwrap_err().to_string().contains("one"));
    }

    #[test]
    fn progress_lines_are_lines() {
        let mut process = shell(r"printf 'a\rb\r\nc\n\nd'");
        process.succeed(SOON).unwrap();
        assert_eq!(process.output(), "a\nb\nc\n\nd\n");
    }

    #[test]
    fn the_end_without_the_line_is_an_error_that_shows_the_output() {
        let error = shell("echo sorry").wait_for_line(SOON, |l| l == "ready").unwrap_err();
        assert!(error.to_string().contains("sorry"), "{error}");
    }

    #[test]
    fn a_process_is_stopped_and_one_that_will_not_is_killed() {
        let mut process = shell("echo up; exec sleep 60");
        process.wait_for_line(SOON, |l| l == "up").unwrap();
        assert_eq!(process.stop(SOON).unwrap().code(), None);
        let mut process = shell("trap '' TERM; echo up; while :; do sleep 1; done");
        process.wait_for_line(SOON, |l| l == "up").unwrap();
        assert!(process.stop(Duration::from_millis(50)).is_err());
        assert!(process.ended().is_some());
    }

    #[test]
    fn a_process_outlives_the_thread_that_started_it() {
        let mut process = thread::spawn(|| shell("read nothing; sleep 0.1; echo alive")).join().unwrap();
        process.wait_for_line(SOON, |l| l == "alive").unwrap();
    }
}
