//! What happens to packets.

use std::net::SocketAddr;

use tcpcap::mirror::{Config, Mirror};
use tcpcap_core::Scope;
use tcpcap_lab::{
    Capture, Direct, Frame, Injector, Namespace,
    frame::flag,
    layout::{CARD, CLIENT_V4, GATEWAY_V4, SENSOR_V4, SENSOR_V6, SENSOR1_V4},
    wait_until,
};

use crate::stage::{SOON, ahead, mirror, net, nft, put, stats};

/// To where the packets go that are looked for, and those that follow to show that all before them have arrived.
const PROBE: u16 = 7001;
const FOLLOWER: u16 = 7002;

/// A sensor, and somebody who sends it what they like.
struct Road {
    net: Direct,
    injector: Injector,
}

impl Road {
    fn new() -> Self {
        let net = Direct::build(1).unwrap();
        let injector = Injector::open(&net.scanner, CARD).unwrap();
        // Behind our chain and before address translation.
        nft(&net.sensor, "add table inet watch");
        nft(&net.sensor, "add chain inet watch behind { type filter hook prerouting priority -250; }");
        for port in [PROBE, FOLLOWER] {
            nft(&net.sensor, &format!("add counter inet watch port{port}"));
            nft(&net.sensor, &format!("add rule inet watch behind tcp dport {port} counter name port{port}"));
        }
        Self { net, injector }
    }

    fn mirror(&self, allow: &[&str], blocks: &[(&str, Scope)]) -> Mirror {
        let first: Vec<_> = blocks.iter().map(|(network, scope)| put(network, *scope, ahead(3600))).collect();
        let mirror = mirror(&self.net.sensor, Config::default(), allow.iter().map(|n| net(n)).collect(), first);
        let elements = (allow.len() + blocks.len()) as u64;
        stats(&mirror, "all elements", |s| s.elements == elements);
        mirror
    }

    fn seen(&self, port: u16) -> u64 {
        count(&nft(&self.net.sensor, &format!("list counter inet watch port{port}")))
    }

    /// Whether a segment of this source gets behind our chain.
    fn passes(&self, from: &str, flags: u8) -> bool {
        let before = [PROBE, FOLLOWER].map(|port| self.seen(port));
        let from: std::net::IpAddr = from.parse().unwrap();
        let to = |port| match from.is_ipv4() {
            true => SocketAddr::from((SENSOR_V4, port)),
            false => SocketAddr::from((SENSOR_V6, port)),
        };
        let probe = Frame::tcp(SocketAddr::from((from, 40_000)), to(PROBE)).flags(flags);
        let follower = Frame::tcp("192.0.2.250:40000", "198.51.100.1:7002");
        let macs = [&self.net.scanner, &self.net.sensor].map(|n| n.card(CARD).unwrap().mac);
        for frame in [probe, follower] {
            self.injector.send(&frame.macs(macs[0], macs[1]).build()).unwrap();
        }
        wait_until("the follower", SOON, || self.seen(FOLLOWER) > before[1]).unwrap();
        self.seen(PROBE) > before[0]
    }
}

fn count(text: &str) -> u64 {
    let mut words = text.split_whitespace().skip_while(|w| *w != "packets");
    words.nth(1).and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("no count in {text}"))
}

#[test]
fn packets_are_dropped_by_family_scope_and_kind_of_network() {
    let road = Road::new();
    let _mirror = road.mirror(
        &[],
        &[
            ("203.0.113.1/32", Scope::All),
            ("203.0.113.2/32", Scope::Syn),
            ("10.0.0.0/8", Scope::All),
            ("11.0.0.0/8", Scope::Syn),
            ("2001:db8:1::/64", Scope::All),
            ("2001:db8:2::/64", Scope::Syn),
            ("2001:db8:3::/56", Scope::All),
            ("2001:db8:4::1/128", Scope::Syn),
        ],
    );
    const NOTHING: [bool; 3] = [false; 3];
    const ESTABLISHED: [bool; 3] = [false, true, true];
    const ALL: [bool; 3] = [true; 3];
    for (from, passes) in [
        ("203.0.113.1", NOTHING),
        ("203.0.113.2", ESTABLISHED),
        ("203.0.113.3", ALL),
        ("10.9.9.9", NOTHING),
        ("11.9.9.9", ESTABLISHED),
        ("12.9.9.9", ALL),
        ("2001:db8:1::abc:1", NOTHING),
        ("2001:db8:2::abc:1", ESTABLISHED),
        ("2001:db8:1:1::abc:1", ALL),
        ("2001:db8:3:ff::1", NOTHING),
        ("2001:db8:3:100::1", ALL),
        ("2001:db8:4::1", ESTABLISHED),
        ("2001:db8:4::2", ALL),
    ] {
        let seen = [flag::SYN, flag::ACK, flag::SYN | flag::ACK].map(|flags| road.passes(from, flags));
        assert_eq!(seen, passes, "SYN, ACK and SYN-ACK of {from}");
    }
}

