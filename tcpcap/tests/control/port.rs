//! The same API over the HTTP port, of which only what changes nothing is there.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::Value;
use tcpcap::{
    control::{
        Command, Reply, Request, Story,
        api::{Door, Patience},
        stream::Hub,
    },
    serving::Serving,
    surface::http::{self, Shown},
};
use tcpcap_lab::wait::wait_until;
use tokio::sync::mpsc;

use super::{
    daemon::{answer, blocks, code, parts, status},
    document::{calls, filled},
};

/// A port with a daemon behind it that only answers.
struct Port {
    address: SocketAddr,
    _serving: Serving,
}

fn answers(request: Request) {
    let reply = match request.command {
        Command::Status => Reply::Status(Box::new(status())),
        Command::List => Reply::Blocks(blocks()),
        Command::Sources => Reply::Sources(Vec::new()),
        Command::Timeline => Reply::Timeline(tcpcap::control::Timeline::default()),
        Command::Findings => Reply::Findings(Vec::new()),
        Command::Explain { address } => Reply::Story(Box::new(story(address))),
        other => panic!("{other:?} came over the port"),
    };
    // Who asked may have gone.
    drop(request.answer.send(Ok(reply)));
}

fn story(address: std::net::IpAddr) -> Story {
    let address = address.to_canonical();
    Story {
        address,
        source: address.into(),
        time: "2025-11-25T16:00:00Z".to_owned(),
        now: tcpcap::control::Now { state: "free".to_owned(), ..Default::default() },
        seen: None,
        next: tcpcap::control::Next::default(),
        past: Vec::new(),
        past_missing: None,
    }
}

impl Port {
    fn with(patience: Patience) -> Self {
        Self::that(answers, patience)
    }

    fn that(answers: fn(Request), patience: Patience) -> Self {
        let (requests, mut taken) = mpsc::channel(16);
        thread::spawn(move || {
            while let Some(request) = taken.blocking_recv() {
                answers(request);
            }
        });
        let shown = Shown::default();
        let door = Door::new(requests, Arc::new(Hub::default()), None, patience, shown.metrics.http.clone());
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        Self { address, _serving: http::serve(listener, shown, door, Vec::new()).unwrap() }
    }

    fn open() -> Self {
        Self::with(Patience::HTTP)
    }

    fn begin(&self, method: &str, path: &str, host: &str) -> impl Read + use<> {
        let mut stream = TcpStream::connect(self.address).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nhost: {host}\r\naccept: text/html\r\nconnection: close\r\n\r\n")
            .unwrap();
        stream
    }

    fn raw(&self, method: &str, path: &str) -> (String, String) {
        parts(&mut self.begin(method, path, "localhost"))
    }

    fn get(&self, path: &str) -> (u16, Value) {
        answer(&mut self.begin("GET", path, "localhost"))
    }
}

#[test]
fn nothing_can_be_changed_over_the_port() {
    let port = Port::open();
    let (_, document) = port.get("/api/v1/openapi.json");
    for (path, methods) in calls(&document) {
        assert_eq!(methods.iter().map(String::as_str).collect::<Vec<_>>(), ["GET"], "{path}");
        for method in ["POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"] {
            let (head, body) = port.raw(method, &filled(&path));
            assert_eq!(code(&head), 405, "{method} {path}: {body}");
            assert!(head.contains("\nallow: get,head"), "{head}");
            assert!(
                serde_json::from_str::<Value>(&body).unwrap()["remedy"].as_str().unwrap().contains("control socket")
            );
        }
    }
    for path in ["/api/v1/allowed", "/api/v1/mode", "/api/v1/reload", "/api/v1/blocks/192.0.2.7", "/api/v1/allowed/::1"]
    {
        for method in ["GET", "POST", "DELETE"] {
            assert_eq!(code(&port.raw(method, path).0), 404, "{method} {path}");
        }
    }
}

