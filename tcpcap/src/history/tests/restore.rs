//! What comes back, in this boot and in another.

use std::time::Duration;

use super::support::{World, left, write};
use crate::{
    block::{Block, Why},
    history::{AllowedEntry, Change, Drops, Entry, Question, Repeater, What, Who},
};
use tcpcap_core::Scope;

const HOUR: i64 = 3600;

#[test]
fn what_is_now_comes_back_as_it_was() {
    let world = World::new();
    let (history, nothing) = world.open();
    assert_eq!(nothing, super::super::Restored::default());
    let automatic = Block { scope: Scope::Syn, times: 3, unverified: false, ..world.block("192.0.2.1/32", 600) };
    let why = Why::Operator { note: Some("too curious".into()) };
    let permanent = Block { why, until: None, ..world.block("192.0.2.1/32", 0) };
    let prefix = Block { why: Why::Operator { note: None }, ..world.block("2001:db8::/48", 60) };
    let blocks = vec![automatic, permanent, prefix];
    let forget_after = world.now() + Duration::from_secs(86_400);
    let repeater = Repeater { network: "192.0.2.9/32".parse().unwrap(), times: 4, forget_after };
    let allowed = AllowedEntry { network: "198.51.100.0/24".parse().unwrap(), note: Some("the office".into()) };
    write(&history, blocks.iter().map(|block| world.begun(block)));
    write(&history, [Entry::Repeater(repeater.clone()), Entry::Allowed(allowed.clone())]);
    drop(history);
    let (_history, mut restored) = world.open();
    restored.blocks.sort_by_key(|b| (b.network, b.why.origin()));
    assert_eq!(restored.blocks, blocks);
    assert_eq!((restored.repeaters, restored.allowed, restored.unreadable), (vec![repeater], vec![allowed], 0));
}

#[test]
fn what_was_ended_lifted_or_taken_back_does_not_come_back() {
    let world = World::new();
    let (history, _) = world.open();
    let (one, two) = (world.block("192.0.2.1/32", 600), world.block("192.0.2.2/32", 600));
    let network = "198.51.100.0/24".parse().unwrap();
    write(
        &history,
        [
            world.begun(&one),
            world.begun(&two),
            Entry::Allowed(AllowedEntry { network, note: None }),
            Entry::Repeater(Repeater { network, times: 1, forget_after: world.now() + Duration::from_secs(9) }),
        ],
    );
    let change = Change::Lifted { drops: Drops::default(), by: Who::Process { uid: 0, pid: 7 } };
    write(
        &history,
        [
            world.ended(&one),
            Entry::Block { block: two, change, at: world.now() },
            Entry::Disallowed(network),
            Entry::Forgotten(network),
        ],
    );
    drop(history);
    assert_eq!(world.open().1, super::super::Restored::default());
}

#[test]
fn in_the_same_boot_a_wall_clock_an_hour_off_changes_nothing() {
    for step in [-HOUR, HOUR] {
        let world = World::new();
        let (history, _) = world.open();
        write(&history, [world.begun(&world.block("192.0.2.1/32", 600))]);
        world.step_wall(step);
        write(&history, [world.begun(&world.block("192.0.2.2/32", 600))]);
        world.pass(100);
        drop(history);
        world.step_wall(-step);
        let (history, restored) = world.open();
        let both = [("192.0.2.1/32".to_owned(), Some(500)), ("192.0.2.2/32".to_owned(), Some(500))];
        assert_eq!(left(&restored, world.now()), both);
        drop(history);
        world.pass(500);
        assert_eq!(world.open().1.blocks, []);
    }
}

