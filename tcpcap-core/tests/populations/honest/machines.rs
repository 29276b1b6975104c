//! What watches, balances, copies and delivers.

use std::time::Duration;

use crate::{
    dice::Dice,
    world::{DAY, Path, Peer, World, ms, own, secs},
};

/// Open ports, each again and again, until the monitor is told to stop.
///
/// Not promised: twenty privileged ones, and stopped after three rounds at most.
pub fn monitors(dice: &mut Dice, world: &mut World) {
    let (ports, privileged) = (dice.among("ports", 5..=60), dice.among("privileged", 0..=60));
    let (interval, rounds) = (secs(dice.among("interval_s", 10..=300)), dice.among("rounds", 1..=30));
    let path = Path::draw(dice);
    let (privileged, rounds) = (privileged.min(ports), if privileged < 20 { rounds } else { rounds.max(4) });
    let ports: Vec<u16> =
        dice.ports(1..=1023, privileged).into_iter().chain(dice.ports(1024..=65_535, ports - privileged)).collect();
    let starts: Vec<Duration> = ports.iter().map(|_| dice.up_to(interval)).collect();
    for round in 0..rounds {
        for (&port, &start) in ports.iter().zip(&starts) {
            let at = start + interval * round as u32 + dice.up_to(ms(200));
            world.connect(dice, at, path, Peer::first(), (own(1), port));
        }
    }
}

/// Dead targets among live ones, each tried in each round, on one address or on many.
///
/// Not promised: so many privileged ones that they weigh eighteen; ten dead ones, each tried three times at most; a
/// round each ten minutes or slower, unless nine are dead at most.
pub fn metrics_servers(dice: &mut Dice, world: &mut World) {
    let (dead, privileged, live) =
        (dice.among("dead", 4..=14), dice.among("privileged", 0..=6), dice.among("live", 0..=40));
    let privileged = privileged.min((17 - dead) / 2);
    let (interval, rounds) = (secs(dice.scaled("interval_s", 10..=590)), dice.among("rounds", 1..=20));
    let rounds = if dead < 10 { rounds } else { rounds.max(4) };
    let spread = dice.flip("one_port_of_many_addresses");
    let privileged = if spread { 0 } else { privileged };
    let targets: Vec<_> = (0..dead + live)
        .map(|n| match (spread, n < privileged) {
            (true, _) => (own(1 + n), 9100),
            (false, true) => (own(1), 900 + n as u16),
            (false, false) => (own(1), 9100 + n as u16),
        })
        .collect();
    let starts: Vec<Duration> = targets.iter().map(|_| dice.up_to(interval)).collect();
    for round in 0..rounds {
        for (n, (&to, &start)) in targets.iter().zip(&starts).enumerate() {
            let at = start + interval * round as u32 + dice.up_to(ms(200));
            if (n as u64) < dead {
                world.closed(at, Peer::first(), to);
            } else {
                world.open(at, ms(1), Peer::first(), to);
            }
        }
    }
}

/// Checks of many addresses, half of which go down and come back.
pub fn load_balancers(dice: &mut Dice, world: &mut World) {
    let (addresses, ports) = (dice.among("addresses", 4..=32), dice.among("ports", 1..=2));
    let (interval, rounds) = (secs(dice.among("interval_s", 1..=60)), dice.among("rounds", 3..=40));
    let (down, silent) = (dice.among("down", 0..=16).min(addresses / 2), dice.flip("silent"));
    for round in 0..rounds {
        for n in 0..addresses {
            for port in [443, 8443].into_iter().take(ports as usize) {
                let at = interval * round as u32 + dice.up_to(ms(300));
                let (to, is_down) = ((own(1 + n), port), n < down && round > 0 && round < rounds * 2 / 3);
                match (is_down, silent) {
                    (false, _) => world.open(at, ms(1), Peer::first(), to),
                    (true, false) => world.closed(at, Peer::first(), to),
                    (true, true) => world.silent(at, Peer::first(), to),
                }
            }
        }
    }
}

/// Probes of pods that are refused while they start; at each rollout some pods are replaced by new ones.
///
/// Not promised: eighteen pairs that start within a minute, or six privileged ones.
pub fn kubernetes_probes(dice: &mut Dice, world: &mut World) {
    let (pods, ports) = (dice.among("pods", 1..=30), dice.among("ports", 1..=2));
    let (interval, at_once) = (secs(dice.among("interval_s", 2..=10)), dice.among("starting_at_once", 1..=20));
    let (starting, privileged) = (secs(dice.among("starting_s", 0..=60)), dice.among("privileged", 0..=1));
    let at_once = at_once.min(17 / (ports * (1 + 2 * privileged)));
    let rounds = 5 * 60 / interval.as_secs();
    for pod in 0..pods {
        // Some at once, and the next when these are well.
        let born = (starting + secs(60)) * (pod / at_once) as u32;
        for round in 0..rounds {
            let at = born + interval * round as u32 + dice.up_to(ms(300));
            for port in 0..ports {
                let to = (own(1 + pod), if privileged == 1 { 443 } else { 8080 } + port as u16);
                let well = at >= born + starting;
                if well { world.open(at, ms(1), Peer::first(), to) } else { world.closed(at, Peer::first(), to) }
            }
        }
    }
}

