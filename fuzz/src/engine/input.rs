//! From bytes to what happens to an engine: four bytes of settings, then steps of six bytes each, so that a change of
//! one byte is a change of one thing.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use tcpcap_common::Addr;
use tcpcap_core::{Caps, Config, Marks, Preset, Protected, SightingKind, Thresholds, Time, Tool, decide};

const SETTINGS: usize = 4;
const STEP: usize = 6;
/// More steps than this teach nothing new, and take long.
const MAX_STEPS: usize = 256;
/// How often a step happens at most: twice is more than any threshold.
const MAX_TIMES: u8 = 63;

/// What the engine is made from.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Settings([u8; SETTINGS]);

impl Settings {
    /// Small, so that everything is full soon.
    pub(super) fn config(&self) -> Config {
        let [a, b, ..] = self.0.map(usize::from);
        Config {
            thresholds: self.thresholds(),
            observe: a & 4 != 0,
            first_ttl: [decide::FIRST_TTL, Duration::ZERO, Duration::from_secs(1), Duration::MAX][a >> 3 & 3],
            max_sources: [200, 16, 2, 0][b & 3],
            caps: Caps {
                entries: [64, 4, 1, 0][b >> 2 & 3],
                unverified: [64, 3, 1, 0][b >> 4 & 3],
                per_minute: [100, 5, 1, 0][b >> 6 & 3],
            },
        }
    }

    /// A preset, with what can be switched off and on switched off and on.
    fn thresholds(&self) -> Thresholds {
        let [a, _, off, more] = self.0;
        let mut thresholds = Thresholds::of(Preset::ALL[usize::from(a) % 3]);
        let t = &mut thresholds;
        let limits = [
            &mut t.port_scan.burst_pairs,
            &mut t.port_scan.fast_score,
            &mut t.port_scan.medium_pairs,
            &mut t.port_scan.long_pairs,
            &mut t.port_scan.abandoned_pairs,
            &mut t.port_scan.abandoned_targets,
            &mut t.port_scan.open_ports,
            &mut t.stray.refused_pairs,
        ];
        let further =
            [&mut t.stealth.probes, &mut t.flood.half_open, &mut t.flood.half_open_of_source, &mut t.fan_out.pairs];
        for (n, limit) in limits.into_iter().chain(further).enumerate() {
            if (u16::from(off) | u16::from(more & 15) << 8) >> n & 1 != 0 {
                *limit = None;
            }
        }
        let more = usize::from(more);
        t.stray.unanswered_pairs = [None, Some(1), Some(10), Some(1000)][more >> 4 & 3];
        t.brute_force.attempts = [None, Some(1), Some(30), Some(1000)][more >> 6 & 3];
        thresholds
    }
}

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// How the clock moves before it, see [`moved`].
    pub(super) time: u8,
    pub(super) source: u8,
    pub(super) target: u8,
    pub(super) port: u16,
    pub(super) what: What,
}

/// What happens.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    /// A sighting, and more of its kind on the ports that follow.
    See { kind: SightingKind, times: u16 },
    /// The same from the sources that follow.
    SeeMany { kind: SightingKind, sources: u8 },
    /// The engine is told of the time.
    Advance,
    /// Blocks end.
    Expire,
    /// Less or more is protected.
    Protect { less: bool },
}

/// Settings and steps; what is missing of the settings is zero.
pub(super) fn read(input: &[u8]) -> (Settings, impl Iterator<Item = Step>) {
    let (bytes, steps) = input.split_at(input.len().min(SETTINGS));
    let mut settings = Settings::default();
    settings.0[..bytes.len()].copy_from_slice(bytes);
    (settings, steps.as_chunks::<STEP>().0.iter().take(MAX_STEPS).map(step))
}

fn step(&[what, source, target, high, low, arg]: &[u8; STEP]) -> Step {
    let marks = Marks { tool: Tool::ALL.get(usize::from(arg & 7)).copied(), stack: u32::from(arg >> 3) };
    let attempt = SightingKind::Attempt(marks);
    let probe = SightingKind::Probe { flags: arg };
    let what_happens = match what & 7 {
        0 => What::See { kind: attempt, times: 1 },
        1 => What::See { kind: attempt, times: u16::from(arg & MAX_TIMES) },
        2 => What::See { kind: SightingKind::Completion { unanswered: arg & 1 != 0 }, times: u16::from(arg >> 2) },
        3 => What::See { kind: probe, times: 1 + u16::from(arg >> 6) },
        4 => What::See {
            kind: match arg & 3 {
                0 => SightingKind::Refusal,
                1 => SightingKind::TinyFragment,
                n => SightingKind::Stray { refused: n == 2 },
            },
            times: u16::from(arg >> 2),
        },
        5 => What::SeeMany { kind: if arg & 1 == 0 { attempt } else { probe }, sources: arg & MAX_TIMES },
        6 if arg & 1 == 0 => What::Expire,
        6 => What::Protect { less: arg & 2 != 0 },
        _ => What::Advance,
    };
    Step { time: what >> 3, source, target, port: u16::from_be_bytes([high, low]), what: what_happens }
}

