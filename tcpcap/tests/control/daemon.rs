//! A daemon that only answers.

use std::{
    io::{Read, Write},
    net::IpAddr,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command as Process,
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use prometheus_client::{encoding::text, registry::Registry};
use serde_json::Value;
use tcpcap::control::{
    BlockShown, Command, Next, Now, Refused, Reply, Request, SourceShown, Status, Story,
    api::{Door, Patience},
    server::{Counters, Limits, Server, WAITING},
    socket::{self, Socket},
    stream::Hub,
};
use tempfile::TempDir;
use tokio::sync::mpsc;

/// How much is served, and for how long it is waited.
pub(crate) type Measure = (Limits, Patience);

pub(crate) fn usual() -> Measure {
    (Limits::default(), Patience::CONTROL)
}

/// What the daemon does with a request.
pub(crate) type Answer = fn(Request) -> Option<Request>;

/// Carries out whatever is asked.
pub(crate) fn obeys(request: Request) -> Option<Request> {
    let reply = match &request.command {
        Command::Status => Reply::Status(Box::new(status())),
        Command::List => Reply::Blocks(blocks()),
        Command::Sources => Reply::Sources(sources()),
        Command::Explain { address } => Reply::Story(Box::new(story(*address))),
        command => Reply::Done { done: command.done() },
    };
    // Who asked may have gone.
    drop(request.answer.send(Ok(reply)));
    None
}

/// Refuses whatever is asked.
pub(crate) fn refuses(request: Request) -> Option<Request> {
    let refused = Refused {
        cause: "192.0.2.7 is the peer of an SSH session".to_owned(),
        remedy: "block it from elsewhere".to_owned(),
    };
    drop(request.answer.send(Err(refused)));
    None
}

/// Takes what is asked and never answers.
pub(crate) fn is_silent(request: Request) -> Option<Request> {
    Some(request)
}

/// Drops what is asked, as a daemon does that stops.
pub(crate) fn stops(_: Request) -> Option<Request> {
    None
}

pub(crate) fn status() -> Status {
    Status {
        version: "0.1.0".to_owned(),
        pid: 4242,
        uptime_s: 75,
        mode: "enforce".to_owned(),
        scope: "all".to_owned(),
        preset: "balanced".to_owned(),
        allowed: vec!["10.0.0.0/8".parse().unwrap()],
        ..Status::default()
    }
}

pub(crate) fn blocks() -> Vec<BlockShown> {
    let block = |network: &str, age_s, left_s| BlockShown {
        network: network.parse().unwrap(),
        origin: "automatic".to_owned(),
        why: "port-scan".to_owned(),
        scope: "all".to_owned(),
        age_s,
        left_s,
        times: 1,
        packets: 1234,
        bytes: 74_040,
    };
    vec![block("192.0.2.1/32", 300, Some(560)), block("2001:db8::/64", 20, None)]
}

pub(crate) fn sources() -> Vec<SourceShown> {
    let source = |source: &str, state: &str, attempts| SourceShown {
        source: source.parse().unwrap(),
        state: state.to_owned(),
        attempts,
        last_seen_s: 3,
        ..SourceShown::default()
    };
    vec![source("192.0.2.1/32", "blocked", 100), source("2001:db8::/64", "free", 2)]
}

pub(crate) fn story(address: IpAddr) -> Story {
    Story {
        address,
        source: address.into(),
        time: "2025-11-24T16:00:40.000Z".to_owned(),
        now: Now { state: "free".to_owned(), ..Now::default() },
        seen: None,
        next: Next { repeat_s: 600, ..Next::default() },
        past: Vec::new(),
        past_missing: None,
    }
}

/// A daemon behind a socket of its own.
pub(crate) struct Daemon {
    pub(crate) path: PathBuf,
    pub(crate) counters: Counters,
    pub(crate) hub: Arc<Hub>,
    asked: Arc<Mutex<Vec<(Command, String)>>>,
    server: Option<Server>,
    thread: Option<JoinHandle<()>>,
    _directory: TempDir,
}

impl Daemon {
    pub(crate) fn that(answer: Answer) -> Self {
        Self::with(answer, usual(), WAITING)
    }

    pub(crate) fn with(answer: Answer, measure: Measure, waiting: usize) -> Self {
        let (requests, mut taken) = mpsc::channel(waiting);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        let thread = thread::spawn(move || {
            let mut kept = Vec::new();
            while let Some(request) = taken.blocking_recv() {
                let request: Request = request;
                noted.lock().unwrap().push((request.command.clone(), request.who.clone()));
                kept.extend(answer(request));
            }
        });
        let mut daemon = Self::before(requests, measure);
        (daemon.thread, daemon.asked) = (Some(thread), asked);
        daemon
    }

    /// One whose loop takes nothing from the channel; its other end is the caller's.
    pub(crate) fn before(requests: mpsc::Sender<Request>, (limits, patience): Measure) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tcpcap.sock");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let socket = match runtime.block_on(socket::listen(&path)).unwrap() {
            Socket::Open(socket) => socket,
            Socket::Unavailable(why) => panic!("{why:?}"),
        };
        let counters = Counters::default();
        let hub = Arc::new(Hub::default());
        let door = Door::new(requests, Arc::clone(&hub), None, patience, counters.clone());
        let server = Server::start(socket, door, limits).unwrap();
        Self { path, counters, hub, asked: Arc::default(), server: Some(server), thread: None, _directory: directory }
    }

    /// What was asked, and who asked.
    pub(crate) fn asked(&self) -> Vec<(Command, String)> {
        self.asked.lock().unwrap().clone()
    }

    /// As `/metrics` shows it.
    pub(crate) fn metrics(&self) -> String {
        let (mut registry, mut shown) = (Registry::with_prefix("tcpcap"), String::new());
        self.counters.register(&mut registry, "control");
        text::encode(&mut shown, &registry).unwrap();
        shown
    }

    /// Status and body of what is answered.
    pub(crate) fn send(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        answer(&mut self.begin(method, path, body))
    }

    /// Header and body of what is answered, whatever it is.
    pub(crate) fn raw(&self, method: &str, path: &str) -> (String, String) {
        parts(&mut self.begin(method, path, ""))
    }

    fn begin(&self, method: &str, path: &str, body: &str) -> UnixStream {
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n");
        let mut stream = UnixStream::connect(&self.path).unwrap();
        stream.write_all((head + body).as_bytes()).unwrap();
        stream
    }

    /// Runs a verb against it.
    pub(crate) fn verb(&self, args: &[&str]) -> Said {
        verb(&self.path, args)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.server.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// Status and body out of a stream that ends.
pub(crate) fn answer(stream: &mut impl Read) -> (u16, Value) {
    let (head, body) = parts(stream);
    (code(&head), serde_json::from_str(&body).unwrap_or_else(|e| panic!("{e}: `{head} {body}`")))
}

/// Header and body out of a stream that ends.
pub(crate) fn parts(stream: &mut impl Read) -> (String, String) {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no header in `{text}`"));
    (head.to_lowercase(), body.to_owned())
}

/// The status in a header.
pub(crate) fn code(head: &str) -> u16 {
    head.split(' ').nth(1).unwrap_or_else(|| panic!("no status in `{head}`")).parse().unwrap()
}

/// What a run of tcpcap said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: i32,
}

pub(crate) fn verb(socket: &Path, args: &[&str]) -> Said {
    let output = Process::new(env!("CARGO_BIN_EXE_tcpcap")).args(args).arg("--socket").arg(socket).output().unwrap();
    Said {
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code().unwrap(),
    }
}
