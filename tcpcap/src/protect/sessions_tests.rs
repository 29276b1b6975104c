use super::*;

const GRACE: u64 = 120;
const LINGER: u64 = 300;
/// When sshd has surely given up on a connection that came at 0.
const OVER: u64 = GRACE + 7;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn connection(peer: &str, port: u16, cookie: u16) -> Connection {
    let local = "198.51.100.1:22".parse().unwrap();
    Connection { local, peer: SocketAddr::new(ip(peer), port), cookie: u64::from(cookie).to_ne_bytes() }
}

fn scanner() -> Connection {
    connection("203.0.113.1", 4000, 1)
}

/// Looks once a second from one time to another, all seeing the same.
struct Host {
    sessions: Sessions,
    grace: Option<Duration>,
    logins: BTreeSet<IpAddr>,
}

impl Host {
    fn new() -> Self {
        let sessions = Sessions::new(None, Duration::from_secs(LINGER));
        Self { sessions, grace: Some(Duration::from_secs(GRACE)), logins: BTreeSet::new() }
    }

    /// One that has looked before anybody came.
    fn running() -> Self {
        let mut host = Self::new();
        host.see(0..1, &[]);
        host
    }

    fn see(&mut self, secs: std::ops::Range<u64>, connections: &[Connection]) -> Vec<String> {
        for now in secs {
            self.look(now, Some(connections));
        }
        self.peers()
    }

    fn look(&mut self, now: u64, connections: Option<&[Connection]>) {
        let (logins, grace) = (&self.logins, self.grace);
        self.sessions.take(&Look { now: Time::from_secs(now), connections, logins, grace });
    }

    fn peers(&self) -> Vec<String> {
        self.sessions.peers().iter().map(ToString::to_string).collect()
    }
}

#[test]
fn a_scanner_that_holds_a_connection_is_not_protected_by_it() {
    let mut host = Host::running();
    // sshd hangs up when its patience is over.
    assert!((1..OVER).all(|now| host.see(now..now + 1, &[scanner()]).is_empty()));
    assert!(host.see(OVER..OVER + 10, &[]).is_empty());
}

#[test]
fn a_scanner_that_comes_again_and_again_is_not_protected_even_from_the_same_port() {
    let mut host = Host::running();
    for round in 1..10u16 {
        let again = connection("203.0.113.1", 4000, round);
        let now = 100 * u64::from(round);
        assert!(host.see(now..now + 100, &[again]).is_empty());
    }
}

#[test]
fn many_short_connections_make_no_long_one() {
    let mut host = Host::running();
    for n in 1..500u16 {
        let (now, connections) = (u64::from(n), [n, n + 1].map(|n| connection("203.0.113.1", n, n)));
        assert!(host.see(now..now + 1, &connections).is_empty());
    }
}

#[test]
fn what_stood_at_the_start_counts_until_sshd_would_have_ended_it_and_not_longer() {
    let mut host = Host::new();
    assert_eq!(host.see(0..GRACE, &[scanner()]), ["203.0.113.1"]);
    assert!(host.see(GRACE..GRACE + 1, &[]).is_empty(), "nothing lingers of what was not proven");
    let mut host = Host::new();
    assert_eq!(host.see(0..100, &[scanner()]), ["203.0.113.1"]);
    let again = connection("203.0.113.1", 4000, 2);
    assert!(host.see(100..101, &[again]).is_empty(), "a new connection is not what stood there");
}

#[test]
fn a_session_that_stood_at_the_start_counts_as_long_as_it_stands_and_a_while_after() {
    let mut host = Host::new();
    for now in 0..1000 {
        assert_eq!(host.see(now..now + 1, &[scanner()]), ["203.0.113.1"], "at {now}");
    }
    assert_eq!(host.see(1000..999 + LINGER, &[]), ["203.0.113.1"]);
    assert!(host.see(999 + LINGER..1000 + LINGER, &[]).is_empty());
}

#[test]
fn a_connection_counts_once_it_is_older_than_sshd_is_patient() {
    let mut host = Host::running();
    assert!(host.see(1..1 + OVER, &[scanner()]).is_empty());
    assert_eq!(host.see(1 + OVER..2 + OVER, &[scanner()]), ["203.0.113.1"]);
}