/// The clock after one of 32 moves: it stands, goes on by what the rules tell apart, goes back, or jumps.
pub(super) fn moved(now: Time, by: u8) -> Time {
    const S: u64 = 1_000_000_000;
    const ON: [u64; 22] = [
        0,
        0,
        1,
        1_000,
        1_000_000,
        20_000_000,
        S / 2,
        S - 1,
        S,
        S + 1,
        3 * S,
        59 * S,
        60 * S,
        61 * S,
        600 * S,
        601 * S,
        1_200 * S,
        3_600 * S,
        43_200 * S,
        86_400 * S,
        86_401 * S,
        200_000 * S,
    ];
    const BACK: [u64; 4] = [1, S, 60 * S, 86_400 * S];
    const TO: [u64; 6] = [0, u64::MAX, u64::MAX - S, u64::MAX - 86_400 * S, u64::MAX / 2, 1_767_323_045 * S];
    let (now, by) = (now.as_nanos(), usize::from(by));
    Time::from_nanos(match by.checked_sub(ON.len()) {
        None => now.saturating_add(ON[by]),
        Some(n) if n < BACK.len() => now.saturating_sub(BACK[n]),
        Some(n) => TO[(n - BACK.len()) % TO.len()],
    })
}

/// The two ends of a packet. The upper half of the sources is IPv6: prefixes, and neighbours in the own one. The lower
/// half has enough for a flood.
pub(super) fn ends(source: u8, target: u8) -> (Addr, Addr) {
    let target = 1 + u16::from(target % 48);
    let (from, to): (IpAddr, IpAddr) = if source < 128 {
        let [_, to] = target.to_be_bytes();
        let from = match source % 8 {
            0 => Ipv4Addr::new(203, 0, 113, source / 8),
            1 => Ipv4Addr::new(198, 51, 100, source / 8),
            _ => Ipv4Addr::new(10, 0, 0, source),
        };
        (from.into(), Ipv4Addr::new(198, 51, 100, to).into())
    } else {
        let (prefix, host) = (u16::from(source & 15), u16::from(source >> 4 & 7));
        let v6 = |prefix, host| Ipv6Addr::new(0x2001, 0xdb8, 0, prefix, 0, 0, 0, host);
        (v6(prefix, host).into(), v6(0, target).into())
    };
    (from.into(), to.into())
}

/// What is protected: the own addresses, gateways, and what the operator allows; less after a change of the network.
pub(super) fn protected(less: bool) -> Protected {
    let network = |ip: IpAddr| ipnet::IpNet::from(ip);
    let mut protected = Protected::new(vec![], ALLOWED.into_iter().map(network).collect());
    protected.set_host(OWN, GATEWAYS.into_iter().filter(|_| !less));
    protected
}

/// The same, one by one.
pub(super) fn protected_addresses(less: bool) -> Vec<IpAddr> {
    let gateways = GATEWAYS.into_iter().filter(|_| !less);
    OWN.into_iter().chain(ALLOWED).chain(gateways).collect()
}

const fn v6(prefix: u16, host: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, prefix, 0, 0, 0, host))
}

const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

const OWN: [IpAddr; 3] = [v4(198, 51, 100, 1), v4(198, 51, 100, 2), v6(0, 1)];
const GATEWAYS: [IpAddr; 3] = [v4(198, 51, 100, 14), v6(0, 2), v6(1, 9)];
const ALLOWED: [IpAddr; 3] = [v4(10, 0, 0, 10), v4(203, 0, 113, 3), v6(2, 5)];

/// What the first bytes of steps mean.
const ATTEMPT: u8 = 0;
const ATTEMPTS: u8 = 1;
const COMPLETIONS: u8 = 2;
const PROBE: u8 = 3;
/// Refusals, tiny fragments or strays, as the last byte says.
const REFUSALS: u8 = 4;
const MANY: u8 = 5;
const EXPIRE: u8 = 6;
const ADVANCE: u8 = 7;
/// How the clock moves before a step.
const SECOND: u8 = 8 << 3;
const MINUTES_10: u8 = 15 << 3;
const DAY: u8 = 20 << 3;
const BACK: u8 = 24 << 3;
const END_OF_TIME: u8 = 27 << 3;

