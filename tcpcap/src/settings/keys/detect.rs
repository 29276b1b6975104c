//! `[detect.…]` and `[caps]`: single thresholds over those of the preset, and how much may be blocked.

use tcpcap_core::{decide::MAX_ENTRIES, detect::brute_force::MORE_PORTS};

use crate::settings::{
    Settings,
    key::Key,
    list::ListOf,
    types::{Limit, Number},
};

/// The threshold at a place in the settings.
macro_rules! limit {
    ($path:literal, $max:literal, $rule:ident.$field:ident, $about:literal, $why:literal) => {
        Key::new(
            $path,
            Limit($max),
            |s: &Settings| s.judging.thresholds.$rule.$field,
            |s: &mut Settings, v| s.judging.thresholds.$rule.$field = v,
        )
        .doc($about, $why)
        .follows("preset")
    };
}

pub(super) fn keys() -> Vec<Key> {
    let mut keys = port_scan();
    keys.extend(others());
    keys.extend(caps());
    keys
}

fn port_scan() -> Vec<Key> {
    vec![
        limit!(
            "detect.port_scan.burst",
            256,
            port_scan.burst_pairs,
            "Incomplete pairs in a minute, each counted at once",
            "a passive FTP session far away has up to 31 on the way"
        ),
        limit!(
            "detect.port_scan.fast",
            256,
            port_scan.fast_score,
            "Score of settled incomplete pairs in a minute: a port below 1024 counts 3, others 1",
            "the worst honest source comes to 12: metrics servers with dead targets, hosts that boot"
        ),
        limit!(
            "detect.port_scan.medium",
            256,
            port_scan.medium_pairs,
            "Settled incomplete pairs in 10 minutes",
            "no honest source came near it"
        ),
        limit!(
            "detect.port_scan.long",
            256,
            port_scan.long_pairs,
            "Settled incomplete pairs in a day",
            "the worst honest source comes to 12, and a large NAT makes typing errors"
        ),
        limit!(
            "detect.port_scan.abandoned",
            256,
            port_scan.abandoned_pairs,
            "Pairs in a day that were tried and never come back to, of a source that achieves little",
            "the worst honest source comes to 12"
        ),
        limit!(
            "detect.port_scan.abandoned_sweep",
            256,
            port_scan.abandoned_targets,
            "The same, where they are many addresses and few ports",
            "no honest source was seen to try ten dead addresses once or twice each"
        ),
        limit!(
            "detect.port_scan.open",
            256,
            port_scan.open_ports,
            "Ports below 1024 in a day that were tried and left alone, answered or not",
            "a large NAT in front of everything uses a dozen"
        ),
    ]
}

fn others() -> Vec<Key> {
    vec![
        limit!(
            "detect.stealth.probes",
            32,
            stealth.probes,
            "Segments in a minute that no honest stack sends first (NULL, FIN, XMAS …)",
            "no honest stack sends a single one"
        ),
        limit!(
            "detect.stray.refused",
            64,
            stray.refused_pairs,
            "Pairs in a minute that got an ACK of no connection and were refused",
            "a client has fewer connections to ports of one host that forgets them"
        ),
        limit!(
            "detect.stray.unanswered",
            64,
            stray.unanswered_pairs,
            "The same, refused or not",
            "the kernel program would have to follow every connection"
        ),
        limit!(
            "detect.brute_force.attempts",
            256,
            brute_force.attempts,
            "Attempts in a minute on one port where passwords are asked for",
            "log readers, which see passwords fail, know better; try 30"
        ),
        Key::new(
            "detect.brute_force.ports",
            ListOf::replacing(Number(1..=u16::MAX), MORE_PORTS),
            |s| s.judging.thresholds.brute_force.more_ports.into_iter().filter(|port| *port != 0).collect(),
            |s, v| {
                let mut ports = [0; MORE_PORTS];
                ports.iter_mut().zip(v).for_each(|(port, named)| *port = named);
                s.judging.thresholds.brute_force.more_ports = ports;
            },
        )
        .doc("Such ports beside 21, 22, 23, 3389 and 5900", "these ask for passwords on most hosts")
        .example("[8022]"),
        limit!(
            "detect.flood.target",
            1_000_000,
            flood.half_open,
            "Handshakes to one target left open in 5 seconds; an alarm, nobody is blocked",
            "honest clients leave none open for a second, unless answers go unseen"
        ),
        limit!(
            "detect.flood.source",
            1_000_000,
            flood.half_open_of_source,
            "Handshakes of one source left open in 5 seconds; an alarm, nobody is blocked",
            "so many at once are a broken client, or forged"
        ),
        limit!(
            "detect.fan_out.pairs",
            256,
            fan_out.pairs,
            "Pairs of one source in a minute, whatever became of them; an alarm, nobody is blocked",
            "mirrors and load tests try so many, so it tells and does no more"
        ),
    ]
}

fn caps() -> Vec<Key> {
    let count = || Number(1..=MAX_ENTRIES);
    vec![
        Key::new(
            "caps.blocks",
            count(),
            |s| s.judging.caps.entries,
            |s, v| {
                s.judging.caps.entries = v;
                s.judging.caps.unverified = v.div_ceil(2);
            },
        )
        .doc("Sources blocked or remembered as repeaters", "the kernel's map is sure to have room for them"),
        Key::new("caps.unverified", count(), |s| s.judging.caps.unverified, |s, v| s.judging.caps.unverified = v)
            .doc("Blocked sources whose address may be forged", "half of all leaves room that forgers cannot use up")
            .follows("caps.blocks"),
        Key::new("caps.per_minute", count(), |s| s.judging.caps.per_minute, |s, v| s.judging.caps.per_minute = v).doc(
            "New blocks in a minute; one more and nobody new is blocked for a minute",
            "that is far more than a bad day brings, and too few to block the world by mistake",
        ),
    ]
}
