//! Answers: JSON, errors as `{"cause": …, "remedy": …}`.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::control::{Refused, Reply};

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

    pub(super) fn malformed(cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, cause, remedy)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        json(self.0, &self.1)
    }
}

/// As JSON, a line of it.
pub(super) fn encode<T: Serialize>(content: &T) -> serde_json::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(content)?;
    text.push(b'\n');
    Ok(text)
}

pub(super) fn json<T: Serialize>(status: StatusCode, content: &T) -> Response {
    encode(content).map_or_else(|e| unwritable(&e), |text| typed(status, text))
}

/// Never seen: what is answered can be written as JSON.
pub(super) fn unwritable(e: &serde_json::Error) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, format!("the answer cannot be written as JSON: {e}\n")).into_response()
}

pub(super) fn typed(status: StatusCode, body: impl Into<Body>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.into()).into_response()
}

pub(super) fn good(reply: &Reply) -> Response {
    json(StatusCode::OK, reply)
}

pub(super) async fn nothing(uri: Uri) -> Problem {
    let cause = format!("there is nothing at {}", uri.path());
    Problem::new(StatusCode::NOT_FOUND, cause, "look at /api/v1/status or /api/v1/blocks")
}

pub(super) async fn not_so(method: Method, uri: Uri) -> Problem {
    let cause = format!("{} cannot be asked with {method}", uri.path());
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        cause,
        "GET looks, POST sets, DELETE takes away; only the control socket takes the latter two",
    )
}
