//! Somebody else writes to the maps.

use std::net::IpAddr;

use ipnet::IpNet;
use tcpcap_common::{
    Addr,
    record::{Block, reason},
};
use tcpcap_lab::{Internet, http::Server, wait_until};

use super::{Config, allowed, blocks, gets_through, ip, networks, scan};
use crate::sensor::SOON;

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

#[test]
fn entries_that_somebody_else_removed_or_added_are_put_right_counted_and_told_of() {
    let lab = Internet::build().unwrap();
    let _server = Server::start(&lab.sensor, &[80]).unwrap();
    let config = Config::new("deny = [\"192.0.2.128/25\"]\nallow = [\"192.0.2.0/30\"]\n");
    let mut sensor = config.start(&lab.sensor);
    let source = lab.first_scanner().v4;
    scan(&lab, source);
    sensor.says(&["Blocked 203.0.113.1 for 10 min"]);
    let drift = |n: u64| {
        sensor.metrics("the count of repairs", |m| m.count("tcpcap_drift_repaired_total", &[("backend", "xdp")]) == n)
    };

    let (mut blocks, who) = (blocks(&lab.sensor), Addr::from(ip(source)));
    let before = blocks.remove(who).unwrap().unwrap();
    wait_until("the block", SOON, || blocks.get(who).is_some()).unwrap();
    let again = blocks.get(who).unwrap();
    assert_eq!((again.until, again.reason, again.times), (before.until, before.reason, before.times));
    assert!(!gets_through(&lab));
    drift(1);
    assert_eq!(sensor.said("entries of the kernel's block lists were not as they should be"), 1);

    let innocent = Addr::from("192.0.2.2".parse::<IpAddr>().unwrap());
    let foreign = Block { reason: reason::PORT_SCAN, ..Block::default() };
    assert!(blocks.add(innocent, foreign).unwrap());
    wait_until("its removal", SOON, || blocks.get(innocent).is_none()).unwrap();
    drift(2);

    let mut networks = networks(&lab.sensor);
    assert!(networks.remove(&net("192.0.2.128/25")).unwrap());
    wait_until("the network", SOON, || networks.longest(&net("192.0.2.128/25")).is_some()).unwrap();
    assert!(networks.add(&net("198.18.0.0/15"), foreign).unwrap());
    wait_until("its removal", SOON, || networks.longest(&net("198.18.0.0/15")).is_none()).unwrap();
    drift(4);

    let mut allowed = allowed(&lab.sensor);
    assert!(allowed.add(&net("203.0.113.0/24"), 1).unwrap());
    wait_until("its removal", SOON, || allowed.longest(&net("203.0.113.0/24")).is_none()).unwrap();
    assert!(!gets_through(&lab));
    assert!(allowed.remove(&net("192.0.2.0/30")).unwrap());
    wait_until("the allowed network", SOON, || allowed.longest(&net("192.0.2.0/30")).is_some()).unwrap();
    drift(6);
    assert_eq!(sensor.said("entries of the kernel's allow list were not as they should be"), 2);
    sensor.stop();
}
