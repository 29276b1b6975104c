//! Many people at once.

use std::net::IpAddr;

use crate::{
    dice::Dice,
    world::{DAY, Peer, World, ms, other, other6, own, own6, secs},
};

const SERVICES: [u16; 12] = [443, 80, 22, 25, 993, 587, 8080, 8443, 5432, 3306, 6379, 21];

/// What a crowd behind one source does in a day: a few services, and ports that somebody mistypes.
///
/// Not promised: so many privileged ones that they weigh eighteen in a minute, or thirteen in a day.
fn crowd(dice: &mut Dice, world: &mut World, users: u64, member: impl Fn(u64) -> Peer, to: IpAddr) {
    let (services, each) = (dice.among("services", 1..=12), dice.among("connections_each", 3..=6));
    let (in_ten_minutes, in_a_day) = (dice.among("mistyped_in_ten_minutes", 0..=12), dice.among("mistyped", 0..=25));
    let privileged = dice.among("privileged", 0..=12);
    let at_once = privileged.min((17 - in_ten_minutes) / 2);
    for user in 0..users {
        for _ in 0..each {
            let port = dice.one_of(&SERVICES[..services as usize]);
            world.open(dice.up_to(DAY), ms(40), member(user), (to, port));
        }
    }
    let bad_moment = dice.up_to(DAY);
    for n in 0..in_a_day.max(in_ten_minutes) {
        let bad = n < in_ten_minutes;
        let is_privileged = if bad { n < at_once } else { n - in_ten_minutes < privileged - at_once };
        let at = if bad { bad_moment + dice.up_to(secs(600)) } else { dice.up_to(DAY) };
        let port = if is_privileged { 800 + n } else { 2000 + n } as u16;
        let (who, tries) = (member(dice.below(users)), dice.within(1..=4));
        (0..tries).for_each(|i| world.closed(at + secs(2 * i), who, (to, port)));
    }
}

/// Many hosts behind one address.
pub fn nats(dice: &mut Dice, world: &mut World) {
    let users = dice.among("users", 50..=800);
    crowd(dice, world, users, |user| Peer::at(other(1), user as u32 % 20), own(1));
}

/// An IPv6 network of a hundred hosts.
pub fn ipv6_offices(dice: &mut Dice, world: &mut World) {
    let hosts = dice.among("hosts", 50..=100);
    crowd(dice, world, hosts, |host| Peer::at(other6(1, host), host as u32 % 5), own6(1));
}

/// Thousands behind one address, busy all the time, and one who tries a row of wrong ports.
///
/// Not promised: so many privileged ones that they weigh eighteen in a minute.
pub fn carrier_nats(dice: &mut Dice, world: &mut World) {
    let (per_second, lasts) = (dice.among("per_second", 1..=20), dice.among("lasts_s", 60..=300));
    let wrong = dice.among("wrong", 1..=12);
    let privileged = dice.among("privileged", 0..=(17 - wrong) / 2);
    let rtt = ms(dice.scaled("rtt_ms", 1..=400));
    for second in 0..lasts {
        for _ in 0..per_second {
            let who = Peer::at(other(1), dice.below(30) as u32);
            world.open(secs(second) + dice.up_to(secs(1)), rtt, who, (own(1), dice.one_of(&[443, 443, 80])));
        }
    }
    let (start, gap) = (dice.up_to(secs(lasts)), ms(dice.scaled("gap_ms", 1..=5000)));
    for n in 0..wrong {
        let port = if n < privileged { 800 + n } else { 8000 + n } as u16;
        world.closed(start + gap * n as u32, Peer::at(other(1), 7), (own(1), port));
    }
}

/// A service is down, and its clients try again, with longer and longer pauses.
pub fn retrying_clients(dice: &mut Dice, world: &mut World) {
    let (clients, tries) = (dice.scaled("clients", 200..=2000), dice.among("tries", 1..=8));
    let (first, all_at_once) = (ms(dice.scaled("first_wait_ms", 100..=10_000)), dice.flip("all_at_once"));
    for client in 0..clients {
        let who = Peer::at(other(1 + client), client as u32);
        let mut now = dice.up_to(if all_at_once { ms(200) } else { secs(30) });
        for n in 0..tries {
            world.closed(now, who, (own(1), 443));
            now += dice.about(first * (1 << n));
        }
    }
}

/// Each tries its one port again and again, after the client that it knew is gone.
pub fn bittorrent_peers(dice: &mut Dice, world: &mut World) {
    let (peers, ports) = (dice.among("peers", 10..=300), dice.among("ports", 1..=3));
    let (tries, gap) = (dice.among("tries", 1..=8), secs(dice.scaled("gap_s", 5..=3600)));
    for peer in 0..peers {
        let who = Peer::at(other(1 + peer), peer as u32);
        let mut now = dice.up_to(gap);
        for _ in 0..tries {
            let to = (own(1), 6881 + dice.below(ports) as u16);
            if dice.chance(300) {
                world.open(now, ms(80), who, to);
            } else {
                world.closed(now, who, to);
            }
            now += dice.about(gap);
        }
    }
}
