//! Memory is bounded: counted, byte by byte, under hostile input far past every cap.
//!
//! Each attack is played in rounds. After each the engine must hold no more than its configuration allows, and from
//! some round on no more than in those before: what grows a little each time has no bound.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use tcpcap_core::{Config, Engine, Marks, Preset, Protected, Sighting, SightingKind, Thresholds, Time, Verdict};
use tcpcap_lab::memory::{Counting, held};

#[global_allocator]
static MEMORY: Counting = Counting;

/// What a source may cost that does all it can to be expensive. Holds `detect::MAX_SOURCES` to its word.
const PER_SOURCE: usize = 4096;
/// What a source may cost that came once, on average over a full table.
const PER_VISITOR: usize = 300;
/// What a source may cost that is blocked or remembered as a repeater: an entry, and its place in the order of ends.
const PER_BLOCK: usize = 160;
/// What an engine may hold beside.
const FIXED: usize = 16 << 10;

const MAX_SOURCES: usize = 2048;
const MAX_BLOCKS: usize = 1000;
const ROUNDS: usize = 6;
/// Tables and vectors have found their size by then.
const SETTLED: usize = 3;

const ATTEMPT: SightingKind = SightingKind::Attempt(Marks { tool: None, stack: 0 });
const COMPLETION: SightingKind = SightingKind::Completion { unanswered: false };

fn config(preset: Preset) -> Config {
    let thresholds = Thresholds::of(preset);
    Config { thresholds, max_sources: MAX_SOURCES, max_blocks: MAX_BLOCKS, ..Config::default() }
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
    fn see(&mut self, gap: Duration, kind: SightingKind, from: u32, (to, port): (u8, u16)) {
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

/// Every other source is an IPv6 prefix.
fn ends(from: u32, to: u8) -> (IpAddr, IpAddr) {
    if from.is_multiple_of(2) {
        let from = Ipv4Addr::from_bits(0x0a00_0000 + from);
        return (from.into(), Ipv4Addr::new(198, 51, 100, to).into());
    }
    let prefix = 0x2001_0db8_0000_0000 + u128::from(from);
    (Ipv6Addr::from_bits(prefix << 64 | 9).into(), Ipv6Addr::new(0x2001, 0xdb9, 0, 0, 0, 0, 0, to.into()).into())
}

/// Plays an attack round after round, and holds the engine to its bound; returns what it held and found at the end.
fn attack(config: &Config, per_source: usize, mut round: impl FnMut(&mut Victim, u32)) -> (usize, usize) {
    let bound = config.max_sources * per_source + config.max_blocks * PER_BLOCK + FIXED;
    let mut rounds = Vec::with_capacity(ROUNDS);
    let mut victim = Victim::new(config);
    for n in 0..ROUNDS {
        round(&mut victim, u32::try_from(n).unwrap());
        let stats = victim.engine.stats();
        rounds.push(victim.held());
        assert!(stats.tracked_sources <= config.max_sources && stats.blocked <= config.max_blocks, "{stats:?}");
        assert!(victim.held() <= bound, "{rounds:?} bytes held after each round, of {bound} allowed; {stats:?}");
    }
    let most = |rounds: &[usize]| rounds.iter().copied().max().unwrap();
    let (early, late) = (most(&rounds[..SETTLED]), most(&rounds[SETTLED..]));
    assert!(late <= early + early / 32, "it grows from round to round: {rounds:?}");
    let tracked = victim.engine.stats().tracked_sources;
    println!("{rounds:?} bytes held of {bound} allowed: {} a source, {} found", victim.held() / tracked, victim.found);
    (victim.held(), victim.found)
}

const MICROSECOND: Duration = Duration::from_micros(1);
const MILLISECOND: Duration = Duration::from_millis(1);

#[test]
fn a_million_forged_sources_with_one_syn_each_cost_what_a_full_table_costs() {
    let mut source = 0;
    attack(&config(Preset::Balanced), PER_VISITOR, |victim, _| {
        for _ in 0..1_000_000 / ROUNDS {
            source += 1;
            victim.see(MICROSECOND * 5, ATTEMPT, source, (1, 80));
        }
    });
}

#[test]
fn sources_that_try_a_hundred_pairs_each_are_bounded_whether_they_complete_them_or_not() {
    for completes in [false, true] {
        let mut source = 0;
        let (_, found) = attack(&config(Preset::Relaxed), PER_SOURCE, |victim, _| {
            // Each round turns the table over five times.
            for _ in 0..10_000 {
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
    let kinds = [
        COMPLETION,
        SightingKind::Refusal,
        SightingKind::TinyFragment,
        SightingKind::Stray { refused: true },
        SightingKind::Stray { refused: false },
        SightingKind::Completion { unanswered: true },
    ];
    // As many sources as are kept, all of them at the same time, and none of them ever blocked.
    let config = Config { max_blocks: 0, ..config(Preset::Relaxed) };
    let mut at = 0u16;
    attack(&config, PER_SOURCE, |victim, _| {
        for _ in 0..80 {
            at = at.wrapping_add(1);
            for source in 0..u32::try_from(MAX_SOURCES).unwrap() {
                let to = (at.to_le_bytes()[0], at);
                victim.see(MICROSECOND, ATTEMPT, source, to);
                victim.see(MICROSECOND, kinds[usize::from(at) % kinds.len()], source, to);
                // FIN alone to the same pair: a probe that is kept, and no finding.
                victim.see(MICROSECOND, SightingKind::Probe { flags: 1 }, source, (1, 1));
            }
        }
    });
}

#[test]
fn sources_that_probe_are_bounded() {
    let mut source = 0;
    let (_, found) = attack(&config(Preset::Balanced), PER_SOURCE, |victim, _| {
        for _ in 0..50_000 {
            source += 1;
            for flags in [0, 41, 1, 1, 3] {
                victim.see(MICROSECOND * 10, SightingKind::Probe { flags }, source, (1, flags.into()));
            }
        }
    });
    assert!(found > 0);
}

#[test]
fn blocks_and_the_memory_of_repeaters_are_bounded() {
    // More sources than blocks, and each comes back when its block is over.
    let sources = 3 * u32::try_from(MAX_BLOCKS).unwrap();
    let (_, found) = attack(&config(Preset::Strict), PER_SOURCE, |victim, round| {
        for pass in 0..4 {
            for source in 0..sources {
                for port in 0..4 {
                    victim.see(MILLISECOND, ATTEMPT, source + round * sources / 2, (1, port));
                }
            }
            victim.see(Duration::from_secs(1200 << pass), ATTEMPT, 0, (1, 80));
        }
    });
    assert!(found > MAX_BLOCKS, "{found}");
}
