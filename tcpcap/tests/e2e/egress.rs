//! Our own answers as they leave: seen where the kernel shows them, done without where not, and never in the way.

use std::{net::IpAddr, time::Duration};

use tcpcap_lab::{
    Direct, End, Frame, Injector, Internet, Lab, Metrics, Namespace, Process, Veth,
    frame::flag::{ACK, RST, SYN},
    http::{Client, Server},
    layout::{CARD, CARD1, SENSOR_V4, SENSOR_V6},
    scan::nmap,
    wait_until,
};

use crate::sensor::{SOON, Sensor};

const FILTER: &str = "tcpcap_egress";

fn answers(m: &Metrics, outcome: &str) -> u64 {
    m.count("tcpcap_answers_total", &[("outcome", outcome)])
}

fn view(m: &Metrics, card: &str, kind: &str) -> Option<f64> {
    m.get("tcpcap_interface_egress_view", &[("interface", card), ("kind", kind)])
}

/// What `tc` says of a card's filters on the way out, or of its qdiscs.
fn tc(namespace: &Namespace, args: &[&str]) -> String {
    let mut command = namespace.command("tc");
    command.args(args);
    let mut tc = Process::spawn("tc", command).unwrap();
    tc.succeed(SOON).unwrap();
    tc.output()
}

fn filters(namespace: &Namespace) -> String {
    tc(namespace, &["filter", "show", "dev", CARD, "egress"])
}

fn has_clsact(namespace: &Namespace) -> bool {
    tc(namespace, &["qdisc", "show", "dev", CARD]).contains("clsact")
}

/// Adds somebody else's filter, one that matches nothing.
fn add_filter(namespace: &Namespace, direction: &str) {
    tc(namespace, &["filter", "add", "dev", CARD, direction, "bpf", "bytecode", "1,6 0 0 0", "flowid", "1:1"]);
}

fn has_filter(namespace: &Namespace, direction: &str) -> bool {
    tc(namespace, &["filter", "show", "dev", CARD, direction]).contains("bytecode")
}

/// Scans ten closed ports by each family while an honest client is served.
fn refusals_are_seen(args: &[&str], view_by: Option<&str>) {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    // Refused attempts count at once: nothing is to be dropped here.
    let mut sensor = Sensor::start(&net.sensor, &[&["--observe"], args].concat());
    let servers = [IpAddr::from(SENSOR_V4), SENSOR_V6.into()].map(|server| (server, 80).into());
    let client = Client::start(&net.client, &servers, Duration::from_millis(2)).unwrap();
    for (from, to) in [
        (IpAddr::from(net.first_scanner().v4), IpAddr::from(SENSOR_V4)),
        (net.first_scanner().v6.into(), SENSOR_V6.into()),
    ] {
        let mut command = nmap(&net, from);
        command.args(["-sS", "-p2001-2010", "--max-retries", "0"]).arg(to.to_string());
        Process::spawn("nmap", command).unwrap().succeed(SOON).unwrap();
    }
    wait_until("some pages", SOON, || client.fared().ok > 40).unwrap();
    let fared = client.stop();
    assert_eq!(fared.failed, 0, "{fared:?}");
    let completed = |m: &Metrics| m.count("tcpcap_packets_total", &[("end", "completion")]);
    let metrics = sensor.metrics("the end of it", |m| {
        completed(m) >= fared.ok && m.count("tcpcap_packets_total", &[("end", "attempt")]) == completed(m) + 20
    });
    let seen = [answers(&metrics, "accepted"), answers(&metrics, "refused")];
    let expected = if view_by.is_some() { [completed(&metrics), 20] } else { [0, 0] };
    assert_eq!(seen, expected, "{metrics}");
    for name in ["tcpcap_unanswered_completions_total", "tcpcap_mismatched_completions_total"] {
        assert_eq!(metrics.count(name, &[]), 0, "{metrics}");
    }
    for kind in ["tcx", "clsact"] {
        assert_eq!(view(&metrics, CARD, kind), Some(if view_by == Some(kind) { 1.0 } else { 0.0 }));
    }
    let sent = metrics.count("tcpcap_events_total", &[("outcome", "sent")]);
    assert_eq!(sent, 2 * completed(&metrics) + 20 + seen[1], "{metrics}");
    match view_by {
        Some(kind) => sensor.says(&[&format!("watching card0 (native, answers by {kind})")]),
        None => sensor.says(&["watching card0 (native) "]),
    };
    assert_eq!(metrics.dropped(), 0);
}

/// The way that `auto` finds here: the one of this kernel.
fn kernels_way() -> &'static str {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse::<u32>().unwrap_or(0));
    if (numbers.next(), numbers.next()) >= (Some(6), Some(6)) { "tcx" } else { "clsact" }
}

#[test]
fn closed_ports_are_seen_to_refuse_and_an_honest_client_is_served() {
    refusals_are_seen(&[], Some(kernels_way()));
}

#[test]
fn by_the_older_way_the_same_is_seen() {
    refusals_are_seen(&["--egress", "clsact"], Some("clsact"));
}

#[test]
fn switched_off_nothing_is_seen_and_nothing_else_changes() {
    refusals_are_seen(&["--egress", "off"], None);
}

