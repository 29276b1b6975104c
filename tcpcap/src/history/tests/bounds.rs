//! What is forgotten, and what never is.

use super::support::{SOON, World, write};
use crate::history::{Entry, Question, Stats};

#[test]
fn a_flood_of_entries_stays_within_the_size() {
    let mut world = World::new();
    world.limits.bytes = 2 << 20;
    let (history, _) = world.open();
    let block = world.block("192.0.2.1/32", 86_400);
    write(&history, [world.begun(&block)]);
    let mut most = 0;
    for n in 0..100 {
        write(&history, (0..500).map(|m| Entry::Verdict(world.verdict(&format!("10.0.{n}.{}/32", m % 256)))));
        most = most.max(history.stats().bytes);
    }
    let stats = history.stats();
    assert_eq!((stats.written, stats.lost.queue, stats.errors), (50_001, 0, 0), "{stats:?}");
    assert!(most <= world.limits.bytes, "{most} bytes");
    assert!(stats.pruned > 40_000, "{stats:?}");
    let rows = world.ask(&Question { limit: 100_000, ..Question::default() });
    assert_eq!(rows[0].id, 50_001, "the newest is there");
    assert!(rows.windows(2).all(|w| w[0].id == w[1].id + 1), "and all before it, down to the oldest that is left");
    assert!(rows.len() > 1000, "{} are left", rows.len());
    drop(history);
    assert_eq!(world.open().1.blocks, [block], "present state is never pruned");
}

#[test]
fn what_is_too_old_is_forgotten_and_a_block_that_is_not_over_stays() {
    let world = World::new();
    let (history, _) = world.open();
    let block = world.block("192.0.2.1/32", 90 * 86_400);
    write(&history, [world.begun(&block)]);
    write(&history, (0..3000).map(|_| Entry::Verdict(world.verdict("192.0.2.2/32"))));
    world.pass(29 * 86_400);
    write(&history, [Entry::Verdict(world.verdict("192.0.2.3/32"))]);
    assert_eq!(history.stats().pruned, 0);
    world.pass(86_401);
    write(&history, [Entry::Verdict(world.verdict("192.0.2.4/32"))]);
    tcpcap_lab::wait_until("the old to be forgotten", SOON, || history.stats().pruned == 3001).unwrap();
    let ids: Vec<i64> = world.ask(&Question::default()).iter().map(|r| r.id).collect();
    assert_eq!(ids, [3003, 3002]);
    drop(history);
    assert_eq!(world.open().1.blocks, [block]);
}

#[test]
fn what_does_not_fit_the_queue_is_counted_and_present_state_is_not_among_it() {
    let world = World::new();
    let (history, _) = world.open();
    let other = rusqlite::Connection::open(world.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let blocks: Vec<_> =
        (0..60_000u32).map(|n| world.block(&format!("{}/32", std::net::Ipv4Addr::from(n)), 600)).collect();
    let entries: Vec<_> = blocks.iter().map(|block| world.begun(block)).collect();
    entries.into_iter().for_each(|entry| history.record(entry));
    other.execute_batch("ROLLBACK").unwrap();
    tcpcap_lab::wait_until("it to be written", SOON, || history.flush(SOON)).unwrap();
    let Stats { written, lost, .. } = history.stats();
    let happened = lost.queue + lost.disk;
    assert!(happened > 0, "{lost:?}");
    assert_eq!((written + happened, lost.entries), (60_000, 0), "{lost:?}");
    drop(history);
    let mut restored = world.open().1.blocks;
    restored.sort_by_key(|b| b.network);
    assert_eq!(restored, blocks);
}
