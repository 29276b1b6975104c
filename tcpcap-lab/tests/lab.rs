//! The lab itself, in real namespaces. Needs root; fails without.

use std::{
    collections::HashSet,
    env, fs,
    net::{IpAddr, SocketAddr},
    panic,
    process::Command,
    time::Duration,
};

use tcpcap_lab::{
    Capture, Direct, Frame, Injector, Internet, Lab, Namespace, Process,
    frame::flag,
    http::{self, Client, Server},
    layout::{CARD, CARD1, CLIENT_V4, CLIENT_V6, GATEWAY_V4, SENSOR_V4, SENSOR_V6, SENSOR1_V4, SENSOR1_V6},
    scan::Masscan,
    wait_until,
};

const SOON: Duration = Duration::from_secs(20);

fn at(address: impl Into<IpAddr>, port: u16) -> SocketAddr {
    (address.into(), port).into()
}

fn namespaces_of(pid: u32) -> Vec<String> {
    let names = fs::read_dir("/run/netns").into_iter().flatten().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.starts_with(&format!("tcpcap-{pid}-"))).collect()
}

fn nmap(from: &Namespace, args: &[&str]) -> Process {
    let mut command = from.command("nmap");
    command.args(["-n", "-Pn", "-sS", "-T4"]).args(args);
    let mut nmap = Process::spawn("nmap", command).unwrap();
    nmap.succeed(SOON).unwrap();
    nmap
}

#[test]
fn an_honest_client_is_served_over_both_families() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80, 8080]).unwrap();
    let behind = Capture::incoming(&net.sensor, CARD).unwrap();
    let servers = [at(SENSOR_V4, 80), at(SENSOR_V6, 80), at(SENSOR_V4, 8080), at(SENSOR_V6, 8080)];
    let client = Client::start(&net.client, &servers, Duration::from_millis(1)).unwrap();
    wait_until("twenty pages", SOON, || client.fared().ok + client.fared().failed >= 20).unwrap();
    let fared = client.stop();
    assert_eq!(fared.failed, 0, "{fared:?}");
    let seen = behind.snapshot().unwrap();
    assert_eq!(seen.tried(CLIENT_V4.into()).len(), 2);
    assert_eq!(seen.tried(CLIENT_V6.into()).len(), 2);
    assert_eq!(seen.lost, 0);
}

#[test]
fn nobody_there_is_counted_as_failed() {
    let net = Internet::build().unwrap();
    let client = Client::start(&net.client, &[at(SENSOR_V4, 80)], Duration::from_millis(1)).unwrap();
    wait_until("a failure", SOON, || client.fared().failed > 0).unwrap();
    assert!(client.stop().last_error.unwrap().contains("198.51.100.1:80"));
    assert!(http::get(&net.client, at(SENSOR_V6, 80), "/").is_err());
}

#[test]
fn a_scanner_sees_all_ports_of_a_host_that_nobody_protects() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[22, 80]).unwrap();
    let answers = Capture::incoming(&net.scanner, CARD).unwrap();
    let first = net.first_scanner();
    let open = nmap(&net.scanner, &["-p1-300", &SENSOR_V4.to_string()]).output();
    assert!(open.contains("22/tcp") && open.contains("80/tcp"), "{open}");
    nmap(&net.scanner, &["-6", "-p1-300", &SENSOR_V6.to_string()]);
    let seen = answers.snapshot().unwrap();
    assert_eq!(seen.answered(first.v4.into()).len(), 300);
    assert_eq!(seen.answered(first.v6.into()).len(), 300);
    assert_eq!(seen.lost, 0);
}

#[test]
fn a_fresh_source_is_somebody_else() {
    let net = Internet::build().unwrap();
    let behind = Capture::incoming(&net.sensor, CARD).unwrap();
    let answers = Capture::incoming(&net.scanner, CARD).unwrap();
    let fresh = [net.fresh_source().unwrap(), net.fresh_source().unwrap()];
    for source in fresh {
        nmap(&net.scanner, &["-p1-50", "-e", CARD, "-S", &source.v4.to_string(), &SENSOR_V4.to_string()]);
        nmap(&net.scanner, &["-6", "-p1-50", "-e", CARD, "-S", &source.v6.to_string(), &SENSOR_V6.to_string()]);
    }
    let (behind, answers) = (behind.snapshot().unwrap(), answers.snapshot().unwrap());
    for address in fresh.iter().flat_map(|s| [IpAddr::from(s.v4), s.v6.into()]) {
        assert_eq!(behind.tried(address).len(), 50, "{address}");
        assert_eq!(answers.answered(address).len(), 50, "{address}");
    }
    assert_eq!(behind.from(net.first_scanner().v4.into()), 0);
}

#[test]
fn a_capture_keeps_up_with_masscan() {
    let net = Internet::build().unwrap();
    let answers = Capture::incoming(&net.scanner, CARD).unwrap();
    let source = net.first_scanner();
    for (source, target) in [(source.v4.into(), SENSOR_V4.into()), (IpAddr::from(source.v6), IpAddr::from(SENSOR_V6))] {
        Masscan { source, target, ports: "1-65535", rate: 100_000 }.run(&net, SOON).unwrap();
    }
    let all = || answers.snapshot().unwrap();
    wait_until("all answers", SOON, || all().answered(source.v6.into()).len() == 65_535).unwrap();
    let seen = answers.snapshot().unwrap();
    assert_eq!(seen.lost, 0);
    assert_eq!(seen.answered(source.v4.into()).len(), 65_535);
}