/// Scans of all kinds and honest clients; sources full, blocks full; one that is blocked until a block lasts longest;
/// floods, strays, guesses, and a victim of forgers.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    let settings = [
        [0, 0, 0, 0],
        [1, 0, 0, 0b1101_0000],
        [2, 0b0001_0101, 0, 0],
        [4, 0b1000_0000, 1, 0b0110_0000],
        [9, 0b0010_1010, 0xff, 0],
        [25, 0b0100_0010, 0, 0x0f],
    ];
    for settings in settings {
        let mut add = |steps: &[[u8; STEP]]| seeds.push([&settings[..], &steps.concat()].concat());
        // A fast scan, its refusals, then time, over IPv4 and IPv6.
        for source in [0, 128 + 3] {
            add(&[
                [ATTEMPTS, source, 0, 0, 20, 40],
                [REFUSALS, source, 0, 0, 20, 160],
                [ADVANCE | SECOND, 0, 0, 0, 0, 0],
                [EXPIRE | MINUTES_10, 0, 0, 0, 0, 0],
            ]);
        }
        // A slow one, a sweep, and an honest client.
        add(&[[ATTEMPT | SECOND, 8, 0, 0, 22, 0], [ATTEMPT, 8, 0, 0, 23, 0], [ADVANCE | MINUTES_10, 0, 0, 0, 0, 0]]
            .repeat(8));
        add(&(0..40).map(|n| [ATTEMPT, 16, n, 0, 22, 1]).collect::<Vec<_>>());
        add(&[[ATTEMPTS, 24, 0, 1, 0, 30], [COMPLETIONS, 24, 0, 1, 0, 120], [ADVANCE | SECOND, 0, 0, 0, 0, 0]]);
        // Probes, and from protected sources.
        add(&[[PROBE, 32, 0, 0, 80, 0xc1], [PROBE, 129, 1, 0, 80, 41], [PROBE, 130, 1, 0, 80, 0xc0]].repeat(3));
        // Many sources, each with a scan.
        add(&(0..33).map(|n| [MANY, 0, n, 0, n, 62]).collect::<Vec<_>>());
        // A repeater, and a clock that jumps.
        add(&[[ATTEMPTS, 40, 0, 0, 20, 40], [EXPIRE | DAY, 0, 0, 0, 0, 0]].repeat(6));
        add(&[
            [ATTEMPTS, 48, 0, 0, 20, 30],
            [ATTEMPTS | BACK, 48, 0, 0, 60, 30],
            [ADVANCE | END_OF_TIME, 0, 0, 0, 0, 0],
            [ATTEMPTS, 48, 0, 0, 90, 40],
            [EXPIRE, 0, 0, 0, 0, 0],
        ]);
        // Floods of a port and, from port to port, of an address; and of one source.
        let flood = [[MANY, 0, 3, 1, 187, 62], [MANY, 64, 3, 1, 187, 62], [ADVANCE | SECOND, 0, 0, 0, 0, 0]];
        add(&[&flood[..], &[[MANY, 0, 4, 1, 187, 62], [MANY, 64, 4, 1, 188, 62]], &flood[2..], &flood[2..]].concat());
        add(&[[ATTEMPTS, 56, 3, 8, 0, 50], [ATTEMPTS, 56, 4, 8, 0, 50], [ADVANCE | SECOND, 0, 0, 0, 0, 0]].repeat(3));
        // Strays, refused and not, once connections from before have ended.
        let strays =
            [[REFUSALS, 64, 0, 0, 80, 0xc2], [REFUSALS, 72, 0, 0, 80, 0xc3], [ADVANCE | SECOND, 0, 0, 0, 0, 0]];
        add(&[&strays[..], &[[ADVANCE | MINUTES_10, 0, 0, 0, 0, 0]], &strays[..], &strays[..]].concat());
        // One that guesses passwords, and a victim: its handshakes come from another stack than the scan in its name.
        add(&[[ATTEMPT, 80, 0, 0, 22, 7]].repeat(40));
        add(&[
            [ATTEMPTS, 88, 0, 1, 0, 12 | 8],
            [COMPLETIONS, 88, 0, 1, 0, 80],
            [ADVANCE | MINUTES_10, 0, 0, 0, 0, 0],
            [ATTEMPT, 88, 0, 1, 0, 12 | 8],
            [COMPLETIONS, 88, 0, 1, 0, 4],
            [ATTEMPTS, 88, 0, 2, 0, 39],
            [ADVANCE | SECOND, 0, 0, 0, 0, 0],
        ]);
    }
    // More targets than are watched.
    seeds.push([0; SETTINGS].into_iter().chain((0..140).flat_map(|n| [ATTEMPTS, n % 8, n, n, 0, 63])).collect());
    seeds
}
