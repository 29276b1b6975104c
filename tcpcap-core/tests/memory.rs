//! Memory is bounded: counted, byte by byte, under hostile input far past every cap.
//!
//! Each attack is played in rounds. After each the engine must hold no more than its configuration allows, and from
//! some round on no more than in those before: what grows a little each time has no bound.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use tcpcap_core::{
    Caps, Config, Engine, Marks, Preset, Protected, Sighting, SightingKind, Thresholds, Time, Verdict,
    detect::{flood::MAX_TARGETS, port_scan},
};
use tcpcap_lab::memory::{Counting, held};

#[global_allocator]
static MEMORY: Counting = Counting;

/// What a source may cost that does all it can to be expensive. Holds `detect::MAX_SOURCES` to its word.
const PER_SOURCE: usize = 10 << 10;
/// The same while the brute force rule is on.
const PER_GUESSER: usize = 18 << 10;
/// What a source may cost that came once, on average over a full table.
const PER_VISITOR: usize = 420;
/// What a source may cost that is blocked or remembered as a repeater: an entry, and its place in the order of ends.
const PER_BLOCK: usize = 160;
/// What a block costs for a minute, for the circuit breaker.
const PER_RECENT_BLOCK: usize = 16;
/// What a target may cost that is watched for floods, on average over addresses and their ports.
const PER_TARGET: usize = 1400;
/// What an engine may hold beside.
const FIXED: usize = 16 << 10;

const MAX_SOURCES: usize = 512;
/// Where each source takes long.
const FEW_SOURCES: u32 = 128;
const MAX_BLOCKS: usize = 300;
const ROUNDS: usize = 6;
/// Tables and vectors have found their size by then.
const SETTLED: usize = 3;

const ATTEMPT: SightingKind = SightingKind::Attempt(Marks { tool: None, stack: 0 });
const COMPLETION: SightingKind = SightingKind::Completion { unanswered: false };

/// No floods of targets, unless a test says so: they have a bound of their own.
fn config(preset: Preset) -> Config {
    let mut thresholds = Thresholds::of(preset);
    thresholds.flood.half_open = None;
    let caps = Caps { entries: MAX_BLOCKS, unverified: MAX_BLOCKS, per_minute: 2 * MAX_BLOCKS };
    Config { thresholds, max_sources: MAX_SOURCES, caps, ..Config::default() }
}

/// An engine, its clock, and what it held before it was made.
struct Victim {
    engine: Engine,
    now: Time,
    polled: Time,
    before: usize,
    verdicts: Vec<Verdict>,
    found: usize,
}

impl Victim {
    fn new(config: &Config) -> Self {
        let before = held();
        let engine = Engine::new(config);
        Self { engine, now: Time::ZERO, polled: Time::ZERO, before, verdicts: Vec::new(), found: 0 }
    }

    /// Lets a packet come, `gap` after the one before, and time pass as the daemon does: once a second.
    fn see(&mut self, gap: Duration, kind: SightingKind, from: u32, (to, port): (u16, u16)) {
        self.now = self.now + gap;
        let protected = Protected::default();
        if self.now.since(self.polled) >= Duration::from_secs(1) {
            self.polled = self.now;
            self.engine.advance(self.now, &protected, &mut self.verdicts);
            self.engine.expire(self.now);
        }
        let (from, to) = ends(from, to);
        self.engine.see(
            &Sighting::new(self.now, kind, (from.into(), 40_000), (to.into(), port)),
            &protected,
            &mut self.verdicts,
        );
        self.found += self.verdicts.len();
        // Verdicts are the caller's to keep or not.
        self.verdicts = Vec::new();
    }

    fn held(&self) -> usize {
        held() - self.before
    }
}

/// Lets time pass, until somebody comes.
fn pass(victim: &mut Victim, seconds: u64) {
    victim.see(Duration::from_secs(seconds), ATTEMPT, 0, (1, 80));
}