#[test]
fn where_sshd_waits_for_ever_age_proves_nothing() {
    let mut host = Host { grace: None, ..Host::running() };
    assert!(host.see(1..10_000, &[scanner()]).is_empty());
    let mut host = Host { grace: None, ..Host::new() };
    assert_eq!(host.see(0..GRACE, &[scanner()]), ["203.0.113.1"]);
    assert!(host.see(GRACE..OVER + 1, &[scanner()]).is_empty());
}

#[test]
fn a_login_counts_at_once_while_there_is_a_connection_from_its_address() {
    let mut host = Host { logins: [ip("203.0.113.1"), ip("203.0.113.9")].into(), ..Host::running() };
    assert_eq!(host.see(1..2, &[scanner(), connection("203.0.113.2", 1, 2)]), ["203.0.113.1"]);
    host.logins.clear();
    assert_eq!(host.see(2..1 + LINGER, &[]), ["203.0.113.1"]);
    assert!(host.see(1 + LINGER..2 + LINGER, &[]).is_empty());
}

#[test]
fn who_comes_back_in_time_has_never_been_unprotected() {
    let mut host = Host { logins: [ip("203.0.113.1")].into(), ..Host::running() };
    host.see(1..10, &[scanner()]);
    host.logins.clear();
    assert_eq!(host.see(10..150, &[]), ["203.0.113.1"]);
    // Without a record of it, the new session counts by its age at last.
    let back = connection("203.0.113.1", 4001, 2);
    for now in 150..1000 {
        assert_eq!(host.see(now..now + 1, &[back]), ["203.0.113.1"], "at {now}");
    }
}

#[test]
fn while_the_kernel_does_not_tell_whoever_counts_goes_on_to_and_logins_count_alone() {
    let mut host = Host { logins: [ip("203.0.113.1")].into(), ..Host::running() };
    host.see(1..2, &[scanner()]);
    host.logins = [ip("203.0.113.9")].into();
    (2..1000).for_each(|now| host.look(now, None));
    assert_eq!(host.peers(), ["203.0.113.1", "203.0.113.9"]);
    // The first look is the first that sees something.
    let mut host = Host::new();
    host.look(0, None);
    assert_eq!(host.see(1..2, &[scanner()]), ["203.0.113.1"]);
}

#[test]
fn where_tcpcap_was_started_from_counts_while_that_session_stands() {
    let from = StartedFrom::parse("203.0.113.1 4000 198.51.100.1 22").unwrap();
    let mut host = Host::new();
    host.sessions = Sessions::new(Some(from), Duration::from_secs(LINGER));
    host.see(0..1, &[]);
    assert_eq!(host.sessions.control(), None, "the session is over");
    let stranger = connection("203.0.113.1", 4001, 9);
    assert!(host.see(1..2, &[stranger]).is_empty(), "another connection from there is anybody's");
    assert_eq!(host.see(2..3, &[scanner()]), ["203.0.113.1"]);
    assert_eq!(host.sessions.control(), Some(ip("203.0.113.1")));
    host.see(3..3 + LINGER, &[]);
    assert_eq!((host.sessions.control(), host.peers().len()), (None, 0));
}

#[test]
fn the_environment_tells_where_tcpcap_was_started_from() {
    let from = |peer: &str, port| Some(StartedFrom { peer: peer.parse().unwrap(), port });
    for (text, parsed) in [
        ("192.0.2.9 50000 198.51.100.1 22", from("192.0.2.9:50000", 22)),
        ("192.0.2.9 50000 2222", from("192.0.2.9:50000", 2222)),
        ("::ffff:192.0.2.9 50000 22", from("192.0.2.9:50000", 22)),
        ("fe80::9%eth0 50000 fe80::1%eth0 22", from("[fe80::9]:50000", 22)),
        ("", None),
        ("192.0.2.9", None),
        ("192.0.2.9 50000", None),
        ("127.0.0.1 50000 127.0.0.1 22", None),
        ("UNKNOWN 65535 UNKNOWN 65535", None),
        ("192.0.2.9 99999 198.51.100.1 22", None),
    ] {
        assert_eq!(StartedFrom::parse(text), parsed, "{text}");
    }
}

#[test]
fn more_peers_than_there_is_room_for_are_counted() {
    let mut host = Host::running();
    let connections: Vec<_> = (0..5000u16).map(|n| connection(&format!("10.0.{}.{}", n >> 8, n & 255), n, 1)).collect();
    host.logins = connections.iter().map(|c| c.peer.ip()).collect();
    assert_eq!(host.see(1..2, &connections).len(), MOST_PEERS);
    assert_eq!(host.sessions.left_out(), 5000 - MOST_PEERS as u64);
}
