use std::{io, time::Duration};

use tcpcap_common::{record, wire};
use tcpcap_core::{Decision, Fingerprint, Rule, Scope, Suppression, Time, Tool};

use super::*;
use crate::{
    block::Why,
    lists::{Report, Trouble, What},
    surface::log::{Format, testing::said},
};

fn source() -> Source {
    Source(IpAddr::from([192, 0, 2, 56]).into())
}

fn network() -> IpNet {
    source().network()
}

fn event() -> Event {
    let (from, to) = (IpAddr::from([192, 0, 2, 56]).into(), IpAddr::from([10, 0, 0, 5]).into());
    Event {
        time: 0,
        from,
        to,
        seq: 0,
        ack: 0,
        from_port: 5973,
        to_port: 80,
        window: 1024,
        ip_id: 0,
        interface: 2,
        kind: record::kind::ATTEMPT,
        flags: wire::flag::SYN,
        ttl: 64,
        options_len: 0,
        options: [0; record::OPTIONS_LEN],
    }
}

fn found() -> Finding {
    Finding {
        count: 18,
        threshold: 18,
        targets: vec![IpAddr::from([10, 0, 0, 5])],
        ports: (80..112).collect(),
        truncated: true,
        attempts_before: 17,
        fingerprint: Some(Fingerprint { tool: Tool::Nmap, percent: 100 }),
        ..Finding::new(Time::ZERO, Some(source()), Rule::PortScan, ("fast", Duration::from_secs(60)))
    }
}

fn decided(outcome: Outcome, times: u32, minutes: u64, scope: Scope) {
    let decision = Decision { outcome, times, ttl: Duration::from_secs(60 * minutes), scope };
    decision_of(&Verdict { finding: found(), decision });
}

fn counted() -> Block {
    Block { packets: 1337, bytes: 80_220, ..Block::default() }
}

fn news(what: What, in_force: usize) -> News {
    News { feed: "drop.txt".into(), in_force, modified: None, what }
}

fn refusal() -> Refusal {
    let why = Why::Feed("drop.txt".into());
    Refusal { network: "10.0.0.0/8".parse().unwrap(), why, reason: "10.0.0.5 is an address of this host".into() }
}

fn session() -> Protection {
    Protection::Session(IpAddr::from([192, 0, 2, 56]))
}

/// Every line that has a kind.
#[rustfmt::skip]
const LINES: [(&str, fn()); 41] = [
    ("adopted", || adopted(12)),
    ("block", || decided(Outcome::Block { until: Time::ZERO }, 1, 10, Scope::All)),
    ("block", || decided(Outcome::Block { until: Time::ZERO }, 3, 40, Scope::Syn)),
    ("circuit_breaker", || breaker(true)),
    ("circuit_breaker", || breaker(false)),
    ("command", || command("uid 0, pid 1234", "block", "Blocked 192.0.2.56 for 1 h")),
    ("connection", || connection(&event())),
    ("drift", || drift(3, Drifted::Blocks)),
    ("drift", || drift(2, Drifted::Allowed)),
    ("extend", || decided(Outcome::Extend { until: Time::ZERO }, 2, 20, Scope::All)),
    ("feed", || feed(&news(What::Taken(Box::new(Report { entries: 1012, ..Report::default() })), 1012))),
    ("feed", || feed(&news(What::Trouble(Trouble::Emptied), 1012))),
    ("feed", feeds_ended),
    ("feed", feeds_late),
    ("finding", || finding(&found())),
    ("finding", || finding(&Finding { source: None, in_name_of: Some(source()), fingerprint: None, rule: Rule::Forged, ..found() })),
    ("finding", || finding(&Finding { source: None, fingerprint: None, rule: Rule::Flood, ports: vec![80], ..found() })),
    ("finding", || finding(&Finding { fingerprint: None, rule: Rule::Stealth, ports: vec![80], flags: vec![wire::flag::FIN, 41], ..found() })),
    ("gave_way", || gave_way(source())),
    ("held_back", || held_back(Some(Kind::Connection), 52_341, "")),
    ("held_back", || held_back(Some(Kind::Lift), 412, "Block of 192.0.2.56 is lifted")),
    ("held_back", || held_back(None, 412, "192.0.2.56/32 is not blocked yet, the kernel refuses the entry: no memory; it is tried again")),
    ("history", || no_history(&history::Problem { cause: "cannot use the history /var/lib/tcpcap/history.db: disk I/O error".into(), remedy: "its directory must exist or be creatable, be writable, and have room".into() })),
    ("history", history_unfinished),
    ("lift", || lift(network(), session(), &counted())),
    ("list_refusal", || list_refusal(&refusal())),
    ("list_refusal", || more_list_refusals(7)),
    ("list_too_long", || list_too_long(1234)),
    ("migrated", || migrated(12)),
    ("no_control", || no_control(&Refused { cause: "cannot listen on /run/tcpcap/tcpcap.sock: Permission denied".into(), remedy: "name another place with --socket".into() })),
    ("no_journal", || no_journal(&io::Error::from(io::ErrorKind::NotFound))),
    ("observe", || decided(Outcome::Observe { until: Time::ZERO }, 1, 10, Scope::All)),
    ("protect", || protect(IpAddr::from([192, 0, 2, 56]), &session())),
    ("reload", || reloaded("SIGHUP", "Configuration taken over: observe: false → true; takes a restart: mode: auto → native")),
    ("reload", || not_reloaded("SIGHUP", "/etc/tcpcap/config.toml:3: observe: 1 is not true or false")),
    ("reload", || not_tuned("the kernel refuses tcpcap's settings: Operation not permitted")),
    ("suppressed", || decided(Outcome::Suppressed(Suppression::Protected(session())), 0, 0, Scope::All)),
    ("unblock", || unblock(network(), &counted(), false)),
    ("unblock", || unblock(network(), &counted(), true)),
    ("unpinned", || unpinned("/sys/fs/bpf is no BPF file system", "mount it")),
    ("unprotect", || unprotect(IpAddr::from([192, 0, 2, 56]))),
];

