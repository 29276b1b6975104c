//! Things to remember, as fast as they come.

use std::{net::Ipv4Addr, path::Path, sync::Arc, time::Duration};

use tcpcap::{
    block::{Block, Why},
    history::{Change, Entry, History, HostClock, Limits, Restored},
    host,
};
use tcpcap_common::Addr;
use tcpcap_core::{Decision, Finding, Outcome, Rule, Scope, Source, Verdict};

/// Long enough for a disk that is busy with other tests.
pub const SOON: Duration = Duration::from_secs(60);

pub fn open(path: &Path) -> (History, Restored) {
    open_within(path, Limits::default())
}

pub fn open_within(path: &Path, limits: Limits) -> (History, Restored) {
    History::open(path, limits, Arc::new(HostClock)).unwrap()
}

/// A block of the n-th address, for an hour.
pub fn block(n: u32) -> Block {
    let since = host::now();
    Block {
        network: ipnet::Ipv4Net::from(Ipv4Addr::from(n)).into(),
        why: Why::Rule(Rule::PortScan),
        scope: Scope::All,
        since,
        until: Some(since + Duration::from_secs(3600)),
        times: 1,
        unverified: false,
    }
}

pub fn begun(block: &Block) -> Entry {
    Entry::Block { block: block.clone(), change: Change::Begun, at: block.since }
}

/// A finding as a scan of all ports makes it: with a full sample.
pub fn verdict(n: u32) -> Entry {
    let (now, ttl) = (host::now(), Duration::from_secs(600));
    let source = Source(Addr::from(std::net::IpAddr::from(Ipv4Addr::from(n))));
    let finding = Finding {
        targets: vec!["198.51.100.7".parse().unwrap()],
        ports: (1000..1032).collect(),
        truncated: true,
        ..Finding::new(now, Some(source), Rule::PortScan, ("fast", Duration::from_secs(60)))
    };
    let outcome = Outcome::Block { until: now + ttl };
    Entry::Verdict(Verdict { finding, decision: Decision { outcome, times: 1, ttl, scope: Scope::All } })
}

/// The numbers of the addresses that are blocked, ascending.
pub fn numbers(restored: &Restored) -> Vec<u32> {
    let number = |b: &Block| match b.network.addr() {
        std::net::IpAddr::V4(v4) => u32::from(v4),
        std::net::IpAddr::V6(_) => panic!("{b:?}"),
    };
    let mut numbers: Vec<u32> = restored.blocks.iter().map(number).collect();
    numbers.sort_unstable();
    numbers
}
