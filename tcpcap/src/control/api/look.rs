//! The calls that only look.

use std::{net::IpAddr, sync::Arc, time::SystemTime};

use axum::{
    Extension,
    body::Bytes,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::StatusCode,
    response::Response,
};
use serde::Deserialize;
use tokio::{task::spawn_blocking, time::timeout};
use utoipa::IntoParams;

use super::{
    Door,
    document::{AddressText, Looking, LookingAt, NetworkText, Reading},
    door::{Held, Kept},
    problem::{Answer, Problem, encode, typed},
};
use crate::{
    control::{BlockShown, Command, Reply, SourceShown, Status, Story, Timeline, stream::Happened},
    history::{Question, Reader, Row},
    serving::Peer,
    settings::parse_network,
};

/// Rows of the history that one answer has at most.
const MOST_ROWS: usize = 1000;

/// Rows of the history in a story.
const STORY_ROWS: usize = 200;

async fn shared(door: &Door, peer: Peer, what: Kept) -> Answer {
    Ok(typed(StatusCode::OK, door.shared(peer, what).await?))
}

/// How it is going
#[utoipa::path(
    get, path = "/status", tag = "look",
    responses((status = 200, description = "Mode, interfaces, counts, and how each part is", body = Status), Looking),
)]
pub(super) async fn status(State(door): State<Door>, Extension(peer): Extension<Peer>) -> Answer {
    shared(&door, peer, Kept::Status).await
}

/// Who is knocking
#[utoipa::path(
    get, path = "/sources", tag = "look",
    responses((status = 200, description = "The thousand live sources with the most attempts, those with more first", body = Vec<SourceShown>), Looking),
)]
pub(super) async fn sources(State(door): State<Door>, Extension(peer): Extension<Peer>) -> Answer {
    shared(&door, peer, Kept::Sources).await
}

/// What happened over time
#[utoipa::path(
    get, path = "/timeline", tag = "look",
    responses((status = 200, description = "Ten minutes by the second and a day by the minute", body = Timeline), Looking),
)]
pub(super) async fn timeline(State(door): State<Door>, Extension(peer): Extension<Peer>) -> Answer {
    shared(&door, peer, Kept::Timeline).await
}

/// What rules found of late
#[utoipa::path(
    get, path = "/findings", tag = "look",
    responses((status = 200, description = "The latest five hundred, the newest first", body = Vec<Happened>), Looking),
)]
pub(super) async fn findings(State(door): State<Door>, Extension(peer): Extension<Peer>) -> Answer {
    shared(&door, peer, Kept::Findings).await
}

/// Who is blocked
#[utoipa::path(
    get, path = "/blocks", tag = "look",
    responses((status = 200, description = "The blocks that are on, in no order; of feeds only what was asked for by address", body = Vec<BlockShown>), Looking),
)]
pub(super) async fn blocks(State(door): State<Door>, Extension(peer): Extension<Peer>) -> Answer {
    if door.shares() {
        return shared(&door, peer, Kept::Blocks).await;
    }
    let place = Arc::clone(door.lists()).acquire_owned();
    let place = timeout(door.patience().answer, place).await;
    let place = place.map_err(|_| Problem::busy())?.map_err(|_| Problem::stopping())?;
    let reply = door.ask(peer, Command::List).await?;
    let text = encode(&reply).map_err(|e| Problem::unwritable(&e))?;
    Ok(typed(StatusCode::OK, Bytes::from_owner(Held::new(text, place))))
}

/// What `/history` can be asked.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// Not before this time, in UTC.
    #[param(nullable = false, format = DateTime, example = "2025-11-24T16:00:00Z")]
    since: Option<String>,
    /// Before this time, in UTC.
    #[param(nullable = false, format = DateTime, example = "2025-11-25T16:00:00Z")]
    until: Option<String>,
    /// About this address or network, one that holds it, or one within it.
    #[param(nullable = false, value_type = Option<NetworkText>, inline, example = "192.0.2.0/24")]
    about: Option<String>,
    /// At most so many.
    #[param(nullable = false, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
}

impl Asked {
    fn question(self) -> Result<Question, String> {
        let time = |text: Option<String>| -> Result<Option<SystemTime>, String> {
            let parse = |text: String| {
                humantime::parse_rfc3339(&text)
                    .map_err(|e| format!("`{text}` is no time such as 2025-11-24T16:00:00Z: {e}"))
            };
            text.map(parse).transpose()
        };
        let limit = self.limit.unwrap_or(100);
        if !(1..=MOST_ROWS).contains(&limit) {
            return Err(format!("`limit` is not between 1 and {MOST_ROWS}"));
        }
        let about = self.about.map(|text| parse_network(&text)).transpose()?;
        Ok(Question { since: time(self.since)?, until: time(self.until)?, about, limit })
    }
}

