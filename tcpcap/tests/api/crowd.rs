//! Five hundred who read without a pause, and two who listen and never read: none of them delays a block.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    os::unix::net::UnixStream,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use tcpcap_lab::{
    Frame, Injector, Metrics, Namespace,
    layout::{CARD, SENSOR_V4},
    metrics, wait_until,
};

use crate::stage::{SOON, Stage};

const READERS: usize = 500;

/// What they read. The last one is another address each time.
const PATHS: [&str; 7] = [
    "/metrics",
    "/api/v1/status",
    "/api/v1/blocks",
    "/api/v1/sources",
    "/api/v1/timeline",
    "/api/v1/findings",
    "/api/v1/explain/203.0.113.",
];

/// Quiet and crowded spells, in turn, so that what else the machine does meanwhile befalls both.
const ROUNDS: u8 = 3;

/// Scanners in a spell.
const SCANS: u8 = 30;

/// Ports of a scan: more than a fast one needs to be found.
const PORTS: std::ops::Range<u16> = 2000..2040;

/// From one scan to the next, so that each finds the daemon at whatever it does.
const PAUSE: Duration = Duration::from_millis(20);

/// Sources that are live all the time: as many as are shown at most.
const LIVE: u16 = 1000;

/// So many percent of the blocks stay within so many seconds, or within the bound of the histogram after the one that they
/// stay within while nobody reads; bounds are 2 to 5 times the one before. What is shorter, no scanner notices.
const SOON_ENOUGH: [(u64, f64); 2] = [(50, 0.001), (90, 0.005)];

/// Of each live source, so that what a stalled listener misses fits into no buffer on the way to it.
const ATTEMPTS: u16 = 40;

/// What came of reading: how often each status was answered for each path, and what failed otherwise.
#[derive(Debug, Default)]
struct Reading {
    answers: BTreeMap<(&'static str, u16), u64>,
    failures: BTreeMap<String, u64>,
}

/// Reads until it is told to stop.
fn read(number: usize, stop: &AtomicBool, pages: &AtomicUsize, all: &Mutex<Reading>) {
    let mut mine = Reading::default();
    for n in number.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let path = PATHS[n % PATHS.len()];
        let last = if path.ends_with('.') { (n % 250).to_string() } else { String::new() };
        match status(&format!("{path}{last}")) {
            Ok(status) => {
                *mine.answers.entry((path, status)).or_default() += 1;
                pages.fetch_add(1, Ordering::Relaxed);
            }
            Err(e) => *mine.failures.entry(e.to_string()).or_default() += 1,
        }
    }
    let mut all = all.lock().unwrap();
    mine.answers.into_iter().for_each(|(what, times)| *all.answers.entry(what).or_default() += times);
    mine.failures.into_iter().for_each(|(what, times)| *all.failures.entry(what).or_default() += times);
}

/// The status of an answer that came whole.
fn status(path: &str) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&metrics::ADDRESS, SOON)?;
    stream.set_read_timeout(Some(SOON))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let head = String::from_utf8_lossy(&answer[..answer.len().min(32)]).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.ok_or_else(|| std::io::Error::other(format!("`{head}` is no answer")))
}

/// The histogram of the time from an event to its block: how many blocks took no longer than each bound, in seconds.
#[derive(Clone, Debug, Default)]
struct Blocks {
    bounds: Vec<(f64, u64)>,
    all: u64,
}

impl Blocks {
    fn now(net: &Namespace) -> Self {
        let metrics = Metrics::fetch(net).unwrap();
        let named = |part: &str| format!("tcpcap_event_to_block_seconds_{part}");
        let bucket = named("bucket");
        let buckets = metrics.samples().iter().filter(|sample| sample.name == bucket);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts of some hundreds")]
        let bounds = buckets.filter_map(|b| Some((b.labels[0].1.parse().ok()?, b.value as u64))).collect();
        Self { bounds, all: metrics.count(&named("count"), &[]) }
    }

    /// What came from one moment to another.
    fn add(&mut self, from: &Self, to: &Self) {
        self.bounds.resize(to.bounds.len(), (0.0, 0));
        for (sum, (from, to)) in self.bounds.iter_mut().zip(from.bounds.iter().zip(&to.bounds)) {
            *sum = (to.0, sum.1 + to.1 - from.1);
        }
        self.all += to.all - from.all;
    }

    /// The bound that so many percent stay within: its place among them.
    fn within(&self, percent: u64) -> usize {
        self.bounds.iter().take_while(|(_, blocks)| blocks * 100 < self.all * percent).count()
    }
}

/// The histogram once all the scanners of a spell are blocked.
fn all_blocked(net: &Namespace, before: &Blocks) -> Blocks {
    let mut now = before.clone();
    wait_until("all scanners to be blocked", SOON, || {
        now = Blocks::now(net);
        now.all >= before.all + u64::from(SCANS)
    })
    .unwrap();
    now
}

