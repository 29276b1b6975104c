//! People and their programs.

use std::time::Duration;

use crate::{
    dice::Dice,
    world::{DAY, Path, Peer, World, ms, other, other6, own, own6, secs, us},
};

/// Six connections for each page, to a few own addresses.
pub fn browsers(dice: &mut Dice, world: &mut World) {
    let (path, who) = (Path::draw(dice), Peer::first());
    let (addresses, pages) = (dice.among("addresses", 1..=4), dice.among("pages", 1..=40));
    let pause = ms(dice.scaled("pause_ms", 500..=600_000));
    let mut now = Duration::ZERO;
    for _ in 0..pages {
        for _ in 0..6 {
            let to = (own(dice.within(1..=addresses)), dice.one_of(&[443, 443, 443, 80]));
            let at = now + dice.up_to(ms(80));
            world.connect(dice, at, path, who, to);
        }
        now += dice.about(pause);
    }
}

/// A page whose addresses are on one own address, over one port.
pub fn browsers_of_one_site(dice: &mut Dice, world: &mut World) {
    let (path, who) = (Path::draw(dice), Peer::first());
    let pages = dice.among("pages", 1..=40);
    let mut now = Duration::ZERO;
    for _ in 0..pages {
        for port in [80, 443, 443, 443, 443, 443] {
            let at = now + dice.up_to(ms(80));
            world.connect(dice, at, path, who, (own(1), port));
        }
        now += dice.about(secs(20));
    }
}

/// A data connection for each file, to a port of its own, in up to five sessions at once.
pub fn ftp_mirrors(dice: &mut Dice, world: &mut World) {
    let (path, who) = (Path::draw(dice), Peer::first());
    let (files, sessions) = (dice.among("files", 20..=90), dice.among("sessions", 1..=5));
    let transfer = ms(dice.scaled("transfer_ms", 1..=5000));
    let ports = dice.ports(30_000..=60_000, files);
    for session in 0..sessions {
        let mut now = world.connect(dice, ms(20 * session), path, who, (own(1), 21));
        for &port in ports.iter().skip(session as usize).step_by(sessions as usize) {
            // PASV and its answer, the connection, the file.
            now = world.connect(dice, now + path.rtt, path, who, (own(1), port)) + dice.about(transfer);
        }
    }
}

/// Up to 25 ports opened at once over a long way.
///
/// Not promised: twenty privileged ports, each used three times a day at most.
pub fn far_away(dice: &mut Dice, world: &mut World) {
    let (rtt, ports) = (ms(dice.among("rtt_ms", 1..=600)), dice.among("ports", 1..=25));
    let (privileged, rounds) = (dice.flip("privileged"), dice.among("rounds", 1..=5));
    let ports = if privileged { dice.ports(1..=1023, ports.min(19)) } else { dice.ports(1024..=65_535, ports) };
    for round in 0..rounds {
        ports.iter().for_each(|&p| world.open(secs(30 * round), rtt, Peer::first(), (own(1), p)));
    }
}

/// Every answer of this host is lost for some seconds, and those who wait for them send their SYN again.
///
/// Not promised: eighteen pairs late by more than a second, or six privileged ones.
pub fn loss_storms(dice: &mut Dice, world: &mut World) {
    let (rtt, lasts) = (ms(dice.among("rtt_ms", 1..=400)), ms(dice.among("lasts_ms", 0..=20_000)));
    let privileged = dice.among("privileged", 0..=5);
    let ports = dice.among("ports", 0..=17 - 3 * privileged);
    let burst = ms(dice.scaled("within_ms", 1..=20_000));
    let ports: Vec<u16> =
        dice.ports(1024..=65_535, ports).into_iter().chain(dice.ports(1..=1023, privileged)).collect();
    for port in ports {
        let at = dice.up_to(burst);
        // A second, three, seven, fifteen, thirty-one.
        let again = (0..6).map(|n| secs((1 << n) - 1)).find(|wait| at + *wait >= lasts).unwrap_or(secs(31));
        world.open(at, again + rtt, Peer::first(), (own(1), port));
    }
}

/// Both families are tried, IPv4 wins, and the IPv6 attempt is given up.
///
/// Not promised: six pairs of privileged ports in a minute, which is three addresses with both web ports.
pub fn happy_eyeballs(dice: &mut Dice, world: &mut World) {
    let privileged = dice.flip("privileged");
    let (pairs, visits) = (dice.among("pairs", 1..=if privileged { 5 } else { 10 }), dice.among("visits", 1..=40));
    let (pause, hosts) = (secs(dice.scaled("pause_s", 1..=3600)), dice.among("hosts", 1..=20));
    let mut now = Duration::ZERO;
    for _ in 0..visits {
        let host = dice.within(1..=hosts);
        for pair in 0..pairs {
            let port = if privileged { [443, 80] } else { [8443, 8080] }[pair as usize % 2];
            let at = now + dice.up_to(ms(200));
            world.silent(at, Peer::at(other6(1, host), host as u32), (own6(1 + pair / 2), port));
            world.open(at + ms(50), ms(20), Peer::at(other(host), host as u32), (own(1 + pair / 2), port));
        }
        now += dice.about(pause);
    }
}

