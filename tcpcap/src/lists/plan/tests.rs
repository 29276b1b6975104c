use super::*;
use crate::lists::Overlaps;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn deny(networks: &[&str]) -> List {
    List::operator(&networks.iter().map(|n| net(n)).collect::<Vec<_>>(), None)
}

fn feed(name: &str, networks: &[&str]) -> List {
    List { why: Why::Feed(name.into()), ..deny(networks) }
}

fn plan(lists: &[List]) -> Plan {
    let plan = Plan::make(lists, |_| None);
    assert_sums(&plan);
    plan
}

fn assert_sums(plan: &Plan) {
    let c = plan.counts();
    assert_eq!(c.entries, c.exact + c.networks + c.duplicates + c.covered + c.refused + c.beyond, "{c:?}");
    assert_eq!((c.exact + c.networks, c.by_list.iter().sum()), (plan.len() as u64, plan.len() as u64), "{c:?}");
}

/// What a plan says of an address: `192.0.2.0/24: feed a`
fn said(plan: &Plan, address: &str) -> Option<String> {
    plan.holds(ip(address)).map(|(net, why)| format!("{net}: {why}"))
}

#[test]
fn exact_sources_and_networks_are_told_apart() {
    let plan =
        plan(&[deny(&["192.0.2.7/32", "198.51.100.0/24", "2001:db8:1:2::/64", "2001:db8::1/128", "2001:db8:5::/48"])]);
    let exact: Vec<String> = plan.iter().filter_map(|d| d.source).map(|s| s.to_string()).collect();
    assert_eq!(exact, ["192.0.2.7", "2001:db8:1:2::/64"]);
    assert_eq!((plan.counts().exact, plan.counts().networks), (2, 3));
    assert!(plan.iter().all(|d| d.source.is_none_or(|s| s.network() == d.network)));
}

#[test]
fn of_the_same_network_in_several_lists_the_first_list_is_shown() {
    let plan =
        plan(&[deny(&["192.0.2.7/32"]), feed("a", &["192.0.2.7/32", "192.0.2.8/32"]), feed("b", &["192.0.2.8/32"])]);
    assert_eq!(said(&plan, "192.0.2.7").unwrap(), "192.0.2.7/32: operator");
    assert_eq!(said(&plan, "192.0.2.8").unwrap(), "192.0.2.8/32: feed a");
    assert_eq!((plan.counts().duplicates, &plan.counts().by_list[..]), (2, &[1, 1, 0][..]));
}

#[test]
fn what_a_broader_network_of_the_same_list_or_one_before_holds_is_left_out_and_counted() {
    let plan = plan(&[
        deny(&["10.0.0.0/8", "10.1.0.0/16"]),
        feed("a", &["10.9.9.9/32", "192.0.2.0/24", "192.0.2.7/32"]),
        feed("b", &["192.0.2.8/32", "198.51.100.1/32"]),
    ]);
    assert_eq!((plan.len(), plan.counts().covered), (3, 4));
    assert_eq!(said(&plan, "10.9.9.9").unwrap(), "10.0.0.0/8: operator");
    assert_eq!(said(&plan, "192.0.2.8").unwrap(), "192.0.2.0/24: feed a");
}

#[test]
fn an_operators_block_is_shown_though_a_feed_has_a_broader_network() {
    let plan = plan(&[deny(&["192.0.2.7/32"]), feed("a", &["192.0.2.0/24"]), feed("b", &["192.0.0.0/16"])]);
    assert_eq!(plan.counts().covered, 0);
    assert_eq!(said(&plan, "192.0.2.7").unwrap(), "192.0.2.7/32: operator");
    assert_eq!(said(&plan, "192.0.2.8").unwrap(), "192.0.2.0/24: feed a");
    assert_eq!(said(&plan, "192.0.3.8").unwrap(), "192.0.0.0/16: feed b");
    assert_eq!(said(&plan, "192.1.3.8"), None);
}

#[test]
fn what_must_not_be_blocked_is_refused_with_the_reason_and_covers_nothing() {
    let lists = [deny(&["10.0.0.0/8"]), feed("a", &["10.1.0.0/16", "10.9.0.0/16"])];
    let gateway = net("10.1.2.3/32");
    let plan = Plan::make(&lists, |n| n.contains(&gateway).then(|| "it is a gateway".into()));
    assert_sums(&plan);
    assert_eq!((plan.counts().refused, plan.len()), (2, 1));
    assert_eq!(said(&plan, "10.9.1.1").unwrap(), "10.9.0.0/16: feed a");
    assert_eq!(said(&plan, "10.1.2.3"), None);
    let refusal = &plan.refusals()[0];
    assert_eq!(
        (refusal.network, refusal.reason.as_str(), refusal.why.name()),
        (net("10.0.0.0/8"), "it is a gateway", "operator")
    );
}

#[test]
fn what_no_list_may_name_is_refused_whoever_asks() {
    let plan = plan(&[deny(&["::/0", "0.0.0.0/0", "127.0.0.1/32", "192.0.2.1/32"])]);
    assert_eq!((plan.counts().refused, plan.len()), (3, 1));
    assert_eq!(said(&plan, "198.51.100.1"), None);
}

#[test]
fn of_many_refusals_the_first_are_kept_and_all_are_counted() {
    let nets: Vec<String> = (0..50).map(|i| format!("192.0.2.{i}/32")).collect();
    let plan = Plan::make(&[deny(&nets.iter().map(String::as_str).collect::<Vec<_>>())], |_| Some(String::new()));
    assert_eq!((plan.counts().refused, plan.refusals().len(), plan.is_empty()), (50, SHOWN, true));
}

