//! The engine against a naive model: unbounded, exact, and as slow as the rule's own words.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proptest::prelude::*;
use tcpcap_core::{
    Config, Engine, Marks, Preset, Protected, SightingKind, Thresholds, Time, Tool,
    detect::port_scan::{ABANDONED_AFTER, LONG_WINDOW, Limits, MEDIUM_WINDOW, SETTLED_AFTER, WINDOW},
};

use crate::world::{HOST, World, ip, ms};

#[derive(Clone, Debug)]
struct Step {
    at: u64,
    source: u8,
    port: u16,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Attempt(Option<Tool>),
    Completion,
    Refusal,
}

/// Source, time and window of each finding.
type Found = Vec<(u8, Time, &'static str)>;

/// What is known of a pair.
#[derive(Clone, Copy)]
struct Pair {
    first: Time,
    last: Time,
    tries: u32,
    completed: bool,
    refused: bool,
    tool: Option<Tool>,
}

type Pairs = BTreeMap<u16, Pair>;
type Score = dyn Fn(&[(u16, Pair)]) -> usize;

/// The window that fires now, in the words of the rule: its name, how far it looked, and how many pairs it counts.
fn judge(pairs: &Pairs, completions: &[Time], limits: Limits, now: Time) -> Option<(&'static str, Duration, usize)> {
    let recent = |span| pairs.iter().filter(move |(_, p)| now.since(p.last) <= span).map(|(port, p)| (*port, *p));
    let incomplete = |span| recent(span).filter(|(_, p)| !p.completed);
    let settled = |span| incomplete(span).filter(|(_, p)| p.refused || now.since(p.first) >= SETTLED_AFTER);
    let left = |(_, p): &(u16, Pair)| p.tries <= 3 && now.since(p.last) >= ABANDONED_AFTER;
    let fires = |pairs: Vec<(u16, Pair)>, score: &Score, limit: Option<u32>| {
        let of = |tool| pairs.iter().filter(|(_, p)| p.tool == Some(tool)).count();
        let marked = Tool::ALL.into_iter().map(of).max().unwrap_or(0);
        let halved = marked >= 3 && marked * 10 >= pairs.len() * 9;
        let limit = limit.map(|l| if halved { l.div_ceil(2) } else { l } as usize);
        let began = pairs.iter().map(|(_, p)| p.first).min().unwrap_or(now);
        limit.filter(|l| score(&pairs) >= *l).map(|_| (pairs.len(), WINDOW.max(now.since(began))))
    };
    let count = |pairs: &[(u16, Pair)]| pairs.len();
    let weigh = |pairs: &[(u16, Pair)]| pairs.iter().map(|(port, _)| if *port < 1024 { 3 } else { 1 }).sum();
    let abandoned: Vec<_> = incomplete(LONG_WINDOW).filter(left).collect();
    let regular: usize = pairs.values().filter(|p| p.completed && p.tries > 3).map(|p| p.tries.min(255) as usize).sum();
    // A minute begins with a completion, and the next with the first one that is not in it.
    let mut minutes: Vec<Time> = Vec::new();
    for at in completions {
        if minutes.last().is_none_or(|last| at.since(*last) >= WINDOW) {
            minutes.push(*at);
        }
    }
    let achieves_little = abandoned.len() >= 2 * minutes.len();
    [
        ("burst", WINDOW, fires(incomplete(WINDOW).collect(), &count, limits.burst_pairs)),
        ("fast", WINDOW, fires(settled(WINDOW).collect(), &weigh, limits.fast_score)),
        ("medium", MEDIUM_WINDOW, fires(settled(MEDIUM_WINDOW).collect(), &count, limits.medium_pairs)),
        ("long", LONG_WINDOW, fires(settled(LONG_WINDOW).collect(), &count, limits.long_pairs)),
        ("abandoned", LONG_WINDOW, fires(abandoned, &count, limits.abandoned_pairs).filter(|_| achieves_little)),
        (
            "open",
            LONG_WINDOW,
            fires(
                recent(LONG_WINDOW).filter(left).filter(|(port, _)| *port < 1024).collect(),
                &count,
                limits.open_ports,
            )
            .filter(|(counted, _)| regular <= 4 * counted),
        ),
    ]
    .into_iter()
    .find_map(|(window, span, fired)| fired.map(|(counted, since)| (window, span.min(since), counted)))
}

/// Every window looked at after every step, whenever a pair has settled and whenever one is abandoned.
fn model(steps: &[Step], limits: Limits) -> Found {
    let mut found = Found::new();
    for source in 0..4 {
        let steps: Vec<&Step> = steps.iter().filter(|s| s.source == source).collect();
        let mut pairs = Pairs::new();
        let (mut quiet_until, mut last_seen, mut times_blocked) = (Time::ZERO, Time::ZERO, 0);
        let mut completions: Vec<Time> = Vec::new();
        let times = || steps.iter().map(|s| Time::ZERO + ms(s.at));
        let mut instants: BTreeSet<Time> = times().collect();
        instants.extend(times().flat_map(|t| [t + SETTLED_AFTER, t + ABANDONED_AFTER]));
        for now in instants {
            let mut look = |pairs: &mut Pairs, quiet_until: &mut Time, completions: &[Time]| {
                if now >= *quiet_until
                    && let Some((window, span, counted)) = judge(pairs, completions, limits, now)
                {
                    // A day after its block a repeater is none.
                    if now.since(*quiet_until) >= ms(86_400_000) {
                        times_blocked = 0;
                    }
                    // Known to be real, and yet failing more than it achieves: a step higher.
                    let verified = completions.first().is_some_and(|first| now.since(*first) > span);
                    let step = times_blocked + u32::from(verified && completions.len() < counted);
                    found.push((source, now, window));
                    pairs.clear();
                    *quiet_until = now + ms((600_000 << step).min(86_400_000));
                    times_blocked += 1;
                }
            };
            // Timers come before what happens at the same time.
            look(&mut pairs, &mut quiet_until, &completions);
            for step in steps.iter().filter(|s| Time::ZERO + ms(s.at) == now) {
                // Nothing left open, nobody there for a day: a stranger.
                let waits = pairs.values().any(|p| !p.completed && now.since(p.last) <= LONG_WINDOW);
                if now.since(last_seen) >= LONG_WINDOW && now >= quiet_until && !waits {
                    completions.clear();
                    pairs.clear();
                }
                last_seen = now;
                if now < quiet_until {
                    continue;
                }
                match step.what {
                    What::Completion => {
                        completions.push(now);
                        pairs.entry(step.port).and_modify(|p| p.completed = true);
                    }
                    What::Refusal => {
                        pairs.entry(step.port).and_modify(|p| p.refused = true);
                        look(&mut pairs, &mut quiet_until, &completions);
                    }
                    What::Attempt(tool) => {
                        let (first, last, tries) = (now, now, 0);
                        let new = Pair { first, last, tries, completed: false, refused: false, tool };
                        let pair = pairs.entry(step.port).or_insert(new);
                        if now.since(pair.last) > LONG_WINDOW {
                            *pair = new;
                        }
                        if now.since(pair.last) > WINDOW {
                            pair.first = now;
                        }
                        (pair.last, pair.tool, pair.tries) = (now, tool, pair.tries + 1);
                        look(&mut pairs, &mut quiet_until, &completions);
                    }
                }
            }
        }
    }
    found.sort_by_key(|f| (f.1, f.0));
    found
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..3000u64, 0..4u8, 0..50u16, 0..20u8).prop_map(|(gap, source, port, what)| {
        let what = match what {
            0..3 => What::Completion,
            3..6 => What::Refusal,
            // One of the sources uses a tool, and nothing else: a share that grows as old pairs drop out is looked at
            // with the next event only.
            _ => What::Attempt((source == 0).then_some(Tool::Nmap)),
        };
        // Half of the ports are privileged.
        (gap, Step { at: 0, source, port: 1000 + port, what })
    });
    prop::collection::vec(step, 1..400).prop_map(|steps| {
        let mut now = 0;
        steps
            .into_iter()
            .map(|(gap, step)| {
                // Mostly fast, sometimes with a pause, now and then with one of hours.
                now += match gap {
                    0..2800 => gap / 20,
                    2800..2990 => gap * 10,
                    _ => gap * 10_000,
                };
                Step { at: now, ..step }
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn the_engine_finds_what_the_naive_model_finds(steps in steps(), preset in 0..3usize) {
        let preset = Preset::ALL[preset];
        let mut world = World::new();
        for s in &steps {
            let kind = match s.what {
                What::Attempt(tool) => SightingKind::Attempt(Marks { tool, stack: 0 }),
                What::Completion => SightingKind::Completion { unanswered: false },
                What::Refusal => SightingKind::Refusal,
            };
            let from = (ip(&format!("203.0.113.{}", s.source)), 40_000);
            world.sight(ms(s.at), kind, from, (ip(HOST), s.port));
        }
        // Only the port scan rule, and nobody is verified: the model knows no more.
        let thresholds = Thresholds::of(preset);
        let flood = tcpcap_core::detect::flood::Limits { half_open: None, half_open_of_source: None };
        let mut engine = Engine::new(&Config { thresholds: Thresholds { flood, ..thresholds }, ..Config::default() });
        let verdicts = world.play(&mut engine, &Protected::default());
        let mut found: Found = verdicts
            .iter()
            .map(|v| (v.finding.source.unwrap().0.octets()[15], v.finding.time, v.finding.window))
            .collect();
        found.sort_by_key(|f| (f.1, f.0));
        prop_assert_eq!(found, model(&steps, Thresholds::of(preset).port_scan));
    }
}
