//! What happens, as server-sent events (the HTML standard, § 9.2).

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Extension,
    extract::{Query, State, rejection::QueryRejection},
    response::{
        IntoResponse,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{Stream, stream};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::IntoParams;

use super::{
    Door,
    document::Reading,
    problem::{Answer, Problem},
};
use crate::{
    control::{
        server::Counters,
        stream::{Happened, Listener, Passing, Told},
    },
    serving::Lasting,
};

/// How often somebody who listens hears that the stream is alive.
const ALIVE: Duration = Duration::from_secs(15);

/// What `/events` can be asked.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// Each new connection, too; there may be thousands a second.
    #[param(required = false, default = false)]
    connections: bool,
}

struct Ear {
    listener: Listener,
    counters: Counters,
    _place: OwnedSemaphorePermit,
}

impl Drop for Ear {
    /// Who has gone will not hear how many it missed.
    fn drop(&mut self) {
        self.counters.miss(self.listener.missed());
    }
}

/// What happens, as it happens
///
/// Server-sent events without end. `event:` is `finding`, `block`, `command`, `connection`, `pulse` (once a second) or
/// `missed`, and so is the `type` of `data:`, which is a `Happened` on one line. Who reads too slowly misses the oldest
/// events and is told how many; a stream of which nothing is taken for a minute is closed.
#[utoipa::path(
    get, path = "/events", tag = "look", params(Asked),
    responses(
        (status = 200, description = "The stream; each event's data is a `Happened`",
         content((Happened = "text/event-stream"))),
        Reading,
    ),
)]
pub(super) async fn events(
    State(door): State<Door>,
    lasting: Option<Extension<Lasting>>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Answer {
    let Query(Asked { connections }) = asked
        .map_err(|e| Problem::malformed(e.body_text(), "ask /api/v1/events or /api/v1/events?connections=true"))?;
    let place = Arc::clone(door.streams()).try_acquire_owned().map_err(|_| {
        let cause = format!("{} listen already", door.patience().streams);
        Problem::too_many(cause, "try again when one of them has gone")
    })?;
    let ear = Ear { listener: door.hub().listen(connections), counters: door.counters().clone(), _place: place };
    let events = stream::unfold(ear, |mut ear| async move {
        let happened = ear.listener.next().await?;
        if let Told::Passing(Passing::Missed { events }) = happened.what {
            ear.counters.miss(events);
        }
        Some((event(&happened), ear))
    });
    let lasting = lasting.map(|Extension(lasting)| lasting).unwrap_or_default();
    let sse = Sse::new(Taken { events: Box::pin(events), lasting }).keep_alive(KeepAlive::new().interval(ALIVE));
    Ok(sse.into_response())
}

fn event(happened: &Happened) -> Result<Event, Infallible> {
    let text = serde_json::to_string(happened).unwrap_or_default();
    Ok(Event::default().event(happened.name()).data(text))
}

/// A stream that says when it is asked for more: then its reader has taken what came before.
struct Taken<S> {
    events: Pin<Box<S>>,
    lasting: Lasting,
}

impl<S: Stream> Stream for Taken<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.lasting.take();
        self.events.as_mut().poll_next(context)
    }
}
