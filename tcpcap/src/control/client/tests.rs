use std::{
    io::{Read, Write},
    os::unix::net::UnixListener,
    thread,
};

use super::*;

fn failure(kind: ErrorKind) -> Failure {
    unreachable(Path::new("/run/x.sock"), &kind.into())
}

#[test]
fn who_may_not_use_the_socket_is_told_of_the_group() {
    let f = failure(ErrorKind::PermissionDenied);
    assert!(f.cause.contains("root and the group tcpcap") && f.remedy.contains("usermod -aG tcpcap"), "{f}");
    assert_eq!(f.exit_code, 1);
}

#[test]
fn a_missing_and_a_stale_socket_both_mean_that_tcpcap_is_not_running() {
    for kind in [ErrorKind::NotFound, ErrorKind::ConnectionRefused] {
        let f = failure(kind);
        assert_eq!(f.cause, "tcpcap is not running (nobody listens on /run/x.sock)");
        assert!(f.remedy.contains("`tcpcap run`") && f.remedy.contains("systemctl start tcpcap"), "{f}");
    }
    assert!(failure(ErrorKind::WouldBlock).remedy.contains("again"));
    assert!(failure(ErrorKind::NotADirectory).remedy.contains("--socket"));
}

/// What is said of somebody who answers so.
fn answered(answer: &'static [u8]) -> Failure {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    let other = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
        stream.write_all(answer).unwrap();
    });
    let f = Client::new(&path).status().unwrap_err();
    other.join().unwrap();
    f
}

#[test]
fn who_does_not_speak_as_tcpcap_is_named() {
    for (answer, said) in [
        (&b"220 mail ESMTP\r\n"[..], "the connection broke"),
        (b"", "the connection broke"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", "breaks off"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n\"hi\"", "is not understood"),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}", "404 Not Found and no reason"),
    ] {
        let f = answered(answer);
        assert!(f.cause.contains(said) && f.cause.contains("does not speak as tcpcap"), "{f}");
    }
}

#[test]
fn who_never_answers_is_not_waited_for_without_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let _listener = UnixListener::bind(&path).unwrap();
    let client = Client { path, patience: Duration::from_millis(20) };
    assert!(client.blocks().unwrap_err().cause.contains("does not answer within 0.02 s"));
}
