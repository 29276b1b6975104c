//! What other clients than ours may rely on.

use std::{process, time::Duration};

use serde_json::json;
use tcpcap::control::{Command, api::Patience, server::Limits};
use tokio::sync::mpsc;

use super::daemon::{Daemon, Measure, blocks, is_silent, obeys, refuses, status};

const BLOCKS: &str = "/api/v1/blocks";

#[test]
fn every_route_answers_in_json() {
    let daemon = Daemon::that(obeys);
    assert_eq!(daemon.send("GET", "/api/v1/status", ""), (200, serde_json::to_value(status()).unwrap()));
    assert_eq!(daemon.send("GET", BLOCKS, ""), (200, serde_json::to_value(blocks()).unwrap()));
    let network = "192.0.2.0/24".parse().unwrap();
    let forever = Command::Block { network, lasts: None, note: None };
    let lasts = Some(Duration::from_secs(60));
    let minute = Command::Block { network, lasts, note: Some("x".to_owned()) };
    let (observe, syn_only) = (Some(true), Some(true));
    for (method, path, body, command) in [
        ("POST", BLOCKS, r#"{"network":"192.0.2.0/24"}"#, forever.clone()),
        ("POST", BLOCKS, r#"{"network":"192.0.2.9/24","lasts":null,"note":null}"#, forever),
        ("POST", BLOCKS, r#"{"network":"192.0.2.0/24","lasts":60,"note":"x"}"#, minute.clone()),
        ("POST", BLOCKS, r#"{"network":"192.0.2.0/24","lasts":6e1,"note":"x"}"#, minute),
        ("DELETE", "/api/v1/blocks/192.0.2.0/24", "", Command::Unblock { network }),
        ("DELETE", "/api/v1/blocks/192.0.2.0%2F24", "", Command::Unblock { network }),
        ("DELETE", "/api/v1/blocks/2001:db8::1", "", Command::Unblock { network: "2001:db8::1/128".parse().unwrap() }),
        ("POST", "/api/v1/allowed", r#"{"network":"192.0.2.0/24"}"#, Command::Allow { network }),
        ("DELETE", "/api/v1/allowed/192.0.2.0/24", "", Command::Disallow { network }),
        ("POST", "/api/v1/mode", r#"{"observe":true}"#, Command::Mode { observe, syn_only: None }),
        ("POST", "/api/v1/mode", r#"{"syn_only":true}"#, Command::Mode { observe: None, syn_only }),
        ("POST", "/api/v1/reload", "", Command::Reload),
    ] {
        assert_eq!(daemon.send(method, path, body), (200, json!({ "done": command.done() })), "{method} {path}");
        assert_eq!(daemon.asked().last().unwrap().0, command, "{method} {path} {body}");
    }
    assert!(daemon.metrics().contains("tcpcap_control_requests_total{status=\"200\"} 14\n"), "{}", daemon.metrics());
}

#[test]
fn the_daemon_learns_who_asks_from_the_kernel() {
    let daemon = Daemon::that(obeys);
    daemon.send("POST", "/api/v1/reload", "");
    let uid = nix::unistd::geteuid();
    assert_eq!(daemon.asked()[0].1, format!("uid {uid}, pid {}", process::id()));
}

#[test]
fn what_cannot_be_understood_is_answered_with_what_could_be() {
    let daemon = Daemon::that(obeys);
    for (method, path, body, status, cause) in [
        ("POST", BLOCKS, "", 400, "EOF while parsing"),
        ("POST", BLOCKS, "{", 400, "EOF while parsing"),
        ("POST", BLOCKS, "\u{0}\u{1}", 400, "expected value"),
        ("POST", BLOCKS, "[]", 400, "invalid length 0"),
        ("POST", BLOCKS, r#"{"network":"example.org"}"#, 400, "`example.org` is neither an address nor a network"),
        ("POST", BLOCKS, r#"{"network":"192.0.2.1","last":5}"#, 400, "unknown field `last`"),
        ("POST", BLOCKS, r#"{"network":"192.0.2.1","lasts":-1}"#, 400, "invalid value"),
        ("POST", BLOCKS, r#"{"network":"192.0.2.1","lasts":1.5}"#, 400, "`1.5` is no number of seconds"),
        ("POST", BLOCKS, r#"{"network":"192.0.2.1","lasts":1e300}"#, 400, "is no number of seconds"),
        ("POST", BLOCKS, r#"{"network":"192.0.2.1","lasts":"60"}"#, 400, "invalid type"),
        ("POST", BLOCKS, r#"{"network":"192.0.2.1","lasts":0}"#, 400, "between 1 s and 3650 days"),
        ("POST", BLOCKS, r#"{"network":"192.0.2.1","lasts":18446744073709551615}"#, 400, "between 1 s and 3650 days"),
        ("POST", BLOCKS, r#"{"network":"192.0.2.1","note":"a\nb"}"#, 400, "more than one line"),
        ("POST", "/api/v1/mode", "{}", 400, "names nothing to change"),
        ("POST", "/api/v1/mode", r#"{"observe":"yes"}"#, 400, "invalid type"),
        ("DELETE", "/api/v1/blocks/nobody", "", 400, "`nobody` is neither"),
        ("DELETE", "/api/v1/allowed/192.0.2.0/99", "", 400, "`192.0.2.0/99` is neither"),
        ("GET", "/api/v2/status", "", 404, "there is nothing at /api/v2/status"),
        ("GET", "/", "", 404, "there is nothing at /"),
        ("DELETE", "/api/v1/status", "", 405, "/api/v1/status cannot be asked with DELETE"),
        ("GET", "/api/v1/reload", "", 405, "cannot be asked with GET"),
    ] {
        let (code, said) = daemon.send(method, path, body);
        assert_eq!(code, status, "{method} {path} {body}: {said}");
        assert!(said["cause"].as_str().unwrap().contains(cause), "{method} {path} {body}: {said}");
        assert!(!said["remedy"].as_str().unwrap().is_empty());
    }
    assert_eq!(daemon.asked(), []);
    assert!(daemon.metrics().contains("tcpcap_control_requests_total{status=\"404\"} 2\n"), "{}", daemon.metrics());
}

#[test]
fn a_body_that_is_too_long_is_refused() {
    let daemon = Daemon::that(obeys);
    let long = format!(r#"{{"network":"192.0.2.1","note":"{}"}}"#, "x".repeat(20_000));
    let (code, said) = daemon.send("POST", BLOCKS, &long);
    assert_eq!((code, said["cause"].as_str()), (413, Some("the body is longer than 8192 bytes")));
    assert_eq!(daemon.asked(), []);
}

#[test]
fn a_refusal_is_a_conflict_with_the_daemons_own_words() {
    let said = Daemon::that(refuses).send("POST", BLOCKS, r#"{"network":"192.0.2.7"}"#);
    let expected = json!({ "cause": "192.0.2.7 is the peer of an SSH session", "remedy": "block it from elsewhere" });
    assert_eq!(said, (409, expected));
}

fn hasty() -> Measure {
    (Limits::default(), Patience { answer: Duration::from_millis(50), ..Patience::CONTROL })
}

#[test]
fn a_silent_daemon_is_told_of_and_what_it_was_told_may_still_happen() {
    let daemon = Daemon::with(is_silent, hasty(), 8);
    let (code, said) = daemon.send("POST", "/api/v1/reload", "");
    assert_eq!(code, 504);
    assert!(said["cause"].as_str().unwrap().contains("did not answer within 0.05 s; it may still"), "{said}");
    let said = daemon.verb(&["list"]);
    assert!(said.err.contains("error: tcpcap did not answer") && said.code == 1, "{said:?}");
}

#[test]
fn a_daemon_that_takes_no_commands_is_busy_and_nothing_was_done() {
    let (requests, mut taken) = mpsc::channel(1);
    let daemon = Daemon::before(requests, hasty());
    assert_eq!(daemon.send("POST", "/api/v1/reload", "").0, 504, "it waits in the channel");
    let (code, said) = daemon.send("POST", "/api/v1/reload", "");
    assert_eq!((code, said["cause"].as_str()), (503, Some("tcpcap is busy; nothing was done")));
    assert!(taken.try_recv().is_ok() && taken.try_recv().is_err());
    drop(taken);
    let (code, said) = daemon.send("POST", "/api/v1/reload", "");
    assert!(code == 503 && said["cause"].as_str().unwrap().contains("stops just now"), "{code} {said}");
}
