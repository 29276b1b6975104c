//! The verbs, run as people run them.

use std::{os::unix::net::UnixListener, time::Duration};

use tcpcap::control::{BlockShown, Command, Status};

use super::daemon::{Daemon, blocks, obeys, refuses, status, stops, verb};

#[test]
fn status_reads_as_text_and_as_one_json_object() {
    let daemon = Daemon::that(obeys);
    let said = daemon.verb(&["status"]);
    assert!(said.out.starts_with("tcpcap 0.1.0, pid 4242, up 1 min 15 s\n"), "{said:?}");
    assert!(said.out.contains("allowed      10.0.0.0/8\n"), "{said:?}");
    assert_eq!((&*said.err, said.code), ("", 0));
    let said = daemon.verb(&["status", "-o", "json"]);
    assert_eq!(serde_json::from_str::<Status>(&said.out).unwrap(), status());
    assert_eq!((said.out.lines().count(), &*said.err, said.code), (1, "", 0));
}

#[test]
fn list_reads_as_text_and_as_one_json_array_newest_first() {
    let daemon = Daemon::that(obeys);
    let said = daemon.verb(&["list"]);
    let expected = "\
SOURCE         LEFT        AGE    TIMES  PACKETS  WHY
2001:db8::/64  for ever    20 s       1    1,234  port-scan
192.0.2.1      9 min 20 s  5 min      1    1,234  port-scan
2 blocks
";
    assert_eq!((&*said.out, &*said.err, said.code), (expected, "", 0));
    let said = daemon.verb(&["list", "-o", "json"]);
    let mut newest_first = blocks();
    newest_first.reverse();
    assert_eq!(serde_json::from_str::<Vec<BlockShown>>(&said.out).unwrap(), newest_first);
    assert!(said.out.starts_with(r#"[{"network":"2001:db8::/64","origin":"automatic","why":"port-scan","#), "{said:?}");
}

#[test]
fn what_is_typed_is_what_the_daemon_is_asked_and_its_sentence_is_printed() {
    let daemon = Daemon::that(obeys);
    let network = |text: &str| text.parse().unwrap();
    let block = |text, lasts, note: Option<&str>| Command::Block {
        network: network(text),
        lasts,
        note: note.map(str::to_owned),
    };
    let hour = Some(Duration::from_secs(3600));
    let cases: &[(&[&str], Command, &str)] = &[
        (&["block", "192.0.2.7"], block("192.0.2.7/32", None, None), "Blocked 192.0.2.7 for ever"),
        (
            &["block", "192.0.2.7/24", "--for", "1h", "--reason", "too \"curious\" ü"],
            block("192.0.2.0/24", hour, Some("too \"curious\" ü")),
            "Blocked 192.0.2.0/24 for 1 h",
        ),
        (&["unblock", "192.0.2.7/24"], Command::Unblock { network: network("192.0.2.0/24") }, "Unblocked 192.0.2.0/24"),
        (
            &["unblock", "2001:db8::1"],
            Command::Unblock { network: network("2001:db8::1/128") },
            "Unblocked 2001:db8::1",
        ),
        (
            &["allow", "10.1.2.3/8"],
            Command::Allow { network: network("10.0.0.0/8") },
            "Allowed 10.0.0.0/8: it is never blocked",
        ),
        (
            &["disallow", "10.0.0.0/8"],
            Command::Disallow { network: network("10.0.0.0/8") },
            "No longer allowed: 10.0.0.0/8",
        ),
        (
            &["mode", "--observe"],
            Command::Mode { observe: Some(true), syn_only: None },
            "Observing: nothing is dropped",
        ),
        (
            &["mode", "--enforce", "--scope", "syn"],
            Command::Mode { observe: Some(false), syn_only: Some(true) },
            "Enforcing: blocked sources are dropped. Scope syn: only new connections of blocked sources are dropped",
        ),
        (
            &["mode", "--scope", "all"],
            Command::Mode { observe: None, syn_only: Some(false) },
            "Scope all: each block says what is dropped",
        ),
        (&["reload"], Command::Reload, "Configuration and feeds were read anew"),
    ];
    for (args, command, sentence) in cases {
        let said = daemon.verb(args);
        assert_eq!((&*said.out, &*said.err, said.code), (&*format!("{sentence}\n"), "", 0), "{args:?}");
        assert_eq!(daemon.asked().last().unwrap().0, *command, "{args:?}");
    }
}

#[test]
fn a_refusal_is_cause_and_remedy_on_standard_error_and_exit_code_1() {
    let daemon = Daemon::that(refuses);
    for args in [
        &["block", "192.0.2.7"][..],
        &["unblock", "192.0.2.7"],
        &["allow", "192.0.2.7"],
        &["disallow", "192.0.2.7"],
        &["mode", "--observe"],
        &["reload"],
        &["status"],
        &["list"],
    ] {
        let said = daemon.verb(args);
        let expected = "error: 192.0.2.7 is the peer of an SSH session\n help: block it from elsewhere\n";
        assert_eq!((&*said.out, &*said.err, said.code), ("", expected, 1), "{args:?}");
    }
}

#[test]
fn a_daemon_that_stops_meanwhile_is_told_of() {
    let said = Daemon::that(stops).verb(&["block", "192.0.2.7"]);
    assert!(said.err.contains("error: tcpcap stops just now") && said.code == 1, "{said:?}");
}

#[test]
fn without_a_daemon_the_path_and_how_to_start_one_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let expected = format!(
        "error: tcpcap is not running (nobody listens on {})\n help: start it with `tcpcap run` or `systemctl start \
         tcpcap`; if it runs, name its socket with --socket\n",
        path.display()
    );
    // What is in the kernel is shown as well, to who may see it.
    let said = verb(&path, &["status"]);
    assert!(said.err.starts_with("error: tcpcap is not running") && said.code == 1, "{said:?}");
    let said = verb(&path, &["sources"]);
    assert_eq!((&*said.out, &*said.err, said.code), ("", &*expected, 1));
    // Killed, it leaves its socket.
    drop(UnixListener::bind(&path).unwrap());
    let said = verb(&path, &["block", "192.0.2.7"]);
    assert_eq!((&*said.out, &*said.err, said.code), ("", &*expected, 1));
}

#[test]
fn what_makes_no_sense_is_a_usage_error_and_never_reaches_the_daemon() {
    let daemon = Daemon::that(obeys);
    for args in [
        &["block"][..],
        &["block", "example.org"],
        &["block", "192.0.2.7", "--for", "0s"],
        &["block", "192.0.2.7", "--for", "20y"],
        &["block", "192.0.2.7", "--for", "soon"],
        &["block", "192.0.2.7", "--reason", "two\nlines"],
        &["block", "192.0.2.7", "--reason", &"x".repeat(201)],
        &["unblock", "192.0.2.0/33"],
        &["allow"],
        &["mode"],
        &["mode", "--observe", "--enforce"],
        &["mode", "--scope", "most"],
        &["list", "-o", "xml"],
        &["reload", "now"],
    ] {
        let said = daemon.verb(args);
        assert_eq!((&*said.out, said.code), ("", 2), "{args:?}: {said:?}");
    }
    assert_eq!(daemon.asked(), []);
}

#[test]
fn the_socket_is_gone_once_the_daemon_has_stopped() {
    let daemon = Daemon::that(obeys);
    let path = daemon.path.clone();
    assert!(path.exists());
    drop(daemon);
    assert!(!path.exists());
}