const PAGE: &str = include_str!("../../../../docs/logs.md");

/// What the page says about a kind.
fn section(kind: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(&format!("\n### `{kind}`\n")).unwrap_or_else(|| panic!("no section about {kind}"));
    rest.split("\n##").next().unwrap()
}

#[test]
fn the_originals_two_lines_are_as_they_were() {
    let said = said(Format::Human, || {
        connection(&event());
        finding(&Finding { truncated: false, ports: vec![80, 81, 82], ..found() });
        finding(&found());
    });
    let lines: Vec<&str> =
        said.lines().map(|line| line.strip_prefix("2026-11-24T05:11:28.123456Z ").unwrap()).collect();
    assert_eq!(lines[0], "New connection: 192.0.2.56:5973 -> 10.0.0.5:80");
    assert_eq!(lines[1], "Port scan detected: 192.0.2.56 -> 10.0.0.5 on ports 80,81,82");
    assert!(lines[2].starts_with("Port scan detected: 192.0.2.56 -> 10.0.0.5 on ports 80,81,82,83,"), "{}", lines[2]);
    assert!(lines[2].ends_with(",110,111…"), "{}", lines[2]);
}

#[test]
fn a_connection_over_ipv6_has_its_addresses_in_brackets() {
    let [from, to] = ["2001:db8::7", "2001:db8::1"].map(|ip| ip.parse::<IpAddr>().unwrap().into());
    let text = said(Format::Human, || connection(&Event { from, to, ..event() }));
    assert!(text.ends_with("Z New connection: [2001:db8::7]:5973 -> [2001:db8::1]:80\n"), "{text}");
}

#[test]
fn an_alert_has_the_line_of_its_finding_and_no_other() {
    let decision = Decision { outcome: Outcome::Alert, times: 0, ttl: Duration::ZERO, scope: Scope::All };
    let text =
        said(Format::Human, || verdict(&Verdict { finding: Finding { rule: Rule::FanOut, ..found() }, decision }));
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("Fan-out detected: 192.0.2.56"), "{text}");
}

#[test]
fn every_kind_has_its_place_on_the_page_in_order_and_nothing_else_has() {
    let sections: Vec<&str> =
        PAGE.lines().filter_map(|line| line.strip_prefix("### `")).map(|line| line.trim_end_matches('`')).collect();
    assert_eq!(sections, Kind::ALL.map(Kind::name));
    assert!(Kind::ALL.iter().all(|kind| LINES.iter().any(|(name, _)| *name == kind.name())), "a kind has no line here");
}

#[test]
fn the_page_says_how_many_lines_of_each_kind_there_are_at_most() {
    let rows = PAGE.lines().filter(|line| line.starts_with('|') && line.contains("000 | "));
    let (mut more, mut usual) = (Vec::new(), String::new());
    for row in rows {
        let [kinds, limit, _] = row.trim_matches('|').split(" | ").collect::<Vec<_>>()[..] else { panic!("{row}") };
        let limit: u32 = limit.replace(',', "").parse().unwrap();
        more.extend(kinds.split(',').map(|kind| (kind.trim().trim_matches('`').to_owned(), limit)));
    }
    for kind in Kind::ALL {
        match more.iter().find(|(name, _)| name == kind.name()) {
            Some((_, limit)) => assert_eq!(*limit, kind.per_second(), "{kind:?}"),
            None => usual = format!("| every other | {} | ", kind.per_second()),
        }
    }
    assert!(PAGE.contains(&usual), "{usual}");
    assert_eq!(more.len(), 8);
}

/// The page shows the first line of each kind in both forms, and the text of every other.
#[test]
fn every_line_is_on_the_page_as_it_is_written() {
    let (mut missing, mut before) = (String::new(), "");
    for (kind, line) in LINES {
        let (human, json) = (said(Format::Human, line), said(Format::Json, line));
        assert!(json.contains(&format!("\"event\":\"{kind}\"")), "{json}");
        let expected = if kind == before { human } else { human + &json };
        if !section(kind).contains(&expected) {
            missing.push_str(&format!("{kind}:\n{expected}"));
        }
        before = kind;
    }
    assert!(missing.is_empty(), "docs/logs.md does not have\n{missing}");
}

/// Every field of every line stands in the table of its kind, and no other field does.
#[test]
fn the_page_names_the_fields_of_each_kind() {
    for kind in Kind::ALL.map(Kind::name) {
        let mut fields = std::collections::BTreeSet::new();
        for (_, line) in LINES.iter().filter(|(name, _)| *name == kind) {
            let json: serde_json::Value = serde_json::from_str(&said(Format::Json, line)).unwrap();
            fields.extend(json.as_object().unwrap().keys().cloned());
        }
        for everywhere in ["timestamp", "level", "event", "message"] {
            assert!(fields.remove(everywhere), "{kind} has no {everywhere}");
        }
        let rows = section(kind).lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        assert_eq!(rows.map(str::to_owned).collect::<std::collections::BTreeSet<_>>(), fields, "{kind}");
    }
}
