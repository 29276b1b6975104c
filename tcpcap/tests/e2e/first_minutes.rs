//! A user's first ten minutes: what they type, and the words that they see.

use std::{fs, sync::Arc};

use tcpcap_lab::{
    Internet, http,
    http::Server,
    layout::{CARD, SENSOR_V4},
    scan::Masscan,
    wait_until,
};
use tempfile::TempDir;

use crate::sensor::{SOON, Sensor, verb};

const SCANNER: &str = "203.0.113.1";

fn gets_through(net: &Internet) -> bool {
    http::get(&net.scanner, (SENSOR_V4, 80).into(), "/").is_ok_and(|answer| answer.status == 200)
}

fn scan(net: &Internet) {
    let source = SCANNER.parse().unwrap();
    Masscan { source, target: SENSOR_V4.into(), ports: "1000-1099", rate: 10_000 }.run(net, SOON).unwrap();
}

/// Asserts that all of it was said, in this order.
#[track_caller]
fn says(said: &str, words: &[&str]) {
    let mut rest = said;
    for word in words {
        rest = rest.split_once(word).unwrap_or_else(|| panic!("no `{word}` in its place: {said}")).1;
    }
}

/// What a verb says that works.
#[track_caller]
fn done(sensor: &Sensor, args: &[&str]) -> String {
    let (code, said) = sensor.ask(args);
    assert_eq!(code, 0, "{args:?}: {said}");
    said
}

#[test]
fn from_a_broken_file_to_an_allowed_scanner() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let state = Arc::new(TempDir::new().unwrap());
    let config = state.path().join("config.toml");
    let path = config.to_str().unwrap().to_owned();

    // check: everything that is wrong, and how it would be right.
    fs::write(&config, "preset = \"paranoid\"\nblok_for = \"5m\"\n").unwrap();
    let (code, said) = verb(&net.sensor, &["check", "--config", &path]);
    assert_eq!(code, 2, "{said}");
    says(&said, &["paranoid", "blok_for", "block_for"]);
    fs::write(&config, "preset = \"balanced\"\nblock_for = \"5m\"\n").unwrap();
    let (code, said) = verb(&net.sensor, &["check", "--config", &path]);
    assert_eq!(code, 0, "{said}");

    // doctor: this place is fit.
    let (code, said) = verb(&net.sensor, &["doctor", "--iface", CARD, "--config", &path]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains(CARD) && !said.contains("fail  "), "{said}");

    // run, and be scanned.
    let mut sensor = Sensor::run_with(&net.sensor, &["run", "--iface", CARD, "--config", &path], Arc::clone(&state));
    says(&done(&sensor, &["status"]), &["tcpcap ", "mode         enforce", CARD, "native", "0 automatic"]);
    assert_eq!(done(&sensor, &["list"]), "nobody is blocked\n");
    scan(&net);
    sensor.says(&["Blocked 203.0.113.1 for 5 min"]);
    assert!(!gets_through(&net));

    // status, list, sources: who.
    says(&done(&sensor, &["status"]), &["blocks       1 automatic"]);
    says(&done(&sensor, &["list"]), &["SOURCE", SCANNER, "4 min", "port-scan", "1 block\n"]);
    let knocks = || done(&sensor, &["sources"]).contains(&format!("{SCANNER}  blocked 4 min"));
    wait_until("the source to be live", SOON, knocks).unwrap();

    // explain: why, until when, and what can be done.
    let told = || done(&sensor, &["explain", SCANNER]);
    let dropped = || told().contains("Dropped so far: ");
    wait_until("its packets to be dropped", SOON, dropped).unwrap();
    says(
        &told(),
        &[
            "203.0.113.1 is blocked\n\nNow\n  All packets from it are dropped until ",
            "by rule port-scan",
            "How it came to that\n",
            "UTC: Port scan: ",
            "Blocked for 5",
            "What it did\n",
            " attempts: no handshake completed",
            "Unverified",
            "What comes next\n  The block by the rule port-scan ends by itself at ",
            "If a rule fires again, it is blocked for at least 10 min",
            "What you can do\n  tcpcap unblock 203.0.113.1 ",
        ],
    );

    // unblock: it gets through, until it scans again.
    assert_eq!(done(&sensor, &["unblock", SCANNER]), "203.0.113.1 is not blocked any more\n");
    assert!(gets_through(&net));
    says(
        &done(&sensor, &["explain", SCANNER]),
        &["203.0.113.1 is not blocked\n", "Command `unblock 203.0.113.1/32` of uid 0"],
    );

    // allow: it gets through, whatever it does.
    assert_eq!(done(&sensor, &["allow", SCANNER]), "Allowed 203.0.113.1: it is never blocked\n");
    scan(&net);
    sensor.says(&["Not blocked 203.0.113.1: 203.0.113.1 is allowed"]);
    assert!(gets_through(&net));
    says(
        &done(&sensor, &["explain", SCANNER]),
        &["203.0.113.1 is never blocked\n", "203.0.113.1 is allowed.", "Not blocked: ", "tcpcap disallow 203.0.113.1 "],
    );
    let (code, said) = sensor.ask(&["block", SCANNER]);
    assert_eq!(code, 1);
    says(&said, &["error: 203.0.113.1 is not blocked: 203.0.113.1 is allowed", "\n help: "]);

    // reload: a broken file changes nothing, a right one is taken over.
    fs::write(&config, "preset = \"paranoid\"\n").unwrap();
    let (code, said) = sensor.ask(&["reload"]);
    assert_eq!(code, 1);
    says(&said, &["error: ", "paranoid", "\n help: "]);
    fs::write(&config, "preset = \"strict\"\n").unwrap();
    done(&sensor, &["reload"]);
    says(&done(&sensor, &["status"]), &["preset strict", "allowed      203.0.113.1\n"]);

    // history: all of it.
    let kept = |args: &[&str]| done(&sensor, &[&["history"][..], args].concat());
    wait_until("the second finding to be written", SOON, || kept(&[]).contains("not blocked, 203")).unwrap();
    says(
        &kept(&[]),
        &[
            "TIME (UTC)      WHO              WHAT\n",
            "203.0.113.1      Port scan: blocked for 5 min (",
            "203.0.113.1      Block begun, until ",
            "203.0.113.1      Block lifted by an operator",
            "203.0.113.1      203.0.113.1 is not blocked any more (unblock b",
            "203.0.113.1      Allowed 203.0.113.1: it is never blocked",
            "203.0.113.1      Port scan: not blocked, 203.0.113.1 is allowed",
            "203.0.113.1      block refused: 203.0.113.1 is not blocked",
            "-                reload refused: ",
            "-                Configuration taken over",
        ],
    );
    assert_eq!(kept(&["--type", "finding"]).lines().count(), 3);
    assert_eq!(kept(&["--type", "finding", "-o", "json", "203.0.113.0/24"]).lines().count(), 2);
    says(&done(&sensor, &["events"]), &["TIME (UTC)", "Port scan: blocked"]);
}

