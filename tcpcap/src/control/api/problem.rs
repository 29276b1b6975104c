//! Answers: JSON, errors as `{"cause": …, "remedy": …}`.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::control::{Refused, Reply};

/// When to ask again who could not be answered now, seconds.
const AGAIN: HeaderValue = HeaderValue::from_static("1");

pub(super) type Answer = Result<Response, Problem>;

/// What goes wrong: with which status, and what is said.
#[derive(Debug)]
pub(super) struct Problem(pub(super) StatusCode, pub(super) Refused);

impl Problem {
    pub(super) fn new(status: StatusCode, cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self(status, Refused { cause: cause.into(), remedy: remedy.into() })
    }

    pub(super) fn busy() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "tcpcap is busy; nothing was done", "try again in a moment")
    }

    pub(super) fn stopping() -> Self {
        let cause = "tcpcap stops just now; the command may not have been carried out";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, cause, "start it again, and look with `tcpcap status`")
    }

    pub(super) fn silent(waited: Duration) -> Self {
        Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            format!("tcpcap did not answer within {} s; it may still do what it was told", waited.as_secs_f32()),
            "look with `tcpcap status`; if it stays silent, see its log and restart it",
        )
    }

    pub(super) fn full() -> Self {
        let cause = "others have not taken their answers yet, so there is no room for another";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, cause, "try again in a moment")
    }

    /// Never seen: what is answered can be written as JSON.
    pub(super) fn unwritable(e: &serde_json::Error) -> Self {
        let cause = format!("the answer cannot be written as JSON: {e}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, cause, "report this")
    }

    pub(super) fn too_many(cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, cause, remedy)
    }

    pub(super) fn malformed(cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, cause, remedy)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = json(self.0, &self.1);
        if matches!(self.0, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(header::RETRY_AFTER, AGAIN);
        }
        response
    }
}

/// As JSON, a line of it.
pub(super) fn encode<T: Serialize>(content: &T) -> serde_json::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(content)?;
    text.push(b'\n');
    Ok(text)
}

pub(super) fn json<T: Serialize>(status: StatusCode, content: &T) -> Response {
    encode(content).map_or_else(|e| Problem::unwritable(&e).into_response(), |text| typed(status, text))
}

pub(super) fn typed(status: StatusCode, body: impl Into<Body>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.into()).into_response()
}

pub(super) fn good(reply: &Reply) -> Response {
    json(StatusCode::OK, reply)
}

pub(super) async fn nothing(uri: Uri) -> Problem {
    let cause = format!("there is nothing at {}", uri.path());
    Problem::new(StatusCode::NOT_FOUND, cause, "look at /api/v1/openapi.json, which names all calls")
}

/// A method that the path does not have. The router adds the header that says which it has.
pub(crate) async fn not_so(method: Method, uri: Uri) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    let cause = format!("{} cannot be asked with {}", uri.path(), method.as_str().escape_debug());
    let remedy = "GET looks, POST sets, DELETE takes away; only the control socket takes the latter two";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, cause, remedy).into_response()
}