/// Some wrong ports, each tried a few times, then the right one for the rest of the day.
///
/// Not promised: so many privileged ones that they weigh eighteen in a minute.
pub fn developers(dice: &mut Dice, world: &mut World) {
    let wrong = dice.among("wrong", 5..=12);
    let privileged = dice.among("privileged", 0..=(17 - wrong) / 2);
    let (tries, gap) = (dice.among("tries", 1..=5), ms(dice.scaled("gap_ms", 1..=60_000)));
    let used = dice.among("used", 1..=50);
    let mut ports = dice.ports(1..=1023, privileged.min(wrong));
    ports.extend(dice.ports(1024..=65_535, wrong - privileged.min(wrong)));
    dice.shuffle(&mut ports);
    let mut now = Duration::ZERO;
    for port in ports {
        for _ in 0..tries {
            world.closed(now, Peer::first(), (own(1), port));
            now += dice.about(gap);
        }
    }
    (0..used).for_each(|i| world.open(now + secs(60 * i), ms(20), Peer::first(), (own(1), 5432)));
}

/// Closed ports in an agreed order, then SSH, some times a day.
///
/// Not promised: six privileged ones.
pub fn port_knockers(dice: &mut Dice, world: &mut World) {
    let (knocks, times) = (dice.among("knocks", 3..=6), dice.among("times", 1..=40));
    let gap = ms(dice.scaled("gap_ms", 1..=5000));
    let privileged = dice.flip("privileged");
    let ports = if privileged { dice.ports(1..=1023, knocks.min(5)) } else { dice.ports(1024..=65_535, knocks) };
    for _ in 0..times {
        let mut now = dice.up_to(DAY);
        for &port in &ports {
            world.closed(now, Peer::first(), (own(1), port));
            now += dice.about(gap);
        }
        world.open(now, ms(30), Peer::first(), (own(1), 22));
    }
}

/// A connection each to up to 24 own addresses, a few at a time; some are down.
///
/// Not promised: six that are down, or answer late because packets are lost.
pub fn ssh_automation(dice: &mut Dice, world: &mut World) {
    let (hosts, down) = (dice.among("hosts", 1..=24), dice.among("down", 0..=5));
    let (forks, rtt) = (dice.among("forks", 1..=24), us(dice.scaled("rtt_us", 200..=400_000)));
    let mut now = Duration::ZERO;
    for host in 0..hosts {
        if host < down {
            world.closed(now, Peer::first(), (own(1 + host), 22));
        } else {
            world.open(now, rtt, Peer::first(), (own(1 + host), 22));
        }
        if (host + 1) % forks == 0 {
            now += dice.about(secs(3));
        }
    }
}

/// Every own address on both web ports, so many at a time.
///
/// Not promised: thirty-two at a time.
pub fn crawlers(dice: &mut Dice, world: &mut World) {
    let (addresses, at_once) = (dice.among("addresses", 1..=256), dice.among("at_once", 1..=31));
    let (rtt, pause) = (us(dice.scaled("rtt_us", 200..=400_000)), ms(dice.scaled("pause_ms", 1..=10_000)));
    let mut all: Vec<_> = (1..=addresses).flat_map(|n| [443, 80].map(|port| (own(n), port))).collect();
    dice.shuffle(&mut all);
    let mut now = Duration::ZERO;
    for some in all.chunks(at_once as usize) {
        some.iter().for_each(|&to| world.open(now, rtt, Peer::first(), to));
        now += rtt + dice.about(pause);
    }
}

/// The ports of mail, each tried to see which there is.
///
/// Not promised: none of them, or one.
pub fn mail_setup(dice: &mut Dice, world: &mut World) {
    let (there, gap) = (dice.among("there", 2..=7), ms(dice.scaled("gap_ms", 1..=2000)));
    let mut ports = [25, 110, 143, 465, 587, 993, 995];
    dice.shuffle(&mut ports);
    for (i, port) in ports.into_iter().enumerate() {
        let (at, to) = (gap * i as u32, (own(1), port));
        if (i as u64) < there { world.open(at, ms(20), Peer::first(), to) } else { world.closed(at, Peer::first(), to) }
    }
}
