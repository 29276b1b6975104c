use super::*;
use crate::lists::{
    List,
    plan::tests::{any_lists, any_net},
};
use ipnet::IpNet;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn plan(lists: &[List]) -> Arc<Plan> {
    Arc::new(Plan::make(lists, |_| None))
}

fn denies(networks: &[&str]) -> Arc<Plan> {
    plan(&[List::operator(&networks.iter().map(|n| n.parse().unwrap()).collect::<Vec<_>>(), None)])
}

fn steps(old: &Arc<Plan>, new: &Arc<Plan>) -> Vec<String> {
    Diff::new(Arc::clone(old), Arc::clone(new)).map(|s| format!("{:?} {}", s.update, s.denied.network)).collect()
}

#[test]
fn a_narrower_network_is_there_before_the_broader_one_goes_and_the_other_way_round() {
    let (broad, narrow) = (denies(&["10.0.0.0/16"]), denies(&["10.0.1.0/24", "10.0.2.7/32"]));
    assert_eq!(steps(&broad, &narrow), ["Add 10.0.1.0/24", "Add 10.0.2.7/32", "Remove 10.0.0.0/16"]);
    assert_eq!(steps(&narrow, &broad), ["Add 10.0.0.0/16", "Remove 10.0.1.0/24", "Remove 10.0.2.7/32"]);
}

#[test]
fn what_only_goes_goes_first() {
    let (old, new) =
        (denies(&["192.0.2.1/32", "192.0.2.5/32"]), denies(&["192.0.2.0/32", "192.0.2.1/32", "192.0.2.9/32"]));
    assert_eq!(steps(&old, &new), ["Remove 192.0.2.5/32", "Add 192.0.2.0/32", "Add 192.0.2.9/32"]);
}

#[test]
fn equal_plans_take_no_step_wherever_their_lists_stand() {
    let feed = |name: &str| List::feed(name.into(), Arc::new(vec![Entry::new("192.0.2.1/32".parse().unwrap())]));
    let (one, two) = (plan(&[feed("a")]), plan(&[List::operator(&[], None), feed("a")]));
    assert!(steps(&one, &two).is_empty());
    let renamed = plan(&[feed("b")]);
    assert_eq!(steps(&one, &renamed), ["Change 192.0.2.1/32"]);
}

#[test]
fn after_the_last_step_there_is_none() {
    let mut diff = Diff::new(denies(&["192.0.2.1/32"]), denies(&[]));
    assert_eq!(diff.by_ref().count(), 1);
    assert_eq!((diff.next(), diff.next()), (None, None));
}

fn content(plan: &Plan) -> BTreeMap<IpNet, Why> {
    plan.iter().map(|d| (d.network, d.why)).collect()
}

proptest! {
    #[test]
    fn the_steps_lead_from_old_to_new_and_never_uncover_what_both_deny(
        old in any_lists(),
        new in any_lists(),
        asked in prop::collection::vec(any_net(), 1..8),
    ) {
        let (old, new) = (plan(&old), plan(&new));
        let mut now = content(&old);
        let both: Vec<_> = asked.iter().flat_map(|net| [net.network(), net.broadcast()])
            .filter(|ip| old.holds(*ip).is_some() && new.holds(*ip).is_some()).collect();
        for Step { update, denied } in Diff::new(Arc::clone(&old), Arc::clone(&new)) {
            let before = match update {
                Update::Remove => now.remove(&denied.network),
                _ => now.insert(denied.network, denied.why.clone()),
            };
            match update {
                Update::Add => prop_assert_eq!(before, None),
                Update::Remove => prop_assert_eq!(before, Some(denied.why)),
                Update::Change => prop_assert!(before.is_some_and(|why| why != denied.why)),
            }
            prop_assert!(both.iter().all(|ip| now.keys().any(|net| net.contains(ip))));
        }
        prop_assert_eq!(now, content(&new));
    }

    #[test]
    fn single_addresses_never_need_more_room_than_the_larger_plan(
        old in prop::collection::btree_set(0u8..40, 0..30),
        new in prop::collection::btree_set(0u8..40, 0..30),
    ) {
        let of = |set: &std::collections::BTreeSet<u8>| {
            let nets: Vec<IpNet> = set.iter().map(|i| IpNet::from(std::net::IpAddr::from([192, 0, 2, *i]))).collect();
            plan(&[List::operator(&nets, None)])
        };
        let mut held = old.len();
        for step in Diff::new(of(&old), of(&new)) {
            held = if step.update == Update::Remove { held - 1 } else { held + 1 };
            prop_assert!(held <= old.len().max(new.len()));
        }
    }
}
