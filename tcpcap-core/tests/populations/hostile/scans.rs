//! Port scans and sweeps, plain ones and those in company.

use std::time::Duration;

use tcpcap_core::{Marks, Tool};

use crate::{
    dice::Dice,
    world::{Path, Peer, World, ms, other, other6, own, own6, secs, us},
};

/// The most probes that are played of a scan: what is not found by then is not found.
const PLAYED: u64 = 400;

/// One of the tools that are known by their marks, or none.
fn scanner(dice: &mut Dice) -> Peer {
    let tool = match dice.among("tool", 0..=4) {
        0 => None,
        n => Some(Tool::ALL[n as usize - 1]),
    };
    Peer { ip: other(66), marks: Marks { tool, stack: 66 } }
}

/// In random order, one after the other, or in strides.
fn ports(dice: &mut Dice, n: u64) -> Vec<u16> {
    let start = dice.within(1..=65_535);
    match dice.among("order", 0..=2) {
        0 => dice.ports(1..=65_535, n),
        1 => (0..n).map(|i| (1 + (start + i) % 65_535) as u16).collect(),
        _ => (0..n).map(|i| (1 + (start + 257 * i) % 65_535) as u16).collect(),
    }
}

/// Each of these once, and those that stay silent up to `retries` times more.
fn probe(
    dice: &mut Dice,
    world: &mut World,
    gap: Duration,
    pairs: &[(std::net::IpAddr, u16)],
    who: impl Fn(u64) -> Peer,
) {
    let (refused, retries) = (dice.flip("refused"), dice.among("retries", 0..=2));
    let mut now = Duration::ZERO;
    for (i, &to) in pairs.iter().enumerate() {
        for retry in 0..=retries {
            let at = now + secs(1 << retry) - secs(1);
            if refused { world.closed(at, who(i as u64), to) } else { world.silent(at, who(i as u64), to) }
        }
        now += dice.about(gap);
    }
}

/// Fifteen ports or more, one each hour at the slowest, three of them open at most.
///
/// Not promised: fewer than fourteen pairs a day that stay incomplete, or, with fewer than thirty, more than half as many
/// connections to open ones.
pub fn port_scans(dice: &mut Dice, world: &mut World) {
    let n = dice.scaled("ports", 15 * world.factor()..=65_535).min(PLAYED);
    let gap = us(dice.scaled("gap_us", 100..=3_600_000_000 / world.factor()));
    let (open, visits, who) = (dice.among("open", 0..=3), dice.among("visits", 1..=2), scanner(dice));
    world.suspect(who, own(1));
    let pairs: Vec<_> = ports(dice, n + open).into_iter().map(|port| (own(1), port)).collect();
    let (open, shut) = pairs.split_at(open as usize);
    probe(dice, world, gap, shut, |_| who);
    for &to in open {
        let at = dice.up_to(gap * n as u32);
        (0..visits).for_each(|i| world.open(at + secs(i), ms(30), who, to));
    }
}

/// Ten own addresses or more.
///
/// Not promised: a sweep where all but nine answer.
pub fn sweeps(dice: &mut Dice, world: &mut World) {
    let (addresses, ports) = (dice.among("addresses", 10 * world.factor()..=256), dice.among("ports", 1..=3));
    let (gap, who) = (us(dice.scaled("gap_us", 1000..=300_000_000)), scanner(dice));
    world.suspect(who, own(1));
    let first = dice.within(1..=65_000) as u16;
    let mut pairs: Vec<_> = (0..ports as u16)
        .flat_map(|p| (1..=addresses).map(move |n| (own(n), first + p)))
        .take(PLAYED as usize)
        .collect();
    if dice.flip("random_order") {
        dice.shuffle(&mut pairs);
    }
    probe(dice, world, gap, &pairs, |_| who);
}

