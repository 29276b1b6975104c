//! The part of the never-block set that must be found on the host and kept fresh: its name servers, and who is logged
//! in by SSH.
//!
//! Looking means reading files and asking the kernel for its connections. A thread does it, so that the daemon's loop
//! waits for neither; [`Discovery::refresh`] takes what was found and asks for the next look.

mod files;
mod logins;
mod resolvers;
mod sessions;
mod sockets;
mod sshd;

use std::{
    collections::BTreeSet,
    env, io,
    net::IpAddr,
    path::PathBuf,
    sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    thread,
    time::{Duration, Instant},
};

use tcpcap_core::{Protected, Protection};
use tracing::warn;

use crate::{host, surface::tell};
use files::Files;
use sessions::{Look, Sessions, StartedFrom};

/// How long the peer of an SSH session is protected after its end unless told otherwise: three minutes to notice that
/// the network is back, and two until a new session proves itself where nothing records logins. Not longer, because
/// until then whoever has that address may scan.
pub const LINGER: Duration = Duration::from_secs(300);

/// Looking takes at most this part of the time.
const SHARE: u32 = 20;

/// More connections to the SSH ports are not looked at.
const MOST_CONNECTIONS: usize = 65_536;

/// Where to look, and what is known beforehand.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the host's files are: `/`, or where a container has them.
    pub root: PathBuf,
    /// The ports that SSH servers listen on; empty: as sshd's configuration says.
    pub ports: Vec<u16>,
    /// How long the peer of a session is protected after its end.
    pub linger: Duration,
    /// `SSH_CONNECTION` or `SSH_CLIENT` of this process.
    pub started_from: Option<String>,
}

impl Default for Config {
    /// This host as it is, and this process's environment.
    fn default() -> Self {
        let started_from = env::var("SSH_CONNECTION").or_else(|_| env::var("SSH_CLIENT")).ok();
        Self { root: "/".into(), ports: Vec::new(), linger: LINGER, started_from }
    }
}

/// Looks again and again.
#[derive(Debug)]
pub struct Discovery {
    asks: SyncSender<()>,
    answers: Receiver<Seen>,
    /// A look has been asked for and has not been taken.
    waiting: bool,
    asked: Instant,
    seen: Seen,
    looks: u64,
    failures: u64,
    /// What kept the last look from seeing the sessions was said.
    complained: bool,
}

/// What one look brought.
#[derive(Debug, Default)]
struct Seen {
    resolvers: BTreeSet<IpAddr>,
    sessions: BTreeSet<IpAddr>,
    controls: BTreeSet<IpAddr>,
    /// What could not be read or protected at this look.
    failures: u64,
    problem: Option<String>,
    took: Duration,
}

impl Discovery {
    /// Looks once, puts what it finds into the set, and makes ready for more, in the network namespace of this thread.
    /// Takes as long as a look takes: milliseconds.
    ///
    /// # Errors
    /// There can be no more threads.
    pub fn start(config: &Config, protected: &mut Protected) -> io::Result<Self> {
        let mut looker = Looker::new(config);
        let first = looker.look();
        let (asks, asked) = sync_channel(1);
        let (answer, answers) = sync_channel(1);
        thread::Builder::new().name("protect".into()).spawn(move || {
            crate::host::be_ordinary();
            while asked.recv().is_ok() && answer.send(looker.look()).is_ok() {}
        })?;
        let (seen, asked) = (Seen::default(), Instant::now());
        let mut discovery =
            Self { asks, answers, waiting: false, asked, seen, looks: 0, failures: 0, complained: false };
        discovery.take(first, protected);
        Ok(discovery)
    }