#[test]
fn allowed_wins_whichever_came_first() {
    let road = Road::new();
    let mirror = road.mirror(&["203.0.113.0/28", "2001:db8:1::/64"], &[("203.0.113.1/32", Scope::All)]);
    assert!(road.passes("203.0.113.1", flag::SYN));
    for (network, scope) in
        [("203.0.113.0/24", Scope::All), ("203.0.113.2/32", Scope::Syn), ("2001:db8:1::/64", Scope::All)]
    {
        mirror.set(put(network, scope, None));
    }
    stats(&mirror, "all elements", |s| s.elements == 6);
    for from in ["203.0.113.1", "203.0.113.2", "203.0.113.3", "2001:db8:1::1"] {
        assert!(road.passes(from, flag::SYN), "{from}");
    }
    assert!(!road.passes("203.0.113.99", flag::SYN), "behind the allowed ones");
    mirror.allow(vec![]);
    stats(&mirror, "the blocks alone", |s| s.elements == 4);
    assert!(!road.passes("203.0.113.3", flag::SYN) && !road.passes("2001:db8:1::1", flag::ACK));
}

#[test]
fn observe_mode_drops_nothing_and_counts_and_can_be_left() {
    let road = Road::new();
    let mirror = road.mirror(&[], &[("203.0.113.1/32", Scope::All)]);
    assert!(!road.passes("203.0.113.1", flag::SYN));
    let rule = |mode: &str| {
        let comment = format!("tcpcap mirror 1: blocked4 {mode}");
        let chain = nft(&road.net.sensor, "list chain inet tcpcap blocks");
        chain.lines().find(|l| l.contains(&comment)).map(count)
    };
    assert_eq!(rule("drop"), Some(1));
    mirror.observe(true);
    wait_until("observation", SOON, || rule("observe").is_some()).unwrap();
    assert!(road.passes("203.0.113.1", flag::SYN));
    assert_eq!(rule("observe"), Some(1));
    mirror.observe(false);
    wait_until("dropping", SOON, || rule("drop").is_some()).unwrap();
    assert!(!road.passes("203.0.113.1", flag::SYN));
    // A later run that is to observe adopts a table that drops.
    mirror.stop();
    let first = [put("203.0.113.1/32", Scope::All, ahead(3600))];
    let observing = road.net.sensor.enter(|| Mirror::start(Config::default(), true, vec![], first)).unwrap().unwrap();
    stats(&observing, "an adopted table", |s| s.last_success.is_some());
    assert!(road.passes("203.0.113.1", flag::SYN));
}

#[test]
fn a_packet_for_a_port_that_is_forwarded_elsewhere_is_dropped_too() {
    let road = Road::new();
    let (sensor, container): (&Namespace, &Namespace) = (&road.net.sensor, &road.net.client);
    // As Docker publishes a port: translated before routing, never seen by `input`.
    sensor.sysctl(&[("ipv4/ip_forward", "1")]).unwrap();
    nft(sensor, "add table ip nat");
    nft(sensor, "add chain ip nat prerouting { type nat hook prerouting priority dstnat; }");
    nft(sensor, &format!("add rule ip nat prerouting tcp dport 8080 dnat to {CLIENT_V4}:80"));
    container.ip(&format!("route add default via {SENSOR1_V4}\n")).unwrap();
    let behind = Capture::incoming(container, CARD).unwrap();
    let macs = [&road.net.scanner, sensor].map(|n| n.card(CARD).unwrap().mac);
    let send = |from: (std::net::Ipv4Addr, u16)| {
        let frame = Frame::tcp(from, (SENSOR_V4, 8080)).macs(macs[0], macs[1]);
        road.injector.send(&frame.build()).unwrap();
    };
    let blocked = std::net::Ipv4Addr::new(203, 0, 113, 1);
    let arrived = |from: std::net::Ipv4Addr| behind.snapshot().unwrap().from(from.into());
    send((blocked, 40_000));
    wait_until("the packet behind the sensor", SOON, || arrived(blocked) == 1).unwrap();

    let _mirror = road.mirror(&[], &[("203.0.113.1/32", Scope::All)]);
    // Of the flow that is known, and a new one; the neighbour shows that both would have arrived.
    send((blocked, 40_000));
    send((blocked, 40_001));
    send((GATEWAY_V4, 40_002));
    wait_until("the neighbour's packet", SOON, || arrived(GATEWAY_V4) == 1).unwrap();
    assert_eq!(arrived(blocked), 1, "only the one from before the block");
}