/// What happened before
#[utoipa::path(
    get, path = "/history", tag = "look", params(Asked),
    responses((status = 200, description = "What the history has of it, the newest first", body = Vec<Row>), Reading),
)]
pub(super) async fn history(State(door): State<Door>, asked: Result<Query<Asked>, QueryRejection>) -> Answer {
    const REMEDY: &str = "ask such as /api/v1/history?about=192.0.2.7&since=2025-11-24T16:00:00Z&limit=100";
    let Query(asked) = asked.map_err(|e| Problem::malformed(e.body_text(), REMEDY))?;
    let question = asked.question().map_err(|cause| Problem::malformed(cause, REMEDY))?;
    door.take_history()?;
    let rows = rows(&door, question).await?;
    door.once(&rows)
}

/// Asks the history, on a thread that may wait for the disk.
async fn rows(door: &Door, question: Question) -> Result<Vec<Row>, Problem> {
    let none = |cause: &str, remedy: &str| Problem::new(StatusCode::SERVICE_UNAVAILABLE, cause, remedy);
    let Some(path) = door.history() else {
        return Err(none("there is no history", "see `tcpcap status` for why"));
    };
    let place = timeout(door.patience().answer, door.histories().acquire()).await;
    let _place = place.map_err(|_| Problem::busy())?.map_err(|_| Problem::stopping())?;
    let asked = spawn_blocking(move || Reader::open(&path).and_then(|reader| reader.ask(&question))).await;
    match asked {
        Ok(Ok(rows)) => Ok(rows),
        Ok(Err(problem)) => Err(none(&problem.cause, &problem.remedy)),
        Err(e) => Err(none(&format!("asking the history failed: {e}"), "ask again")),
    }
}

/// The story of an address
#[utoipa::path(
    get, path = "/explain/{*address}", tag = "look",
    params(("address" = inline(AddressText), Path, description = "An IPv4 or IPv6 address", example = "192.0.2.7")),
    responses((status = 200, description = "How it is, what it did, what is to come, and what was found, decided and done", body = Story), LookingAt),
)]
pub(super) async fn explain(
    State(door): State<Door>,
    Extension(peer): Extension<Peer>,
    address: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    const REMEDY: &str = "name an address at the end of the path, such as /api/v1/explain/192.0.2.7";
    let Path(address) = address.map_err(|e| Problem::malformed(e.body_text(), REMEDY))?;
    let address = one(&address).map_err(|cause| Problem::malformed(cause, REMEDY))?;
    door.take_story()?;
    let Reply::Story(story) = door.ask(peer, Command::Explain { address }).await? else {
        return Err(Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the daemon answers something else",
            "report this",
        ));
    };
    let question = Question { about: Some(story.source), limit: STORY_ROWS, ..Question::default() };
    let story = match rows(&door, question).await {
        Ok(past) => {
            let cut = past.len() == STORY_ROWS;
            let past_missing = cut.then(|| format!("only the latest {STORY_ROWS} entries are told"));
            Story { past, past_missing, ..*story }
        }
        Err(Problem(_, why)) => Story { past_missing: Some(why.cause), ..*story },
    };
    door.once(&story)
}

/// One address.
fn one(text: &str) -> Result<IpAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let shown = text.escape_debug();
    Err(match text.split_once('%') {
        Some((address, _)) if address.parse::<IpAddr>().is_ok() => {
            format!("`{shown}` names an interface behind the address, and stories are about addresses alone")
        }
        _ if parse_network(text).is_ok() => format!("`{shown}` is a network, and stories are about one address"),
        _ => format!("`{shown}` is no address"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_single_address_is_named_as_what_it_is() {
        assert_eq!(one("::ffff:1.2.3.4"), Ok("::ffff:1.2.3.4".parse().unwrap()));
        for (text, said) in [
            ("fe80::1%eth0", "`fe80::1%eth0` names an interface behind the address"),
            ("2001:db8::/64", "`2001:db8::/64` is a network"),
            ("1.2.3", "`1.2.3` is no address"),
            ("[::1]", "`[::1]` is no address"),
            ("x\n", "`x\\n` is no address"),
            ("x%eth0", "is no address"),
        ] {
            let cause = one(text).unwrap_err();
            assert!(cause.contains(said), "{text}: {cause}");
        }
    }
}
