//! The daemon killed at any moment of its life.

use std::{
    fs,
    net::Ipv4Addr,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use tcpcap::{
    history::{Degraded, History, HostClock, Limits},
    kernel::Blocks,
};
use tcpcap_common::record::Block;
use tcpcap_lab::{Injector, Knocker, wait_for, wait_until};

use crate::stage::{SOON, Stage, blocks, entry, syns};

const KILLS: usize = 100;
/// The latest moment of a kill, from the start of the process.
const LATEST: Duration = Duration::from_millis(500);
/// How long a scanner waits for its block before it scans again.
const AGAIN: Duration = Duration::from_secs(1);
/// How far the end of a block may be from when it is due.
const TOLERANCE: Duration = Duration::from_secs(1);

/// Random numbers that are the same again from the same seed (`SplitMix64`).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// `TCPCAP_SEED`, or another one each time.
fn seed() -> u64 {
    let given = std::env::var("TCPCAP_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| tcpcap::host::now().as_nanos())
}

/// Opens a copy of the history, as the next daemon will: the daemon's own must not be touched.
fn history_opens(state: &Path, copy: &Path) {
    for file in ["history.db", "history.db-wal"] {
        let to = copy.join(file);
        fs::remove_file(&to).ok();
        if state.join(file).exists() {
            fs::copy(state.join(file), &to).unwrap();
        }
    }
    let path = copy.join("history.db");
    let (history, restored) =
        History::open(&path, Limits::default(), std::sync::Arc::new(HostClock)).expect("the history opens");
    assert_eq!(history.stats().degraded, None::<Degraded>);
    assert!(!restored.blocks.is_empty(), "the block of an hour is in it");
    drop(history);
    let sound: String =
        rusqlite::Connection::open(&path).unwrap().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
}

/// Has a source scan until it is blocked: whoever heard of it may have been killed before judging it.
fn first_block(stage: &Stage, blocks: &Blocks, sender: &Injector, source: Ipv4Addr) -> Block {
    for first in (1000..30_000).step_by(40) {
        for frame in syns(&stage.net, source, first..first + 40) {
            sender.send(&frame).unwrap();
        }
        if let Ok(block) = wait_for("a block", AGAIN, || entry(blocks, source)) {
            return block;
        }
    }
    panic!("{source} is never blocked");
}

/// Has one source after the other blocked for a few seconds, and holds the end of each block against when it is due.
/// Returns how many blocks ended.
fn short_blocks(stage: &Stage, stop: &AtomicBool) -> usize {
    let sender = Injector::open(&stage.net.internet, "tosensor").unwrap();
    let blocks = blocks(&stage.net);
    let mut ended = 0;
    for n in 10..190 {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let source = Ipv4Addr::new(203, 0, 113, n);
        let mut due = first_block(stage, &blocks, &sender, source).until;
        let knocker = Knocker::start(
            &stage.net.internet,
            "tosensor",
            syns(&stage.net, source, 999..1000),
            Duration::from_millis(5),
        );
        let knocker = knocker.unwrap();
        let passed = || stage.behind.snapshot().unwrap().from(source.into());
        // What was sent before the block has passed, too.
        let before = passed();
        let mut last = before;
        wait_until("the end of the block", SOON, || {
            if let Some(block) = entry(&blocks, source) {
                due = due.max(block.until);
            }
            last = passed();
            last > before
        })
        .unwrap();
        let now = tcpcap::host::now().as_nanos();
        let off = Duration::from_nanos(now.abs_diff(due));
        assert!(off < TOLERANCE, "the block of {source} ended {off:?} from when it was due");
        drop(knocker);
        ended += 1;
    }
    ended
}

#[test]
fn a_hundred_kills_let_no_blocked_packet_pass_break_no_connection_and_prolong_no_block() {
    let seed = seed();
    println!("seed {seed}: again with TCPCAP_SEED={seed}");
    let mut random = Random(seed);
    let binary = Path::new(env!("CARGO_BIN_EXE_tcpcap"));
    let (stage, mut tcpcap) = Stage::begin(binary);
    tcpcap.stop(SOON).unwrap();
    let (copy, stop) = (tempfile::TempDir::new().unwrap(), AtomicBool::new(false));
    let mut ready = 0;
    let ended = thread::scope(|scope| {
        let short = scope.spawn(|| short_blocks(&stage, &stop));
        for _ in 0..KILLS {
            let moment = Duration::from_millis(random.below(u64::try_from(LATEST.as_millis()).unwrap() + 1));
            let start = Instant::now();
            let mut tcpcap = stage.start(binary, &["--block-for", "2s"]);
            // The moment is what is tried here, not something waited for.
            thread::sleep(moment.saturating_sub(start.elapsed()));
            assert_eq!(tcpcap.ended(), None, "{}", tcpcap.output());
            tcpcap.kill();
            let log = tcpcap.output();
            ready += usize::from(log.contains("tcpcap ready"));
            assert!(!log.contains("there is no history") && !log.contains("ERROR"), "{log}");
            history_opens(stage.state.path(), copy.path());
            stage.check();
            assert!(!short.is_finished(), "the watch over short blocks goes on");
        }
        // One that stays, for those who still wait for a block.
        let mut last = stage.start(binary, &["--block-for", "2s"]);
        last.wait_for_line(SOON, |l| l.contains("tcpcap ready")).unwrap();
        stop.store(true, Ordering::Relaxed);
        let ended = short.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        assert!(last.stop(SOON).unwrap().success());
        ended
    });
    println!("{KILLS} kills, {ready} of them after it was ready; {ended} short blocks ended when they were due");
    assert!(ready > 0 && ready < KILLS, "some kills hit the start and some did not: {ready}");
    assert!(ended > 0);
    stage.end();
}
