//! The daemon's end of the control socket: HTTP/1 and JSON, see `super::routes` for what can be asked.
//!
//! It runs on a thread with a runtime of its own and reaches the daemon's loop only through a bounded channel. A
//! connection carries one request, and is cut when it takes too long; so many are open at once and no more.

use std::{
    io,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use axum::{Extension, Router, http::StatusCode};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{Semaphore, mpsc, oneshot},
    time::{sleep, timeout},
};

use super::{
    Request,
    routes::{self, Door, Peer},
    socket::{Bound, File},
};

/// Commands that wait for the daemon's loop at most: how much the channel should hold.
pub const WAITING: usize = 64;

/// The longest header, bytes; the least that hyper takes.
const HEADER_LIMIT: usize = 8 * 1024;

/// How long connections get to end when the daemon stops.
const FAREWELL: Duration = Duration::from_millis(500);

/// How long to wait after a connection could not be taken, most likely for want of files.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// How much is served at once, and how long each part of it may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; more wait until one ends.
    pub connections: usize,
    /// For a header to arrive.
    pub header: Duration,
    /// For a body to arrive.
    pub body: Duration,
    /// For the daemon to answer.
    pub answer: Duration,
    /// For everything.
    pub connection: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 32,
            header: Duration::from_secs(5),
            body: Duration::from_secs(5),
            answer: Duration::from_secs(5),
            // All of the above, and some for a long list to be read.
            connection: Duration::from_secs(25),
        }
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StatusLabels {
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct LossLabels {
    how: &'static str,
}

/// What came over the socket, counted.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    requests: Family<StatusLabels, Counter>,
    lost: Family<LossLabels, Counter>,
}

impl Counters {
    /// Shows them.
    pub fn register(&self, registry: &mut Registry) {
        for how in ["accept", "broken", "cut"] {
            self.lost.get_or_create(&LossLabels { how }).inc_by(0);
        }
        let help = "Requests over the control socket, by the HTTP status they were answered with";
        registry.register("control_requests", help, self.requests.clone());
        let help = "Connections to the control socket that could not be taken, broke, or were cut for being slow";
        registry.register("control_connections_lost", help, self.lost.clone());
    }

    pub(super) fn answered(&self, status: StatusCode) {
        self.requests.get_or_create(&StatusLabels { status: status.as_u16() }).inc();
    }

    fn lose(&self, how: &'static str) {
        self.lost.get_or_create(&LossLabels { how }).inc();
    }
}

/// The running server. Dropping it stops it and removes the socket.
#[derive(Debug)]
pub struct Server {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _file: File,
}

impl Server {
    /// Serves until it is dropped. Drop the other end of `requests` first: what waits for an answer is told then.
    ///
    /// # Errors
    /// No thread or runtime to be had.
    pub fn start(
        socket: Bound,
        requests: mpsc::Sender<Request>,
        limits: Limits,
        counters: Counters,
    ) -> io::Result<Self> {
        let (listener, file) = socket.into_parts();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _inside = runtime.enter();
            UnixListener::from_std(listener)?
        };
        let (stop, stopped) = oneshot::channel();
        let router = routes::router(Door::new(requests, limits, counters.clone()));
        let thread = thread::Builder::new()
            .name("control".into())
            .spawn(move || runtime.block_on(serve(listener, router, limits, counters, stopped)))?;
        Ok(Self { stop: Some(stop), thread: Some(thread), _file: file })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the control socket's server had panicked");
        }
    }
}

async fn serve(
    listener: UnixListener,
    router: Router,
    limits: Limits,
    counters: Counters,
    mut stopped: oneshot::Receiver<()>,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    loop {
        let next = async {
            // Never closed.
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            // The other end says stop by going away.
            _ = &mut stopped => break,
            next = next => next,
        };
        match accepted {
            Ok((stream, _)) => {
                let (router, counters) = (router.clone(), counters.clone());
                tokio::spawn(async move {
                    converse(stream, router, limits, &counters).await;
                    drop(place);
                });
            }
            Err(e) => {
                counters.lose("accept");
                tracing::warn!("cannot take a connection to the control socket: {e}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    if timeout(FAREWELL, places.acquire_many(all)).await.is_err() {
        tracing::debug!("connections to the control socket are cut, for tcpcap stops");
    }
}

/// One connection, one request.
async fn converse(stream: UnixStream, router: Router, limits: Limits, counters: &Counters) {
    let service = TowerToHyperService::new(router.layer(Extension(peer(&stream))));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .max_buf_size(HEADER_LIMIT)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(limits.connection, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(e)) if e.is_timeout() => counters.lose("cut"),
        Ok(Err(_)) => counters.lose("broken"),
        Err(_) => counters.lose("cut"),
    }
}

fn peer(stream: &UnixStream) -> Peer {
    let who = match stream.peer_cred() {
        Ok(who) => match who.pid() {
            Some(pid) => format!("uid {}, pid {pid}", who.uid()),
            None => format!("uid {}", who.uid()),
        },
        Err(_) => "somebody unknown".to_owned(),
    };
    Peer(who.into())
}
