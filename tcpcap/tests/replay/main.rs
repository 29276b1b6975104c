//! The real binary over captures that it is given here: what it finds, what it says, and how it exits.

mod captures;
mod stdin;

use captures::{
    CLIENT, Classic, HOST, Packet, SCANNER, Temporary, gzip, honest, pcapng, replay, run, scan, unanswered_scan,
};

const OWN: [&str; 2] = ["--own", "10.0.0.0/24"];

fn classic(packets: &[Packet]) -> Vec<u8> {
    Classic::default().write(packets)
}

fn json(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_scan_is_told_as_the_daemon_tells_it() {
    let said = replay(&[classic(&scan(40))], &OWN);
    let lines: Vec<_> = said.out.lines().collect();
    assert_eq!(lines.len(), 3, "{said:?}");
    assert_eq!(lines[0], "2026-01-02T03:04:05.005050Z Port scan detected: 192.0.2.7 -> 10.0.0.1 on ports 1,2,3,4,5,6");
    assert_eq!(lines[1], "2026-01-02T03:04:05.005050Z Would block 192.0.2.7 for 10 min");
    assert_eq!(lines[2], "80 packets, 0 unreadable: 40 attempts and 0 probes from 1 source, 1 finding");
    assert_eq!((&*said.err, said.code), ("", 0));
}

#[test]
fn json_has_the_fields_that_scripts_rely_on() {
    let said = replay(&[classic(&scan(40))], &[&OWN[..], &["-o", "json"]].concat());
    let lines = json(&said.out);
    assert_eq!(lines.len(), 2, "{said:?}");
    let expected = serde_json::json!({
        "type": "finding", "time": "2026-01-02T03:04:05.005050Z", "source": SCANNER, "rule": "port-scan",
        "window": "fast", "count": 18, "threshold": 18, "window_s": 60, "targets": [HOST], "ports": [1, 2, 3, 4, 5, 6],
        "attempts_before": 5, "completions": 0, "verified": false, "fingerprint": null, "decision": "block",
        "scope": "all", "why": "for 10 min",
    });
    assert_eq!(lines[0], expected);
    let expected = serde_json::json!({
        "type": "summary", "packets": 80, "attempts": 40, "probes": 0, "sources": 1, "findings": 1, "unparsed": 0,
    });
    assert_eq!(lines[1], expected);
}

#[test]
fn every_kind_of_file_says_the_same() {
    let packets = [scan(40), honest(20)].concat();
    let said = replay(&[classic(&packets)], &OWN);
    assert!(said.out.contains(SCANNER) && !said.out.contains(CLIENT), "{said:?}");
    let with = |classic: Classic| classic.write(&packets);
    let plain = Classic::default();
    let cooked: &[u8] = &[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0];
    let cooked2: &[u8] = &[8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0];
    for (what, file) in [
        ("nanoseconds", with(Classic { nanos: true, ..plain })),
        ("other byte order", with(Classic { big_endian: true, ..plain })),
        ("other byte order, nanoseconds", with(Classic { big_endian: true, nanos: true, ..plain })),
        ("raw IP", with(Classic { link: 101, header: Some(&[]), ..plain })),
        ("raw IPv4", with(Classic { link: 228, header: Some(&[]), ..plain })),
        ("cooked", with(Classic { link: 113, header: Some(cooked), ..plain })),
        ("cooked, version 2", with(Classic { link: 276, header: Some(cooked2), ..plain })),
        ("cut short behind the TCP header", with(Classic { snap: 54, ..plain })),
        ("pcapng", pcapng(&packets)),
        ("gzip", gzip(&classic(&packets))),
        ("pcapng in gzip", gzip(&pcapng(&packets))),
        ("two gzip members", [gzip(&classic(&scan(40))), gzip(&classic(&honest(20))[24..])].concat()),
    ] {
        let other = replay(&[file], &OWN);
        assert_eq!((&other.out, &other.err, other.code), (&said.out, &said.err, 0), "{what}");
    }
}

#[test]
fn several_files_are_one_stream() {
    let packets = scan(40);
    let (first, second) = packets.split_at(40);
    let together = replay(&[classic(first), pcapng(second)], &OWN);
    assert_eq!(together.out, replay(&[classic(&packets)], &OWN).out);
    assert!(together.out.contains("1 finding"));
    let alone = replay(&[classic(&packets[..6])], &OWN);
    assert!(alone.out.contains("0 findings"), "{alone:?}");
}

#[test]
fn the_preset_sets_the_bar() {
    for (preset, findings) in [("strict", "1 finding"), ("balanced", "0 findings"), ("relaxed", "0 findings")] {
        let said = replay(&[classic(&scan(4))], &[&OWN[..], &["--preset", preset]].concat());
        assert!(said.out.ends_with(&format!("{findings}\n")), "{preset}: {said:?}");
    }
}

/// The first decision on a scan of 40 ports, and how many findings there are.
fn decided(args: &[&str]) -> (String, String, u64) {
    let said = replay(&[classic(&scan(40))], &[args, &["-o", "json"]].concat());
    let lines = json(&said.out);
    let (first, last) = (lines.first().unwrap(), lines.last().unwrap());
    let text = |key: &str| first[key].as_str().unwrap_or_default().to_owned();
    (text("decision"), text("why"), last["findings"].as_u64().unwrap())
}

#[test]
fn the_daemons_configuration_holds_for_a_replay_and_flags_win_over_it() {
    let config = |text: &str| Temporary::with(text.as_bytes());
    let file = config(
        "interfaces = [\"eth0\"]\nlisten = \"127.0.0.1:1\"\nown = [\"10.0.0.0/24\"]\nobserve = true\nblock_for = \"1h\"\n",
    );
    let path = file.path().to_str().unwrap();
    assert_eq!(decided(&["--config", path]), ("observe".to_owned(), "for 1 h".to_owned(), 1));
    assert_eq!(decided(&["--config", path, "--block-for", "20m"]).1, "for 20 min");
    let allow = ("suppressed".to_owned(), "192.0.2.0/24 is allowed".to_owned(), 1);
    assert_eq!(decided(&["--config", path, "--allow", "192.0.2.0/24"]), allow);
    let file = config("allow = [\"192.0.2.0/24\"]\npreset = \"relaxed\"");
    let path = file.path().to_str().unwrap();
    assert_eq!(decided(&[&OWN[..], &["--config", path, "--preset", "balanced"]].concat()), allow);
    let relaxed = replay(&[classic(&scan(11))], &[&OWN[..], &["--config", path]].concat());
    assert!(relaxed.out.ends_with("0 findings\n"), "{relaxed:?}");
}

#[test]
fn a_wrong_line_of_the_configuration_is_named() {
    let file = Temporary::with(b"observe = true\npreset = \"wild\"\n");
    let path = file.path().to_str().unwrap();
    let said = replay(&[classic(&scan(1))], &["--config", path]);
    assert!(said.err.contains(&format!("{path}:2: ")) && said.err.contains("wild"), "{said:?}");
    assert_eq!((&*said.out, said.code), ("", 2));
}

#[test]
fn without_our_answers_a_scan_takes_longer_to_tell() {
    let attempts_before = |args: &[&str]| {
        let said = replay(&[classic(&scan(40))], &[&OWN[..], args, &["-o", "json"]].concat());
        json(&said.out)[0]["attempts_before"].as_u64().unwrap()
    };
    let file = Temporary::with(b"egress = \"off\"\n");
    assert_eq!(attempts_before(&[]), 5);
    assert_eq!(attempts_before(&["--ingress-only"]), 31);
    assert_eq!(attempts_before(&["--config", file.path().to_str().unwrap()]), 31);
}

#[test]
fn what_waits_for_the_clock_is_found_after_the_last_packet() {
    let said = replay(&[classic(&unanswered_scan(8))], &OWN);
    assert!(said.out.starts_with("2026-01-02T03:04:06.") && said.out.contains("Port scan detected"), "{said:?}");
}

#[test]
fn own_addresses_are_inferred_and_said_when_they_are_not_given() {
    let said = replay(&[classic(&[scan(40), honest(4)].concat())], &[]);
    let told = "own addresses: 10.0.0.1 (inferred: they answered connection attempts; --own overrides)\n";
    assert_eq!((&*said.err, said.code), (told, 0));
    assert!(said.out.contains("192.0.2.7 -> 10.0.0.1 on ports"), "{said:?}");
}

#[test]
fn what_is_excluded_is_not_own_and_nothing_else_counts() {
    for own in [&["--own", "10.0.0.0/24", "--own", "!10.0.0.1"][..], &["--own", "172.16.0.0/12"], &["--own=!10.0.0.1"]]
    {
        let said = replay(&[classic(&scan(40))], own);
        assert_eq!(
            said.out, "80 packets, 0 unreadable: 0 attempts and 0 probes from 0 sources, 0 findings\n",
            "{own:?}"
        );
    }
}

#[test]
fn an_honest_client_is_no_finding_however_many_ports_answer_it() {
    let said = replay(&[classic(&honest(31))], &OWN);
    assert!(said.out.contains("31 attempts") && said.out.contains("0 findings"), "{said:?}");
}

#[test]
fn a_truncated_file_is_replayed_as_far_as_it_goes_and_fails() {
    let mut file = classic(&scan(40));
    file.truncate(file.len() - 10);
    let said = replay(&[file], &OWN);
    assert!(said.out.contains("Port scan detected") && said.out.contains("79 packets"), "{said:?}");
    assert!(said.err.contains("warning: ") && said.err.contains(": byte 5554: ends in the middle"), "{said:?}");
    assert!(said.err.contains("error: 1 of 1 captures damaged") && said.code == 1, "{said:?}");
}

#[test]
fn what_is_no_capture_is_refused_with_cause_and_remedy_before_anything_is_printed() {
    for (bytes, cause) in [
        (b"GET / HTTP/1.1\r\n\r\n and more than a header".to_vec(), "is no capture: it begins with 47 45 54 20"),
        (Vec::new(), "is empty"),
        (classic(&[])[..20].to_vec(), "cut short"),
        (gzip(b"hello, this is text of more than a header"), "is no capture"),
    ] {
        let said = replay(&[classic(&scan(40)), bytes], &OWN);
        assert!(said.err.contains("error: ") && said.err.contains(cause) && said.err.contains(" help: "), "{said:?}");
        assert_eq!((&*said.out, said.code), ("", 1), "{cause}");
    }
}

#[test]
fn other_link_types_are_named() {
    let said = replay(&[Classic { link: 127, ..Classic::default() }.write(&scan(1))], &OWN);
    assert!(said.err.contains("link type 127 (Wi-Fi with radiotap)") && said.code == 1, "{said:?}");
}

#[test]
fn wrong_order_of_files_is_told() {
    let late: Vec<_> = scan(2).into_iter().map(|(at, frame)| (at + 5_000_000, frame)).collect();
    let said = replay(&[classic(&late), classic(&scan(2))], &OWN);
    assert!(said.err.contains("warning: 4 packets are older") && said.code == 0, "{said:?}");
}

#[test]
fn a_stamp_past_all_calendars_does_not_stop_the_clock() {
    let broken: Vec<_> = unanswered_scan(8).into_iter().map(|(at, frame)| (u64::MAX / 2 + at, frame)).collect();
    let said = replay(&[pcapng(&broken)], &OWN);
    assert!(said.out.contains("2262-04-11T23:47:17") && said.out.contains("1 finding"), "{said:?}");
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    for args in [&[][..], &["x.pcap", "--own", "nonsense"], &["x.pcap", "--preset", "wild"], &["x.pcap", "-o", "xml"]] {
        let said = run(args);
        assert_eq!(said.code, 2, "{said:?}");
    }
    let said = run(&["/nonexistent/x.pcap"]);
    assert!(said.err.contains("/nonexistent/x.pcap") && said.code == 1, "{said:?}");
    let said = run(&["/dev/null"]);
    assert!(said.err.contains("is no file") && said.code == 1, "{said:?}");
}