/// Between connections of its own that complete.
///
/// Not promised: fewer than thirty pairs a day, when it completes half as many connections.
pub fn scans_among_own_connections(dice: &mut Dice, world: &mut World) {
    let n = dice.scaled("ports", 30 * world.factor()..=1000).min(PLAYED);
    let gap = us(dice.scaled("gap_us", 100..=2_000_000_000 / world.factor()));
    let (connections, same_stack, before) =
        (dice.among("connections", 1..=300), dice.flip("same_stack"), dice.flip("known_before"));
    let who = scanner(dice);
    world.suspect(who, own(1));
    let pairs: Vec<_> = ports(dice, n).into_iter().filter(|p| *p != 443).map(|port| (own(1), port)).collect();
    let honest = Peer::at(who.ip, if same_stack { who.marks.stack } else { 1 });
    let began = if before { secs(3600) } else { Duration::ZERO };
    let mut later = world.like();
    probe(dice, &mut later, gap, &pairs, |_| who);
    world.take(later, began);
    for _ in 0..connections {
        let at = dice.up_to(began + gap * n as u32);
        world.open(at, ms(30), honest, (own(1), 443));
    }
}

/// From behind an address that fifty honest users share.
///
/// Not promised: fewer than thirty pairs a day.
pub fn scans_from_behind_a_nat(dice: &mut Dice, world: &mut World) {
    let n = dice.scaled("ports", 30 * world.factor()..=1000).min(PLAYED);
    let gap = us(dice.scaled("gap_us", 100..=2_000_000_000 / world.factor()));
    let (services, each) = (dice.among("services", 1..=12), dice.among("connections_each", 1..=20));
    let own_stack = dice.flip("stack_of_its_own");
    let who = Peer::at(other(66), if own_stack { 66 } else { 3 });
    world.suspect(who, own(1));
    let pairs: Vec<_> =
        ports(dice, n + 12).into_iter().filter(|p| !(3000..3012).contains(p)).map(|p| (own(1), p)).collect();
    probe(dice, world, gap, &pairs, |_| who);
    for user in 0..50 {
        for _ in 0..each {
            let at = dice.up_to(gap * n as u32);
            let to = (own(1), 3000 + dice.below(services) as u16);
            world.open(at, ms(30), Peer::at(other(66), user % 6), to);
        }
    }
}

/// The same probes from addresses that are not the scanner's as well.
pub fn scans_with_decoys(dice: &mut Dice, world: &mut World) {
    let n = dice.scaled("ports", 15 * world.factor()..=1000).min(PLAYED / 4);
    let (gap, decoys) = (us(dice.scaled("gap_us", 100..=10_000_000)), dice.among("decoys", 1..=50));
    let who = scanner(dice);
    world.suspect(who, own(1));
    let pairs: Vec<_> = ports(dice, n).into_iter().map(|port| (own(1), port)).collect();
    probe(dice, world, gap, &pairs, |_| who);
    for decoy in 0..decoys {
        let mut now = dice.up_to(gap);
        for &to in &pairs {
            world.closed(now, Peer { ip: other(100 + decoy), ..who }, to);
            now += gap;
        }
    }
}

/// From a new address of one IPv6 network each time.
pub fn scans_from_an_ipv6_network(dice: &mut Dice, world: &mut World) {
    let n = dice.scaled("ports", 15 * world.factor()..=65_535).min(PLAYED);
    let gap = us(dice.scaled("gap_us", 100..=3_600_000_000 / world.factor()));
    let marks = scanner(dice).marks;
    world.suspect(Peer { ip: other6(9, 0), marks }, own6(1));
    let pairs: Vec<_> = ports(dice, n).into_iter().map(|port| (own6(1), port)).collect();
    let first = dice.below(u64::MAX / 2);
    probe(dice, world, gap, &pairs, |i| Peer { ip: other6(9, first + i * i), marks });
}

/// Everything answers, and is tried once or twice: privileged ports.
///
/// Not promised: fewer than twenty, unprivileged ones, one each ten minutes or slower.
pub fn scans_of_what_is_all_open(dice: &mut Dice, world: &mut World) {
    let n = dice.scaled("ports", 20 * world.factor()..=1023);
    let (gap, tries) = (us(dice.scaled("gap_us", 100..=540_000_000)), dice.among("tries", 1..=3));
    let who = scanner(dice);
    world.suspect(who, own(1));
    let path = Path::draw(dice);
    let mut now = Duration::ZERO;
    for port in dice.ports(1..=1023, n) {
        for i in 0..tries {
            world.connect(dice, now + secs(i), path, who, (own(1), port));
        }
        now += dice.about(gap);
    }
}
