//! Serving HTTP/1 on a thread of its own, to whoever comes, within limits: so many connections at once and no more, each
//! cut when it takes too long. The control socket and the HTTP port are served alike.

use std::{
    future::Future,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::{Semaphore, oneshot},
    time::{sleep, timeout},
};

/// The longest header, bytes; the least that hyper takes.
const HEADER_LIMIT: usize = 8 * 1024;

/// How long connections get to end when the daemon stops.
const FAREWELL: Duration = Duration::from_millis(500);

/// How long to wait after a connection could not be taken, most likely for want of files.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// How long a stream may go without taking anything. It is sent something several times in that.
const STREAM_STALLED: Duration = Duration::from_secs(60);

/// How much is served at once, and how long each part of it may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; more wait until one ends.
    pub connections: usize,
    /// For a header to arrive.
    pub header: Duration,
    /// For everything on one connection, unless it is a stream.
    pub connection: Duration,
    /// More than one request on a connection.
    pub keep_alive: bool,
}

/// Who is at the other end of a connection: `uid 1000, pid 4242`, or an address.
#[derive(Clone, Debug)]
pub struct Peer(pub Arc<str>);

/// A connection's licence to last as long as it keeps taking something; for streams.
#[derive(Clone, Debug, Default)]
pub struct Lasting {
    granted: Arc<AtomicBool>,
    taken: Arc<Mutex<Option<Instant>>>,
}

impl Lasting {
    /// From now on the connection lasts; to be called again whenever it takes something.
    pub fn take(&self) {
        self.granted.store(true, Ordering::Relaxed);
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// How much longer the connection may last.
    fn left(&self) -> Option<Duration> {
        if !self.granted.load(Ordering::Relaxed) {
            return None;
        }
        let taken = *self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.and_then(|at| STREAM_STALLED.checked_sub(at.elapsed())).filter(|left| !left.is_zero())
    }
}

/// How a connection was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// It could not be taken.
    Accept,
    /// It broke.
    Broken,
    /// It was too slow.
    Cut,
}

impl Lost {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Accept, Self::Broken, Self::Cut];

    /// The name used in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Broken => "broken",
            Self::Cut => "cut",
        }
    }
}

/// Where connections come from.
pub trait Listen: Send + 'static {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection, and who is at its other end.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Peer)>> + Send;
}

impl Listen for UnixListener {
    type Stream = tokio::net::UnixStream;

    async fn accept(&self) -> io::Result<(Self::Stream, Peer)> {
        let (stream, _) = Self::accept(self).await?;
        let who = match stream.peer_cred() {
            Ok(who) => match who.pid() {
                Some(pid) => format!("uid {}, pid {pid}", who.uid()),
                None => format!("uid {}", who.uid()),
            },
            Err(_) => "somebody unknown".to_owned(),
        };
        Ok((stream, Peer(who.into())))
    }
}

impl Listen for TcpListener {
    type Stream = tokio::net::TcpStream;

    async fn accept(&self) -> io::Result<(Self::Stream, Peer)> {
        let (stream, peer) = Self::accept(self).await?;
        Ok((stream, Peer(peer.ip().to_canonical().to_string().into())))
    }
}

/// A server on a thread and runtime of its own. Dropping it stops it.
#[derive(Debug)]
pub struct Serving {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    name: &'static str,
}

impl Serving {
    /// Serves until it is dropped. `listener` makes the listener, inside the runtime.
    ///
    /// # Errors
    /// No thread or runtime to be had, or no listener.
    pub fn start<L: Listen>(
        name: &'static str,
        listener: impl FnOnce() -> io::Result<L>,
        router: Router,
        limits: Limits,
        lost: impl Fn(Lost) + Clone + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _inside = runtime.enter();
            listener()?
        };
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name(name.into()).spawn(move || {
            crate::host::be_ordinary();
            runtime.block_on(serve(name, listener, router, limits, lost, stopped));
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread), name })
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the server of {} had panicked", self.name);
        }
    }
}

async fn serve<L: Listen>(
    name: &'static str,
    listener: L,
    router: Router,
    limits: Limits,
    lost: impl Fn(Lost) + Clone + Send + Sync + 'static,
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
            Ok((stream, peer)) => {
                let (router, lost) = (router.clone(), lost.clone());
                tokio::spawn(async move {
                    if let Err(how) = converse(stream, peer, router, limits).await {
                        lost(how);
                    }
                    drop(place);
                });
            }
            Err(e) => {
                lost(Lost::Accept);
                tracing::warn!("cannot take a connection to {name}: {e}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    if timeout(FAREWELL, places.acquire_many(all)).await.is_err() {
        tracing::debug!("connections to {name} are cut, for tcpcap stops");
    }
}

/// One connection.
async fn converse<S>(stream: S, peer: Peer, router: Router, limits: Limits) -> Result<(), Lost>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let lasting = Lasting::default();
    let service = TowerToHyperService::new(router.layer(Extension(peer)).layer(Extension(lasting.clone())));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .max_buf_size(HEADER_LIMIT)
        .keep_alive(limits.keep_alive)
        .serve_connection(TokioIo::new(stream), service);
    let cut = async {
        sleep(limits.connection).await;
        while let Some(left) = lasting.left() {
            sleep(left).await;
        }
    };
    tokio::select! {
        served = connection => served.map_err(|e| if e.is_timeout() { Lost::Cut } else { Lost::Broken }),
        () = cut => Err(Lost::Cut),
    }
}
