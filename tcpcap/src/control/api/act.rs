//! The calls that change something; over the control socket alone.

use std::time::Duration;

use axum::{
    Extension,
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de, de::DeserializeOwned};
use serde_json::Number;
use tokio::time::timeout;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr, Schema,
        schema::{AdditionalProperties, AnyOfBuilder, ObjectBuilder, SchemaType, Type},
    },
};

use super::{
    Door,
    document::{Acting, Bare, NetworkText, Taking},
    problem::{Answer, Problem, good},
};
use crate::{
    control::{Command, LONGEST, LONGEST_NOTE, check_lasts, check_note},
    serving::Peer,
    settings::parse_network,
};

/// The longest body of a request, bytes. The longest that makes sense has a note of 200 characters.
const BODY_LIMIT: usize = 8 * 1024;

/// A network as people write it: an address is one too, and host bits are cleared.
struct Written(IpNet);

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        parse_network(&String::deserialize(d)?).map(Self).map_err(de::Error::custom)
    }
}

/// A whole number, which `60.0` is as well.
fn whole<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u64>, D::Error> {
    let Some(number) = Option::<Number>::deserialize(d)? else { return Ok(None) };
    let of_float = || number.as_f64().filter(|f| f.fract() == 0.0)?.to_string().parse().ok();
    let whole = number.as_u64().or_else(of_float);
    whole.map(Some).ok_or_else(|| de::Error::custom(format!("invalid value: `{number}` is no number of seconds")))
}

fn malformed(cause: String, example: &str) -> Problem {
    Problem::malformed(cause, format!("send JSON such as {example}"))
}

/// Reads a whole body as JSON.
async fn read<T: DeserializeOwned>(door: &Door, body: Body, example: &str) -> Result<T, Problem> {
    let whole = timeout(door.patience().body, Limited::new(body, BODY_LIMIT).collect());
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
fn named(text: Result<Path<String>, PathRejection>) -> Result<IpNet, Problem> {
    let text = text.map_err(|e| e.body_text());
    text.and_then(|Path(text)| parse_network(&text))
        .map_err(|cause| Problem::malformed(cause, "name an address or a network at the end of the path"))
}

/// What has been done.
#[derive(ToSchema)]
#[allow(dead_code, reason = "as the document shows what `Reply::Done` is written as")]
struct Done {
    /// As a sentence.
    #[schema(example = "Blocked 192.0.2.7 for 1 h")]
    done: String,
}

// The document's bounds can only be written as numbers.
const _: () = assert!(LONGEST.as_secs() == 315_360_000 && LONGEST_NOTE == 200);

/// Whom to block.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BlockBody {
    /// An address or a network; host bits are cleared.
    #[schema(value_type = NetworkText)]
    network: Written,
    /// For how many seconds; null or none for ever.
    #[serde(default, deserialize_with = "whole")]
    #[schema(minimum = 1, maximum = 315_360_000, example = 3600)]
    lasts: Option<u64>,
    /// What for: one line, shown in the log and wherever the block is.
    #[serde(default)]
    #[schema(max_length = 200, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$", example = "too curious")]
    note: Option<String>,
}

/// Block an address or a network
#[utoipa::path(
    post, path = "/blocks", tag = "act", request_body = BlockBody,
    responses((status = 200, description = "It is blocked", body = Done), Acting),
)]
pub(super) async fn block(State(door): State<Door>, Extension(peer): Extension<Peer>, body: Body) -> Answer {
    const EXAMPLE: &str = r#"{"network": "192.0.2.0/24", "lasts": 3600, "note": "too curious"}"#;
    let BlockBody { network: Written(network), lasts, note } = read(&door, body, EXAMPLE).await?;
    let lasts = lasts.map(Duration::from_secs);
    lasts.map_or(Ok(()), check_lasts).map_err(|cause| malformed(cause, EXAMPLE))?;
    note.as_deref().map_or(Ok(()), check_note).map_err(|cause| malformed(cause, EXAMPLE))?;
    Ok(good(&door.ask(peer, Command::Block { network, lasts, note }).await?))
}

