//! A running tcpcap.

use std::{
    ffi::OsStr,
    path::PathBuf,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tempfile::TempDir;

use tcpcap_lab::{Metrics, Namespace, Process, layout::CARD};

/// Long against everything waited for, so that a slow machine fails nothing.
pub const SOON: Duration = Duration::from_secs(30);

/// tcpcap in a namespace.
pub struct Sensor {
    pub process: Process,
    pub namespace: Namespace,
    /// Where it keeps what it remembers.
    pub state: Arc<TempDir>,
}

/// `tcpcap` with arguments, not started. A daemon that is not told where to keep things keeps them to itself: what it has
/// on this machine is no test's.
pub fn tcpcap<A: AsRef<OsStr>>(namespace: &Namespace, args: &[A]) -> Command {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let mut command = namespace.command(env!("CARGO_BIN_EXE_tcpcap"));
    command.args(args).env_remove("INTERFACE_NAME").env_remove("PUBLIC_IP").env_remove("RUST_LOG");
    // And what this machine's is configured to do is no test's either.
    command.env("TCPCAP_CONFIG", "/dev/null");
    let is_told = |flag: &str| args.iter().any(|arg| arg.as_ref() == flag);
    if is_told("run") {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let own = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("daemon-{}-{number}", std::process::id()));
        if !is_told("--state") {
            command.arg("--state").arg(&own);
        }
        if !is_told("--socket") {
            command.arg("--socket").arg(own.join("tcpcap.sock"));
        }
    }
    command
}

impl Sensor {
    /// Runs on the sensor's first card, and waits until it is attached.
    pub fn start(namespace: &Namespace, args: &[&str]) -> Self {
        Self::run(namespace, &[&["run", "--iface", CARD], args].concat())
    }

    /// Runs with all arguments given but where to keep what is remembered.
    pub fn run(namespace: &Namespace, args: &[&str]) -> Self {
        Self::run_with(namespace, args, Arc::new(TempDir::new().unwrap()))
    }

    /// Runs with what an earlier one remembers.
    pub fn run_with(namespace: &Namespace, args: &[&str], state: Arc<TempDir>) -> Self {
        let directory = state.path().to_str().unwrap().to_owned();
        let socket = format!("{directory}/tcpcap.sock");
        let args = [args, &["--state", &directory, "--socket", &socket]].concat();
        let mut process = Process::spawn("tcpcap", tcpcap(namespace, &args)).unwrap();
        process.wait_for_line(SOON, |l| l.contains("tcpcap ready")).unwrap();
        Self { process, namespace: namespace.clone(), state }
    }

    /// Runs a verb that asks it; returns the exit code and everything said.
    pub fn ask(&self, args: &[&str]) -> (i32, String) {
        let socket = self.state.path().join("tcpcap.sock");
        verb(&self.namespace, &[args, &["--socket", socket.to_str().unwrap()]].concat())
    }

    /// Kills it and starts another with the same memory on the sensor's first card.
    pub fn replaced_after_kill(mut self, args: &[&str]) -> Self {
        self.process.kill();
        Self::run_with(&self.namespace, &[&["run", "--iface", CARD], args].concat(), self.state)
    }

    /// Waits for a line of the log that holds all these texts.
    pub fn says(&mut self, texts: &[&str]) -> String {
        self.process.wait_for_line(SOON, |l| texts.iter().all(|t| l.contains(t))).unwrap()
    }

    /// How many lines of the log so far hold this text.
    pub fn said(&self, text: &str) -> usize {
        self.process.lines().iter().filter(|l| l.text.contains(text)).count()
    }

    /// Waits until the metrics are as wanted, and returns them.
    pub fn metrics(&self, what: &str, holds: impl Fn(&Metrics) -> bool) -> Metrics {
        Metrics::wait_until(&self.namespace, what, SOON, holds).unwrap()
    }

    /// Ends it and checks that it ended well.
    pub fn stop(mut self) -> String {
        assert!(self.process.stop(SOON).unwrap().success());
        self.process.output()
    }
}

/// Whether an XDP program is attached to a card.
pub fn has_xdp(namespace: &Namespace, card: &str) -> bool {
    let mut command = namespace.command("ip");
    command.args(["link", "show", "dev", card]);
    let mut ip = Process::spawn("ip", command).unwrap();
    ip.succeed(SOON).unwrap();
    ip.output().contains("xdp")
}

/// The directory of a namespace's pins, if there is one.
pub fn pins(namespace: &Namespace) -> Option<PathBuf> {
    use std::os::unix::fs::MetadataExt as _;
    let number = std::fs::metadata(namespace.path()).unwrap().ino();
    Some(PathBuf::from(format!("/sys/fs/bpf/tcpcap/net-{number}"))).filter(|dir| dir.exists())
}

/// Runs a verb of tcpcap to its end; returns its exit code and everything it said.
pub fn verb(namespace: &Namespace, args: &[&str]) -> (i32, String) {
    let mut process = Process::spawn("tcpcap", tcpcap(namespace, args)).unwrap();
    let status = process.wait(SOON).unwrap();
    (status.code().unwrap_or(-1), process.output())
}
