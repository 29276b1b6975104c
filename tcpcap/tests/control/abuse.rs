//! Many clients, slow clients, rude clients.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    sync::Barrier,
    thread,
    time::Duration,
};

use tcpcap::control::{Command, Reply, Request, api::Patience, client::Client, server::Limits};
use tcpcap_lab::wait::wait_until;
use tokio::sync::mpsc;

use super::daemon::{Daemon, Measure, answer, blocks, obeys, status, usual};

const SOON: Duration = Duration::from_secs(20);

#[test]
fn two_hundred_clients_at_once_are_all_answered() {
    const CLIENTS: usize = 200;
    let daemon = Daemon::that(obeys);
    let start = Barrier::new(CLIENTS);
    thread::scope(|scope| {
        for n in 0..CLIENTS {
            let (client, start) = (Client::new(&daemon.path), &start);
            scope.spawn(move || {
                start.wait();
                match n % 3 {
                    0 => assert_eq!(client.status().unwrap(), status()),
                    1 => assert_eq!(client.blocks().unwrap(), blocks()),
                    _ => assert_eq!(client.act(&Command::Reload).unwrap(), Command::Reload.done()),
                }
            });
        }
    });
    assert_eq!(daemon.asked().len(), CLIENTS);
}

/// Whoever keeps a connection open loses it, and until then takes no more places than there are.
fn impatient() -> Measure {
    let soon = Duration::from_millis(50);
    let limits = Limits { connections: 4, header: soon, connection: Duration::from_millis(500) };
    (limits, Patience { body: soon, ..Patience::CONTROL })
}

#[test]
fn clients_that_say_nothing_lose_their_place_to_others() {
    let daemon = Daemon::with(obeys, impatient(), 8);
    let mut idle: Vec<_> = (0..20).map(|_| UnixStream::connect(&daemon.path).unwrap()).collect();
    assert_eq!(daemon.send("GET", "/api/v1/status", "").0, 200);
    for stream in &mut idle {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
    }
    let all_counted = || daemon.metrics().contains("tcpcap_control_connections_lost_total{how=\"cut\"} 20\n");
    wait_until("all of them to be counted", SOON, all_counted).unwrap();
}

#[test]
fn a_header_without_end_is_cut() {
    let daemon = Daemon::with(obeys, impatient(), 8);
    let mut stream = UnixStream::connect(&daemon.path).unwrap();
    let endless = "x-y: z\r\n".repeat(100_000);
    let taken = stream.write_all(format!("GET /api/v1/status HTTP/1.1\r\n{endless}").as_bytes());
    taken.expect_err("the other end closes long before");
    assert_eq!(daemon.asked(), []);
    assert_eq!(daemon.send("GET", "/api/v1/status", "").0, 200);
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let daemon = Daemon::with(obeys, impatient(), 8);
    let mut stream = UnixStream::connect(&daemon.path).unwrap();
    stream.write_all(b"POST /api/v1/blocks HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{").unwrap();
    let (code, said) = answer(&mut stream);
    assert_eq!((code, said["cause"].as_str()), (408, Some("the body does not come")));
}

#[test]
fn a_body_in_chunks_without_end_is_refused() {
    let daemon = Daemon::that(obeys);
    let mut stream = UnixStream::connect(&daemon.path).unwrap();
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    let head = "POST /api/v1/blocks HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all((head.to_owned() + &chunk.repeat(3)).as_bytes()).unwrap();
    assert_eq!(answer(&mut stream).0, 413);
}

#[test]
fn what_is_no_http_disturbs_nobody() {
    let daemon = Daemon::that(obeys);
    for bytes in
        [&b"\x16\x03\x01\x00\xa5"[..], b"EHLO x\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\0\0\0\0\r\n\r\n"]
    {
        let mut stream = UnixStream::connect(&daemon.path).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).unwrap();
        assert!(!String::from_utf8_lossy(&said).contains(" 200 "), "{bytes:?}");
    }
    assert_eq!(daemon.asked(), []);
    assert_eq!(daemon.send("GET", "/api/v1/status", "").0, 200);
}

#[test]
fn who_goes_away_before_the_answer_disturbs_nobody() {
    let daemon = Daemon::that(obeys);
    for _ in 0..50 {
        let mut stream = UnixStream::connect(&daemon.path).unwrap();
        stream.write_all(b"GET /api/v1/blocks HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    }
    assert_eq!(daemon.send("GET", "/api/v1/status", "").0, 200);
}

/// Asks, and leaves the answer for later.
fn begin(daemon: &Daemon, path: &str) -> UnixStream {
    let mut stream = UnixStream::connect(&daemon.path).unwrap();
    stream.write_all(format!("GET /api/v1/{path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).unwrap();
    stream
}

#[test]
fn so_many_lists_are_made_at_once_and_no_more() {
    let (requests, mut taken) = mpsc::channel(16);
    let daemon = Daemon::before(requests, usual());
    let mut lists: Vec<_> = (0..6).map(|_| begin(&daemon, "blocks")).collect();
    let mut behind = begin(&daemon, "status");
    let mut next = || taken.blocking_recv().unwrap();
    let first = [next(), next(), next()];
    assert_eq!(
        [&first[0].command, &first[1].command, &first[2].command],
        [&Command::List, &Command::List, &Command::Status]
    );
    first.into_iter().for_each(|request| assert!(obeys(request).is_none()));
    assert_eq!(answer(&mut behind).0, 200);
    for _ in 2..6 {
        assert!(obeys(next()).is_none());
    }
    for list in &mut lists {
        assert_eq!(answer(list).0, 200);
    }
}

fn answers_at_length(request: Request) -> Option<Request> {
    let block = blocks().remove(1);
    drop(request.answer.send(Ok(Reply::Blocks(vec![block; MANY]))));
    None
}

/// As many as there is room for.
const MANY: usize = 131_072;

#[test]
fn a_list_of_all_there_is_room_for_arrives_whole() {
    let daemon = Daemon::that(answers_at_length);
    let listed = Client::new(&daemon.path).blocks().unwrap();
    assert_eq!((listed.len(), listed.last()), (MANY, blocks().get(1)));
}

#[test]
fn a_daemon_stops_though_somebody_holds_a_connection() {
    let daemon = Daemon::that(obeys);
    let mut held = UnixStream::connect(&daemon.path).unwrap();
    assert_eq!(daemon.send("GET", "/api/v1/status", "").0, 200);
    drop(daemon);
    let mut rest = Vec::new();
    held.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty());
}
