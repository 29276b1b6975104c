//! Random histories against a naive model.

use std::{collections::BTreeMap, time::Duration};

use ipnet::IpNet;
use proptest::prelude::*;
use tcpcap_core::Time;

use super::support::{World, write};
use crate::{
    block::{Block, Why},
    history::{Change, Drops, Entry, Who},
};

#[derive(Clone, Debug)]
enum Act {
    Begin { who: u8, operator: bool, secs: Option<u16> },
    Extend { who: u8, operator: bool, secs: u16 },
    End { who: u8, operator: bool, lifted: bool },
    Pass(u16),
    StepWall(i16),
    Restart,
    Reboot(u16),
}

fn act() -> impl Strategy<Value = Act> {
    let (who, secs) = (0..6u8, 1..3000u16);
    prop_oneof![
        4 => (who.clone(), any::<bool>(), proptest::option::weighted(0.9, secs.clone()))
            .prop_map(|(who, operator, secs)| Act::Begin { who, operator, secs }),
        2 => (who.clone(), any::<bool>(), secs).prop_map(|(who, operator, secs)| Act::Extend { who, operator, secs }),
        2 => (who, any::<bool>(), any::<bool>()).prop_map(|(who, operator, lifted)| Act::End { who, operator, lifted }),
        2 => (0..2000u16).prop_map(Act::Pass),
        1 => any::<i16>().prop_map(Act::StepWall),
        2 => Just(Act::Restart),
        1 => (0..2000u16).prop_map(Act::Reboot),
    ]
}

/// Ends of blocks, `None` for never.
type Model = BTreeMap<(IpNet, &'static str), Option<Time>>;

fn network(who: u8) -> IpNet {
    // Some of these hold others.
    ["10.0.0.1/32", "10.0.0.0/24", "10.0.0.2/32", "2001:db8::/64", "2001:db8::/32", "0.0.0.0/0"][usize::from(who)]
        .parse()
        .unwrap()
}

fn play(acts: &[Act]) -> Result<(), TestCaseError> {
    let world = World::new();
    let mut model = Model::new();
    let mut history = Some(world.open().0);
    for act in acts {
        let now = world.now();
        let why = |operator| if operator { Why::Operator { note: None } } else { Why::Rule(tcpcap_core::Rule::Sweep) };
        let block =
            |who, operator, until| Block { why: why(operator), until, ..world.block(&network(who).to_string(), 0) };
        let record = |entry| history.as_ref().unwrap().record(entry);
        match *act {
            Act::Begin { who, operator, secs } => {
                // Automatic ones always end.
                let secs = if operator { secs } else { secs.or(Some(60)) };
                let block = block(who, operator, secs.map(|s| now + Duration::from_secs(s.into())));
                model.insert((block.network, block.why.origin()), block.until);
                record(Entry::Block { block, change: Change::Begun, at: now });
            }
            Act::Extend { who, operator, secs } => {
                let Some(Some(until)) = model.get_mut(&(network(who), why(operator).origin())) else { continue };
                *until = *until + Duration::from_secs(secs.into());
                record(Entry::Block { block: block(who, operator, Some(*until)), change: Change::Extended, at: now });
            }
            Act::End { who, operator, lifted } => {
                let Some(until) = model.remove(&(network(who), why(operator).origin())) else { continue };
                let drops = Drops::default();
                let by = Who::Other("the test".into());
                let change = if lifted { Change::Lifted { drops, by } } else { Change::Ended(drops) };
                record(Entry::Block { block: block(who, operator, until), change, at: now });
            }
            Act::Pass(secs) => world.pass(secs.into()),
            // Within a boot: set wrong, and right again before the next.
            Act::StepWall(secs) => {
                write(history.as_ref().unwrap(), []);
                world.step_wall(secs.into());
                drop(history.take());
                history = Some(check(&world, &mut model)?);
                world.step_wall(-i64::from(secs));
            }
            Act::Restart => {
                drop(history.take());
                history = Some(check(&world, &mut model)?);
            }
            Act::Reboot(secs) => {
                drop(history.take());
                world.reboot(secs.into());
                let passed = now + Duration::from_secs(secs.into());
                for until in model.values_mut().flatten() {
                    *until = world.now() + until.since(passed);
                }
                history = Some(check(&world, &mut model)?);
            }
        }
    }
    drop(history.take());
    check(&world, &mut model).map(drop)
}

fn check(world: &World, model: &mut Model) -> Result<super::super::History, TestCaseError> {
    model.retain(|_, until| until.is_none_or(|until| until > world.now()));
    let (history, restored) = world.open();
    let found: Model = restored.blocks.iter().map(|b| ((b.network, b.why.origin()), b.until)).collect();
    prop_assert_eq!(&found, &*model);
    prop_assert_eq!(found.len(), restored.blocks.len());
    Ok(history)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn random_blocks_come_back_as_a_naive_model_has_them(acts in proptest::collection::vec(act(), 1..30)) {
        play(&acts)?;
    }
}