#[test]
fn when_the_daemon_is_gone_it_is_said_what_goes_on_without_it() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let mut sensor = Sensor::start(&net.sensor, &["--allow", "192.0.2.0/24"]);
    scan(&net);
    sensor.says(&["Blocked 203.0.113.1 for 10 min"]);
    done(&sensor, &["block", "198.18.0.0/15", "--reason", "not ours"]);
    sensor.process.kill();

    let (code, said) = sensor.ask(&["status"]);
    assert_eq!(code, 1, "{said}");
    says(
        &said,
        &[
            "tcpcap does not run; the kernel goes on with its blocks until each is over\n",
            "mode         enforce, scope all\n",
            &format!("interfaces   {CARD}  native\n"),
            "blocks       1 automatic, 1 by operators, 0 by lists\n",
        ],
    );
    // On standard error, so before or after that.
    let error = "error: tcpcap is not running (nobody listens on ";
    says(&said, &[error, "help: start it with `tcpcap run` or `systemctl start tcpcap`"]);
    let list = done(&sensor, &["list"]);
    for words in [
        "warning: tcpcap is not running (nobody listens on ",
        "this is what the kernel goes on dropping, each until its end; start it with `tcpcap run`",
        SCANNER,
        "port-scan",
        "198.18.0.0/15  for ever",
        "2 blocks\n",
    ] {
        assert!(list.contains(words), "{words}: {list}");
    }
    let state = sensor.state.path().to_str().unwrap().to_owned();
    let told = |address: &str| done(&sensor, &["explain", address, "--state", &state]);
    let scanner = told(SCANNER);
    assert!(
        scanner.contains("this is what the kernel goes on doing, and what the history holds; start it"),
        "{scanner}"
    );
    says(
        &scanner.replace("\n  ", " "),
        &[
            "203.0.113.1 is blocked\n",
            "by rule port-scan",
            "Port scan: ",
            " attempts: ",
            "Nobody looks at what it does until",
        ],
    );
    assert!(told("198.18.3.4").contains("All packets from 198.18.0.0/15 are dropped for ever."));
    assert!(told("192.0.2.7").contains("192.0.2.7 is never blocked\n"));
    assert!(told("192.0.3.7").contains("192.0.3.7 is not blocked\n"));
    let history = done(&sensor, &["history", "--state", &state]);
    assert!(history.contains("history.db; start it with") && history.contains("Port scan: blocked"), "{history}");

    // And with nothing left at all.
    assert_eq!(verb(&net.sensor, &["detach"]).0, 0);
    let (code, said) = sensor.ask(&["status"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("tcpcap does not run, and nothing of it is in the kernel: nothing is dropped\n"), "{said}");
    let list = done(&sensor, &["list"]);
    assert!(list.contains("nothing of it is in the kernel") && list.contains("nobody is blocked\n"), "{list}");
}

#[test]
fn a_daemon_that_listens_elsewhere_is_not_taken_for_none() {
    let net = Internet::build().unwrap();
    let sensor = Sensor::start(&net.sensor, &[]);
    let (code, said) = verb(&net.sensor, &["list", "--socket", "/nonexistent/tcpcap.sock"]);
    assert_eq!(code, 0, "{said}");
    let expected = format!("but tcpcap runs as process {}: name its socket with --socket", sensor.process.id());
    assert!(said.contains(&expected), "{said}");
}

#[test]
fn an_address_is_told_of_as_it_is_and_not_as_its_prefix_is() {
    let net = Internet::build().unwrap();
    let sensor = Sensor::start(&net.sensor, &["--allow", "2001:db8:98::1"]);
    done(&sensor, &["block", "2001:db8:99::7"]);
    let told = |address: &str| done(&sensor, &["explain", address]);
    says(&told("2001:db8:99::7"), &["2001:db8:99::7 is blocked (", "All packets from it are dropped for ever."]);
    says(&told("2001:db8:99::8"), &["2001:db8:99::8 is not blocked (", "All its packets pass: no rule"]);
    says(&told("2001:db8:98::1"), &["2001:db8:98::1 is never blocked (", "2001:db8:98::1 is allowed."]);
    // Who shares its prefix is spared as well, and told why.
    says(&told("2001:db8:98::2"), &["2001:db8:98::2 is never blocked (", "2001:db8:98::1 is allowed."]);
}
