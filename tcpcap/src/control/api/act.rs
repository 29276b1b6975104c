//! The calls that change something; over the control socket alone.

use std::time::Duration;

use axum::{
    Extension,
    body::Body,
    extract::{Path, State},
    http::StatusCode,
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de, de::DeserializeOwned};
use tokio::time::timeout;

use super::{
    Door,
    problem::{Answer, Problem, good},
};
use crate::{
    control::{Command, check_lasts, check_note},
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
fn named(text: &str) -> Result<IpNet, Problem> {
    parse_network(text)
        .map_err(|cause| Problem::malformed(cause, "name an address or a network at the end of the path"))
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

pub(super) async fn block(State(door): State<Door>, Extension(peer): Extension<Peer>, body: Body) -> Answer {
    const EXAMPLE: &str = r#"{"network": "192.0.2.0/24", "lasts": 3600, "note": "too curious"}"#;
    let BlockBody { network: Written(network), lasts, note } = read(&door, body, EXAMPLE).await?;
    let lasts = lasts.map(Duration::from_secs);
    lasts.map_or(Ok(()), check_lasts).map_err(|cause| malformed(cause, EXAMPLE))?;
    note.as_deref().map_or(Ok(()), check_note).map_err(|cause| malformed(cause, EXAMPLE))?;
    Ok(good(&door.ask(peer, Command::Block { network, lasts, note }).await?))
}

pub(super) async fn unblock(
    State(door): State<Door>,
    Extension(peer): Extension<Peer>,
    Path(network): Path<String>,
) -> Answer {
    Ok(good(&door.ask(peer, Command::Unblock { network: named(&network)? }).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AllowBody {
    network: Written,
}

pub(super) async fn allow(State(door): State<Door>, Extension(peer): Extension<Peer>, body: Body) -> Answer {
    let AllowBody { network: Written(network) } = read(&door, body, r#"{"network": "192.0.2.0/24"}"#).await?;
    Ok(good(&door.ask(peer, Command::Allow { network }).await?))
}

pub(super) async fn disallow(
    State(door): State<Door>,
    Extension(peer): Extension<Peer>,
    Path(network): Path<String>,
) -> Answer {
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

pub(super) async fn mode(State(door): State<Door>, Extension(peer): Extension<Peer>, body: Body) -> Answer {
    const EXAMPLE: &str = r#"{"observe": true, "syn_only": false}"#;
    let ModeBody { observe, syn_only } = read(&door, body, EXAMPLE).await?;
    if observe.is_none() && syn_only.is_none() {
        return Err(malformed("the body names nothing to change".to_owned(), EXAMPLE));
    }
    Ok(good(&door.ask(peer, Command::Mode { observe, syn_only }).await?))
}

pub(super) async fn reload(State(door): State<Door>, Extension(peer): Extension<Peer>) -> Answer {
    Ok(good(&door.ask(peer, Command::Reload).await?))
}
