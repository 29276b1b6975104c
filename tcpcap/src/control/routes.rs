//! What can be asked over the socket, and how it is answered: JSON, errors as `{"cause": …, "remedy": …}`.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    body::{Body, Bytes},
    extract::{Path, Request as HttpRequest, State},
    http::{Method, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, de, de::DeserializeOwned};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::{Instant, timeout, timeout_at},
};

use super::{
    Command, Refused, Reply, Request, check_lasts, check_note,
    server::{Counters, Limits},
};
use crate::settings::parse_network;

/// The longest body of a request, bytes. The longest that makes sense has a note of 200 characters.
pub(super) const BODY_LIMIT: usize = 8 * 1024;

/// Lists that are held in memory at once: with everything blocked that may be, each takes tens of megabytes.
const LISTS_AT_ONCE: usize = 2;

/// Who is at the other end of a connection: `uid 1000, pid 4242`.
#[derive(Clone, Debug)]
pub(super) struct Peer(pub(super) Arc<str>);

/// The way to the daemon.
#[derive(Clone)]
pub(super) struct Door {
    requests: mpsc::Sender<Request>,
    lists: Arc<Semaphore>,
    limits: Limits,
    counters: Counters,
}

impl Door {
    pub(super) fn new(requests: mpsc::Sender<Request>, limits: Limits, counters: Counters) -> Self {
        Self { requests, lists: Arc::new(Semaphore::new(LISTS_AT_ONCE)), limits, counters }
    }

    /// Has a command carried out.
    async fn ask(&self, Peer(who): Peer, command: Command) -> Result<Reply, Problem> {
        let until = Instant::now() + self.limits.answer;
        let (answer, answered) = oneshot::channel();
        let place = timeout_at(until, self.requests.reserve()).await.map_err(|_| busy())?.map_err(|_| stopping())?;
        place.send(Request { command, who: who.to_string(), answer });
        match timeout_at(until, answered).await {
            Ok(Ok(answer)) => answer.map_err(|refused| Problem(StatusCode::CONFLICT, refused)),
            Ok(Err(_)) => Err(stopping()),
            Err(_) => Err(silent(self.limits.answer)),
        }
    }
}

pub(super) fn router(door: Door) -> Router {
    let v1 = Router::new()
        .route("/status", get(status))
        .route("/blocks", get(list).post(block))
        // The rest of the path, for a network has a slash in it; `%2F` does as well.
        .route("/blocks/{*network}", delete(unblock))
        .route("/allowed", post(allow))
        .route("/allowed/{*network}", delete(disallow))
        .route("/mode", post(mode))
        .route("/reload", post(reload));
    Router::new()
        .nest("/api/v1", v1)
        .fallback(nothing)
        .method_not_allowed_fallback(not_so)
        .layer(middleware::from_fn_with_state(door.clone(), count))
        .with_state(door)
}

/// What goes wrong: with which status, and what is said.
struct Problem(StatusCode, Refused);

impl Problem {
    fn new(status: StatusCode, cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self(status, Refused { cause: cause.into(), remedy: remedy.into() })
    }
}

fn busy() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "tcpcap is busy; nothing was done", "try again in a moment")
}

fn stopping() -> Problem {
    let cause = "tcpcap stops just now; the command may not have been carried out";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, cause, "start it again, and look with `tcpcap status`")
}

fn silent(waited: Duration) -> Problem {
    Problem::new(
        StatusCode::GATEWAY_TIMEOUT,
        format!("tcpcap did not answer within {} s; it may still do what it was told", waited.as_secs_f32()),
        "look with `tcpcap status`; if it stays silent, see its log and restart it",
    )
}

fn malformed(cause: String, example: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, cause, format!("send JSON such as {example}"))
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        json(self.0, &self.1)
    }
}

/// As JSON, a line of it.
fn encode<T: Serialize>(content: &T) -> serde_json::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(content)?;
    text.push(b'\n');
    Ok(text)
}

fn json<T: Serialize>(status: StatusCode, content: &T) -> Response {
    encode(content).map_or_else(|e| unwritable(&e), |text| typed(status, text))
}

/// Never seen: what is answered can be written as JSON.
fn unwritable(e: &serde_json::Error) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, format!("the answer cannot be written as JSON: {e}\n")).into_response()
}

fn typed(status: StatusCode, body: impl Into<Body>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.into()).into_response()
}

type Answer = Result<Response, Problem>;

fn good(reply: &Reply) -> Response {
    json(StatusCode::OK, reply)
}

async fn count(State(door): State<Door>, request: HttpRequest, next: Next) -> Response {
    let response = next.run(request).await;
    door.counters.answered(response.status());
    response
}

async fn status(State(door): State<Door>, Extension(peer): Extension<Peer>) -> Answer {
    Ok(good(&door.ask(peer, Command::Status).await?))
}

