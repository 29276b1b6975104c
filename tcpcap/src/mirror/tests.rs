//! Planning and rendering together: golden runs, and any change against a naive nft.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use proptest::prelude::*;
use serde_json::Value;
use tcpcap_core::{Scope, Time};

use super::{
    Config, Hook,
    layout::{Elements, Mode, NEVER, SetId},
    plan::{Batch, Held, Step, plan},
    render::render,
    wanted::Wanted,
};

const NOW: Time = Time::from_secs(1_000);

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn set(name: &str) -> SetId {
    SetId::named(name).unwrap()
}

/// Plans and renders, one command a line; `held` follows.
fn rendered(config: &Config, held: &mut Held, wanted: &mut Wanted, now: Time) -> String {
    let mut lines = Vec::new();
    for batch in plan(held, wanted, now, 5_000) {
        held.follow(&batch);
        let json = render(config, &batch, now).unwrap();
        lines.push("one run:".to_owned());
        lines.extend(json["nftables"].as_array().unwrap().iter().map(Value::to_string));
    }
    lines.join("\n") + "\n"
}

/// Compares line by line, so that a difference is seen where it is.
fn assert_golden(name: &str, golden: &str, actual: &str) {
    let parsed = |text: &str| -> Vec<Value> {
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| line.into())).collect()
    };
    let (want, got) = (parsed(golden), parsed(actual));
    for (number, (want, got)) in want.iter().zip(&got).enumerate() {
        assert_eq!(want, got, "{name}, line {}; all of it is now:\n{actual}", number + 1);
    }
    assert_eq!(want.len(), got.len(), "{name} has another length; all of it is now:\n{actual}");
}

macro_rules! golden {
    ($name:literal, $actual:expr) => {
        assert_golden($name, include_str!(concat!("../../tests/mirror/golden/", $name, ".txt")), $actual)
    };
}

fn some_blocks() -> Wanted {
    let mut wanted = Wanted::default();
    wanted.allow(&[net("198.51.100.0/24"), net("2001:db8:51::/48")]);
    wanted.put(net("192.0.2.7/32"), Scope::All, NOW + std::time::Duration::from_secs(600));
    wanted.put(net("2001:db8::/64"), Scope::Syn, NOW + std::time::Duration::from_millis(1_500));
    wanted.put(net("203.0.113.0/24"), Scope::All, NEVER);
    wanted
}

#[test]
fn a_new_table_is_made_in_one_run() {
    let actual = rendered(&Config::default(), &mut Held::default(), &mut some_blocks(), NOW);
    golden!("new", &actual);
}

#[test]
fn a_renewed_block_and_an_ended_one_are_taken_out_by_a_way_that_does_not_fail_where_they_are_gone() {
    let (config, mut held, mut wanted) = (Config::default(), Held::default(), some_blocks());
    rendered(&config, &mut held, &mut wanted, NOW);
    wanted.put(net("192.0.2.7/32"), Scope::All, NOW + std::time::Duration::from_secs(1_200));
    wanted.remove(net("2001:db8::/64"));
    golden!("renewed", &rendered(&config, &mut held, &mut wanted, NOW));
    assert_eq!(rendered(&config, &mut held, &mut wanted, NOW), "\n", "nothing is left to do");
}

#[test]
fn networks_that_lose_one_are_written_anew() {
    let (config, mut held, mut wanted) = (Config::default(), Held::default(), some_blocks());
    wanted.put(net("203.0.112.0/24"), Scope::All, NEVER);
    rendered(&config, &mut held, &mut wanted, NOW);
    wanted.remove(net("203.0.113.0/24"));
    golden!("networks", &rendered(&config, &mut held, &mut wanted, NOW));
}

#[test]
fn observe_mode_is_one_exchange_of_rules() {
    let (config, mut held, mut wanted) = (Config::default(), Held::default(), some_blocks());
    rendered(&config, &mut held, &mut wanted, NOW);
    wanted.mode = Mode::Observe;
    let observe = rendered(&config, &mut held, &mut wanted, NOW);
    assert!(!observe.contains("\"drop\""), "{observe}");
    golden!("observe", &observe);
}

#[test]
fn a_chain_at_another_place_is_exchanged_and_the_sets_stay() {
    let (mut held, mut wanted) = (Held::default(), some_blocks());
    rendered(&Config::default(), &mut held, &mut wanted, NOW);
    held.chain = false;
    let config = Config { table: "other".into(), hook: Hook::Input, priority: -10, ..Config::default() };
    golden!("chain", &rendered(&config, &mut held, &mut wanted, NOW));
}