/// Directory services, one after the other, some of them closed; at each boot the same.
///
/// Not promised: six closed privileged ones.
pub fn domain_members(dice: &mut Dice, world: &mut World) {
    let (ports, closed) = (dice.among("ports", 8..=12), dice.among("closed", 0..=5));
    let (boots, tries) = (dice.among("boots", 1..=6), dice.among("tries", 1..=3));
    let gap = ms(dice.scaled("gap_ms", 1..=1000));
    let mut all = [53, 88, 135, 139, 389, 445, 464, 636, 3268, 3269, 49_664, 49_670];
    dice.shuffle(&mut all);
    for boot in 0..boots {
        let mut now = DAY / 2 * boot as u32 + dice.up_to(secs(3600));
        for _ in 0..tries {
            for (n, &port) in all.iter().take(ports as usize).enumerate() {
                let to = (own(1), port);
                if (n as u64) < closed {
                    world.closed(now, Peer::first(), to);
                } else {
                    world.open(now, ms(1), Peer::first(), to);
                }
                now += dice.about(gap);
            }
        }
    }
}

/// Deliveries to a few addresses, put off and tried again, or in vain.
pub fn mail_peers(dice: &mut Dice, world: &mut World) {
    let (addresses, mails) = (dice.among("addresses", 1..=3), dice.among("mails", 1..=40));
    let (retries, closed) = (dice.among("retries", 0..=8), dice.among("closed", 0..=2));
    let path = Path::draw(dice);
    for _ in 0..mails {
        let mut now = dice.up_to(DAY);
        for retry in 0..=retries {
            let n = dice.below(addresses);
            let port = dice.one_of(&[25, 25, 25, 465, 587]);
            if n < closed && n > 0 {
                world.closed(now, Peer::first(), (own(1 + n), port));
            } else {
                world.connect(dice, now, path, Peer::first(), (own(1 + n), port));
            }
            now += dice.about(secs(300 << retry));
        }
    }
}

/// Each night many open ports, one after the other.
///
/// Not promised: twenty privileged ones.
pub fn backup_jobs(dice: &mut Dice, world: &mut World) {
    let (ports, nights) = (dice.among("ports", 5..=90), dice.among("nights", 1..=4));
    let (takes, privileged) = (ms(dice.scaled("takes_ms", 1..=60_000)), dice.among("privileged", 0..=19));
    let path = Path::draw(dice);
    let privileged = privileged.min(ports);
    for night in 0..nights {
        // The data ports of each night are new ones.
        let fixed = (0..privileged).map(|n| 500 + n as u16).collect::<Vec<_>>();
        let ports: Vec<u16> = fixed.into_iter().chain(dice.ports(1024..=65_535, ports - privileged)).collect();
        let mut now = DAY * night as u32;
        for port in ports {
            now = world.connect(dice, now, path, Peer::first(), (own(1), port)) + dice.about(takes);
        }
    }
}

/// This host forgets its connections; its peers are refused, and connect anew.
///
/// Not promised: fifteen pairs that take longer than a second.
pub fn failovers(dice: &mut Dice, world: &mut World) {
    let (pairs, rtt) = (dice.among("pairs", 1..=30), ms(dice.scaled("rtt_ms", 1..=250)));
    let (within, history) = (ms(dice.among("within_ms", 0..=500)), dice.flip("seen_before"));
    let (segments, spread) = (dice.among("segments", 1..=4), ms(dice.among("spread_ms", 0..=5000)));
    let ports = dice.ports(1024..=32_000, pairs);
    for port in ports {
        let to = (own(1), port);
        if history {
            world.open(dice.up_to(secs(10)), rtt, Peer::first(), to);
        }
        let at = secs(60) + dice.up_to(spread);
        (0..segments).for_each(|_| {
            let at = at + dice.up_to(rtt.min(ms(100)));
            world.stray(at, Peer::first(), to);
        });
        // It hears of the refusal half a round trip later, and its SYN takes as long again.
        let back = at + rtt + dice.up_to(within);
        world.open(back, rtt, Peer::first(), to);
    }
}

/// Late segments of connections that this host made, on the ports that it makes them from.
pub fn late_answers(dice: &mut Dice, world: &mut World) {
    let (segments, gap) = (dice.among("segments", 1..=300), ms(dice.scaled("gap_ms", 1..=1000)));
    let mut now = Duration::ZERO;
    for _ in 0..segments {
        world.stray(now, Peer::first(), (own(1), dice.within(32_768..=60_999) as u16));
        now += dice.about(gap);
    }
}