#[test]
fn after_another_boot_blocks_have_what_is_left_of_their_time() {
    let world = World::new();
    let (history, _) = world.open();
    let why = Why::Operator { note: None };
    write(
        &history,
        [
            world.begun(&world.block("192.0.2.1/32", 600)),
            world.begun(&world.block("192.0.2.2/32", 86_400)),
            world.begun(&Block { why, until: None, ..world.block("192.0.2.3/32", 0) }),
            Entry::Repeater(Repeater {
                network: "192.0.2.4/32".parse().unwrap(),
                times: 2,
                forget_after: world.now() + Duration::from_secs(1000),
            }),
        ],
    );
    world.reboot(590);
    let (_second, restored) = world.open();
    let expected = [("192.0.2.1/32", Some(10)), ("192.0.2.2/32", Some(85_810)), ("192.0.2.3/32", None)]
        .map(|(network, left)| (network.to_owned(), left));
    assert_eq!(left(&restored, world.now()), expected);
    assert_eq!(restored.repeaters[0].forget_after.since(world.now()), Duration::from_secs(410));
    // Killed and started again in this boot: what was converted is not converted twice.
    world.pass(5);
    let (_third, again) = world.open();
    assert_eq!(left(&again, world.now())[0], ("192.0.2.1/32".to_owned(), Some(5)));
    assert!(again.blocks.iter().all(|b| b.since <= world.now()));
}

#[test]
fn a_clock_that_comes_up_wrong_makes_no_block_longer_than_what_was_left() {
    let world = World::new();
    let (history, _) = world.open();
    write(&history, [world.begun(&world.block("192.0.2.1/32", 600))]);
    world.pass(400);
    // Whatever is written shows that these 400 s have passed.
    write(&history, [Entry::Verdict(world.verdict("192.0.2.8/32"))]);
    world.reboot(10);
    world.step_wall(-30 * 24 * HOUR);
    let (_history, restored) = world.open();
    assert_eq!(left(&restored, world.now()), [("192.0.2.1/32".to_owned(), Some(200))]);
}

#[test]
fn an_extended_block_of_an_earlier_boot_still_knows_when_it_began() {
    let world = World::new();
    let (history, _) = world.open();
    write(&history, [world.begun(&world.block("192.0.2.1/32", 3600))]);
    world.reboot(300);
    let (history, restored) = world.open();
    let until = Some(world.now() + Duration::from_secs(7200));
    let block = Block { until, times: 2, ..restored.blocks[0].clone() };
    write(&history, [Entry::Block { block, change: Change::Extended, at: world.now() }]);
    // Another boot, of an hour.
    world.reboot(0);
    world.pass(3600);
    let (_history, restored) = world.open();
    assert_eq!(left(&restored, world.now()), [("192.0.2.1/32".to_owned(), Some(3600))]);
    // 300 s before the first boot's end, 3,600 s in this one, of which it shows what this boot's time can say.
    assert_eq!(world.now().since(restored.blocks[0].since).as_secs(), 3630);
}

#[test]
fn what_is_over_when_it_is_read_is_closed_as_ended() {
    let world = World::new();
    let (history, _) = world.open();
    write(&history, [world.begun(&world.block("192.0.2.1/32", 600))]);
    drop(history);
    world.pass(7200);
    let (history, restored) = world.open();
    assert_eq!(restored.blocks, []);
    drop(history);
    let rows = world.ask(&Question::default());
    let What::Block(row) = &rows[0].what else { panic!("{rows:?}") };
    assert_eq!((&*row.event, &*row.network, row.packets), ("ended", "192.0.2.1", None));
    assert_eq!(rows[0].time.duration_since(rows[1].time).unwrap(), Duration::from_secs(600), "when it was due");
    assert_eq!(rows.len(), 2, "once");
}

#[test]
fn feeds_are_not_taken_and_what_is_too_much_is_counted() {
    let mut world = World::new();
    world.limits.entries = 3;
    let (history, _) = world.open();
    let why = Why::Feed("drop.txt".into());
    write(&history, [world.begun(&Block { why, ..world.block("192.0.2.0/24", 60) })]);
    for n in 1..=5 {
        write(&history, [world.begun(&world.block(&format!("192.0.2.{n}/32"), 60))]);
    }
    let lost = history.stats().lost;
    assert_eq!((lost.feed, lost.entries, lost.queue), (1, 2, 0));
    drop(history);
    assert_eq!(world.open().1.blocks.len(), 3);
}
