//! The calls that only look.

use std::{net::IpAddr, sync::Arc, time::SystemTime};

use axum::{
    Extension,
    body::Bytes,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::Response,
};
use serde::Deserialize;
use tokio::{sync::OwnedSemaphorePermit, task::spawn_blocking, time::timeout};

use super::{
    Door,
    door::Kept,
    problem::{Answer, Problem, encode, json, typed, unwritable},
};
use crate::{
    control::{Command, Reply, Story},
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

pub(super) async fn status(State(door): State<Door>, Extension(peer): Extension<Peer>) -> Answer {
    shared(&door, peer, Kept::Status).await
}

pub(super) async fn sources(State(door): State<Door>, Extension(peer): Extension<Peer>) -> Answer {
    shared(&door, peer, Kept::Sources).await
}

pub(super) async fn timeline(State(door): State<Door>, Extension(peer): Extension<Peer>) -> Answer {
    shared(&door, peer, Kept::Timeline).await
}

pub(super) async fn findings(State(door): State<Door>, Extension(peer): Extension<Peer>) -> Answer {
    shared(&door, peer, Kept::Findings).await
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

pub(super) async fn blocks(State(door): State<Door>, Extension(peer): Extension<Peer>) -> Answer {
    if door.shares() {
        return shared(&door, peer, Kept::Blocks).await;
    }
    let place = Arc::clone(door.lists()).acquire_owned();
    let place = timeout(door.patience().answer, place).await;
    let place = place.map_err(|_| Problem::busy())?.map_err(|_| Problem::stopping())?;
    let reply = door.ask(peer, Command::List).await?;
    let hold = |text| typed(StatusCode::OK, Bytes::from_owner(Held { text, _place: place }));
    Ok(encode(&reply).map_or_else(|e| unwritable(&e), hold))
}

/// What `/history` can be asked.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Asked {
    /// Not before, such as `2025-11-24T16:00:00Z`.
    since: Option<String>,
    /// Before.
    until: Option<String>,
    /// About this address or network, one that holds it, or one within it.
    about: Option<String>,
    /// At most so many, 1 to 1000.
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

pub(super) async fn history(State(door): State<Door>, asked: Result<Query<Asked>, QueryRejection>) -> Answer {
    const REMEDY: &str = "ask such as /api/v1/history?about=192.0.2.7&since=2025-11-24T16:00:00Z&limit=100";
    let Query(asked) = asked.map_err(|e| Problem::malformed(e.body_text(), REMEDY))?;
    let question = asked.question().map_err(|cause| Problem::malformed(cause, REMEDY))?;
    let rows = rows(&door, question).await?;
    Ok(json(StatusCode::OK, &rows))
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

pub(super) async fn explain(
    State(door): State<Door>,
    Extension(peer): Extension<Peer>,
    Path(address): Path<String>,
) -> Result<Response, Problem> {
    let address: IpAddr = address.parse().map_err(|_| {
        Problem::malformed(
            format!("`{address}` is no address"),
            "name an address at the end of the path, such as /api/v1/explain/192.0.2.7",
        )
    })?;
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
    Ok(json(StatusCode::OK, &story))
}
