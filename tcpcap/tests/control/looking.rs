//! The verbs that look, as people run them: with a daemon, and with none.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    process::{Child, ChildStdout, Command as Process, Stdio},
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::Value;
use tcpcap::{
    control::{
        Sample, SourceShown, Story,
        stream::{Happened, Passing, Told},
    },
    history::{Command, Entry, History, HostClock, Limits, Who, history_in},
    host,
};
use tcpcap_lab::wait::wait_until;

use super::daemon::{Daemon, Said, obeys, refuses, sources, story, verb};

const SOON: Duration = Duration::from_secs(20);

/// Runs a verb with something in its environment.
fn with(daemon: &Daemon, args: &[&str], vars: &[(&str, &str)]) -> String {
    let mut tcpcap = Process::new(env!("CARGO_BIN_EXE_tcpcap"));
    let output = tcpcap.args(args).arg("--socket").arg(&daemon.path).envs(vars.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn sources_and_explain_read_as_text_and_as_json() {
    let daemon = Daemon::that(obeys);
    let said = daemon.verb(&["sources"]);
    assert!(said.out.starts_with("SOURCE         STATE    PER S  ATTEMPTS"), "{said:?}");
    assert!(said.out.ends_with("\n2 sources\n") && said.code == 0, "{said:?}");
    let said = daemon.verb(&["sources", "-o", "json"]);
    assert_eq!(serde_json::from_str::<Vec<SourceShown>>(&said.out).unwrap(), sources());
    let said = daemon.verb(&["sources", "-o", "json", "--limit", "1"]);
    assert_eq!(serde_json::from_str::<Vec<SourceShown>>(&said.out).unwrap(), sources()[..1]);

    let said = daemon.verb(&["explain", "192.0.2.99"]);
    assert!(said.out.starts_with("192.0.2.99 is not blocked\n\nNow\n  All its packets pass"), "{said:?}");
    assert_eq!((&*said.err, said.code), ("", 0));
    let said = daemon.verb(&["explain", "2001:db8::7", "-o", "json"]);
    let address = "2001:db8::7".parse().unwrap();
    let expected = Story { past_missing: Some("there is no history".to_owned()), ..story(address) };
    assert_eq!(serde_json::from_str::<Story>(&said.out).unwrap(), expected);
    for bad in [&["explain"][..], &["explain", "192.0.2.0/24"], &["sources", "--limit", "0"]] {
        assert_eq!(daemon.verb(bad).code, 2, "{bad:?}");
    }
    assert_eq!(Daemon::that(refuses).verb(&["explain", "192.0.2.99"]).code, 1);
}

#[test]
fn width_and_colour_are_what_the_environment_says() {
    let daemon = Daemon::that(obeys);
    assert!(with(&daemon, &["sources"], &[("COLUMNS", "40")]).lines().all(|line| line.chars().count() <= 40));
    assert!(with(&daemon, &["explain", "192.0.2.99"], &[("COLUMNS", "40")]).lines().all(|line| line.len() <= 40));
    assert!(!with(&daemon, &["list"], &[]).contains('\u{1b}'), "there is no terminal");
    assert!(with(&daemon, &["list"], &[("CLICOLOR_FORCE", "1")]).starts_with("\u{1b}[1mSOURCE"));
    assert!(!with(&daemon, &["list"], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]).contains('\u{1b}'));
}

/// `tcpcap events --follow` while it runs.
struct Follower {
    process: Child,
    out: BufReader<ChildStdout>,
}

impl Follower {
    /// Listens to new connections as well, so that the daemon can tell when it does.
    fn of(daemon: &Daemon, args: &[&str]) -> Self {
        let mut process = Process::new(env!("CARGO_BIN_EXE_tcpcap"))
            .args(["events", "--follow", "--connections"])
            .args(args)
            .arg("--socket")
            .arg(&daemon.path)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(process.stdout.take().unwrap());
        wait_until("somebody to listen", SOON, || daemon.hub.wants_connections()).unwrap();
        Self { process, out }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line
    }

    /// Exit code, and what was said on standard error.
    fn end(mut self) -> (i32, String) {
        drop(self.out);
        let mut said = String::new();
        self.process.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.process.wait().unwrap().code().unwrap(), said)
    }
}

fn tell(daemon: &Daemon, passing: Passing) {
    daemon.hub.tell(|| Happened { time: SystemTime::UNIX_EPOCH, what: Told::Passing(passing) });
}

fn connection() -> Passing {
    let (from, to) = (SocketAddr::from(([192, 0, 2, 1], 7)), SocketAddr::from(([198, 51, 100, 1], 22)));
    Passing::Connection { from, to }
}

