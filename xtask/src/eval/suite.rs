//! The captures as a suite of `cargo xtask test`: each capture at each distance of the far side is a test.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use tcpcap_core::Preset;

use super::{KEPT, Round, Way, manifest::Captures, table};
use crate::{tally::Tally, workspace};

/// How far away the far side is: as recorded, across an ocean, and behind a satellite or a full buffer.
const DELAYS_MS: [u64; 3] = [0, 150, 300];
/// Names one more directory of captures.
const VARIABLE: &str = "TCPCAP_TRACES";
/// More captures than a repository should hold may lie beside it.
const BESIDE: &str = "../shared/traces";

/// Replays every capture there is whose name contains one of `names`, or any if there are none.
pub(crate) fn run(tcpcap: &Path, names: &[&str], tally: &mut Tally) {
    let (dirs, notes) = directories(&workspace::root(), env::var_os(VARIABLE));
    notes.iter().for_each(|note| println!("{note}"));
    for dir in &dirs {
        let mut captures = match Captures::read(dir) {
            Ok(captures) => captures,
            Err(problem) => {
                println!("{problem:#}");
                tally.fail(format!("{}: captures cannot be read", dir.display()));
                continue;
            }
        };
        captures.entries.retain(|e| names.is_empty() || names.iter().any(|name| e.file.contains(name)));
        for ms in DELAYS_MS {
            let way = Way { preset: Preset::Balanced, delay: Duration::from_millis(ms), ingress_only: false };
            match Round::play(&captures, tcpcap, way) {
                Ok(round) => count(&round, dir, tally),
                Err(problem) => {
                    println!("{}: {problem:#}", dir.display());
                    tally.fail(format!("{}, ACKs {ms} ms later: cannot be replayed", dir.display()));
                }
            }
        }
    }
}

fn count(round: &Round, dir: &Path, tally: &mut Tally) {
    let wrong: Vec<_> = round.wrong().collect();
    let right = round.judged.len() - wrong.len();
    println!("{}: {right} right, {} wrong", round.heading(dir), wrong.len());
    table::problems(round).lines().for_each(|line| println!("  {line}"));
    tally.passed += right as u64;
    wrong.iter().for_each(|entry| tally.fail(format!("{}, ACKs {} ms later", entry.file, round.delay_ms())));
}

/// Where captures are, and what is to be said about those that are not.
fn directories(root: &Path, named: Option<OsString>) -> (Vec<PathBuf>, Vec<String>) {
    let mut dirs = vec![root.join(KEPT)];
    let mut notes = Vec::new();
    match named {
        Some(dir) => dirs.push(PathBuf::from(dir)),
        None => notes.push(format!("{VARIABLE} names no further directory of captures")),
    }
    let beside = root.join(BESIDE);
    match beside.canonicalize() {
        Ok(beside) if dirs.iter().any(|dir| dir.canonicalize().is_ok_and(|dir| dir == beside)) => {}
        Ok(beside) => dirs.push(beside),
        Err(_) => notes.push(format!("not there, so not replayed: {BESIDE}")),
    }
    (dirs, notes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn captures_beside_the_workspace_are_replayed_once_and_their_want_is_told() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("main");
        let beside = place.path().join("shared/traces");
        fs::create_dir_all(&root).unwrap();

        let (dirs, notes) = directories(&root, None);
        assert_eq!((dirs, notes.len()), (vec![root.join("captures")], 2));
        assert!(notes[1].contains("not there, so not replayed: ../shared/traces"), "{notes:?}");

        fs::create_dir_all(&beside).unwrap();
        let beside = beside.canonicalize().unwrap();
        let (dirs, notes) = directories(&root, Some("/nonexistent".into()));
        assert_eq!(dirs, [root.join("captures"), "/nonexistent".into(), beside.clone()]);
        assert!(notes.is_empty(), "{notes:?}");
        assert_eq!(directories(&root, Some(beside.clone().into())).0, [root.join("captures"), beside]);
    }

    #[test]
    fn the_captures_that_come_with_the_source_are_those_that_were_labelled() {
        assert!(Captures::read(&workspace::root().join(KEPT)).unwrap().entries.len() > 10);
    }
}
