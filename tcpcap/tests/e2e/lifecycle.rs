//! Start, stop, and interfaces that come and go.

use tcpcap_lab::{
    Direct, Internet, Lab, Veth,
    layout::{CARD, CARD1, SENSOR_V4},
    scan::Masscan,
};

use crate::sensor::{SOON, Sensor, has_xdp, pins};

#[test]
fn a_signal_stops_it_cleanly_and_told_to_detach_it_leaves_nothing() {
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let net = Direct::build(1).unwrap();
        let mut sensor = Sensor::start(&net.sensor, &["--detach"]);
        assert!(has_xdp(&net.sensor, CARD));
        sensor.process.signal(signal);
        assert!(sensor.process.wait(SOON).unwrap().success());
        assert!(sensor.process.output().contains("tcpcap stops on SIG"), "{}", sensor.process.output());
        assert!(!has_xdp(&net.sensor, CARD));
        assert_eq!(pins(&net.sensor), None);
    }
}

#[test]
fn an_interface_that_vanishes_is_said_and_watched_again_when_it_is_back() {
    let net = Direct::build(1).unwrap();
    let mut sensor = Sensor::run(&net.sensor, &["run", "--iface", CARD, "--iface", CARD1]);
    let ready = |sensor: &Sensor| tcpcap_lab::http::get(&sensor.namespace, tcpcap_lab::metrics::ADDRESS, "/readyz");
    assert_eq!(ready(&sensor).unwrap().status, 200);
    net.sensor.ip(&format!("link delete {CARD1}\n")).unwrap();
    sensor.says(&["WARN", "card1 has disappeared"]);
    sensor.metrics("one interface", |m| m.get("tcpcap_interface_up", &[("interface", CARD1)]) == Some(0.0));
    assert_eq!(ready(&sensor).unwrap().status, 503);
    assert!(has_xdp(&net.sensor, CARD), "the other one goes on");
    let ends = [(&net.sensor, CARD1), (&net.client, CARD)].map(|(namespace, card)| tcpcap_lab::End {
        namespace,
        card,
        addresses: &[],
    });
    Lab::connect(&net.lab, &Veth { ends, queues: 1 }).unwrap();
    sensor.says(&["card1 is back, watched in native mode"]);
    assert!(has_xdp(&net.sensor, CARD1));
    tcpcap_lab::wait_until("readiness", SOON, || ready(&sensor).is_ok_and(|a| a.status == 200)).unwrap();
}

#[test]
fn an_address_added_while_it_runs_is_an_own_address() {
    let net = Internet::build().unwrap();
    let mut sensor = Sensor::start(&net.sensor, &[]);
    sensor.says(&["for 4 own addresses"]);
    net.sensor.ip(&format!("address add 198.51.100.2/24 dev {CARD}\n")).unwrap();
    let mac = net.sensor.card(CARD).unwrap().mac.map(|b| format!("{b:02x}")).join(":");
    net.internet.ip(&format!("neighbour replace 198.51.100.2 lladdr {mac} dev tosensor nud permanent\n")).unwrap();
    // The change arrives by itself; the scan is repeated until it has.
    let scan = Masscan {
        source: net.first_scanner().v4.into(),
        target: "198.51.100.2".parse().unwrap(),
        ports: "1-100",
        rate: 1000,
    };
    tcpcap_lab::wait_until("the finding", SOON, || {
        scan.run(&net, SOON).unwrap();
        sensor.said("-> 198.51.100.2 on ports") > 0
    })
    .unwrap();
    assert_eq!(sensor.said(&format!("-> {SENSOR_V4}")), 0);
}