#[test]
fn events_are_followed_as_text_and_as_json_until_the_daemon_stops() {
    for args in [&[][..], &["-o", "json"]] {
        let daemon = Daemon::that(obeys);
        let mut follower = Follower::of(&daemon, args);
        tell(&daemon, Passing::Pulse(Sample::default()));
        tell(&daemon, connection());
        if args.is_empty() {
            assert_eq!(follower.line(), "TIME (UTC)      WHO              WHAT\n");
            assert_eq!(follower.line(), "01-01 00:00:00  192.0.2.1:7      -> 198.51.100.1:22\n");
        } else {
            let line: Value = serde_json::from_str(&follower.line()).unwrap();
            assert_eq!((&line["type"], &line["from"]), (&"connection".into(), &"192.0.2.1:7".into()));
        }
        let path = daemon.path.clone();
        drop(daemon);
        let (code, said) = follower.end();
        let expected = format!(
            "error: what listens on {} has stopped: nothing more is told\n help: start tcpcap and listen anew; `tcpcap \
             history` has what happened meanwhile\n",
            path.display()
        );
        assert_eq!((&*said, code), (&*expected, 1));
    }
}

#[test]
fn ctrl_c_and_a_reader_that_has_gone_end_it_well() {
    let daemon = Daemon::that(obeys);
    let follower = Follower::of(&daemon, &[]);
    let pid = follower.process.id().to_string();
    assert!(Process::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(follower.end(), (0, String::new()));
    wait_until("it to be gone", SOON, || !daemon.hub.wants_connections()).unwrap();

    let Follower { mut process, out } = Follower::of(&daemon, &[]);
    drop(out);
    // A pulse alone shows that nobody reads any more.
    wait_until("its end", SOON, || {
        tell(&daemon, Passing::Pulse(Sample::default()));
        process.try_wait().unwrap().is_some()
    })
    .unwrap();
    assert_eq!(process.wait().unwrap().code(), Some(0));
}

/// A verb where no daemon is, but perhaps a history.
fn alone(directory: &tempfile::TempDir, args: &[&str]) -> Said {
    verb(&directory.path().join("no.sock"), args)
}

#[test]
fn without_a_daemon_the_history_is_read_from_its_file_and_that_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().to_str().unwrap();
    let (history, _) = History::open(&history_in(directory.path()), Limits::default(), Arc::new(HostClock)).unwrap();
    for (argument, result) in
        [("203.0.113.1/32", "Blocked 203.0.113.1 for 1 h"), ("192.0.2.9/32", "Unblocked 192.0.2.9")]
    {
        history.record(Entry::Command(Command {
            at: host::now(),
            who: Who::Process { uid: 0, pid: 4711 },
            verb: result.split(' ').next().unwrap().trim_end_matches("ed").to_lowercase().into(),
            argument: argument.into(),
            about: Some(argument.parse().unwrap()),
            result: result.into(),
        }));
    }
    drop(history);
    let said = alone(&directory, &["history", "--state", state]);
    let socket = directory.path().join("no.sock");
    let warning = format!(
        "warning: tcpcap is not running (nobody listens on {}): this is from {state}/history.db; start it with `tcpcap run` \
         or `systemctl start tcpcap`\n",
        socket.display()
    );
    assert_eq!((&*said.err, said.code), (&*warning, 0));
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines.len(), 3, "{said:?}");
    assert!(lines[1].ends_with("  203.0.113.1      Blocked 203.0.113.1 for 1 h (block by uid 0, p…"), "{said:?}");
    let rows = |args: &[&str]| {
        alone(&directory, &[&["history", "-o", "json", "--state", state], args].concat()).out.lines().count()
    };
    assert_eq!(rows(&[]), 2);
    assert_eq!(rows(&["203.0.113.0/24"]), 1);
    assert_eq!(rows(&["--type", "finding"]), 0);
    assert_eq!(rows(&["--type", "finding", "--type", "command"]), 2);
    assert_eq!(rows(&["--since", "1h", "--limit", "1"]), 1);
    assert_eq!(rows(&["--until", "1h"]), 0);
    let said = alone(&directory, &["history", "--state", state, "--type", "block"]);
    assert_eq!(said.out, "nothing such happened, as far back as the history goes\n");
    assert_eq!(alone(&directory, &["events", "--state", state]).out.lines().count(), 3);
    for bad in [&["history", "--since", "soon"][..], &["history", "--limit", "0"], &["events", "--connections"]] {
        assert_eq!(alone(&directory, bad).code, 2, "{bad:?}");
    }
}

#[test]
fn where_there_is_neither_daemon_nor_history_the_failure_names_both_ways_out() {
    let directory = tempfile::tempdir().unwrap();
    let said = alone(&directory, &["history", "--state", directory.path().to_str().unwrap()]);
    assert_eq!(said.code, 1);
    assert!(said.err.starts_with("error: tcpcap is not running, and there is no history "), "{said:?}");
    assert!(said.err.contains("start it with `tcpcap run`") && said.err.contains("--state"), "{said:?}");
    let said = alone(&directory, &["events", "--follow"]);
    assert!(said.err.starts_with("error: tcpcap is not running (nobody listens") && said.code == 1, "{said:?}");
}
