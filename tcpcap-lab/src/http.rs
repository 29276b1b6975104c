//! A web server to protect, and an honest client that keeps using it.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::Context;

use crate::{namespace::Namespace, wait::patience};

/// How long an honest client waits before it calls a fetch failed, on a machine of today. A lost SYN costs it a second.
pub const PATIENCE: Duration = Duration::from_secs(3);
const PAGE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n";

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status code.
    pub status: u16,
    /// What came behind the header.
    pub body: String,
}

/// Fetches a page from inside a namespace.
///
/// # Errors
/// When nobody answers in time, or not in HTTP.
pub fn get(namespace: &Namespace, server: SocketAddr, path: &str) -> anyhow::Result<Answer> {
    namespace.enter(|| fetch(server, path))?.with_context(|| format!("cannot fetch http://{server}{path}"))
}

/// Fetches a page from where the calling thread is.
///
/// # Errors
/// As [`get`].
pub fn fetch(server: SocketAddr, path: &str) -> io::Result<Answer> {
    let within = patience(PATIENCE);
    let mut stream = TcpStream::connect_timeout(&server, within)?;
    stream.set_read_timeout(Some(within))?;
    stream.set_write_timeout(Some(within))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n")?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let status = text.split(' ').nth(1).and_then(|code| code.parse().ok());
    match (status, text.split_once("\r\n\r\n")) {
        (Some(status), Some((_, body))) => Ok(Answer { status, body: body.to_owned() }),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP")),
    }
}

/// A web server on several ports, for both families.
#[derive(Debug)]
pub struct Server {
    stop: Arc<AtomicBool>,
    ports: Vec<u16>,
    namespace: Namespace,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// Opens the ports and serves.
    ///
    /// # Errors
    /// When a port is taken.
    pub fn start(namespace: &Namespace, ports: &[u16]) -> anyhow::Result<Self> {
        let listeners = namespace.enter(|| {
            let open = |port: &u16| {
                // Without IPV6_V6ONLY, Linux's default: IPv4 too.
                TcpListener::bind((Ipv6Addr::UNSPECIFIED, *port))
                    .with_context(|| format!("cannot listen on port {port}"))
            };
            ports.iter().map(open).collect::<anyhow::Result<Vec<_>>>()
        })??;
        let stop = Arc::new(AtomicBool::new(false));
        let threads = listeners.into_iter().map(|listener| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || serve(&listener, &stop))
        });
        let threads = threads.collect();
        Ok(Self { stop, ports: ports.to_vec(), namespace: namespace.clone(), threads })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Each thread waits for a connection: here it is.
        let woken = self
            .namespace
            .enter(|| self.ports.iter().all(|port| TcpStream::connect((Ipv6Addr::LOCALHOST, *port)).is_ok()));
        if matches!(woken, Ok(true)) {
            self.threads.drain(..).for_each(|thread| drop(thread.join()));
        }
    }
}

fn serve(listener: &TcpListener, stop: &AtomicBool) {
    for stream in listener.incoming() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        // One thread each: a scanner that connects and says nothing must not keep others waiting.
        if let Ok(stream) = stream {
            thread::spawn(move || drop(answer(&stream)));
        }
    }
}

fn answer(stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(patience(PATIENCE)))?;
    let mut from = BufReader::new(stream);
    let mut line = String::new();
    while from.read_line(&mut line)? > 0 && !line.trim_end().is_empty() {
        line.clear();
    }
    let mut to = stream;
    to.write_all(PAGE.as_bytes())
}

/// How a client fared.
#[derive(Clone, Debug, Default)]
pub struct Fared {
    /// Pages that it got.
    pub ok: u64,
    /// Pages that it did not get.
    pub failed: u64,
    /// Why it did not get the last of these.
    pub last_error: Option<String>,
    /// The longest that a page took.
    pub slowest: Duration,
}

#[derive(Debug, Default)]
struct Shared {
    fared: Mutex<Fared>,
    stop: Mutex<bool>,
    stopped: Condvar,
}

/// An honest client: fetches pages in turn, each over a new connection, until it is stopped.
#[derive(Debug)]
pub struct Client {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Client {
    /// Starts fetching from these servers in turn, with a pause between two pages.
    ///
    /// # Errors
    /// When the namespace cannot be entered.
    pub fn start(namespace: &Namespace, servers: &[SocketAddr], pause: Duration) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared::default());
        let thread = thread::spawn({
            let (shared, servers, namespace) = (Arc::clone(&shared), servers.to_vec(), namespace.clone());
            move || {
                if let Err(error) = namespace.enter(|| shared.fetch_all(&servers, pause)) {
                    shared.note(Err(io::Error::other(error)), Duration::ZERO);
                }
            }
        });
        Ok(Self { shared, thread: Some(thread) })
    }

    /// How it fared until now.
    #[must_use]
    pub fn fared(&self) -> Fared {
        lock(&self.shared.fared).clone()
    }

    /// Stops it, after the page under way, and tells how it fared.
    #[must_use]
    pub fn stop(mut self) -> Fared {
        self.end();
        self.fared()
    }

    fn end(&mut self) {
        *lock(&self.shared.stop) = true;
        self.shared.stopped.notify_all();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn fetch_all(&self, servers: &[SocketAddr], pause: Duration) {
        for server in servers.iter().cycle() {
            let start = Instant::now();
            let page = fetch(*server, "/").and_then(|answer| match answer.status {
                200 => Ok(()),
                status => Err(io::Error::other(format!("status {status}"))),
            });
            self.note(page.map_err(|e| io::Error::new(e.kind(), format!("{server}: {e}"))), start.elapsed());
            let stop = lock(&self.stop);
            let waited = self.stopped.wait_timeout_while(stop, pause, |stop| !*stop);
            if *waited.unwrap_or_else(PoisonError::into_inner).0 {
                return;
            }
        }
    }

    fn note(&self, page: io::Result<()>, took: Duration) {
        let mut fared = lock(&self.fared);
        fared.slowest = fared.slowest.max(took);
        match page {
            Ok(()) => fared.ok += 1,
            Err(error) => {
                fared.failed += 1;
                fared.last_error = Some(error.to_string());
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
