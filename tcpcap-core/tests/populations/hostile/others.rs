//! Stealth and stray scans, and floods.

use std::time::Duration;

use tcpcap_common::wire::flag::{FIN, PSH, RST, SYN, URG};
use tcpcap_core::SightingKind;

use crate::{
    dice::Dice,
    world::{Peer, World, ms, other, own, secs, us},
};

fn suspect(world: &mut World) -> Peer {
    let who = Peer::at(other(66), 66);
    world.suspect(who, own(1));
    who
}

fn probes(dice: &mut Dice, world: &mut World, kind: SightingKind) {
    let who = suspect(world);
    let n = dice.scaled("probes", 3 * world.factor()..=1000);
    // Three within a minute, or six.
    let gap = us(dice.scaled("gap_us", 100..=60_000_000 / (3 * world.factor() - 1)));
    let mut now = Duration::ZERO;
    for port in dice.ports(1..=65_535, n) {
        world.sight(now, kind, (who.ip, 40_000), (own(1), port));
        now += gap.mul_f64(0.9) + dice.up_to(gap.mul_f64(0.1));
    }
}

/// Not promised: fewer than three in a minute.
pub fn odd_flags(dice: &mut Dice, world: &mut World) {
    let flags = [0, FIN | PSH | URG, SYN | FIN, SYN | RST, PSH, URG][dice.among("flags", 0..=5) as usize];
    probes(dice, world, SightingKind::Probe { flags });
}

/// Not promised: fewer than three in a minute.
pub fn fins(dice: &mut Dice, world: &mut World) {
    probes(dice, world, SightingKind::Probe { flags: FIN });
}

/// Not promised: fewer than three in a minute.
pub fn fragments(dice: &mut Dice, world: &mut World) {
    probes(dice, world, SightingKind::TinyFragment);
}

/// Not promised: fewer than fifteen ports in a minute, and where this host's answers are not in view.
pub fn ack_scans(dice: &mut Dice, world: &mut World) {
    let who = suspect(world);
    let n = dice.scaled("ports", 15 * world.factor()..=1000);
    let (gap, range) = (us(dice.scaled("gap_us", 100..=4_000_000 / world.factor())), dice.among("range", 0..=1));
    let mut now = Duration::ZERO;
    for port in dice.ports(if range == 0 { 1..=32_767 } else { 1..=1023 }, n) {
        world.stray(now, who, (own(1), port));
        now += gap.mul_f64(0.9) + dice.up_to(gap.mul_f64(0.1));
    }
}

/// SYNs from invented addresses to one port.
///
/// Not promised: fewer than a hundred in five seconds.
pub fn syn_floods(dice: &mut Dice, world: &mut World) {
    let (per_second, lasts) = (dice.scaled("per_second", 25 * world.factor()..=1000), dice.among("lasts_s", 8..=12));
    let (sources, clients) = (dice.scaled("sources", 1000..=2_000_000_000), dice.among("clients", 0..=5));
    for _ in 0..per_second * lasts {
        let (at, from) = (dice.up_to(secs(lasts)), dice.below(sources));
        world.silent(at, Peer::at(other(from), 66), (own(1), 443));
    }
    for client in 0..clients {
        world.open(dice.up_to(secs(lasts)), ms(40), Peer::at(other(client), 1), (own(1), 443));
    }
}

/// SYNs to all ports of an address, from so many invented addresses that none of them tries many.
pub fn syn_floods_of_an_address(dice: &mut Dice, world: &mut World) {
    let (per_second, lasts) = (dice.scaled("per_second", 25 * world.factor()..=1000), dice.among("lasts_s", 8..=12));
    let sources = dice.scaled("sources", 10_000..=200_000_000);
    for _ in 0..per_second * lasts {
        let (at, from) = (dice.up_to(secs(lasts)), dice.below(sources));
        world.silent(at, Peer::at(other(from), 66), (own(1), dice.within(1..=65_535) as u16));
    }
}

/// SYNs in the name of a client that is in and out all the while, from another stack than its own.
///
/// Not promised: a client that has been known for less than ten minutes, has completed fewer than ten connections or half
/// as many as are forged, or pauses for a minute; fewer than twenty forged pairs in ten minutes.
pub fn framed_clients(dice: &mut Dice, world: &mut World) {
    let victim = Peer::first();
    let (gap, n) = (us(dice.scaled("gap_us", 100..=30_000_000 / world.factor())), dice.among("forged", 15..=60));
    let (known, pause) = (secs(dice.scaled("known_s", 1300..=100_000)), secs(dice.among("pause_s", 10..=30)));
    for i in 0..n {
        world.closed(known + gap * i as u32, Peer::at(victim.ip, 66), (own(1), 2000 + i as u16));
    }
    let (mut now, ends) = (Duration::ZERO, known + gap * n as u32);
    while now < ends {
        world.open(now, ms(30), victim, (own(1), 443));
        // Whatever came long before is only known to have come.
        now += if now + secs(1200) < known { secs(550) } else { pause };
    }
}

/// SYNs of one source to one port.
///
/// Not promised: fewer than a hundred in five seconds.
pub fn floods_of_one_source(dice: &mut Dice, world: &mut World) {
    let who = suspect(world);
    let (per_second, lasts) = (dice.scaled("per_second", 25 * world.factor()..=1000), dice.among("lasts_s", 8..=12));
    (0..per_second * lasts).for_each(|_| world.silent(dice.up_to(secs(lasts)), who, (own(1), 443)));
}
