//! What can be asked, described for machines (`OpenAPI`), made of what stands beside the handlers.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use axum::{
    Extension,
    body::Bytes,
    extract::{MatchedPath, Query, Request, State},
    http::{Method, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use utoipa::{
    OpenApi, PartialSchema, ToSchema,
    openapi::{
        self, Components, Content, HeaderBuilder, Object, ObjectBuilder, Ref, RefOr, ResponseBuilder, Schema,
        SchemaFormat, Type,
        path::{Operation, Parameter, ParameterIn, PathItem},
    },
};

use super::problem::{Problem, typed};
use crate::control::Refused;

/// Which calls there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// All, over the control socket.
    All,
    /// Those that change nothing, over the HTTP port.
    ReadOnly,
}

/// The document before any call is in it.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "tcpcap",
        description = "Sees who tries to connect, knows who is scanning, and drops scanners at the network card.\n\n\
            Answers are JSON, whatever is accepted, and so are errors: `{\"cause\": …, \"remedy\": …}`, each one line. \
            Names are only added within v1: pass over those that you do not know. \
            A header of more than 8 KiB is answered with 431, and what is no HTTP with 400, both without a body.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    components(schemas(Refused))
)]
pub(super) struct Frame;

/// An address, as a parameter.
pub(super) struct AddressText;

/// An address or a network, as a parameter or in a body.
pub(super) struct NetworkText;

fn text(format: &str, longest: usize, example: &str) -> RefOr<Schema> {
    let format = SchemaFormat::Custom(format.to_owned());
    let text = ObjectBuilder::new().schema_type(Type::String).format(Some(format));
    text.min_length(Some(2)).max_length(Some(longest)).examples([example]).into()
}

impl PartialSchema for AddressText {
    fn schema() -> RefOr<Schema> {
        text("ip-address", 45, "192.0.2.7")
    }
}

impl ToSchema for AddressText {}

impl PartialSchema for NetworkText {
    fn schema() -> RefOr<Schema> {
        text("ip-network", 49, "192.0.2.0/24")
    }
}

impl ToSchema for NetworkText {
    fn name() -> Cow<'static, str> {
        "Network".into()
    }
}

/// What can go wrong, and what is said of it.
const PROBLEMS: &[(StatusCode, &str)] = &[
    (StatusCode::BAD_REQUEST, "A parameter or the body is not understood, or a parameter is unknown"),
    (StatusCode::NOT_FOUND, "There is nothing at this path"),
    (StatusCode::METHOD_NOT_ALLOWED, "The path cannot be asked so; `Allow` says how it can"),
    (StatusCode::REQUEST_TIMEOUT, "The body does not come"),
    (StatusCode::CONFLICT, "Refused: it would do harm, or there is nothing to be done"),
    (StatusCode::PAYLOAD_TOO_LARGE, "The body is too long"),
    (StatusCode::MISDIRECTED_REQUEST, "The Host header is neither an address nor a name of this host"),
    (StatusCode::TOO_MANY_REQUESTS, "Too many ask or listen already"),
    (StatusCode::SERVICE_UNAVAILABLE, "tcpcap is busy or stops, or that part of it is not there"),
    (StatusCode::GATEWAY_TIMEOUT, "tcpcap did not answer; a command may still be carried out"),
];

/// The name of a problem among the document's components: `Status409`.
fn component(status: u16) -> String {
    format!("Status{status}")
}

fn described(status: StatusCode, about: &str) -> openapi::Response {
    let content = Content::new(Some(Ref::from_schema_name(Refused::name())));
    let response = ResponseBuilder::new().description(about).content("application/json", content);
    let header =
        |kind, about: &str| HeaderBuilder::new().schema(Some(Object::with_type(kind))).description(Some(about)).build();
    match status {
        StatusCode::METHOD_NOT_ALLOWED => response.header("Allow", header(Type::String, "Methods, with commas")),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            response.header("Retry-After", header(Type::Integer, "Seconds after which to ask again"))
        }
        _ => response,
    }
    .build()
}

/// A set of problems that handlers name as their answers.
macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident: $($status:literal)+;)+) => {$(
        $(#[$doc])*
        pub(super) struct $name;

        impl utoipa::IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<openapi::Response>> {
                let refer = |status: u16| RefOr::Ref(Ref::from_response_name(component(status)));
                [$($status),+].map(|status| (status.to_string(), refer(status))).into()
            }
        }
    )+};
}

