//! A daemon that only answers, and whose answers a test can change.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
    thread::{self, JoinHandle},
    time::Duration,
};

use tcpcap::control::{
    BlockShown, Command, Next, Now, Refused, Reply, Request, Sample, SourceShown, Status, Story, Timeline,
    api::{Door, Patience},
    server::{Counters, Limits, Server, WAITING},
    socket::{self, Socket},
    stream::Hub,
};
use tokio::sync::mpsc;

/// What it answers.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) sources: Vec<SourceShown>,
    pub(crate) blocks: Vec<BlockShown>,
    pub(crate) refusal: Option<Refused>,
    pub(crate) silent: bool,
    /// What it was told to do.
    pub(crate) told: Vec<Command>,
    /// Whoever still waits for an answer.
    waiting: Vec<Request>,
}

/// A daemon behind a socket.
pub(crate) struct Straw {
    pub(crate) path: PathBuf,
    world: Arc<Mutex<World>>,
    server: Option<Server>,
    thread: Option<JoinHandle<()>>,
}

impl Straw {
    pub(crate) fn at(path: &Path) -> Self {
        let world = Arc::new(Mutex::new(World { sources: sources(), blocks: blocks(), ..World::default() }));
        let (requests, mut taken) = mpsc::channel::<Request>(WAITING);
        let its = Arc::clone(&world);
        let thread = thread::spawn(move || {
            while let Some(request) = taken.blocking_recv() {
                its.lock().unwrap().take(request);
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let socket = match runtime.block_on(socket::listen(path)).unwrap() {
            Socket::Open(socket) => socket,
            Socket::Unavailable(why) => panic!("{why:?}"),
        };
        let patience = Patience { answer: Duration::from_secs(60), ..Patience::CONTROL };
        let door = Door::new(requests, Arc::new(Hub::default()), None, patience, Counters::default());
        let server = Server::start(socket, door, Limits::default()).unwrap();
        Self { path: path.to_owned(), world, server: Some(server), thread: Some(thread) }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }
}

impl Drop for Straw {
    fn drop(&mut self) {
        self.world().waiting.clear();
        drop(self.server.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl World {
    fn take(&mut self, request: Request) {
        if self.silent {
            return self.waiting.push(request);
        }
        let answer = self.answer(&request.command);
        // Who asked may have gone.
        request.answer.send(answer).ok();
    }

    fn answer(&mut self, command: &Command) -> Result<Reply, Refused> {
        Ok(match command {
            Command::Status => Reply::Status(Box::new(status())),
            Command::List => Reply::Blocks(self.blocks.clone()),
            Command::Sources => Reply::Sources(self.sources.clone()),
            Command::Timeline => Reply::Timeline(timeline()),
            Command::Findings => Reply::Findings(Vec::new()),
            Command::Explain { address } => Reply::Story(Box::new(Story {
                address: *address,
                source: (*address).into(),
                time: "2026-11-25T17:00:00Z".to_owned(),
                now: Now { state: "blocked".to_owned(), protected: None, blocks: blocks() },
                seen: sources().pop(),
                next: Next { times: 1, ends_s: Some(560), repeat_s: 1200, forgotten_s: None },
                past: Vec::new(),
                past_missing: None,
            })),
            command => {
                self.told.push(command.clone());
                match &self.refusal {
                    Some(refused) => return Err(refused.clone()),
                    None => Reply::Done { done: command.done() },
                }
            }
        })
    }
}

fn status() -> Status {
    Status {
        version: "0.1.0".to_owned(),
        pid: 4242,
        uptime_s: 75,
        mode: "enforce".to_owned(),
        scope: "all".to_owned(),
        ..Status::default()
    }
}

fn timeline() -> Timeline {
    let sample = |n: u64| Sample { at: 1_700_000_000 + n, span_s: 1, attempts: n % 40, ..Sample::default() };
    Timeline { seconds: (0..300).map(sample).collect(), minutes: Vec::new() }
}

fn sources() -> Vec<SourceShown> {
    let source = |last, state: &str, per_second, attempts| SourceShown {
        source: std::net::IpAddr::from([203, 0, 113, last]).into(),
        state: state.to_owned(),
        per_second,
        attempts,
        ..SourceShown::default()
    };
    vec![source(7, "free", 9.0, 20), source(23, "protected", 5.0, 30), source(56, "blocked", 1.0, 40)]
}

fn blocks() -> Vec<BlockShown> {
    vec![BlockShown {
        network: "203.0.113.56/32".parse().unwrap(),
        origin: "automatic".to_owned(),
        why: "port-scan".to_owned(),
        scope: "all".to_owned(),
        age_s: 40,
        left_s: Some(560),
        times: 1,
        packets: 1234,
        bytes: 74_040,
    }]
}
