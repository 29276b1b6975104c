//! What nft holds, and that it stays so.

use tcpcap::mirror::{Change, Config, remove};
use tcpcap_core::Scope;
use tcpcap_lab::wait_until;

use crate::stage::{SOON, Stage, ahead, mirror, net, put, stats, table, watchful};

#[test]
fn blocks_stand_in_nft_with_their_time_and_go_when_they_are_removed() {
    let stage = Stage::new();
    let mirror = stage.mirror(Config::default(), [put("192.0.2.7/32", Scope::All, ahead(605))]);
    stage.shows("192.0.2.7 timeout 10m");
    mirror.set(put("2001:db8:1::/64", Scope::Syn, ahead(65)));
    mirror.set(put("10.0.0.0/8", Scope::All, None));
    mirror.set(put("2001:db8:2::/48", Scope::Syn, ahead(65)));
    mirror.allow(vec![net("198.51.100.0/24"), net("2001:db8:51::1/128")]);
    for shown in ["2001:db8:1:: timeout 1m", "10.0.0.0/8 }", "2001:db8:2::/48 timeout 1m", "198.51.100.0/24", "51::1"] {
        stage.shows(shown);
    }
    mirror.set(Change::Remove(net("10.0.0.0/8")));
    mirror.set(Change::Remove(net("192.0.2.7/32")));
    stage.shows_no("10.0.0.0");
    stage.shows_no("192.0.2.7");
    let stats = stats(&mirror, "all elements", |s| s.elements == 4);
    assert_eq!((stats.errors, stats.degraded, stats.drift_repaired), (0, None, 0));
    assert!(stats.last_success.is_some());
}

#[test]
fn an_extended_block_gets_its_new_time_and_a_block_that_changes_scope_changes_its_set() {
    let stage = Stage::new();
    let first = [put("192.0.2.7/32", Scope::All, ahead(65)), put("10.0.0.0/8", Scope::All, ahead(65))];
    let mirror = stage.mirror(Config::default(), first);
    stage.shows("192.0.2.7 timeout 1m");
    stage.shows("10.0.0.0/8 timeout 1m");
    mirror.set(put("192.0.2.7/32", Scope::All, ahead(3605)));
    mirror.set(put("10.0.0.0/8", Scope::All, None));
    stage.shows("192.0.2.7 timeout 1h");
    stage.shows("10.0.0.0/8 }");
    mirror.set(put("192.0.2.7/32", Scope::Syn, None));
    stage.shows_no("192.0.2.7 timeout");
    stage.shows("192.0.2.7 }");
    assert_eq!(mirror.stats().errors, 0);
}

#[test]
fn with_the_mirror_gone_a_block_ends_by_itself() {
    let stage = Stage::new();
    let mirror = stage.mirror(Config::default(), [put("192.0.2.7/32", Scope::All, ahead(2))]);
    stage.shows("192.0.2.7");
    mirror.stop();
    stage.shows_no("192.0.2.7");
    assert!(table(&stage.host).contains("chain blocks"), "the table stays");
}

#[test]
fn what_is_gone_already_fails_nothing() {
    let stage = Stage::new();
    let first = ["192.0.2.7/32", "192.0.2.8/32", "2001:db8:1::/64", "10.0.0.0/8"];
    let mirror = stage.mirror(Config::default(), first.map(|n| put(n, Scope::All, ahead(605))));
    stats(&mirror, "all elements", |s| s.elements == 4);
    stage.nft("flush set inet tcpcap blocked4");
    stage.nft("flush set inet tcpcap blocked6");
    stage.nft("flush set inet tcpcap blocked_nets4");
    first.iter().skip(1).for_each(|network| mirror.set(Change::Remove(net(network))));
    mirror.set(put("192.0.2.7/32", Scope::All, ahead(3605)));
    stage.shows("192.0.2.7 timeout 1h");
    stats(&mirror, "one element", |s| s.elements == 1 && s.errors == 0);
}

#[test]
fn networks_inside_each_other_are_accepted_and_come_apart_again() {
    let stage = Stage::new();
    let all = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "0.0.0.0/1", "128.0.0.0/1", "::/0", "ffff::/16"];
    let mirror = stage.mirror(watchful(), all.map(|n| put(n, Scope::All, None)));
    stats(&mirror, "the outer ones", |s| s.elements == 3);
    mirror.set(Change::Remove(net("0.0.0.0/1")));
    mirror.set(Change::Remove(net("::/0")));
    mirror.set(put("10.0.0.0/8", Scope::All, ahead(65)));
    stage.shows("10.1.0.0/16,");
    stage.shows("10.128.0.0/9 timeout 1m");
    stage.shows("ffff::/16");
    mirror.set(Change::Remove(net("10.0.0.0/8")));
    mirror.set(Change::Remove(net("10.1.0.0/16")));
    stage.shows("10.1.2.0/24");
    stats(&mirror, "what is left", |s| s.elements == 3 && s.errors == 0 && s.drift_repaired == 0);
}

