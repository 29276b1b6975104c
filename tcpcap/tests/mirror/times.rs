//! How long it takes, which is printed, and that many are no trouble.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use tcpcap::mirror::{Change, Config};
use tcpcap_core::Scope;
use tcpcap_lab::wait_until;

use crate::stage::{SOON, Stage, ahead, stats};

/// Far more than it takes; that nobody waits longer is what is asserted.
const MOST: Duration = Duration::from_secs(20);

fn sources(first: u32, many: u32, seconds: u64) -> impl Iterator<Item = Change> {
    let until = ahead(seconds);
    (first..first + many).map(move |n| Change::Put {
        network: ipnet::IpNet::from(std::net::IpAddr::from(Ipv4Addr::from_bits(0x0b00_0000 + n * 7))),
        scope: Scope::All,
        until,
    })
}

#[test]
fn twenty_thousand_are_put_extended_and_removed_in_time() {
    let stage = Stage::new();
    let mirror = stage.mirror(Config::default(), []);
    stats(&mirror, "a start", |s| s.last_success.is_some());
    let mut first = 0;
    for many in [1, 1_000, 20_000] {
        let (start, wanted) = (Instant::now(), mirror.stats().elements + u64::from(many));
        sources(first, many, 3_600).for_each(|change| mirror.set(change));
        let noted = start.elapsed();
        stats(&mirror, "all elements", |s| s.elements == wanted);
        println!("{many} put: noted in {noted:?}, in nft after {:?}", start.elapsed());
        assert!(start.elapsed() < MOST);
        first += many;
    }
    let start = Instant::now();
    sources(0, first, 7_200).for_each(|change| mirror.set(change));
    wait_until("all to be extended", SOON, || {
        let set = stage.nft("list set inet tcpcap blocked4");
        // The last ones are put in a little later, for a little shorter.
        set.matches("timeout 2h").count() + set.matches("timeout 1h59m").count() == 21_001
    })
    .unwrap();
    println!("{first} extended after {:?}", start.elapsed());
    assert!(start.elapsed() < MOST);
    let start = Instant::now();
    sources(0, first, 1).for_each(|change| {
        let Change::Put { network, .. } = change else { return };
        mirror.set(Change::Remove(network));
    });
    stats(&mirror, "none", |s| s.elements == 0);
    println!("{first} removed after {:?}", start.elapsed());
    let stats = mirror.stats();
    assert_eq!((stats.errors, stats.drift_repaired), (0, 0));
}

#[test]
fn looking_whether_all_is_well_finds_twenty_thousand_so() {
    let stage = Stage::new();
    let config = Config { reconcile_every: Duration::from_millis(300), ..Config::default() };
    let mirror = stage.mirror(config, sources(0, 20_000, 3_600).collect::<Vec<_>>());
    let put = stats(&mirror, "all elements", |s| s.elements == 20_000 && s.last_success.is_some());
    let start = Instant::now();
    stats(&mirror, "another look", |s| s.last_success > put.last_success);
    println!("a look at 20,000 within {:?}", start.elapsed());
    let stats = mirror.stats();
    assert_eq!((stats.errors, stats.drift_repaired, stats.applied), (0, 0, put.applied));
}
