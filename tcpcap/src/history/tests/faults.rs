//! Files that others hold, move or overwrite.

use rusqlite::Connection;

use super::support::{SOON, World, write};
use crate::history::{Degraded, Question};

#[test]
fn while_another_program_holds_the_file_it_is_degraded_and_then_writes_all_there_is() {
    let world = World::new();
    let (history, _) = world.open();
    let other = Connection::open(world.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let blocks = [world.block("192.0.2.1/32", 600), world.block("192.0.2.2/32", 600)];
    history.record(world.begun(&blocks[0]));
    let degraded = || history.stats().degraded;
    tcpcap_lab::wait_until("it to be held up", SOON, || degraded() == Some(Degraded::Busy)).unwrap();
    history.record(world.begun(&blocks[1]));
    assert_eq!((history.stats().written, degraded().map(Degraded::name)), (0, Some("busy")));
    other.execute_batch("ROLLBACK").unwrap();
    tcpcap_lab::wait_until("it to be well", SOON, || degraded().is_none()).unwrap();
    assert!(history.flush(SOON));
    let stats = history.stats();
    assert_eq!((stats.written, stats.lost), (2, crate::history::Lost::default()));
    assert!(stats.errors >= 1);
    assert_eq!(world.ask(&Question::default()).len(), 2);
    drop(history);
    assert_eq!(world.open().1.blocks.len(), 2);
}

#[test]
fn a_file_moved_away_while_in_use_is_begun_anew_with_all_that_is_now() {
    let world = World::new();
    let (history, _) = world.open();
    let blocks = [world.block("192.0.2.1/32", 600), world.block("192.0.2.2/32", 600)];
    write(&history, [world.begun(&blocks[0])]);
    std::fs::rename(world.path(), world.path().with_extension("away")).unwrap();
    write(&history, [world.begun(&blocks[1])]);
    drop(history);
    let mut restored = world.open().1.blocks;
    restored.sort_by_key(|b| b.network);
    assert_eq!(restored, blocks);
}

#[test]
fn garbage_put_in_its_place_while_in_use_is_moved_aside_and_all_that_is_now_is_written_anew() {
    let world = World::new();
    let (history, _) = world.open();
    let blocks = [world.block("192.0.2.1/32", 600), world.block("192.0.2.2/32", 600)];
    write(&history, [world.begun(&blocks[0])]);
    let garbage = world.path().with_extension("garbage");
    std::fs::write(&garbage, "garbage ".repeat(5000)).unwrap();
    std::fs::rename(&garbage, world.path()).unwrap();
    write(&history, [world.begun(&blocks[1])]);
    assert_eq!(history.stats().degraded, None);
    drop(history);
    assert!(world.path().with_extension("db.corrupt-1").exists());
    let mut restored = world.open().1.blocks;
    restored.sort_by_key(|b| b.network);
    assert_eq!(restored, blocks);
}
