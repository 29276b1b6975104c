//! HTTP, read-only: `/metrics`, `/healthz`, `/readyz`.
//!
//! It runs on a thread with a runtime of its own, so that no number of readers delays a block.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::sync::oneshot;

use super::metrics::Metrics;
use crate::{failure::Failure, host};

/// A daemon whose loop has not come round for this long is stuck: it polls every second.
const STUCK_AFTER: Duration = Duration::from_secs(10);

/// What the daemon tells about its health.
#[derive(Debug, Default)]
pub struct Health {
    beat: AtomicU64,
    ready: AtomicBool,
}

impl Health {
    /// The loop came round.
    pub fn beat(&self) {
        self.beat.store(host::now().as_nanos(), Ordering::Relaxed);
    }

    /// The program is attached to all interfaces, or not.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    fn is_alive(&self) -> bool {
        let silent = host::now().as_nanos().saturating_sub(self.beat.load(Ordering::Relaxed));
        Duration::from_nanos(silent) < STUCK_AFTER
    }
}

/// What requests are answered from.
#[derive(Clone)]
pub struct Shown {
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The health.
    pub health: Arc<Health>,
}

/// The running server. Dropping it stops it.
pub struct Server {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Takes the port before anything else happens: a taken one must not leave a program attached.
///
/// # Errors
/// The address cannot be listened on.
pub fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    let taken = |e: &std::io::Error| {
        let remedy = if e.kind() == std::io::ErrorKind::AddrInUse {
            format!(
                "is another tcpcap running? `ss -ltnp 'sport = :{}'` shows who listens; or choose another with --listen",
                address.port()
            )
        } else {
            "choose an address of this host with --listen ADDRESS:PORT".to_owned()
        };
        Failure::failed(format!("cannot listen on {address} for metrics: {e}"), remedy)
    };
    let listener = TcpListener::bind(address).map_err(|e| taken(&e))?;
    listener.set_nonblocking(true).map_err(|e| taken(&e))?;
    Ok(listener)
}

impl Server {
    /// Serves on a listener until it is dropped.
    ///
    /// # Errors
    /// No thread or runtime to be had.
    pub fn start(listener: TcpListener, shown: Shown) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::Builder::new().name("http".into()).spawn(move || {
            runtime.block_on(async move {
                let listener = match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => listener,
                    Err(e) => return tracing::error!("no metrics: {e}"),
                };
                tokio::select! {
                    served = axum::serve(listener, router(shown)) => {
                        if let Err(e) = served { tracing::error!("metrics are no longer served: {e}"); }
                    }
                    // The other end says stop by going away.
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the HTTP server had panicked");
        }
    }
}

fn router(shown: Shown) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(shown)
}

async fn metrics(State(shown): State<Shown>) -> Response {
    const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match shown.metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, TYPE)], text).into_response(),
        Err(e) => (StatusCode::INTERNAL_SERVER_ERROR, e.to_string()).into_response(),
    }
}

async fn healthz(State(shown): State<Shown>) -> Response {
    if shown.health.is_alive() {
        "ok\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the event loop is stuck\n").into_response()
    }
}

async fn readyz(State(shown): State<Shown>) -> Response {
    if shown.health.ready.load(Ordering::Relaxed) {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not attached to every interface\n").into_response()
    }
}