    /// Takes what the last look brought, if it is there, and has the next one begun if it is time. If the set has
    /// changed, returns the addresses that are not in it any more. Never waits.
    pub fn refresh(&mut self, protected: &mut Protected) -> Option<Vec<IpAddr>> {
        let changed = match self.answers.try_recv() {
            Ok(seen) => {
                self.waiting = false;
                self.take(seen, protected)
            }
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                self.failures += 1;
                self.complain(Some("the thread that looks has ended"));
                None
            }
        };
        if !self.waiting && self.asked.elapsed() >= self.seen.took * SHARE {
            self.waiting = self.asks.try_send(()).is_ok();
            self.asked = Instant::now();
        }
        changed
    }

    /// How often the host was looked at.
    #[must_use]
    pub fn looks(&self) -> u64 {
        self.looks
    }

    /// What could not be seen, read or protected, counted at each look.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures
    }

    fn take(&mut self, seen: Seen, protected: &mut Protected) -> Option<Vec<IpAddr>> {
        self.looks += 1;
        self.failures += seen.failures;
        self.complain(seen.problem.as_deref());
        let before = std::mem::replace(&mut self.seen, seen);
        let Seen { resolvers, sessions, controls, .. } = &self.seen;
        if (&before.resolvers, &before.sessions, &before.controls) == (resolvers, sessions, controls) {
            return None;
        }
        let old = protected.clone();
        protected.set_resolvers(resolvers.iter().copied());
        protected.set_sessions(sessions.iter().copied());
        protected.set_controls(controls.iter().copied());
        for (ip, why) in protected.added_since(&old) {
            // What is there from the beginning `status` shows; only who is logged in should read it here, too.
            if self.looks == 1 && !matches!(why, Protection::Session(_) | Protection::Control(_)) {
                continue;
            }
            tell::protect(ip, &why);
        }
        let ended: Vec<IpAddr> = old.added_since(protected).map(|(ip, _)| ip).collect();
        for ip in &ended {
            tell::unprotect(*ip);
        }
        (*protected != old).then_some(ended)
    }

    fn complain(&mut self, problem: Option<&str>) {
        if let Some(problem) = problem
            && !self.complained
        {
            warn!("cannot see all SSH sessions, login records alone protect their peers: {problem}");
        }
        self.complained = problem.is_some();
    }
}

/// The thread's part.
struct Looker {
    files: Files,
    ports: BTreeSet<u16>,
    started_from: Option<StartedFrom>,
    sessions: Sessions,
    left_out: u64,
}

impl Looker {
    fn new(config: &Config) -> Self {
        let started_from = config.started_from.as_deref().and_then(StartedFrom::parse);
        Self {
            files: Files::below(&config.root),
            ports: config.ports.iter().copied().collect(),
            started_from,
            sessions: Sessions::new(started_from, config.linger),
            left_out: 0,
        }
    }

    fn look(&mut self) -> Seen {
        let start = Instant::now();
        let resolvers = resolvers::read(&mut self.files);
        let logins = logins::read(&mut self.files);
        let sshd = sshd::read(&mut self.files);
        let mut ports = if self.ports.is_empty() { sshd.ports } else { self.ports.clone() };
        ports.extend(self.started_from.map(|from| from.port));
        let (connections, overlooked, problem) = match sockets::established(&ports, MOST_CONNECTIONS) {
            Ok((connections, overlooked)) => (Some(connections), overlooked, None),
            Err(e) => (None, 1, Some(e.to_string())),
        };
        let connections = connections.as_deref();
        self.sessions.take(&Look { now: host::now(), connections, logins: &logins, grace: sshd.grace });
        let left_out = self.sessions.left_out() - self.left_out;
        self.left_out += left_out;
        Seen {
            resolvers,
            sessions: self.sessions.peers(),
            controls: self.sessions.control().into_iter().collect(),
            failures: left_out + overlooked + u64::try_from(self.files.unreadable()).unwrap_or(u64::MAX),
            problem,
            took: start.elapsed(),
        }
    }
}

/// The words of a line up to a comment.
fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split_ascii_whitespace().take_while(|word| !word.starts_with(['#', ';']))
}

/// An address of another host, with or without a zone (`fe80::1%eth0`).
fn address(text: &str) -> Option<IpAddr> {
    let ip = text.split('%').next()?.parse::<IpAddr>().ok()?.to_canonical();
    (!ip.is_unspecified() && !ip.is_multicast()).then_some(ip)
}

#[cfg(test)]
mod tests;
