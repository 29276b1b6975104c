//! What can be asked over HTTP, and how it is answered: the same calls over the control socket and the HTTP port, but for
//! those that change something, which the socket alone takes. Routes and their description are one list.

mod act;
mod document;
mod door;
mod events;
mod look;
mod problem;

use axum::{
    Extension, Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
};
use utoipa::OpenApi as _;
use utoipa_axum::{router::OpenApiRouter, routes};

use document::{Document, Frame, Known, Which, only_known};
pub use door::{Door, Patience};
pub(crate) use problem::not_so;

fn looks() -> OpenApiRouter<Door> {
    OpenApiRouter::new()
        .routes(routes!(look::status))
        .routes(routes!(look::blocks))
        .routes(routes!(look::sources))
        .routes(routes!(look::timeline))
        .routes(routes!(look::findings))
        .routes(routes!(look::history))
        .routes(routes!(look::explain))
        .routes(routes!(events::events))
        .routes(routes!(document::openapi))
}

/// Networks are the rest of the path, for they have a slash in them; `%2F` does as well.
fn acts() -> OpenApiRouter<Door> {
    OpenApiRouter::new()
        .routes(routes!(act::block))
        .routes(routes!(act::unblock))
        .routes(routes!(act::allow))
        .routes(routes!(act::disallow))
        .routes(routes!(act::mode))
        .routes(routes!(act::reload))
}

/// All calls, for the control socket.
pub(super) fn everything(door: Door) -> Router {
    versioned(looks().merge(acts()), door, Which::All)
}

/// The calls that change nothing, for the HTTP port.
pub fn read_only(door: Door) -> Router {
    versioned(looks(), door, Which::ReadOnly)
}

fn versioned(v1: OpenApiRouter<Door>, door: Door, which: Which) -> Router {
    let all = OpenApiRouter::with_openapi(Frame::openapi()).nest("/api/v1", v1);
    let (router, mut api) = all.split_for_parts();
    let known = Known::of(&mut api);
    let text = problem::encode(&document::complete(api, which)).unwrap_or_default();
    router
        .fallback(problem::nothing)
        .method_not_allowed_fallback(problem::not_so)
        .layer(middleware::from_fn_with_state(known, only_known))
        .layer(Extension(Document(text.into())))
        .layer(middleware::from_fn_with_state(door.clone(), count))
        .with_state(door)
}

async fn count(State(door): State<Door>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    door.counters().answered(response.status());
    response
}
