//! What can be asked over HTTP, and how it is answered: the same calls over the control socket and the HTTP port, but for
//! those that change something, which the socket alone takes.

mod act;
mod door;
mod events;
mod look;
mod problem;

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
    routing::{delete, get, post},
};

pub use door::{Door, Patience};

fn looks() -> Router<Door> {
    Router::new()
        .route("/status", get(look::status))
        .route("/blocks", get(look::blocks))
        .route("/sources", get(look::sources))
        .route("/timeline", get(look::timeline))
        .route("/findings", get(look::findings))
        .route("/history", get(look::history))
        .route("/explain/{address}", get(look::explain))
        .route("/events", get(events::events))
}

fn acts() -> Router<Door> {
    Router::new()
        .route("/blocks", post(act::block))
        // The rest of the path, for a network has a slash in it; `%2F` does as well.
        .route("/blocks/{*network}", delete(act::unblock))
        .route("/allowed", post(act::allow))
        .route("/allowed/{*network}", delete(act::disallow))
        .route("/mode", post(act::mode))
        .route("/reload", post(act::reload))
}

/// All calls, for the control socket.
pub(super) fn everything(door: Door) -> Router {
    versioned(looks().merge(acts()), door)
}

/// The calls that change nothing, for the HTTP port.
pub fn read_only(door: Door) -> Router {
    versioned(looks(), door)
}

fn versioned(v1: Router<Door>, door: Door) -> Router {
    Router::new()
        .nest("/api/v1", v1)
        .fallback(problem::nothing)
        .method_not_allowed_fallback(problem::not_so)
        .layer(middleware::from_fn_with_state(door.clone(), count))
        .with_state(door)
}

async fn count(State(door): State<Door>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    door.counters().answered(response.status());
    response
}
