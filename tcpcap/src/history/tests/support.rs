//! A file, a clock that is set by hand, and things to remember.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ipnet::IpNet;
use tcpcap_common::Addr;
use tcpcap_core::{Decision, Finding, Fingerprint, Outcome, Rule, Scope, Source, Standing, Time, Tool, Verdict};
use tempfile::TempDir;

use crate::{
    block::{Block, Why},
    history::{Change, Clock, Drops, Entry, History, Limits, Question, Reader, Restored, Row},
};

/// Long enough for a disk that is busy with other tests.
pub const SOON: Duration = Duration::from_secs(30);

#[derive(Clone, Debug)]
struct Hands {
    boot: Time,
    wall: SystemTime,
    boot_id: Option<String>,
}

/// A clock that goes only when told.
#[derive(Debug)]
pub struct Simulated(Mutex<Hands>);

impl Clock for Simulated {
    fn boot(&self) -> Time {
        self.0.lock().unwrap().boot
    }

    fn wall(&self) -> SystemTime {
        self.0.lock().unwrap().wall
    }

    fn boot_id(&self) -> Option<String> {
        self.0.lock().unwrap().boot_id.clone()
    }
}

/// A history in a directory of its own, 1,000 s after boot, in November 2025.
pub struct World {
    pub clock: Arc<Simulated>,
    pub limits: Limits,
    directory: TempDir,
}

impl World {
    pub fn new() -> Self {
        let wall = UNIX_EPOCH + Duration::from_secs(1_764_000_000);
        let hands = Hands { boot: Time::from_secs(1000), wall, boot_id: Some("first".to_owned()) };
        let directory = tempfile::tempdir().unwrap();
        Self { clock: Arc::new(Simulated(Mutex::new(hands))), limits: Limits::default(), directory }
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("history.db")
    }

    pub fn open(&self) -> (History, Restored) {
        History::open(&self.path(), self.limits, Arc::clone(&self.clock) as _).unwrap()
    }

    pub fn ask(&self, question: &Question) -> Vec<Row> {
        Reader::open(&self.path()).unwrap().ask(question).unwrap()
    }

    pub fn now(&self) -> Time {
        self.clock.boot()
    }

    /// Time passes, on both clocks.
    pub fn pass(&self, secs: u64) {
        let mut hands = self.clock.0.lock().unwrap();
        hands.boot = hands.boot + Duration::from_secs(secs);
        hands.wall += Duration::from_secs(secs);
    }

    /// Somebody sets the wall clock.
    pub fn step_wall(&self, secs: i64) {
        let mut hands = self.clock.0.lock().unwrap();
        let span = Duration::from_secs(secs.unsigned_abs());
        hands.wall = if secs < 0 { hands.wall - span } else { hands.wall + span };
    }

    /// The host boots again, and is ready 30 s after.
    pub fn reboot(&self, down_secs: u64) {
        let mut hands = self.clock.0.lock().unwrap();
        hands.boot = Time::from_secs(30);
        hands.wall += Duration::from_secs(down_secs);
        hands.boot_id = hands.boot_id.take().map(|id| id + "'");
    }

    /// A block that a rule found, from now on.
    pub fn block(&self, network: &str, secs: u64) -> Block {
        Block {
            network: network.parse().unwrap(),
            why: Why::Rule(Rule::PortScan),
            scope: Scope::All,
            since: self.now(),
            until: Some(self.now() + Duration::from_secs(secs)),
            times: 1,
            unverified: true,
        }
    }

    pub fn begun(&self, block: &Block) -> Entry {
        Entry::Block { block: block.clone(), change: Change::Begun, at: self.now() }
    }

    pub fn ended(&self, block: &Block) -> Entry {
        let drops = Drops { packets: 7, bytes: 420 };
        Entry::Block { block: block.clone(), change: Change::Ended(drops), at: self.now() }
    }

    pub fn verdict(&self, source: &str) -> Verdict {
        let source: IpNet = source.parse().unwrap();
        let finding = Finding {
            count: 19,
            threshold: 18,
            targets: vec!["198.51.100.7".parse().unwrap()],
            ports: vec![22, 80],
            truncated: true,
            attempts_before: 13,
            completions: 2,
            standing: Standing::Verified,
            fingerprint: Some(Fingerprint { tool: Tool::Nmap, percent: 97 }),
            ..Finding::new(
                self.now(),
                Some(Source(Addr::from(source.addr()))),
                Rule::PortScan,
                ("fast", Duration::from_secs(60)),
            )
        };
        let ttl = Duration::from_secs(600);
        let outcome = Outcome::Block { until: self.now() + ttl };
        Verdict { finding, decision: Decision { outcome, times: 1, ttl, scope: Scope::All } }
    }
}

/// Records, and waits until it is in the file.
pub fn write(history: &History, entries: impl IntoIterator<Item = Entry>) {
    entries.into_iter().for_each(|entry| history.record(entry));
    assert!(history.flush(SOON), "{:?}", history.stats());
}

/// Whose blocks were restored, and for how many seconds more.
pub fn left(restored: &Restored, now: Time) -> Vec<(String, Option<u64>)> {
    let mut left: Vec<_> = restored
        .blocks
        .iter()
        .map(|b| (b.network.to_string(), b.until.map(|until| until.since(now).as_secs())))
        .collect();
    left.sort();
    left
}
