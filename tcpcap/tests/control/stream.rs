//! The event stream.

use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    os::unix::net::UnixStream,
    time::{Duration, SystemTime},
};

use tcpcap::control::{
    Sample,
    stream::{Happened, Passing, Told},
};
use tcpcap_lab::wait::wait_until;

use super::daemon::{Daemon, obeys};

const SOON: Duration = Duration::from_secs(20);

fn listen(daemon: &Daemon, path: &str) -> BufReader<UnixStream> {
    let mut stream = UnixStream::connect(&daemon.path).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(format!("GET /api/v1/{path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).unwrap();
    }
    reader
}

/// The next event's name and data.
fn next(reader: &mut BufReader<UnixStream>) -> (String, Happened) {
    let mut name = String::new();
    loop {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).unwrap() > 0, "the stream ended");
        if let Some(text) = line.strip_prefix("event: ") {
            text.trim_end().clone_into(&mut name);
        }
        if let Some(text) = line.strip_prefix("data: ") {
            return (name, serde_json::from_str(text).unwrap());
        }
    }
}

fn pulse(at: u64) -> Happened {
    let what = Told::Passing(Passing::Pulse(Sample { at, ..Sample::default() }));
    Happened { time: SystemTime::UNIX_EPOCH, what }
}

fn connection() -> Happened {
    let (from, to) = (SocketAddr::from(([192, 0, 2, 1], 5973)), SocketAddr::from(([198, 51, 100, 1], 80)));
    Happened { time: SystemTime::UNIX_EPOCH, what: Told::Passing(Passing::Connection { from, to }) }
}

#[test]
fn events_come_as_they_happen_and_connections_only_to_who_asks_for_them() {
    let daemon = Daemon::that(obeys);
    let (mut plain, mut curious) = (listen(&daemon, "events"), listen(&daemon, "events?connections=true"));
    daemon.hub.tell(connection);
    daemon.hub.tell(|| pulse(7));
    assert_eq!(next(&mut plain), ("pulse".to_owned(), pulse(7)));
    assert_eq!(next(&mut curious), ("connection".to_owned(), connection()));
    assert_eq!(next(&mut curious), ("pulse".to_owned(), pulse(7)));
}

#[test]
fn a_listener_that_does_not_read_holds_up_nobody_and_what_it_missed_is_counted() {
    let daemon = Daemon::that(obeys);
    let mut stalled = listen(&daemon, "events?connections=true");
    // More than what waits in buffers on the way and in the hub's queue.
    (0..200_000).for_each(|_| daemon.hub.tell(connection));
    assert_eq!(daemon.send("GET", "/api/v1/status", "").0, 200);
    daemon.hub.tell(|| pulse(9));
    // Now it does read.
    let (mut missed, mut came) = (0, 0);
    loop {
        match next(&mut stalled).1.what {
            Told::Passing(Passing::Missed { events }) => missed += events,
            Told::Passing(Passing::Pulse(_)) => break,
            _ => came += 1,
        }
    }
    assert!(missed > 0);
    assert_eq!(missed + came, 200_000);
    let counted = format!("tcpcap_control_stream_events_missed_total {missed}\n");
    wait_until("what was missed to be counted", SOON, || daemon.metrics().contains(&counted)).unwrap();
}

#[test]
fn what_somebody_missed_who_never_reads_again_is_counted_when_he_goes() {
    let daemon = Daemon::that(obeys);
    let stalled = listen(&daemon, "events?connections=true");
    (0..200_000).for_each(|_| daemon.hub.tell(connection));
    let missed = || {
        let metrics = daemon.metrics();
        let line = metrics.lines().find_map(|line| line.strip_prefix("tcpcap_control_stream_events_missed_total "));
        line.unwrap().parse::<u64>().unwrap()
    };
    drop(stalled);
    wait_until("what was missed to be counted", SOON, || missed() > 0).unwrap();
    assert!(missed() <= 200_000, "{}", missed());
}

#[test]
fn only_so_many_listen_at_once() {
    let daemon = Daemon::that(obeys);
    let mut listeners: Vec<_> = (0..16).map(|_| listen(&daemon, "events")).collect();
    let (code, said) = daemon.send("GET", "/api/v1/events", "");
    assert_eq!((code, said["cause"].as_str()), (429, Some("16 listen already")));
    listeners.pop();
    assert_eq!(daemon.send("GET", "/api/v1/events?connections=maybe", "").0, 400);
    daemon.hub.tell(|| pulse(1));
    listeners.iter_mut().for_each(|listener| assert_eq!(next(listener).0, "pulse"));
}