#[test]
fn the_older_way_leaves_the_card_as_it_was() {
    let net = Direct::build(1).unwrap();
    let sensor = Sensor::start(&net.sensor, &["--egress", "clsact", "--detach"]);
    assert!(filters(&net.sensor).contains(FILTER));
    sensor.stop();
    assert_eq!((filters(&net.sensor).as_str(), has_clsact(&net.sensor)), ("", false));

    // A qdisc that was there before stays, and so does a filter in it.
    tc(&net.sensor, &["qdisc", "add", "dev", CARD, "clsact"]);
    let sensor = Sensor::start(&net.sensor, &["--egress", "clsact", "--detach"]);
    add_filter(&net.sensor, "ingress");
    sensor.stop();
    assert_eq!((filters(&net.sensor).as_str(), has_clsact(&net.sensor)), ("", true));
    assert!(has_filter(&net.sensor, "ingress"));
    tc(&net.sensor, &["qdisc", "del", "dev", CARD, "clsact"]);

    // One that is ours and that somebody else has come to use, too.
    for direction in ["ingress", "egress"] {
        let sensor = Sensor::start(&net.sensor, &["--egress", "clsact", "--detach"]);
        add_filter(&net.sensor, direction);
        sensor.stop();
        assert!(has_clsact(&net.sensor) && !filters(&net.sensor).contains(FILTER));
        assert!(has_filter(&net.sensor, direction));
        tc(&net.sensor, &["qdisc", "del", "dev", CARD, "clsact"]);
    }
}

#[test]
fn what_a_killed_daemon_leaves_is_replaced_by_the_next() {
    let net = Direct::build(1).unwrap();
    let mut sensor = Sensor::start(&net.sensor, &["--egress", "clsact"]);
    sensor.process.kill();
    assert!(filters(&net.sensor).contains(FILTER));
    let sensor = Sensor::start(&net.sensor, &["--egress", "clsact", "--detach"]);
    assert_eq!(filters(&net.sensor).lines().filter(|l| l.contains(FILTER)).count(), 1);
    sensor.stop();
    assert_eq!(filters(&net.sensor), "");
}

#[test]
fn a_card_that_comes_back_shows_answers_again() {
    let net = Direct::build(1).unwrap();
    let mut sensor = Sensor::run(&net.sensor, &["run", "--iface", CARD, "--iface", CARD1]);
    let is_seen = |wanted| move |m: &Metrics| view(m, CARD1, kernels_way()) == Some(wanted);
    sensor.metrics("both in view", is_seen(1.0));
    net.sensor.ip(&format!("link delete {CARD1}\n")).unwrap();
    let metrics = sensor.metrics("one in view", is_seen(0.0));
    assert_eq!(view(&metrics, CARD, kernels_way()), Some(1.0));
    let ends =
        [(&net.sensor, CARD1), (&net.client, CARD)].map(|(namespace, card)| End { namespace, card, addresses: &[] });
    Lab::connect(&net.lab, &Veth { ends, queues: 1 }).unwrap();
    sensor.says(&["card1 is back, watched in native mode"]);
    sensor.metrics("both in view again", is_seen(1.0));
}

#[test]
fn acks_that_nobody_asked_for_complete_nothing() {
    let net = Direct::build(1).unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let sensor = Sensor::start(&net.sensor, &[]);
    let injector = Injector::open(&net.scanner, CARD).unwrap();
    let (from, to) = (net.scanner.card(CARD).unwrap().mac, net.sensor.card(CARD).unwrap().mac);
    // An address that our answers can be sent to and that never sees them.
    let deaf = "198.51.100.99";
    let mac = from.map(|b| format!("{b:02x}")).join(":");
    net.sensor.ip(&format!("neighbour replace {deaf} lladdr {mac} dev {CARD} nud permanent\n")).unwrap();
    let send = |source: &str, port: u16, flags, seq, ack| {
        let source: IpAddr = source.parse().unwrap();
        let frame = Frame::tcp((source, 4000), (SENSOR_V4, port)).flags(flags).seq(seq, ack).macs(from, to);
        injector.send(&frame.build()).unwrap();
    };
    let accepted = |n| move |m: &Metrics| answers(m, "accepted") == n;
    send(deaf, 80, SYN, 7, 0);
    sensor.metrics("an answer", accepted(1));
    send(deaf, 80, ACK, 8, 12_345);
    let count = |m: &Metrics, name: &str| m.count(&format!("tcpcap_{name}_completions_total"), &[]);
    sensor.metrics("a guess", |m| count(m, "mismatched") == 1);
    // Nothing leads back to this one: no answer leaves.
    send("203.0.113.77", 80, SYN, 7, 0);
    send("203.0.113.77", 80, ACK, 8, 12_345);
    sensor.metrics("a completion without an answer", |m| count(m, "unanswered") == 1);
    // And here is nothing to complete.
    send(deaf, 81, ACK, 8, 12_345);
    let metrics = sensor.metrics("a stray", |m| answers(m, "stray_refused") == 1);
    assert_eq!((count(&metrics, "mismatched"), count(&metrics, "unanswered")), (1, 1));
    assert_eq!(metrics.count("tcpcap_packets_total", &[("end", "completion")]), 1, "the unanswered one");
}

#[test]
fn an_answer_whose_headers_lie_in_another_page_is_seen() {
    let net = Direct::build(1).unwrap();
    for namespace in [&net.sensor, &net.scanner] {
        namespace.ip(&format!("link set dev {CARD} mtu 9000\n")).unwrap();
    }
    let sensor = Sensor::start(&net.sensor, &[]);
    let (from, to) = (net.sensor.card(CARD).unwrap().mac, net.scanner.card(CARD).unwrap().mac);
    // Of a frame longer than a page that is sent raw, the kernel puts the link header alone in front.
    let injector = Injector::open(&net.sensor, CARD).unwrap();
    let rst = |to_port| Frame::tcp((SENSOR_V4, 80), ([198, 51, 100, 99], to_port)).flags(RST).macs(from, to);
    for frame in [rst(1), rst(2).vlan(5), rst(3).ip_options(&[1; 40])] {
        injector.send(&frame.payload(&[0; 6000]).build()).unwrap();
    }
    sensor.metrics("three strays", |m| answers(m, "stray_refused") == 3);
}
