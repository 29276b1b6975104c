//! The real `tcpcap run` in the sensor's namespace.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context;
use tcpcap_core::Source;
use tcpcap_lab::{Internet, Metrics, Namespace, Process, interrupt::Interrupted, layout::CARD, process::Stream};

use super::{log::Filter, narrate::Narrator};

/// How long tcpcap may take to start, to act, or to stop.
const SOON: Duration = Duration::from_secs(15);

/// Its control socket, beside its history.
const SOCKET: &str = "socket";

/// The running sensor.
pub(super) struct Sensor {
    process: Process,
    tcpcap: PathBuf,
    namespace: Namespace,
    filter: Arc<Mutex<Filter>>,
    voice: Narrator,
    /// It drops nothing, so it says.
    pub(super) observing: bool,
    state: tempfile::TempDir,
}

/// What tcpcap did about a scanner, in its own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Blocked,
    WouldBlock,
    NotBlocked,
}

impl Decision {
    /// Reads a line of the log, if it tells of this source.
    pub(super) fn read(line: &str, source: &str) -> Option<Self> {
        let (_time, text) = line.split_once(' ')?;
        // `WARN` stands before what is not done.
        let text = text.strip_prefix("WARN ").unwrap_or(text);
        let all = [("Blocked", Self::Blocked), ("Would block", Self::WouldBlock), ("Not blocked", Self::NotBlocked)];
        all.into_iter().find_map(|(begin, decision)| {
            let rest = text.strip_prefix(begin)?.strip_prefix(' ')?.strip_prefix(source)?;
            rest.starts_with([' ', ':']).then_some(decision)
        })
    }
}

impl Sensor {
    /// Starts it and waits until it is ready.
    pub(super) fn start(net: &Internet, tcpcap: &Path, args: &[String], voice: Narrator) -> anyhow::Result<Self> {
        let mut command = net.sensor.command(tcpcap);
        command.args(["run", "--iface", CARD]).args(args);
        // Nothing of the show stays, neither in the kernel nor on disk.
        let state = tempfile::tempdir().context("there is no place for what tcpcap remembers")?;
        command.arg("--detach").arg("--state").arg(state.path()).arg("--socket").arg(state.path().join(SOCKET));
        // Meant for a tcpcap on this machine's own cards.
        for name in ["INTERFACE_NAME", "PUBLIC_IP", "RUST_LOG"] {
            command.env_remove(name);
        }
        command.env("TCPCAP_CONFIG", "/dev/null");
        voice.command("sensor", format!("tcpcap run --iface {CARD} {}", args.join(" ")).trim_end());
        let filter = Arc::new(Mutex::new(Filter::default()));
        let mut process = Process::spawn_with("tcpcap", command, {
            let filter = Arc::clone(&filter);
            move |line| {
                // What is said on standard error comes back with the error that ends us.
                if line.stream == Stream::Out {
                    let shown = filter.lock().unwrap_or_else(PoisonError::into_inner).take(&line.text);
                    shown.iter().for_each(|s| voice.sensor(&s.time, &s.text, s.tone));
                }
            }
        })?;
        let ready =
            process.wait_for_line(SOON, |line| line.contains("tcpcap ready")).context("tcpcap did not start")?;
        let observing = ready.contains("observing only");
        let (tcpcap, namespace) = (tcpcap.to_owned(), net.sensor.clone());
        Ok(Self { process, tcpcap, namespace, filter, voice, observing, state })
    }

    /// A point in the log, for [`Sensor::decision`].
    pub(super) fn mark(&self) -> usize {
        self.process.mark()
    }

    /// Waits for what tcpcap decides about a source, in the log from `since` on.
    pub(super) fn decision(&mut self, scanner: &Scanner, since: usize) -> anyhow::Result<Decision> {
        let line = self.process.wait_for_line_since(since, SOON, |l| Decision::read(l, &scanner.shown).is_some());
        match line {
            Ok(line) => Decision::read(&line, &scanner.shown).context("the line was there a moment ago"),
            Err(error) if error.downcast_ref::<Interrupted>().is_some() => Err(error),
            // Its log has been seen already.
            Err(_) => anyhow::bail!("tcpcap did not detect the scan from {}", scanner.address),
        }
    }

    /// Asks it for the story of a scanner, and shows what it tells.
    pub(super) fn explain(&self, scanner: &Scanner) -> anyhow::Result<()> {
        let address = scanner.address.to_string();
        self.voice.command("sensor", &format!("tcpcap explain {address}"));
        let mut command = self.namespace.command(&self.tcpcap);
        command.args(["explain", &address, "--socket"]).arg(self.state.path().join(SOCKET));
        let mut explain = Process::spawn("tcpcap explain", command)?;
        let status = explain.wait(SOON)?;
        let told = explain.output();
        anyhow::ensure!(status.success() && told.contains("How it came to that"), "tcpcap does not explain: {told}");
        self.voice.show(&told.lines().map(str::to_owned).collect::<Vec<_>>());
        Ok(())
    }

    /// Its counters, as of its last look at the kernel's.
    pub(super) fn metrics(&self) -> anyhow::Result<Metrics> {
        Metrics::fetch(&self.namespace)
    }

    /// Its counters once a condition holds, or else when time is over.
    pub(super) fn metrics_when(
        &self,
        what: &str,
        within: Duration,
        holds: impl Fn(&Metrics) -> bool,
    ) -> anyhow::Result<Metrics> {
        match Metrics::wait_until(&self.namespace, what, within, holds) {
            Err(error) if error.downcast_ref::<Interrupted>().is_none() => self.metrics(),
            done => done,
        }
    }

    /// Shows nothing usual any more, or shows it again.
    pub(super) fn mute(&self, muted: bool) {
        self.filter.lock().unwrap_or_else(PoisonError::into_inner).muted = muted;
    }

    /// Says how many new connections of a source were not shown.
    pub(super) fn say_rest_of(&self, scanner: &Scanner) {
        let rest = self.filter.lock().unwrap_or_else(PoisonError::into_inner).rest_of(&scanner.shown);
        rest.iter().for_each(|s| self.voice.sensor(&s.time, &s.text, s.tone));
    }

    /// Stops it as systemd would.
    pub(super) fn stop(mut self) -> anyhow::Result<()> {
        let status = self.process.stop(SOON)?;
        anyhow::ensure!(status.success(), "tcpcap ended with {status}");
        Ok(())
    }
}

/// A scanner: its address, and what tcpcap calls it.
#[derive(Clone, Debug)]
pub(super) struct Scanner {
    pub(super) address: IpAddr,
    pub(super) target: IpAddr,
    pub(super) shown: String,
}

impl Scanner {
    pub(super) fn new(address: IpAddr, target: IpAddr) -> Self {
        Self { address, target, shown: Source::of(address.into(), target.into()).to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_read_from_the_log_line_of_its_source() {
        for (text, decision) in [
            ("Blocked 203.0.113.1 for 10 min", Some(Decision::Blocked)),
            ("Would block 203.0.113.1 for 10 min", Some(Decision::WouldBlock)),
            ("WARN Not blocked 203.0.113.1: 203.0.113.0/24 is allowed", Some(Decision::NotBlocked)),
            ("Blocked 203.0.113.12 for 10 min", None),
            ("Port scan detected: 203.0.113.1 -> 198.51.100.1 on ports 1", None),
        ] {
            assert_eq!(
                Decision::read(&format!("2026-11-24T16:40:01.123456Z {text}"), "203.0.113.1"),
                decision,
                "{text}"
            );
        }
    }
}