/// Every other source is an IPv6 prefix.
fn ends(from: u32, to: u16) -> (IpAddr, IpAddr) {
    if from.is_multiple_of(2) {
        let (from, to) = (0x0a00_0000 + from, 0xc612_0000 + u32::from(to));
        return (Ipv4Addr::from_bits(from).into(), Ipv4Addr::from_bits(to).into());
    }
    let prefix = 0x2001_0db8_0000_0000 + u128::from(from);
    (Ipv6Addr::from_bits(prefix << 64 | 9).into(), Ipv6Addr::new(0x2001, 0xdb9, 0, 0, 0, 0, 0, to).into())
}

/// Plays an attack round after round, and holds the engine to its bound; returns what it held and found at the end.
fn attack(config: &Config, per_source: usize, mut round: impl FnMut(&mut Victim, u32)) -> (usize, usize) {
    let Caps { entries, per_minute, .. } = config.caps;
    let targets = config.thresholds.flood.half_open.map_or(0, |_| MAX_TARGETS * PER_TARGET);
    let bound = config.max_sources * per_source + entries * PER_BLOCK + per_minute * PER_RECENT_BLOCK + targets + FIXED;
    let mut rounds = Vec::with_capacity(ROUNDS);
    let mut victim = Victim::new(config);
    for n in 0..ROUNDS {
        round(&mut victim, u32::try_from(n).unwrap());
        let stats = victim.engine.stats();
        rounds.push(victim.held());
        assert!(stats.tracked_sources <= config.max_sources && stats.blocked <= entries, "{stats:?}");
        assert!(victim.held() <= bound, "{rounds:?} bytes held after each round, of {bound} allowed; {stats:?}");
    }
    let most = |rounds: &[usize]| rounds.iter().copied().max().unwrap();
    let (early, late) = (most(&rounds[..SETTLED]), most(&rounds[SETTLED..]));
    assert!(late <= early + early / 32 + 2 * FIXED, "it grows from round to round: {rounds:?}");
    let tracked = victim.engine.stats().tracked_sources;
    println!("{rounds:?} bytes held of {bound} allowed: {} a source, {} found", victim.held() / tracked, victim.found);
    (victim.held(), victim.found)
}

const MICROSECOND: Duration = Duration::from_micros(1);
const MILLISECOND: Duration = Duration::from_millis(1);

#[test]
fn forged_sources_with_one_syn_each_without_end_cost_what_a_full_table_costs() {
    let mut source = 0;
    attack(&config(Preset::Balanced), PER_VISITOR, |victim, _| {
        for _ in 0..100 * MAX_SOURCES {
            source += 1;
            victim.see(MICROSECOND * 5, ATTEMPT, source, (1, 80));
        }
    });
}

#[test]
fn sources_that_try_a_hundred_pairs_each_are_bounded_whether_they_complete_them_or_not() {
    let config = Config { max_sources: FEW_SOURCES as usize, ..config(Preset::Relaxed) };
    for completes in [false, true] {
        let mut source = 0;
        let (_, found) = attack(&config, PER_SOURCE, |victim, _| {
            // Each round turns the table over three times.
            for _ in 0..3 * FEW_SOURCES {
                source += 1;
                for port in 0..100 {
                    victim.see(MICROSECOND, ATTEMPT, source, (1, port));
                    if completes {
                        victim.see(MICROSECOND, COMPLETION, source, (1, port));
                    }
                }
            }
        });
        assert_eq!(found == 0, completes);
    }
}

