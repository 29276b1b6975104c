//! kill -9 at any moment.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use tcpcap::history::{Question, Reader, What};

use super::support::{SOON, begun, block, numbers, open, verdict};

const KILLS: u32 = 30;
const WHERE: &str = "TCPCAP_TEST_HISTORY";

/// Each round of the writer: so many blocks and findings.
const ROUND: u32 = 50;

#[test]
fn killed_at_any_moment_it_opens_clean_and_holds_all_that_was_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let mut sure = 0;
    for kill in 0..KILLS {
        let mut child = writer(&path);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // The first kills come while it opens and makes the file, the later ones while it writes.
        let rounds = if kill % 3 == 0 { 0 } else { kill % 7 };
        for line in lines.by_ref().map_while(Result::ok).filter(|l| l.contains("written ")).take(rounds as usize) {
            sure = number(&line);
        }
        // Anywhere within what it does, which is over in less than that: the time is the point here.
        thread::sleep(Duration::from_micros(u64::from(kill * 7919 % 40) * 500));
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before it died was so, too.
        for line in lines.map_while(Result::ok).filter(|l| l.contains("written ")) {
            sure = number(&line);
        }
        let (history, restored) = open(&path);
        let there = numbers(&restored);
        let whole = u32::try_from(there.len()).unwrap().max(sure);
        assert_eq!(there, (1..=whole).collect::<Vec<_>>(), "{sure} were reported after kill {kill}");
        assert_eq!((restored.unreadable, history.stats().degraded), (0, None));
        assert!(findings(&path) >= sure, "{} findings of {sure}", findings(&path));
        drop(history);
        let aside = std::fs::read_dir(dir.path())
            .unwrap()
            .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().contains("corrupt"));
        assert_eq!(aside.count(), 0, "it was damaged by kill {kill}");
    }
    assert!(sure > 10 * ROUND, "the writer did not get to write: {sure}");
}

#[test]
fn killed_while_it_makes_the_file_the_next_start_makes_it() {
    for kill in 0..KILLS {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.db");
        let mut child = writer(&path);
        // From the moment the file is there up to 3 ms later: making it takes about as long.
        tcpcap_lab::wait_until("the file", SOON, || path.exists()).unwrap();
        thread::sleep(Duration::from_micros(u64::from(kill) * 100));
        child.kill().unwrap();
        child.wait().unwrap();
        let (history, restored) = open(&path);
        assert_eq!((restored.unreadable, history.stats().degraded), (0, None));
        history.record(begun(&block(1_000_000)));
        assert!(history.flush(SOON));
        let files = std::fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(files, 3, "the file, its journal and the journal's index");
    }
}

fn number(line: &str) -> u32 {
    line.split("written ").nth(1).unwrap().trim().parse().unwrap()
}

fn findings(path: &Path) -> u32 {
    let question = Question { limit: usize::MAX, ..Question::default() };
    let rows = Reader::open(path).unwrap().ask(&question).unwrap();
    u32::try_from(rows.iter().filter(|r| matches!(r.what, What::Finding(_))).count()).unwrap()
}

/// This program once more, as the writer below.
fn writer(path: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "kill::writes_until_it_is_killed"])
        .env(WHERE, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
#[ignore = "the writer that the other test kills"]
fn writes_until_it_is_killed() {
    let Some(path) = env::var_os(WHERE).map(PathBuf::from) else { return };
    let (history, restored) = open(&path);
    let mut n = numbers(&restored).last().copied().unwrap_or(0);
    let mut out = std::io::stdout();
    // Ends by itself should nobody kill it.
    for _ in 0..10_000 {
        for _ in 0..ROUND {
            n += 1;
            history.record(begun(&block(n)));
            history.record(verdict(n));
        }
        assert!(history.flush(SOON));
        writeln!(out, "written {n}").unwrap();
    }
}