#[test]
fn errors_are_json_whatever_is_asked_for() {
    let port = Port::open();
    for (method, path, status) in [
        ("GET", "/nothing/here", 404),
        ("POST", "/nothing", 404),
        ("GET", "/api", 404),
        ("GET", "/api/v1", 404),
        ("GET", "/api/v1/explain/", 404),
        ("PUT", "/api/v1/status", 405),
        ("POST", "/metrics", 405),
        ("GET", "/api/v1/status?x=1", 400),
        ("GET", "/api/v1/explain/%ff", 400),
        ("GET", "/api/v1/history", 503),
    ] {
        let (head, body) = port.raw(method, path);
        assert_eq!(code(&head), status, "{method} {path}: {body}");
        assert!(head.contains("\ncontent-type: application/json"), "{method} {path}: {head}");
        let said: Value = serde_json::from_str(&body).unwrap();
        assert!(said["cause"].as_str() > Some("") && said["remedy"].as_str() > Some(""), "{method} {path}: {body}");
        assert_eq!(head.contains("\nretry-after: 1"), status == 503, "{method} {path}: {head}");
    }
}

#[test]
fn a_name_that_is_not_this_hosts_is_misdirected() {
    let port = Port::open();
    for path in ["/api/v1/status", "/api/v1/openapi.json", "/nothing"] {
        let (code, said) = answer(&mut port.begin("GET", path, "evil.example"));
        assert_eq!((code, said["cause"].as_str()), (421, Some("this host is not known as `evil.example`")), "{path}");
    }
    let (_, document) = port.get("/api/v1/openapi.json");
    let status = &document["paths"]["/api/v1/status"]["get"]["responses"]["421"]["$ref"];
    assert_eq!(status, "#/components/responses/Status421");
}

#[test]
fn head_is_get_without_the_body_and_options_names_the_methods() {
    let port = Port::open();
    for path in ["/api/v1/status", "/api/v1/openapi.json", "/api/v1/explain/192.0.2.7", "/metrics", "/healthz"] {
        let (got, body) = port.raw("GET", path);
        let (head, nothing) = port.raw("HEAD", path);
        assert_eq!((code(&head), nothing.as_str()), (code(&got), ""), "{path}");
        assert!(!body.is_empty() && head.contains("\ncontent-length: "), "{path}: {head}");
    }
    assert_eq!(code(&port.raw("HEAD", "/api/v1/events").0), 200, "and does not wait for what happens");
    let (head, body) = port.raw("OPTIONS", "/api/v1/status");
    assert_eq!((code(&head), body.as_str()), (204, ""));
    assert!(head.contains("\nallow: get,head") && !head.contains("access-control"), "{head}");
}

#[test]
fn an_unknown_parameter_is_named() {
    let port = Port::open();
    for (path, cause, remedy) in [
        ("status?verbose=1", "`verbose` is no parameter of this call", "this call has no parameters"),
        ("status?verbose", "`verbose` is no parameter of this call", "this call has no parameters"),
        ("blocks?%3Cb%3E=1", "`<b>` is no parameter", "no parameters"),
        ("history?sine=2025-11-24T16:00:00Z", "`sine` is no parameter", "since, until, about, limit"),
        ("explain/192.0.2.7?limit=1", "`limit` is no parameter", "no parameters"),
        ("events?connection=true", "`connection` is no parameter", "connections"),
        ("history?limit=1&limit=2", "duplicate field `limit`", "/api/v1/history?"),
        ("history?limit=0", "`limit` is not between 1 and 1000", "/api/v1/history?"),
        ("history?limit=many", "limit: invalid digit", "/api/v1/history?"),
        ("history?since=yesterday", "`yesterday` is no time such as 2025-11-24T16:00:00Z", "/api/v1/history?"),
        ("history?about=nobody", "`nobody` is neither an address nor a network", "/api/v1/history?"),
        ("events?connections=2", "connections: provided string was not `true` or `false`", "/api/v1/events?"),
    ] {
        let (code, said) = port.get(&format!("/api/v1/{path}"));
        assert_eq!(code, 400, "{path}: {said}");
        assert!(said["cause"].as_str().unwrap().contains(cause), "{path}: {said}");
        assert!(said["remedy"].as_str().unwrap().contains(remedy), "{path}: {said}");
    }
    assert_eq!(port.get("/api/v1/status?").0, 200);
}

