//! What is found again.

use std::time::Duration;

use ipnet::IpNet;

use super::support::{World, write};
use crate::history::{Clock, Command, Entry, Question, Reader, What, Who};

fn about(network: &str) -> Question {
    let network = network.parse::<IpNet>().unwrap();
    Question { about: Some(network), ..Question::default() }
}

#[test]
fn a_finding_comes_back_with_its_evidence_and_its_decision() {
    let world = World::new();
    let (history, _) = world.open();
    write(&history, [Entry::Verdict(world.verdict("192.0.2.1/32"))]);
    let rows = world.ask(&Question::default());
    assert_eq!(
        serde_json::to_string(&rows[0]).unwrap(),
        concat!(
            r#"{"id":1,"time":"2025-11-24T16:00:00.000Z","type":"finding","source":"192.0.2.1","rule":"port-scan","#,
            r#""window":"fast","count":19,"threshold":18,"window_s":60,"targets":["198.51.100.7"],"ports":[22,80],"#,
            r#""truncated":true,"attempts_before":13,"completions":2,"verified":true,"standing":"verified","#,
            r#""fingerprint":"nmap","fingerprint_percent":97,"decision":"block","times":1,"ttl_s":600,"scope":"all","#,
            r#""why":"for 10 min"}"#
        )
    );
}

#[test]
fn a_block_and_a_command_come_back_as_rows() {
    let world = World::new();
    let (history, _) = world.open();
    let block = world.block("192.0.2.1/32", 600);
    let command = Command {
        at: world.now(),
        who: Who::Process { uid: 1000, pid: 42 },
        verb: "unblock".into(),
        argument: "192.0.2.1".into(),
        about: Some(block.network),
        result: "done".into(),
    };
    write(&history, [world.ended(&block), Entry::Command(command)]);
    let lines: Vec<_> = world.ask(&Question::default()).iter().map(|r| serde_json::to_string(r).unwrap()).collect();
    assert_eq!(
        lines,
        [
            concat!(
                r#"{"id":2,"time":"2025-11-24T16:00:00.000Z","type":"command","who":"uid 1000, pid 42","verb":"unblock","#,
                r#""argument":"192.0.2.1","result":"done"}"#
            ),
            concat!(
                r#"{"id":1,"time":"2025-11-24T16:00:00.000Z","type":"block","network":"192.0.2.1","event":"ended","#,
                r#""origin":"automatic","why":"port-scan","scope":"all","until":"2025-11-24T16:10:00.000Z","times":1,"#,
                r#""unverified":true,"packets":7,"bytes":420}"#
            ),
        ]
    );
}

#[test]
fn an_address_finds_itself_what_holds_it_and_a_network_what_it_holds() {
    let world = World::new();
    let (history, _) = world.open();
    for network in ["192.0.2.1/32", "192.0.2.2/32", "192.0.2.0/24", "0.0.0.0/0", "198.51.100.0/24"] {
        write(&history, [world.begun(&world.block(network, 60))]);
    }
    write(
        &history,
        [Entry::Verdict(world.verdict("2001:db8:1:2::/64")), Entry::Verdict(world.verdict("192.0.2.1/32"))],
    );
    for (asked, found) in [
        ("192.0.2.1/32", &[7, 4, 3, 1][..]),
        ("192.0.2.77/32", &[4, 3]),
        ("192.0.2.0/30", &[7, 4, 3, 2, 1]),
        ("203.0.113.9/32", &[4]),
        ("2001:db8:1:2::99/128", &[6]),
        ("2001:db8::/32", &[6]),
        ("2001:db8:1:3::/64", &[]),
    ] {
        let ids: Vec<i64> = world.ask(&about(asked)).iter().map(|r| r.id).collect();
        assert_eq!(ids, found, "{asked}");
    }
}

#[test]
fn a_time_range_and_a_limit_narrow_what_comes_the_newest_first() {
    let world = World::new();
    let (history, _) = world.open();
    let start = world.clock.wall();
    for n in 0..10 {
        write(&history, [Entry::Verdict(world.verdict(&format!("192.0.2.{n}/32")))]);
        world.pass(60);
    }
    let at = |minutes: u64| Some(start + Duration::from_secs(60 * minutes));
    let ids = |question| world.ask(&question).iter().map(|r| r.id).collect::<Vec<_>>();
    assert_eq!(ids(Question { since: at(7), ..Question::default() }), [10, 9, 8]);
    assert_eq!(ids(Question { since: at(7), until: at(9), ..Question::default() }), [9, 8]);
    assert_eq!(ids(Question { limit: 2, ..Question::default() }), [10, 9]);
    assert_eq!(ids(Question { since: at(5), ..about("192.0.2.8/32") }), [9]);
}

#[test]
fn it_can_be_asked_while_it_is_written_and_when_nobody_writes() {
    let world = World::new();
    let (history, _) = world.open();
    let reader = Reader::open(&world.path()).unwrap();
    write(&history, [Entry::Verdict(world.verdict("192.0.2.1/32"))]);
    assert_eq!(reader.ask(&Question::default()).unwrap().len(), 1);
    drop(reader);
    drop(history);
    assert!(matches!(world.ask(&Question::default())[0].what, What::Finding(_)));
    assert!(Reader::open(&world.path().with_extension("none")).unwrap_err().cause.contains("there is no history"));
}
