//! Stories, and the words that they are told in.

mod told;

use std::time::Duration;

use super::*;
use crate::{
    control::{Next, Now},
    history::{BlockRow, CommandRow, FoundRow, Row, What},
};

const TOLD_AT: &str = "2025-11-24T16:00:40.000Z";

fn story(address: &str, state: &str) -> Story {
    let address: IpAddr = address.parse().unwrap();
    Story {
        address,
        source: address.into(),
        time: TOLD_AT.to_owned(),
        now: Now { state: state.to_owned(), protected: None, blocks: Vec::new() },
        seen: None,
        next: Next { repeat_s: 600, ..Next::default() },
        past: Vec::new(),
        past_missing: None,
    }
}

fn block(network: &str, origin: &str, why: &str, left_s: Option<u64>) -> BlockShown {
    BlockShown {
        network: network.parse().unwrap(),
        origin: origin.to_owned(),
        why: why.to_owned(),
        scope: "all".to_owned(),
        age_s: 40,
        left_s,
        times: 0,
        packets: 1234,
        bytes: 74_040,
    }
}

fn seen(source: &str) -> SourceShown {
    SourceShown {
        source: source.parse().unwrap(),
        attempts: 340,
        refusals: 300,
        first_seen_s: Some(42),
        last_seen_s: 1,
        ports: 15,
        hosts: 1,
        some_ports: (22..37).collect(),
        some_hosts: vec!["198.51.100.7".parse().unwrap()],
        standing: Some("unverified".to_owned()),
        fingerprint: Some("nmap".to_owned()),
        per_second: 12.34,
        ..SourceShown::default()
    }
}

/// So many seconds before the story is told.
fn row(ago: u64, what: What) -> Row {
    let time = humantime::parse_rfc3339(TOLD_AT).unwrap() - Duration::from_secs(ago);
    Row { id: 1, time, what }
}

fn found(source: &str, decision: &str, why: &str) -> FoundRow {
    FoundRow {
        source: Some(source.to_owned()),
        in_name_of: None,
        rule: "port-scan".to_owned(),
        window: "burst".to_owned(),
        count: 15,
        threshold: 15,
        window_s: 10,
        targets: vec!["198.51.100.7".parse().unwrap()],
        ports: (22..37).collect(),
        truncated: false,
        flags: Vec::new(),
        attempts_before: 14,
        completions: 0,
        verified: false,
        standing: "unverified".to_owned(),
        fingerprint: Some("nmap".to_owned()),
        fingerprint_percent: Some(100),
        decision: decision.to_owned(),
        times: 1,
        ttl_s: Some(600),
        scope: Some("all".to_owned()),
        why: why.to_owned(),
    }
}

fn step(network: &str, event: &str, origin: &str, why: &str) -> BlockRow {
    BlockRow {
        network: network.to_owned(),
        event: event.to_owned(),
        origin: origin.to_owned(),
        why: why.to_owned(),
        scope: "all".to_owned(),
        until: Some("2025-11-24T16:10:00.000Z".to_owned()),
        times: 1,
        unverified: true,
        packets: (event == "ended" || event == "lifted").then_some(17),
        bytes: None,
        by: (event == "lifted").then(|| "an operator".to_owned()),
    }
}

fn command(verb: &str, argument: &str, result: &str) -> What {
    What::Command(CommandRow {
        who: "uid 0, pid 4711".to_owned(),
        verb: verb.to_owned(),
        argument: argument.to_owned(),
        result: result.to_owned(),
    })
}

fn blocked_by_rule() -> Story {
    let mut story = story("203.0.113.1", "blocked");
    story.now.blocks = vec![BlockShown { times: 1, ..block("203.0.113.1/32", "automatic", "port-scan", Some(560)) }];
    story.seen = Some(seen("203.0.113.1/32"));
    story.next = Next { times: 1, ends_s: Some(560), repeat_s: 1200, forgotten_s: Some(86_960) };
    story.past = vec![
        row(40, What::Block(step("203.0.113.1", "begun", "automatic", "port-scan"))),
        row(40, What::Finding(found("203.0.113.1", "block", "for 10 min"))),
    ];
    story
}

fn told(story: &Story, width: usize) -> String {
    let lines = lines(story, width);
    assert!(lines.iter().all(|line| line.chars().count() <= width.max(40)), "{lines:#?}");
    lines.join("\n")
}