#[test]
fn an_address_of_one_family_is_not_held_by_the_other() {
    let plan = plan(&[deny(&["192.0.2.0/24", "2001:db8::/32"])]);
    assert_eq!(said(&plan, "2001:db9::1"), None);
    assert_eq!(said(&plan, "::ffff:192.0.2.1").unwrap(), "192.0.2.0/24: operator");
    assert_eq!(said(&plan, "2001:db8:ffff::1").unwrap(), "2001:db8::/32: operator");
    assert_eq!(plan.get(&net("192.0.2.0/24")).map(Why::name), Some("operator"));
    assert_eq!(plan.get(&net("192.0.2.0/25")), None);
}

#[test]
fn where_there_is_no_room_the_last_lists_give_way_first() {
    let entries = |list: u16, range: std::ops::Range<u32>| {
        range.map(move |i| Entry::new(IpNet::from(IpAddr::from((0x0a00_0000 + i).to_be_bytes()))).of_list(list))
    };
    let mut all: Vec<Entry> = entries(2, 0..5).chain(entries(0, 5..8)).chain(entries(1, 8..12)).collect();
    leave_out_beyond(&mut all, 3, 5);
    assert_eq!(all, entries(0, 5..8).chain(entries(1, 8..10)).collect::<Vec<_>>());
}

#[test]
fn a_million_networks_cost_their_entries_and_no_more() {
    let entries = (0..1u32 << 20).map(|i| Entry::new(IpNet::new(IpAddr::from((i << 6).to_be_bytes()), 27).unwrap()));
    // From 16.0.0.0 on: what is before is nobody's, in part.
    let entries: Vec<Entry> = entries.map(|e| Entry::from_bits(e.first() + 0x1000_0000, e.place().1)).collect();
    let never = Overlaps::new([(net("16.0.0.5/32"), "it is a gateway")]);
    let list = List::feed("a".into(), Arc::new(entries));
    let plan = Plan::make(&[list.clone(), list], |n| never.find(n).map(|(_, why)| (*why).to_owned()));
    assert_sums(&plan);
    assert_eq!((plan.counts().networks, plan.counts().refused, plan.counts().duplicates), ((1 << 20) - 1, 1, 1 << 20));
    assert_eq!(plan.entries.capacity(), plan.len());
    assert_eq!(said(&plan, "16.0.0.65").unwrap(), "16.0.0.64/27: feed a");
    assert_eq!(said(&plan, "16.0.0.97"), None);
}

#[test]
fn a_plan_of_nothing_denies_nothing() {
    assert!(plan(&[]).is_empty() && plan(&[deny(&[])]).holds(ip("192.0.2.1")).is_none());
}

/// Networks close together, so that they overlap.
pub(in crate::lists) fn any_net() -> impl Strategy<Value = IpNet> {
    prop_oneof![
        (0u32..64, 24u8..=32).prop_map(|(bits, len)| {
            IpNet::new(IpAddr::from((0xc000_0200 | bits << 2).to_be_bytes()), len).unwrap().trunc()
        }),
        (0u128..16, prop::sample::select(vec![56u8, 60, 62, 63, 64, 65, 66, 128])).prop_map(|(bits, len)| {
            IpNet::new(IpAddr::from((0x2001_0db8 << 96 | bits << 62).to_be_bytes()), len).unwrap().trunc()
        }),
    ]
}

/// Some lists of them.
pub(in crate::lists) fn any_lists() -> impl Strategy<Value = Vec<List>> {
    prop::collection::vec(prop::collection::vec(any_net(), 0..12), 0..4).prop_map(|lists| {
        let whys = ["a", "b", "c"].map(|name| Why::Feed(name.into()));
        let whys = [Why::Operator { note: None }].into_iter().chain(whys);
        whys.zip(&lists).map(|(why, nets)| List { why, ..List::operator(nets, None) }).collect()
    })
}

proptest! {
    #[test]
    fn a_plan_says_what_all_lists_say(lists in any_lists(), never in prop::collection::vec(any_net(), 0..3), asked in any_net()) {
        let refuse = |n: &IpNet| never.iter().any(|p| n.contains(p)).then(|| "never".to_owned());
        let plan = Plan::make(&lists, refuse);
        assert_sums(&plan);
        // The naive one: every network with the first list that names it, in no order.
        let mut naive: BTreeMap<IpNet, usize> = BTreeMap::new();
        for (number, list) in lists.iter().enumerate() {
            for net in list.entries.iter().map(Entry::network).filter(|n| refuse(n).is_none()) {
                naive.entry(net).or_insert(number);
            }
        }
        for address in [asked.network(), asked.broadcast()] {
            let first = naive.iter().filter(|(n, _)| n.contains(&address)).map(|(_, list)| *list).min();
            let held = plan.holds(address);
            prop_assert_eq!(held.map(|(_, why)| why.clone()), first.map(|list| lists[list].why.clone()));
            if let Some((network, _)) = held {
                prop_assert!(network.contains(&address) && naive.get(&network) == first.as_ref());
                prop_assert!(plan.get(&network).is_some());
            }
        }
        for denied in plan.iter() {
            prop_assert_eq!(lists[naive[&denied.network]].why.clone(), denied.why);
            let around = naive.iter().filter(|(n, _)| **n != denied.network && n.contains(&denied.network));
            prop_assert!(around.map(|(_, list)| *list).all(|list| list > naive[&denied.network]));
        }
    }
}