#[test]
fn a_card_receives_what_is_sent_to_it_and_nothing_else() {
    let net = Direct::build(1).unwrap();
    let injector = Injector::open(&net.scanner, CARD).unwrap();
    let (from, to) = (net.scanner.card(CARD).unwrap().mac, net.sensor.card(CARD).unwrap().mac);
    // The kernel reports its multicast groups as soon as there is a card; then it is silent.
    let mut before = net.sensor.counters(CARD).unwrap();
    let mut calm = 0;
    wait_until("silence", SOON, || {
        let now = net.sensor.counters(CARD).unwrap();
        calm = if now == before { calm + 1 } else { 0 };
        before = now;
        calm == 40
    })
    .unwrap();
    for port in 0..100 {
        let frame = Frame::tcp((GATEWAY_V4, 40000), (SENSOR_V4, port)).flags(flag::SYN).macs(from, to);
        injector.send(&frame.clone().vlan(7).build()).unwrap();
        injector.send(&frame.qinq(7, 8).build()).unwrap();
    }
    let received = || net.sensor.counters(CARD).unwrap().rx_packets - before.rx_packets;
    wait_until("the frames", SOON, || received() >= 200).unwrap();
    assert_eq!(received(), 200);
}

#[test]
fn two_cards_have_a_neighbour_each() {
    let net = Direct::build(4).unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    for (namespace, servers) in [
        (&net.scanner, [at(SENSOR_V4, 80), at(SENSOR_V6, 80)]),
        (&net.client, [at(SENSOR1_V4, 80), at(SENSOR1_V6, 80)]),
    ] {
        for server in servers {
            assert_eq!(http::get(namespace, server, "/").unwrap().status, 200);
        }
    }
    assert!(net.sensor.counters(CARD).unwrap().rx_packets > 0);
    assert!(net.sensor.counters(CARD1).unwrap().rx_packets > 0);
    assert!(net.sensor.card("card2").is_err() && net.sensor.counters("card2").is_err());
}

#[test]
fn commands_in_a_namespace_see_pinned_maps() {
    let net = Direct::build(1).unwrap();
    let mut command = net.sensor.command("stat");
    command.args(["-f", "-c", "%T", "/sys/fs/bpf"]);
    let mut stat = Process::spawn("stat", command).unwrap();
    stat.succeed(SOON).unwrap();
    assert!(stat.output().contains("bpf"), "{}", stat.output());
}

#[test]
fn nothing_stays_behind() {
    let names = |lab: &Lab| ["a", "b"].map(|role| lab.namespace(role).unwrap().name().to_owned());
    let exists = |name: &String| fs::exists(format!("/run/netns/{name}")).unwrap();

    let lab = Lab::new().unwrap();
    let made = names(&lab);
    assert!(made.iter().all(exists));
    lab.remove().unwrap();
    assert!(!made.iter().any(exists));

    let mut made = Vec::new();
    let unwound = panic::catch_unwind(panic::AssertUnwindSafe(|| {
        let lab = Lab::new().unwrap();
        made.extend(names(&lab));
        panic!("a test that fails");
    }));
    assert!(unwound.is_err() && made.len() == 2 && !made.iter().any(exists));
}

/// What the next two tests start, in a process of its own; nothing otherwise.
#[test]
fn a_lab_that_waits_for_a_signal() {
    if env::var_os("TCPCAP_LAB_WAITS").is_none() {
        return;
    }
    let net = Internet::build().unwrap();
    let mut sleeper = Process::spawn("sleep", {
        let mut command = net.sensor.command("sleep");
        command.arg("600");
        command
    })
    .unwrap();
    println!("\nup {}", sleeper.id());
    sleeper.wait(Duration::from_secs(600)).unwrap();
}

fn waiting_lab() -> (Process, u32) {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "a_lab_that_waits_for_a_signal", "--nocapture"]);
    command.env("TCPCAP_LAB_WAITS", "1");
    let mut waiting = Process::spawn("the waiting lab", command).unwrap();
    let line = waiting.wait_for_line(SOON, |l| l.starts_with("up ")).unwrap();
    assert_eq!(namespaces_of(waiting.id()).len(), 4);
    (waiting, line[3..].parse().unwrap())
}

fn is_gone(pid: u32) -> bool {
    // A zombie that nobody has waited for yet is gone as well.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_err() || stat.is_ok_and(|s| s.contains(") Z "))
}

#[test]
fn ctrl_c_removes_everything() {
    let (mut waiting, child) = waiting_lab();
    waiting.signal(libc::SIGINT);
    assert!(!waiting.wait(SOON).unwrap().success());
    assert_eq!(namespaces_of(waiting.id()), [""; 0]);
    wait_until("the child's end", SOON, || is_gone(child)).unwrap();
}

#[test]
fn what_a_killed_lab_leaves_is_swept_by_the_next() {
    let (mut waiting, child) = waiting_lab();
    waiting.signal(libc::SIGKILL);
    waiting.wait(SOON).unwrap();
    wait_until("the child's end", SOON, || is_gone(child)).unwrap();
    let next = Lab::new().unwrap();
    assert_eq!(namespaces_of(waiting.id()), [""; 0]);
    let mine = next.namespace("x").unwrap();
    // Neither the living are swept, nor what is not ours.
    let _third = Lab::new().unwrap();
    let names: HashSet<String> = namespaces_of(std::process::id()).into_iter().collect();
    assert!(names.contains(mine.name()));
}
