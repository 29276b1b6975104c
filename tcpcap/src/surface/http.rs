//! HTTP, read-only: the web page at `/`, `/metrics`, `/healthz`, `/readyz`, and the calls of the API that change nothing.
//!
//! It runs on a thread with a runtime of its own, so that no number of readers delays a block.

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header, uri::Authority},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpSocket;

use super::{metrics::Metrics, page};
use crate::{
    control::{
        Refused,
        api::{self, Door},
        stream::Hub,
    },
    failure::Failure,
    host,
    serving::{Limits, Serving},
};

/// How much the port serves at once. Browsers and Prometheus come again on the same connection.
const LIMITS: Limits =
    Limits { connections: 256, header: Duration::from_secs(10), connection: Duration::from_secs(60), keep_alive: true };

/// Connections that wait for a place. The kernel resets some of those that are more.
const WAITING: u32 = 1024;

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
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The health.
    pub health: Arc<Health>,
    /// Where it is told what happens.
    pub hub: Arc<Hub>,
}

/// Takes the port before anything else happens: a taken one must not leave a program attached. Must be called inside a
/// runtime.
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
    bind(address).map_err(|e| taken(&e))
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A connection of the last run that is not quite over keeps nobody from taking its port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(WAITING)?.into_std()
}

/// Serves on a listener until what is returned is dropped. `door` is the way to the daemon, and `hosts` are the names by
/// which browsers may call this host, beside its addresses and `localhost`.
///
/// # Errors
/// No thread or runtime to be had.
pub fn serve(listener: TcpListener, shown: Shown, door: Door, hosts: Vec<String>) -> io::Result<Serving> {
    let counters = shown.metrics.http.clone();
    let own = middleware::from_fn_with_state(shown.clone(), count);
    let known = middleware::from_fn_with_state(Arc::<[String]>::from(hosts), only_known_hosts);
    let router = Router::new()
        .route("/", get(page::page).layer(known.clone()))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .method_not_allowed_fallback(api::not_so)
        .layer(own)
        .with_state(shown)
        .merge(api::read_only(door).layer(known))
        .layer(middleware::from_fn(harden));
    let listen = || tokio::net::TcpListener::from_std(listener);
    Serving::start("http", listen, router, LIMITS, move |how| counters.lose(how))
}

async fn count(State(shown): State<Shown>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    shown.metrics.http.answered(response.status());
    response
}

/// Whoever lures a browser to a name of his own that leads here (DNS rebinding) reads nothing: the browser sends that name.
async fn only_known_hosts(State(hosts): State<Arc<[String]>>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    if host.is_some_and(|host| is_known(host, &hosts)) {
        return next.run(request).await;
    }
    let refused = Refused {
        cause: format!("this host is not known as `{}`", host.unwrap_or_default().escape_debug()),
        remedy: "ask by its address, or set that name in `http.hosts` of the configuration".to_owned(),
    };
    (StatusCode::MISDIRECTED_REQUEST, Json(refused)).into_response()
}

/// Whether a Host header is an address, `localhost`, or one of these names; whatever the port.
fn is_known(host: &str, names: &[String]) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host();
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// What each answer tells browsers to keep to.
async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // What is served changes by the second.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    response
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_may_come_by_address_localhost_or_a_configured_name_alone() {
        let names = ["sensor.example".to_owned()];
        for known in ["127.0.0.1:2112", "[::1]:2112", "192.0.2.1", "localhost", "LOCALHOST:1", "Sensor.example:2112"] {
            assert!(is_known(known, &names), "{known}");
        }
        for foreign in
            ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "a b", "sensor.example.x"]
        {
            assert!(!is_known(foreign, &names), "{foreign}");
        }
    }
}
