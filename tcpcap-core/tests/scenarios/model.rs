//! The engine against a naive model: unbounded, exact, and as slow as the rule's own words.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tcpcap_core::{
    Marks, Preset, Protected, SightingKind, Thresholds, Time,
    detect::port_scan::{LONG_WINDOW, Limits, MEDIUM_WINDOW, SETTLED_AFTER, WINDOW},
};

use crate::world::{HOST, World, engine, ip, ms};

#[derive(Clone, Debug)]
struct Step {
    at: u64,
    source: u8,
    port: u16,
    completes: bool,
}

/// Source, time and window of each finding.
type Found = Vec<(u8, Time, &'static str)>;

/// Every window looked at after every step and whenever a pair has settled.
fn model(steps: &[Step], limits: Limits) -> Found {
    let mut found = Found::new();
    for source in 0..4 {
        let steps: Vec<&Step> = steps.iter().filter(|s| s.source == source).collect();
        // (first, last, completed) by port.
        let mut pairs: BTreeMap<u16, (Time, Time, bool)> = BTreeMap::new();
        let mut quiet_until = Time::ZERO;
        let mut times_blocked = 0;
        let mut instants: BTreeSet<Time> = steps.iter().map(|s| Time::ZERO + ms(s.at)).collect();
        instants.extend(steps.iter().map(|s| Time::ZERO + ms(s.at) + SETTLED_AFTER));
        for now in instants {
            let judge = |pairs: &BTreeMap<u16, (Time, Time, bool)>| {
                let incomplete = |span| pairs.iter().filter(move |(_, p)| !p.2 && now.since(p.1) <= span);
                let settled = |span| incomplete(span).filter(|(_, p)| now.since(p.0) >= SETTLED_AFTER);
                if incomplete(WINDOW).count() >= limits.burst_pairs as usize {
                    return Some("burst");
                }
                let score: u32 = settled(WINDOW).map(|(port, _)| if *port < 1024 { 3 } else { 1 }).sum();
                if limits.fast_score.is_some_and(|limit| score >= limit) {
                    return Some("fast");
                }
                if settled(MEDIUM_WINDOW).count() >= limits.medium_pairs as usize {
                    return Some("medium");
                }
                (settled(LONG_WINDOW).count() >= limits.long_pairs as usize).then_some("long")
            };
            let mut look = |pairs: &mut BTreeMap<u16, (Time, Time, bool)>, quiet_until: &mut Time| {
                if now >= *quiet_until
                    && let Some(window) = judge(pairs)
                {
                    found.push((source, now, window));
                    pairs.clear();
                    *quiet_until = now + ms(600_000 << times_blocked);
                    times_blocked += 1;
                }
            };
            // Timers come before what happens at the same time.
            look(&mut pairs, &mut quiet_until);
            for step in steps.iter().filter(|s| Time::ZERO + ms(s.at) == now) {
                if now < quiet_until {
                    continue;
                }
                if step.completes {
                    pairs.entry(step.port).and_modify(|p| p.2 = true);
                } else {
                    let pair = pairs.entry(step.port).or_insert((now, now, false));
                    if now.since(pair.1) > WINDOW {
                        pair.0 = now;
                    }
                    pair.2 &= now.since(pair.1) <= LONG_WINDOW;
                    pair.1 = now;
                    look(&mut pairs, &mut quiet_until);
                }
            }
        }
    }
    found.sort_by_key(|f| (f.1, f.0));
    found
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..3000u64, 0..4u8, 0..50u16, prop::bool::weighted(0.2)).prop_map(|(gap, source, port, completes)| {
        // Half of the ports are privileged.
        (gap, Step { at: 0, source, port: 1000 + port, completes })
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
            let kind = if s.completes { SightingKind::Completion { unanswered: false } } else { SightingKind::Attempt(Marks::default()) };
            let from = (ip(&format!("203.0.113.{}", s.source)), 40_000);
            world.sight(ms(s.at), kind, from, (ip(HOST), s.port));
        }
        let verdicts = world.play(&mut engine(preset), &Protected::default());
        let mut found: Found = verdicts
            .iter()
            .map(|v| (v.finding.source.0.octets()[15], v.finding.time, v.finding.window))
            .collect();
        found.sort_by_key(|f| (f.1, f.0));
        prop_assert_eq!(found, model(&steps, Thresholds::of(preset).port_scan));
    }
}