#[test]
fn addresses_are_understood_however_they_are_written() {
    let port = Port::open();
    for (written, address) in [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("%3A%3Affff%3Ac000%3A0207", "192.0.2.7"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("2001%3adb8%3a%3a1", "2001:db8::1"),
    ] {
        let (code, story) = port.get(&format!("/api/v1/explain/{written}"));
        assert_eq!((code, story["address"].as_str()), (200, Some(address)), "{written}: {story}");
    }
    for (written, cause) in [
        ("fe80::1%25eth0", "`fe80::1%eth0` names an interface behind the address"),
        ("2001:db8::/64", "`2001:db8::/64` is a network, and stories are about one address"),
        ("192.0.2.0%2F24", "`192.0.2.0/24` is a network"),
        ("192.0.2.07", "`192.0.2.07` is no address"),
        ("[::1]", "`[::1]` is no address"),
        ("example.org", "`example.org` is no address"),
        ("%0a", "`\\n` is no address"),
        ("%ff", "Invalid UTF-8"),
    ] {
        let (code, said) = port.get(&format!("/api/v1/explain/{written}"));
        assert_eq!(code, 400, "{written}: {said}");
        assert!(said["cause"].as_str().unwrap().contains(cause), "{written}: {said}");
    }
}

#[test]
fn stories_and_histories_are_told_so_often_and_no_more() {
    let port = Port::with(Patience { stories: 2, histories: 1, ..Patience::HTTP });
    let codes = |path: &str, most: usize| -> Vec<(u16, String)> {
        let ask = |_| parts(&mut port.begin("GET", path, "localhost"));
        (0..most).map(ask).map(|(head, body)| (code(&head), head + &body)).collect()
    };
    for (path, good, said) in [
        ("/api/v1/explain/192.0.2.7", 200, "there are more than 2 stories of addresses a second"),
        ("/api/v1/history", 503, "there are more than 1 questions to the history a second"),
    ] {
        let codes = codes(path, 20);
        let refused: Vec<_> = codes.iter().filter(|(code, _)| *code == 429).collect();
        assert!(codes.iter().all(|(code, _)| [good, 429].contains(code)), "{codes:?}");
        assert!(codes[0].0 == good && !refused.is_empty(), "{codes:?}");
        assert!(refused[0].1.contains(said) && refused[0].1.contains("\nretry-after: 1"), "{}", refused[0].1);
    }
}

/// Answers with more than what fits into the buffers on the way to a reader, and numbers its answers.
fn answers_at_length(request: Request) {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut list = vec![blocks().remove(0); 40_000];
    list[0].age_s = COUNT.fetch_add(1, Ordering::Relaxed);
    drop(request.answer.send(Ok(Reply::Blocks(list))));
}

#[test]
fn slow_readers_hold_no_more_answers_than_there_is_room_for_and_others_share_them() {
    // Room for two, each of some 6 MB; and what somebody got is too old for the next.
    let patience = Patience { fresh: Duration::from_nanos(1), one_in: 0, room: 15 << 20, ..Patience::HTTP };
    let port = Port::that(answers_at_length, patience);
    let read_a_little = |_| {
        let mut reader = port.begin("GET", "/api/v1/blocks", "localhost");
        let mut first = [0; 800];
        reader.read_exact(&mut first).unwrap();
        let text = String::from_utf8(first.to_vec()).unwrap();
        assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}");
        let number = text.split_once("\"age_s\":").unwrap().1.split(',').next().unwrap().to_owned();
        (number, reader)
    };
    let slow: Vec<_> = (0..8).map(read_a_little).collect();
    let numbers: Vec<_> = slow.iter().map(|(number, _)| number.as_str()).collect();
    assert_eq!(numbers, ["0", "1", "1", "1", "1", "1", "1", "1"]);
    drop(slow);
    let is_new = || !["0", "1"].contains(&&*read_a_little(0).0);
    wait_until("room for a new answer", Duration::from_secs(20), is_new).unwrap();
}