#[test]
fn a_table_of_an_older_version_is_replaced_in_the_run_that_makes_the_new_one() {
    let mut held = Held { table: true, misshapen: true, chain: true, ..Held::default() };
    let batches = plan(&held, &mut some_blocks(), NOW, 5_000);
    assert_eq!((batches.len(), &batches[0][0]), (1, &Step::DeleteTable));
    held.follow(&batches[0]);
    assert_eq!((held.misshapen, held.rules, held.len()), (false, Some(Mode::Enforce), 5));
}

#[test]
fn rules_that_only_count_come_first_and_rules_that_drop_come_last() {
    let mut wanted = some_blocks();
    let mut held = Held::default();
    plan(&held, &mut wanted, NOW, 5_000).iter().for_each(|batch| held.follow(batch));
    for (mode, first) in [(Mode::Observe, true), (Mode::Enforce, false)] {
        wanted.mode = mode;
        wanted.put(net("192.0.2.9/32"), Scope::All, NOW + std::time::Duration::from_secs(50 + u64::from(first)));
        let steps = plan(&held, &mut wanted, NOW, 5_000).concat();
        let at = if first { steps.first() } else { steps.last() };
        assert_eq!((steps.len() > 1, at), (true, Some(&Step::Rules(mode))));
        held.follow(&steps);
    }
}

#[test]
fn a_large_set_is_put_in_runs_of_a_limited_size_and_allowed_networks_are_in_the_first() {
    let mut wanted = Wanted::default();
    wanted.allow(&[net("198.51.100.0/24")]);
    for host in 0..20_000u32 {
        wanted.put(IpNet::from(std::net::IpAddr::from(host.to_be_bytes())), Scope::All, NEVER);
    }
    let batches = plan(&Held::default(), &mut wanted, NOW, 5_000);
    assert!((5..=10).contains(&batches.len()), "{}", batches.len());
    assert!(batches[0].iter().any(|step| matches!(step, Step::Put(id, _) if *id == set("allowed4"))));
}

/// nft, as simple as it can be: what it holds, and what it refuses.
#[derive(Debug, Default)]
struct NaiveNft {
    table: bool,
    chain: bool,
    mode: Option<Mode>,
    sets: BTreeMap<SetId, Elements>,
}

impl NaiveNft {
    fn run(&mut self, batch: &Batch) {
        for step in batch {
            match step {
                Step::DeleteTable => {
                    assert!(self.table, "no such table");
                    *self = Self::default();
                }
                Step::AddTable => self.table = true,
                Step::AddSet(set) => {
                    assert!(self.table, "no such table");
                    self.sets.entry(*set).or_default();
                }
                Step::DeleteChain => (self.chain, self.mode) = (false, None),
                Step::AddChain => {
                    assert!(self.table, "no such table");
                    self.chain = true;
                }
                Step::Rules(mode) => {
                    assert!(self.chain && SetId::all().all(|set| self.sets.contains_key(&set)), "no such set");
                    self.mode = Some(*mode);
                }
                Step::Flush(set) => self.sets.get_mut(set).unwrap().clear(),
                Step::Drop(set, networks) => {
                    for network in networks {
                        self.sets.get_mut(set).unwrap().remove(network);
                    }
                }
                Step::Put(set, elements) => {
                    let held = self.sets.get_mut(set).unwrap();
                    for (network, until) in elements {
                        let overlap = held.keys().find(|h| *h != network && overlap(h, network));
                        assert!(overlap.is_none(), "{network} overlaps {overlap:?}");
                        // What is there keeps its timeout.
                        held.entry(*network).or_insert(*until);
                    }
                }
            }
        }
    }

    fn expire(&mut self, now: Time) {
        self.sets.values_mut().for_each(|elements| elements.retain(|_, until| *until > now));
    }

    fn read(&self, odd: BTreeSet<SetId>) -> Held {
        Held {
            table: self.table,
            misshapen: false,
            chain: self.chain,
            rules: self.mode,
            sets: self.sets.clone(),
            odd: odd.into_iter().filter(|set| self.sets.contains_key(set)).collect(),
        }
    }
}

fn overlap(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}

#[derive(Clone, Debug)]
enum Act {
    Put(IpNet, Scope, Option<u64>),
    Remove(IpNet),
    Allow(Vec<IpNet>),
    Observe(bool),
    Pass(u64),
    /// Somebody meddles with nft, and we look again.
    Flush,
    FlushChain,
    DeleteChain,
    Odd(usize),
    Foreign(IpNet, Scope),
}