struct Senders {
    injector: Injector,
    from: [u8; 6],
    to: [u8; 6],
    next: u8,
}

impl Senders {
    fn of(stage: &Stage) -> Self {
        let injector = Injector::open(&stage.net.internet, "tosensor").unwrap();
        let (from, to) = (stage.net.internet.card("tosensor").unwrap().mac, stage.net.sensor.card(CARD).unwrap().mac);
        Self { injector, from, to, next: 0 }
    }

    fn syn(&self, source: (Ipv4Addr, u16), port: u16) {
        let frame = Frame::tcp(source, (SENSOR_V4, port)).macs(self.from, self.to).build();
        self.injector.send(&frame).unwrap();
    }

    /// Has new sources scan, one after the other.
    fn scan(&mut self) {
        for _ in 0..SCANS {
            PORTS.for_each(|port| self.syn((Ipv4Addr::new(198, 18, 0, self.next), 40_000), port));
            self.next += 1;
            // A pace, not something waited for.
            thread::sleep(PAUSE);
        }
    }

    /// One attempt of each of the live sources, all at the same door.
    fn knock(&self, from_port: u16) {
        for n in 0..LIVE {
            let [high, low] = n.to_be_bytes();
            self.syn((Ipv4Addr::new(198, 19, high, low), from_port), 80);
        }
    }
}

/// Listens, and never reads what comes.
fn stall(mut stream: impl Read + Write) -> impl Read + Write {
    stream.write_all(b"GET /api/v1/events?connections=true HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    stream.read_exact(&mut [0; 12]).unwrap();
    stream
}

#[test]
fn five_hundred_readers_and_two_stalled_listeners_delay_no_block() {
    let stage = Stage::begin();
    let sensor = &stage.net.sensor;
    let mut senders = Senders::of(&stage);
    senders.knock(40_000);
    let stalled = (
        stall(sensor.enter(|| TcpStream::connect(metrics::ADDRESS)).unwrap().unwrap()),
        stall(UnixStream::connect(stage.socket()).unwrap()),
    );
    let (mut quiet, mut crowded, all) = (Blocks::default(), Blocks::default(), Mutex::new(Reading::default()));
    for _ in 0..ROUNDS {
        let before = Blocks::now(sensor);
        senders.scan();
        let between = all_blocked(sensor, &before);
        quiet.add(&before, &between);
        let (stop, pages) = (AtomicBool::new(false), AtomicUsize::new(0));
        thread::scope(|scope| {
            for number in 0..READERS {
                let (stop, pages, all) = (&stop, &pages, &all);
                let reader = move || sensor.enter(|| read(number, stop, pages, all)).unwrap();
                thread::Builder::new().stack_size(128 * 1024).spawn_scoped(scope, reader).unwrap();
            }
            let read = || pages.load(Ordering::Relaxed);
            let crowd_is_there = wait_until("the readers", SOON, || read() >= READERS);
            let at_first = read();
            senders.scan();
            let meanwhile = read() - at_first;
            // Before anything can fail, or the readers go on for ever.
            stop.store(true, Ordering::Relaxed);
            crowd_is_there.unwrap();
            assert!(meanwhile > 0, "nobody read anything while the scanners were at it");
        });
        crowded.add(&between, &all_blocked(sensor, &between));
    }
    let Reading { answers, failures } = all.into_inner().unwrap();
    println!("quiet {quiet:?}\ncrowded {crowded:?}\n{answers:?}");

    for (percent, soon) in SOON_ENOUGH {
        let (alone, among_many) = (quiet.within(percent), crowded.within(percent));
        let soon = quiet.bounds.iter().take_while(|(bound, _)| *bound < soon).count();
        assert!(among_many <= soon.max(alone + 1), "{percent} %: {quiet:?}, {crowded:?}");
    }
    assert!(failures.is_empty(), "{failures:?}");
    for path in PATHS {
        assert!(answers.contains_key(&(path, 200)), "{path}: {answers:?}");
    }
    assert!(answers.keys().all(|(_, status)| [200, 429, 503].contains(status)), "{answers:?}");

    for n in 1..=ATTEMPTS {
        senders.knock(40_000 + n);
        // No more than are told one by one.
        thread::sleep(Duration::from_millis(100));
    }
    drop(stalled);
    let missed = |m: &Metrics, door: &str| m.count(&format!("tcpcap_{door}_stream_events_missed_total"), &[]) > 0;
    let both = |m: &Metrics| missed(m, "http") && missed(m, "control");
    Metrics::wait_until(sensor, "what the stalled listeners missed", SOON, both).unwrap();
    stage.end();
}