problems! {
    /// Of what the daemon's loop answers.
    Looking: 400 405 429 503 504;
    /// Of what it answers about something that the path names.
    LookingAt: 400 404 405 429 503 504;
    /// Of what is answered without it.
    Reading: 400 405 429 503;
    /// Of this document.
    Fixed: 400 405;
    /// Of what has a body and changes something.
    Acting: 400 405 408 409 413 503 504;
    /// Of what changes something that the path names.
    Taking: 400 404 405 409 503 504;
    /// Of what changes something, and is told nothing.
    Bare: 400 405 409 503 504;
}

/// Makes the document whole.
pub(super) fn complete(mut api: openapi::OpenApi, which: Which) -> openapi::OpenApi {
    api.info.version = env!("CARGO_PKG_VERSION").to_owned();
    // The router's `{*rest}` is a name like any other.
    api.paths.paths =
        std::mem::take(&mut api.paths.paths).into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect();
    if which == Which::ReadOnly {
        for (_, _, operation) in operations(&mut api.paths.paths) {
            let misdirected = Ref::from_response_name(component(StatusCode::MISDIRECTED_REQUEST.as_u16()));
            operation.responses.responses.insert("421".to_owned(), RefOr::Ref(misdirected));
        }
    }
    let components = api.components.get_or_insert_with(Components::new);
    for (status, about) in PROBLEMS {
        components.responses.insert(component(status.as_u16()), described(*status, about).into());
    }
    api
}

fn operations(paths: &mut BTreeMap<String, PathItem>) -> impl Iterator<Item = (&String, Method, &mut Operation)> {
    paths.iter_mut().flat_map(|(path, item)| {
        [(Method::GET, &mut item.get), (Method::POST, &mut item.post), (Method::DELETE, &mut item.delete)]
            .into_iter()
            .filter_map(move |(method, operation)| Some((path, method, operation.as_mut()?)))
    })
}

/// The encoded document.
#[derive(Clone, Debug)]
pub(super) struct Document(pub(super) Bytes);

/// This document
#[utoipa::path(
    get, path = "/openapi.json", tag = "look", operation_id = "openapi",
    responses((status = 200, description = "The calls of this door", body = Object, content_type = "application/json"), Fixed),
)]
pub(super) async fn openapi(Extension(Document(text)): Extension<Document>) -> Response {
    typed(StatusCode::OK, text)
}

/// The names that each call's query may have.
#[derive(Clone, Debug)]
pub(super) struct Known(Arc<HashMap<(Method, String), Vec<String>>>);

impl Known {
    /// Of the calls as the router has them.
    pub(super) fn of(api: &mut openapi::OpenApi) -> Self {
        let names = operations(&mut api.paths.paths).map(|(path, method, operation)| {
            let parameters = operation.parameters.iter().flatten();
            let named = |parameter: &RefOr<Parameter>| match parameter {
                RefOr::T(p) if p.parameter_in == ParameterIn::Query => Some(p.name.clone()),
                _ => None,
            };
            let names = parameters.filter_map(named).collect();
            ((method, path.clone()), names)
        });
        Self(Arc::new(names.collect()))
    }
}

/// A misspelt parameter is told of: who asks for less than everything must not get everything.
pub(super) async fn only_known(State(Known(known)): State<Known>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let method = if request.method() == Method::HEAD { Method::GET } else { request.method().clone() };
    let Some(names) = path.and_then(|path| known.get(&(method, path))) else { return next.run(request).await };
    let remedy = || match names.is_empty() {
        true => "leave the query away: this call has no parameters".to_owned(),
        false => format!("the parameters of this call are {}", names.join(", ")),
    };
    let Query(asked) = match Query::<Vec<(String, String)>>::try_from_uri(request.uri()) {
        Ok(asked) => asked,
        Err(e) => return Problem::malformed(e.body_text(), remedy()).into_response(),
    };
    match asked.iter().find(|(name, _)| !names.contains(name)) {
        Some((name, _)) => {
            Problem::malformed(format!("`{}` is no parameter of this call", name.escape_debug()), remedy())
                .into_response()
        }
        None => next.run(request).await,
    }
}