/// Let go of an address or a network
///
/// An operator's block, a rule's, or both.
#[utoipa::path(
    delete, path = "/blocks/{*network}", tag = "act",
    params(("network" = inline(NetworkText), Path, description = "As `GET /blocks` shows it, or an address")),
    responses((status = 200, description = "It is not blocked any more", body = Done), Taking),
)]
pub(super) async fn unblock(
    State(door): State<Door>,
    Extension(peer): Extension<Peer>,
    network: Result<Path<String>, PathRejection>,
) -> Answer {
    Ok(good(&door.ask(peer, Command::Unblock { network: named(network)? }).await?))
}

/// Whom to allow.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AllowBody {
    /// An address or a network; host bits are cleared.
    #[schema(value_type = NetworkText)]
    network: Written,
}

/// Never block an address or a network
#[utoipa::path(
    post, path = "/allowed", tag = "act", request_body = AllowBody,
    responses((status = 200, description = "It is allowed", body = Done), Acting),
)]
pub(super) async fn allow(State(door): State<Door>, Extension(peer): Extension<Peer>, body: Body) -> Answer {
    let AllowBody { network: Written(network) } = read(&door, body, r#"{"network": "192.0.2.0/24"}"#).await?;
    Ok(good(&door.ask(peer, Command::Allow { network }).await?))
}

/// Take back that an address or a network is never blocked
#[utoipa::path(
    delete, path = "/allowed/{*network}", tag = "act",
    params(("network" = inline(NetworkText), Path, description = "As `allowed` of `GET /status` shows it")),
    responses((status = 200, description = "It is not allowed any more", body = Done), Taking),
)]
pub(super) async fn disallow(
    State(door): State<Door>,
    Extension(peer): Extension<Peer>,
    network: Result<Path<String>, PathRejection>,
) -> Answer {
    Ok(good(&door.ask(peer, Command::Disallow { network: named(network)? }).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModeBody {
    #[serde(default)]
    observe: Option<bool>,
    #[serde(default)]
    syn_only: Option<bool>,
}

/// At least one of the two is named.
impl PartialSchema for ModeBody {
    fn schema() -> RefOr<Schema> {
        let named = |name: &str, about: &str, also: &str, about_it: &str| {
            let (on, perhaps) = (SchemaType::new(Type::Boolean), SchemaType::from_iter([Type::Boolean, Type::Null]));
            let property = |kind, about: &str| ObjectBuilder::new().schema_type(kind).description(Some(about));
            ObjectBuilder::new()
                .property(name, property(on, about))
                .required(name)
                .property(also, property(perhaps, about_it))
                .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)))
        };
        let observe = ("observe", "Drop nothing, only count what would be dropped");
        let syn_only = ("syn_only", "Of blocked sources, drop new connections alone");
        AnyOfBuilder::new()
            .item(named(observe.0, observe.1, syn_only.0, syn_only.1))
            .item(named(syn_only.0, syn_only.1, observe.0, observe.1))
            .description(Some("What of the mode to change; at least one. What is not named, or null, stays."))
            .into()
    }
}

impl ToSchema for ModeBody {}

/// Switch what is dropped
#[utoipa::path(
    post, path = "/mode", tag = "act", request_body = ModeBody,
    responses((status = 200, description = "The mode is so", body = Done), Acting),
)]
pub(super) async fn mode(State(door): State<Door>, Extension(peer): Extension<Peer>, body: Body) -> Answer {
    const EXAMPLE: &str = r#"{"observe": true, "syn_only": false}"#;
    let ModeBody { observe, syn_only } = read(&door, body, EXAMPLE).await?;
    if observe.is_none() && syn_only.is_none() {
        return Err(malformed("the body names nothing to change".to_owned(), EXAMPLE));
    }
    Ok(good(&door.ask(peer, Command::Mode { observe, syn_only }).await?))
}

/// Read configuration and feeds anew
///
/// Whole or not at all.
#[utoipa::path(
    post, path = "/reload", tag = "act",
    responses((status = 200, description = "They were read", body = Done), Bare),
)]
pub(super) async fn reload(State(door): State<Door>, Extension(peer): Extension<Peer>) -> Answer {
    Ok(good(&door.ask(peer, Command::Reload).await?))
}
