//! Behaviours played many times over, and what must come of it each time.

use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner},
};
use tcpcap_core::{Outcome, Preset, Rule, Verdict};

use crate::{
    dice::{CHOICES, Dice},
    world::World,
};

/// What somebody does: a function of the dice alone.
pub type Behaviour = fn(&mut Dice, &mut World);

/// What is wrong with what was found, if anything.
type Check = fn(&World, &[Verdict]) -> Option<String>;

/// Nobody is blocked, and no source is named.
pub fn is_left_alone(_: &World, found: &[Verdict]) -> Option<String> {
    let named = found.iter().find(|v| v.finding.source.or(v.finding.in_name_of).is_some());
    named.map(|v| format!("named: {v:?}"))
}

/// Nobody is blocked.
pub fn is_not_blocked(_: &World, found: &[Verdict]) -> Option<String> {
    found.iter().find(|v| v.decision.outcome != Outcome::Alert).map(|v| format!("blocked: {v:?}"))
}

/// The suspect is named, in a block or in an alert.
pub fn is_found(world: &World, found: &[Verdict]) -> Option<String> {
    first_naming(world, found).is_none().then(|| "not found".to_owned())
}

/// The same, after a hundred probes at most.
pub fn is_found_soon(world: &World, found: &[Verdict]) -> Option<String> {
    let Some(first) = first_naming(world, found) else { return is_found(world, found) };
    let before = world.probes_before(first.finding.time);
    (before as u64 > 100 * world.factor()).then(|| format!("found after {before} probes"))
}

/// The same as [`is_found`], but only where this host's answers are in view.
pub fn is_found_by_the_answers(world: &World, found: &[Verdict]) -> Option<String> {
    if world.sees_answers() { is_found(world, found) } else { None }
}

fn first_naming<'a>(world: &World, found: &'a [Verdict]) -> Option<&'a Verdict> {
    found.iter().find(|v| v.finding.source.or(v.finding.in_name_of) == world.suspect)
}

/// There is an alert of a flood, and nobody is blocked.
pub fn is_told_of_as_a_flood(world: &World, found: &[Verdict]) -> Option<String> {
    let told = found.iter().any(|v| matches!(v.finding.rule, Rule::Flood | Rule::FloodSource));
    is_not_blocked(world, found).or_else(|| (!told).then(|| "no alert".to_owned()))
}

/// Each choice at either end of its range more often than by chance.
fn choice() -> impl Strategy<Value = u32> {
    prop_oneof![1 => Just(0), 1 => Just(u32::MAX), 6 => any::<u32>()]
}

/// Plays a behaviour so many times (`PROPTEST_CASES` says otherwise) with each preset, with and without a view of this
/// host's answers.
#[track_caller]
pub fn play(cases: u32, presets: &[Preset], behaviour: Behaviour, check: Check) {
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { Config::default().cases } else { cases };
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let choices = (prop::collection::vec(choice(), CHOICES), any::<u64>());
    let result = runner.run(&choices, |(choices, seed)| {
        let dice = Dice::new(choices.try_into().expect("as many as asked for"), seed);
        for (preset, view) in presets.iter().flat_map(|p| [(*p, false), (*p, true)]) {
            let (mut dice, mut world) = (dice.clone(), World::new(preset, view));
            behaviour(&mut dice, &mut world);
            let found = world.play();
            if let Some(wrong) = check(&world, &found) {
                let drawn = dice.drawn();
                return Err(TestCaseError::fail(format!("{preset}, answers in view: {view}, {drawn:?}: {wrong}")));
            }
        }
        Ok(())
    });
    match result {
        Ok(()) => {}
        Err(TestError::Fail(why, _)) => panic!("{why}"),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}