fn network() -> impl Strategy<Value = IpNet> {
    prop_oneof![
        (0u8..8, 28u8..=32).prop_map(|(host, len)| IpNet::new([192, 0, 2, host].into(), len).unwrap().trunc()),
        (0u16..4, prop_oneof![Just(62u8), Just(63), Just(64), Just(128)]).prop_map(|(n, len)| {
            IpNet::new(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, n, 0, 0, 0, 0).into(), len).unwrap().trunc()
        }),
    ]
}

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![Just(Scope::All), Just(Scope::Syn)]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (network(), scope(), prop::option::of(1u64..20)).prop_map(|(n, s, t)| Act::Put(n, s, t)),
        3 => network().prop_map(Act::Remove),
        1 => prop::collection::vec(network(), 0..4).prop_map(Act::Allow),
        1 => any::<bool>().prop_map(Act::Observe),
        2 => (1u64..10).prop_map(Act::Pass),
        1 => Just(Act::Flush),
        1 => Just(Act::FlushChain),
        1 => Just(Act::DeleteChain),
        1 => (0usize..10).prop_map(Act::Odd),
        1 => (network(), scope()).prop_map(|(n, s)| Act::Foreign(n, s)),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_the_plan_leads_a_naive_nft_to_what_is_wanted(
        acts in prop::collection::vec(act(), 1..40),
        chunk in 2usize..12,
    ) {
        let (mut now, mut nft, mut wanted, mut held) = (NOW, NaiveNft::default(), Wanted::default(), Held::default());
        let mut blocks: BTreeMap<IpNet, (Scope, Time)> = BTreeMap::new();
        for act in acts {
            let mut odd = BTreeSet::new();
            let mut meddled = true;
            match act {
                Act::Put(network, scope, seconds) => {
                    let until = seconds.map_or(NEVER, |s| now + std::time::Duration::from_secs(s));
                    blocks.insert(network, (scope, until));
                    wanted.put(network, scope, until);
                    meddled = false;
                }
                Act::Remove(network) => {
                    blocks.remove(&network);
                    wanted.remove(network);
                    meddled = false;
                }
                Act::Allow(networks) => { wanted.allow(&networks); meddled = false; }
                Act::Observe(observe) => {
                    wanted.mode = if observe { Mode::Observe } else { Mode::Enforce };
                    meddled = false;
                }
                Act::Pass(seconds) => { now = now + std::time::Duration::from_secs(seconds); meddled = false; }
                Act::Flush => nft = NaiveNft::default(),
                Act::FlushChain => nft.mode = None,
                Act::DeleteChain => (nft.chain, nft.mode) = (false, None),
                Act::Odd(index) => odd.extend(SetId::all().nth(index)),
                Act::Foreign(network, scope) => {
                    if let Some(elements) = SetId::blocking(network, scope).and_then(|set| nft.sets.get_mut(&set))
                        && !elements.keys().any(|h| overlap(h, &network))
                    {
                        elements.insert(network, NEVER);
                    }
                }
            }
            nft.expire(now);
            held.expire(now);
            wanted.expire(now);
            blocks.retain(|_, (_, until)| *until > now);
            if meddled {
                held = nft.read(odd);
                wanted.touch_all();
            }
            for batch in plan(&held, &mut wanted, now, chunk) {
                nft.run(&batch);
                held.follow(&batch);
            }
            prop_assert_eq!(&held, &nft.read(BTreeSet::new()));
            prop_assert_eq!(nft.mode, Some(wanted.mode));
            // Address by address: blocked in a scope exactly as long as the longest block that holds it.
            for probe in probes() {
                for scope in [Scope::All, Scope::Syn] {
                    let holding = |n: &IpNet| n.contains(&probe);
                    let want = blocks.iter().filter(|(n, (s, _))| holding(n) && *s == scope).map(|(_, b)| b.1).max();
                    let sets = SetId::all().filter(|set| {
                        set.has_timeout() && set.scope() == scope
                    });
                    let got = sets.flat_map(|set| &nft.sets[&set]).filter(|(n, _)| holding(n)).map(|(_, u)| *u).max();
                    prop_assert_eq!(got, want, "{} {:?}", probe, scope);
                }
            }
        }
    }
}

fn probes() -> Vec<IpNet> {
    let v4 = (0..16).map(|host| IpNet::from(std::net::IpAddr::from([192, 0, 2, host])));
    let v6 = (0..8).flat_map(|n| [0, 1].map(|host| std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, n, 0, 0, 0, host)));
    v4.chain(v6.map(|address| IpNet::from(std::net::IpAddr::from(address)))).collect()
}