#[test]
fn whatever_somebody_breaks_is_repaired_and_counted() {
    let stage = Stage::new();
    let blocks = ["192.0.2.7/32", "10.0.0.0/8", "2001:db8:1::/64"];
    let mirror =
        mirror(&stage.host, watchful(), vec![net("198.51.100.0/24")], blocks.map(|n| put(n, Scope::All, ahead(3605))));
    stats(&mirror, "all elements", |s| s.elements == 4);
    let whole = timeless(&table(&stage.host));
    for damage in [
        "flush ruleset",
        "flush chain inet tcpcap blocks",
        "flush table inet tcpcap",
        "flush set inet tcpcap blocked4",
        "delete element inet tcpcap blocked_nets4 { 10.0.0.0/8 }",
        "add element inet tcpcap blocked6 { 2001:db8:9:: timeout 1h }",
        "add element inet tcpcap blocked6 { 2001:db8:9::9 timeout 1h }",
        "add element inet tcpcap blocked_nets4 { 11.0.0.1-11.0.0.6 }",
        "flush set inet tcpcap allowed4",
        "insert rule inet tcpcap blocks accept",
        "flush table inet tcpcap; delete chain inet tcpcap blocks; delete set inet tcpcap blocked6",
        "flush chain inet tcpcap blocks; delete chain inet tcpcap blocks; add chain inet tcpcap blocks \
         { type filter hook input priority 0; }",
    ] {
        let before = mirror.stats();
        // All at once, so that nothing is repaired halfway.
        stage.nft(damage);
        stats(&mirror, damage, |s| s.drift_repaired > before.drift_repaired);
        wait_until(damage, SOON, || timeless(&table(&stage.host)) == whole).unwrap();
    }
    let end = mirror.stats();
    assert_eq!(end.degraded, None);
}

/// The parts of a listing, without what changes by itself.
fn timeless(text: &str) -> Vec<String> {
    let mut parts: Vec<String> = text.split("\n\n").map(timeless_words).collect();
    parts[0] = parts[0].split_once('{').unwrap_or_default().1.to_owned();
    // A set that is made again stands behind the others.
    parts.sort();
    parts
}

fn timeless_words(text: &str) -> String {
    let mut kept = String::new();
    let mut before = "";
    for word in text.split_whitespace() {
        if !["timeout", "expires"].contains(&before) {
            kept = kept + word.trim_end_matches(',') + " ";
        }
        before = word;
    }
    kept
}

#[test]
fn the_table_of_an_earlier_run_is_adopted_and_brought_up_to_date() {
    let stage = Stage::new();
    let first = [put("192.0.2.7/32", Scope::All, ahead(605)), put("192.0.2.8/32", Scope::All, ahead(605))];
    let earlier = stage.mirror(Config::default(), first);
    stats(&earlier, "two elements", |s| s.elements == 2);
    earlier.stop();
    let handle =
        |text: &str| stage.nft("-a list table inet tcpcap").lines().find(|l| l.contains(text)).map(str::to_owned);
    let chain = handle("chain blocks");
    let later = [put("192.0.2.7/32", Scope::All, ahead(605)), put("192.0.2.9/32", Scope::All, None)];
    let mirror = stage.mirror(Config::default(), later);
    stage.shows("192.0.2.9");
    stage.shows_no("192.0.2.8");
    stage.shows("192.0.2.7 timeout 10m");
    assert_eq!(handle("chain blocks"), chain, "the same chain: there was no moment without it");
    assert_eq!((mirror.stats().drift_repaired, mirror.stats().errors), (0, 0));
    mirror.stop();

    // Another place in the configuration: the chain moves, the elements stay.
    let moved = Config { priority: -305, ..Config::default() };
    let mirror = stage.mirror(moved, later);
    stage.shows("priority raw - 5;");
    stats(&mirror, "two elements", |s| s.elements == 2 && s.errors == 0);
}

#[test]
fn a_table_of_somebody_else_is_refused_and_not_touched() {
    for foreign in [
        "add chain inet tcpcap mine { type filter hook input priority 0; }",
        "add set inet tcpcap blocked4 { type ipv4_addr; }",
    ] {
        let stage = Stage::new();
        stage.nft("add table inet tcpcap");
        stage.nft(foreign);
        let before = table(&stage.host);
        let mirror = stage.mirror(watchful(), [put("192.0.2.7/32", Scope::All, None)]);
        let stats = stats(&mirror, "a refusal", |s| s.degraded.is_some());
        let reason = stats.degraded.unwrap();
        assert!(reason.contains("not tcpcap's") && reason.contains("mirror.nftables.table"), "{reason}");
        mirror.stop();
        let removed = stage.host.enter(|| remove(&Config::default())).unwrap();
        assert!(!removed.unwrap(), "it is not ours");
        assert_eq!(table(&stage.host), before);
    }
}

#[test]
fn our_table_can_be_removed_and_removed_again() {
    let stage = Stage::new();
    stage.nft("add table inet other");
    let mirror = stage.mirror(Config::default(), [put("192.0.2.7/32", Scope::All, None)]);
    stage.shows("192.0.2.7");
    mirror.stop();
    let remove = || stage.host.enter(|| remove(&Config::default())).unwrap().unwrap();
    assert!(remove());
    assert!(!remove());
    assert_eq!(stage.nft("list tables").trim(), "table inet other");
}

#[test]
fn what_is_more_than_the_limit_is_refused_and_counted() {
    let stage = Stage::new();
    let config = Config { most: 2, ..Config::default() };
    let mirror =
        stage.mirror(config, ["192.0.2.7/32", "192.0.2.8/32", "192.0.2.9/32"].map(|n| put(n, Scope::All, None)));
    stats(&mirror, "two of three", |s| s.elements == 2 && s.refused == 1);
    mirror.set(put("192.0.2.10/32", Scope::All, None));
    stats(&mirror, "the fourth refused", |s| s.refused == 2);
}
