//! The way to the daemon, and what of its answers is used again.

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::body::Bytes;
use tokio::{
    sync::{Mutex, Semaphore, mpsc, oneshot},
    time::{Instant, timeout, timeout_at},
};

use super::problem::{Problem, encode};
use crate::{
    control::{Command, Reply, Request, server::Counters, stream::Hub},
    serving::Peer,
};

/// Answers that are held in memory at once for one kind of question: with everything blocked that may be, each list
/// takes tens of megabytes.
const LISTS_AT_ONCE: usize = 2;

/// Questions to the history at once.
const HISTORIES_AT_ONCE: usize = 2;

/// How much may be asked for how long.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a body to arrive.
    pub body: Duration,
    /// For the daemon to answer.
    pub answer: Duration,
    /// How old an answer may be that somebody else got: however many ask, the daemon is asked once in this time.
    pub fresh: Duration,
    /// Streams at once.
    pub streams: usize,
}

impl Patience {
    /// Of the control socket: an operator sees what is, not what was a moment ago.
    pub const CONTROL: Self =
        Self { body: Duration::from_secs(5), answer: Duration::from_secs(5), fresh: Duration::ZERO, streams: 16 };

    /// Of the HTTP port: hundreds may look at once, and none of them delays a block.
    pub const HTTP: Self = Self { fresh: Duration::from_millis(500), streams: 64, ..Self::CONTROL };
}

/// The way to the daemon.
#[derive(Clone, Debug)]
pub struct Door(Arc<Inside>);

#[derive(Debug)]
struct Inside {
    requests: mpsc::Sender<Request>,
    hub: Arc<Hub>,
    /// Where the history is.
    history: Option<PathBuf>,
    patience: Patience,
    counters: Counters,
    lists: Arc<Semaphore>,
    histories: Semaphore,
    streams: Arc<Semaphore>,
    kept: [Mutex<Option<(Instant, Bytes)>>; Kept::COUNT],
}

/// Answers that are used again.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kept {
    Status,
    Blocks,
    Sources,
    Timeline,
    Findings,
}

impl Kept {
    const COUNT: usize = 5;

    fn command(self) -> Command {
        match self {
            Self::Status => Command::Status,
            Self::Blocks => Command::List,
            Self::Sources => Command::Sources,
            Self::Timeline => Command::Timeline,
            Self::Findings => Command::Findings,
        }
    }
}

impl Door {
    /// A way to whoever has the other end of the channel.
    #[must_use]
    pub fn new(
        requests: mpsc::Sender<Request>,
        hub: Arc<Hub>,
        history: Option<PathBuf>,
        patience: Patience,
        counters: Counters,
    ) -> Self {
        Self(Arc::new(Inside {
            requests,
            hub,
            history,
            patience,
            counters,
            lists: Arc::new(Semaphore::new(LISTS_AT_ONCE)),
            histories: Semaphore::new(HISTORIES_AT_ONCE),
            streams: Arc::new(Semaphore::new(patience.streams)),
            kept: Default::default(),
        }))
    }

    /// What is counted here.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.0.counters
    }

    pub(super) fn patience(&self) -> Patience {
        self.0.patience
    }

    pub(super) fn hub(&self) -> &Hub {
        &self.0.hub
    }

    pub(super) fn history(&self) -> Option<PathBuf> {
        self.0.history.clone()
    }

    pub(super) fn lists(&self) -> &Arc<Semaphore> {
        &self.0.lists
    }

    pub(super) fn histories(&self) -> &Semaphore {
        &self.0.histories
    }

    pub(super) fn streams(&self) -> &Arc<Semaphore> {
        &self.0.streams
    }

    /// Has a command carried out.
    pub(super) async fn ask(&self, Peer(who): Peer, command: Command) -> Result<Reply, Problem> {
        let waited = self.0.patience.answer;
        let until = Instant::now() + waited;
        let (answer, answered) = oneshot::channel();
        let place = timeout_at(until, self.0.requests.reserve()).await;
        let place = place.map_err(|_| Problem::busy())?.map_err(|_| Problem::stopping())?;
        place.send(Request { command, who: who.to_string(), answer });
        match timeout_at(until, answered).await {
            Ok(Ok(answer)) => answer.map_err(|refused| Problem(axum::http::StatusCode::CONFLICT, refused)),
            Ok(Err(_)) => Err(Problem::stopping()),
            Err(_) => Err(Problem::silent(waited)),
        }
    }

    /// The encoded answer to a question that many ask, no older than is fresh. While one asks, the others wait for it.
    pub(super) async fn shared(&self, peer: Peer, what: Kept) -> Result<Bytes, Problem> {
        let fresh = self.0.patience.fresh;
        let slot = &self.0.kept[what as usize];
        let mut kept = timeout(self.0.patience.answer, slot.lock()).await.map_err(|_| Problem::busy())?;
        if let Some((at, bytes)) = &*kept
            && at.elapsed() < fresh
        {
            return Ok(bytes.clone());
        }
        let reply = self.ask(peer, what.command()).await?;
        let bytes = Bytes::from(encode(&reply).map_err(|e| {
            let cause = format!("the answer cannot be written as JSON: {e}");
            Problem::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, cause, "report this")
        })?);
        *kept = Some((Instant::now(), bytes.clone()));
        Ok(bytes)
    }

    /// Whether answers are used again.
    pub(super) fn shares(&self) -> bool {
        !self.0.patience.fresh.is_zero()
    }
}
