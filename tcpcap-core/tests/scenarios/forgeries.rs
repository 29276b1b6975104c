//! Tools that give themselves away, and packets in other people's names.

use tcpcap_core::{Marks, Outcome, Preset, Scope, Standing, Tool};

use crate::world::{OWN_STACK, World, ms};

const SCANNER: &str = "203.0.113.7";
const CLIENT: &str = "192.0.2.10";
/// Whoever sends packets in the client's name has another stack.
const FOREIGN: Marks = Marks { tool: None, stack: 99 };

#[test]
fn the_marks_of_a_tool_halve_the_thresholds_and_are_named() {
    for (preset, burst) in [(Preset::Balanced, 15), (Preset::Relaxed, 31), (Preset::Strict, 2)] {
        let mut world = World::new();
        let marks = Marks { tool: Some(Tool::Masscan), stack: 1 };
        (0..200).for_each(|i| world.marked(ms(i), SCANNER, 2000 + i as u16, marks));
        let found = world.verdicts(preset);
        let finding = &found[0].finding;
        assert_eq!((finding.window, finding.attempts_before), ("burst", burst), "{preset}");
        assert_eq!(finding.fingerprint.map(|f| (f.tool, f.percent)), Some((Tool::Masscan, 100)));
    }
}

#[test]
fn two_marked_pairs_or_a_few_among_many_speak_against_nobody() {
    let nmap = Marks { tool: Some(Tool::Nmap), stack: 1 };
    let found = |marked: u16, plain: u16| {
        let mut world = World::new();
        (0..marked).for_each(|i| world.marked(ms(u64::from(i)), CLIENT, 2000 + i, nmap));
        (0..plain).for_each(|i| world.marked(ms(u64::from(i)), CLIENT, 3000 + i, OWN_STACK));
        world.found().len()
    };
    assert_eq!((found(9, 0), found(9, 1), found(9, 2), found(2, 7)), (1, 1, 0, 0));
}

#[test]
fn a_live_client_in_whose_name_somebody_scans_is_told_of_and_not_blocked() {
    let mut world = World::new();
    (0..100).for_each(|i| world.open(ms(2000 * i), ms(30), CLIENT, 443));
    (0..1000).for_each(|i| world.marked(ms(150_000 + 10 * i), CLIENT, 2000 + i as u16, FOREIGN));
    let found = world.found();
    assert!(found.iter().all(|v| v.decision.outcome == Outcome::Alert), "{found:?}");
    let forged: Vec<_> = found.iter().filter(|v| v.finding.rule.name() == "forged").collect();
    assert_eq!(forged.len(), 1, "once a minute");
    assert_eq!(
        (forged[0].finding.source, forged[0].finding.in_name_of.unwrap().to_string()),
        (None, CLIENT.to_owned())
    );
}

#[test]
fn who_scans_with_the_stack_of_his_own_connections_is_blocked_for_new_ones() {
    let mut world = World::new();
    (0..100).for_each(|i| world.open(ms(2000 * i), ms(30), CLIENT, 443));
    (0..100).for_each(|i| world.marked(ms(150_000 + 10 * i), CLIENT, 2000 + i as u16, OWN_STACK));
    let found = world.found();
    assert_eq!((found[0].finding.standing, found[0].decision.scope), (Standing::Established, Scope::Syn));
    assert!(matches!(found[0].decision.outcome, Outcome::Block { .. }));
}

#[test]
fn a_few_connections_before_the_scan_speak_for_nobody() {
    let mut world = World::new();
    (0..5).for_each(|i| world.open(ms(2000 * i), ms(30), SCANNER, 443));
    (0..100).for_each(|i| world.marked(ms(150_000 + 10 * i), SCANNER, 2000 + i as u16, FOREIGN));
    let found = world.found();
    assert_eq!((found[0].finding.rule.name(), found[0].finding.standing), ("port-scan", Standing::Verified));
    assert_eq!((found[0].decision.scope, found[0].decision.ttl.as_secs()), (Scope::All, 1200));
}

#[test]
fn of_a_scan_with_decoys_everybody_is_found_and_nobody_for_long() {
    // The packets are alike: which of the five is real shows only where one of them has a past here.
    let decoys: Vec<String> = (1..=5).map(|n| format!("203.0.113.{n}")).collect();
    let mut world = World::new();
    for port in 0..100u16 {
        decoys.iter().for_each(|from| world.closed(ms(10 * u64::from(port)), from, 2000 + port));
    }
    let found = world.found();
    assert_eq!(found.len(), 5);
    assert!(found.iter().all(|v| v.decision.ttl.as_secs() == 600 && !v.finding.verified()));
}

#[test]
fn privileged_ports_that_all_answer_are_a_scan_once_they_are_left_alone() {
    let found = |ports: u16, rounds: u64| {
        let mut world = World::new();
        for round in 0..rounds {
            (0..ports).for_each(|i| world.open(ms(60_000 * round + 100 * u64::from(i)), ms(10), SCANNER, 1 + i));
        }
        world.found().iter().map(|v| v.finding.window).collect::<Vec<_>>()
    };
    assert_eq!((found(20, 1), found(19, 1)), (vec!["open"], vec![]));
    assert_eq!(found(30, 60), Vec::<&str>::new(), "a monitor comes back");
}