/// A list on its way out, and its place among those that may be.
struct Held {
    text: Vec<u8>,
    _place: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

async fn list(State(door): State<Door>, Extension(peer): Extension<Peer>) -> Answer {
    let place = Arc::clone(&door.lists).acquire_owned();
    let place = timeout(door.limits.answer, place).await.map_err(|_| busy())?.map_err(|_| stopping())?;
    let reply = door.ask(peer, Command::List).await?;
    let hold = |text| typed(StatusCode::OK, Bytes::from_owner(Held { text, _place: place }));
    Ok(encode(&reply).map_or_else(|e| unwritable(&e), hold))
}

/// A network as people write it: an address is one too, and host bits are cleared.
struct Written(IpNet);

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        parse_network(&String::deserialize(d)?).map(Self).map_err(de::Error::custom)
    }
}

/// Reads a whole body as JSON.
async fn read<T: DeserializeOwned>(door: &Door, body: Body, example: &str) -> Result<T, Problem> {
    let whole = timeout(door.limits.body, Limited::new(body, BODY_LIMIT).collect());
    let bytes = match whole.await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(e)) if e.is::<LengthLimitError>() => {
            return Err(Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the body is longer than {BODY_LIMIT} bytes"),
                "say it in fewer words",
            ));
        }
        Ok(Err(e)) => return Err(malformed(format!("the body cannot be read: {e}"), example)),
        Err(_) => {
            return Err(Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "the body does not come",
                "send as much as the header says",
            ));
        }
    };
    serde_json::from_slice(&bytes).map_err(|e| malformed(format!("the body is not understood: {e}"), example))
}

/// A network out of a path.
fn named(text: &str) -> Result<IpNet, Problem> {
    parse_network(text).map_err(|cause| {
        Problem::new(StatusCode::BAD_REQUEST, cause, "name an address or a network at the end of the path")
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BlockBody {
    network: Written,
    /// Seconds; none: for ever.
    #[serde(default)]
    lasts: Option<u64>,
    #[serde(default)]
    note: Option<String>,
}

async fn block(State(door): State<Door>, Extension(peer): Extension<Peer>, body: Body) -> Answer {
    const EXAMPLE: &str = r#"{"network": "192.0.2.0/24", "lasts": 3600, "note": "too curious"}"#;
    let BlockBody { network: Written(network), lasts, note } = read(&door, body, EXAMPLE).await?;
    let lasts = lasts.map(Duration::from_secs);
    lasts.map_or(Ok(()), check_lasts).map_err(|cause| malformed(cause, EXAMPLE))?;
    note.as_deref().map_or(Ok(()), check_note).map_err(|cause| malformed(cause, EXAMPLE))?;
    Ok(good(&door.ask(peer, Command::Block { network, lasts, note }).await?))
}

async fn unblock(State(door): State<Door>, Extension(peer): Extension<Peer>, Path(network): Path<String>) -> Answer {
    Ok(good(&door.ask(peer, Command::Unblock { network: named(&network)? }).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AllowBody {
    network: Written,
}

async fn allow(State(door): State<Door>, Extension(peer): Extension<Peer>, body: Body) -> Answer {
    let AllowBody { network: Written(network) } = read(&door, body, r#"{"network": "192.0.2.0/24"}"#).await?;
    Ok(good(&door.ask(peer, Command::Allow { network }).await?))
}

async fn disallow(State(door): State<Door>, Extension(peer): Extension<Peer>, Path(network): Path<String>) -> Answer {
    Ok(good(&door.ask(peer, Command::Disallow { network: named(&network)? }).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModeBody {
    #[serde(default)]
    observe: Option<bool>,
    #[serde(default)]
    syn_only: Option<bool>,
}

async fn mode(State(door): State<Door>, Extension(peer): Extension<Peer>, body: Body) -> Answer {
    const EXAMPLE: &str = r#"{"observe": true, "syn_only": false}"#;
    let ModeBody { observe, syn_only } = read(&door, body, EXAMPLE).await?;
    if observe.is_none() && syn_only.is_none() {
        return Err(malformed("the body names nothing to change".to_owned(), EXAMPLE));
    }
    Ok(good(&door.ask(peer, Command::Mode { observe, syn_only }).await?))
}

async fn reload(State(door): State<Door>, Extension(peer): Extension<Peer>) -> Answer {
    Ok(good(&door.ask(peer, Command::Reload).await?))
}

async fn nothing(uri: Uri) -> Problem {
    let cause = format!("there is nothing at {}", uri.path());
    Problem::new(StatusCode::NOT_FOUND, cause, "look at /api/v1/status or /api/v1/blocks")
}

async fn not_so(method: Method, uri: Uri) -> Problem {
    let cause = format!("{} cannot be asked with {method}", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, cause, "GET looks, POST sets, DELETE takes away")
}