#[test]
fn sources_that_do_everything_at_once_are_bounded() {
    for (guesses, per_source) in [(None, PER_SOURCE), (Some(1000), PER_GUESSER)] {
        let mut config = Config { max_sources: FEW_SOURCES as usize, ..config(Preset::Relaxed) };
        config.thresholds.brute_force.attempts = guesses;
        let mut at = 0;
        // As many sources as are kept, all of them at the same time. Each goes from host to host and connects to a port
        // with a password, so that nothing gets it blocked and everything is kept: pairs, the fan, guesses, stacks,
        // strays, and probes, FIN alone and always to the same pair.
        let (_, found) = attack(&config, per_source, |victim, _| {
            for _ in 0..100 {
                at += 1;
                for source in 0..FEW_SOURCES {
                    victim.see(MICROSECOND, ATTEMPT, source, (at, 22));
                    victim.see(MICROSECOND, COMPLETION, source, (at, 22));
                    victim.see(MICROSECOND, SightingKind::Stray { refused: false }, source, (at, 1000));
                    victim.see(MICROSECOND, SightingKind::Probe { flags: 1 }, source, (1, 1));
                }
            }
        });
        assert_eq!(found, FEW_SOURCES as usize, "fan-outs, told of once");
    }
}

#[test]
fn sources_that_send_strays_are_bounded_whether_they_are_refused_or_not() {
    let mut config = config(Preset::Balanced);
    config.thresholds.stray.unanswered_pairs = Some(20);
    let mut source = 0u32;
    let (_, found) = attack(&config, PER_SOURCE, |victim, _| {
        for _ in 0..3 * MAX_SOURCES {
            source += 1;
            for port in 0..60 {
                let refused = source.is_multiple_of(3) && port < 14;
                victim.see(MICROSECOND, SightingKind::Stray { refused }, source, (1, port));
            }
        }
        pass(victim, 4);
        pass(victim, 300);
    });
    assert!(found > 0);
}

#[test]
fn floods_of_more_targets_than_are_watched_are_bounded() {
    let mut config = Config { max_sources: 256, ..config(Preset::Balanced) };
    // A target costs most when many sources come to it, none of which is to be silenced.
    let none = None;
    config.thresholds = Thresholds {
        port_scan: port_scan::Limits {
            burst_pairs: none,
            fast_score: none,
            medium_pairs: none,
            long_pairs: none,
            abandoned_pairs: none,
            abandoned_targets: none,
            open_ports: none,
        },
        ..Thresholds::default()
    };
    config.thresholds.flood.half_open = Some(16);
    let (_, found) = attack(&config, PER_SOURCE, |victim, round| {
        for to in 0..2100 {
            for source in 0..84 {
                victim.see(MICROSECOND, ATTEMPT, source, (to, u16::try_from(round).unwrap()));
            }
        }
        (0..4).for_each(|_| pass(victim, 1));
        pass(victim, 70);
        assert!(victim.engine.stats().unwatched_attempts > 0);
    });
    assert!(found > MAX_TARGETS / 2, "{found}");
}

#[test]
fn sources_that_probe_are_bounded() {
    let mut source = 0;
    let (_, found) = attack(&config(Preset::Balanced), PER_SOURCE, |victim, _| {
        for _ in 0..10 * MAX_SOURCES {
            source += 1;
            for flags in [0, 41, 1, 1, 3] {
                victim.see(MICROSECOND * 10, SightingKind::Probe { flags }, source, (1, flags.into()));
            }
        }
    });
    assert!(found > 0);
}

#[test]
fn blocks_and_the_memory_of_repeaters_are_bounded_whether_the_breaker_opens_or_not() {
    for per_minute in [MAX_BLOCKS / 3, 10 * MAX_BLOCKS] {
        let mut config = config(Preset::Strict);
        config.caps.per_minute = per_minute;
        // More sources than blocks, and each comes back when its block is over.
        let sources = 3 * u32::try_from(MAX_BLOCKS).unwrap();
        let (_, found) = attack(&config, PER_SOURCE, |victim, round| {
            for n in 0..4 {
                for source in 0..sources {
                    for port in 0..4 {
                        victim.see(MILLISECOND, ATTEMPT, source + round * sources / 2, (1, port));
                    }
                }
                let breaker_open = victim.engine.is_breaker_open(victim.now);
                assert_eq!(breaker_open, per_minute < MAX_BLOCKS);
                pass(victim, 1200 << n);
            }
        });
        assert!(found > MAX_BLOCKS, "{found}");
    }
}
