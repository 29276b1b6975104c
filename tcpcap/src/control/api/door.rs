//! The way to the daemon, and what of its answers is used again.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex as Plain, PoisonError},
    time::Duration,
};

use axum::{body::Bytes, http::StatusCode, response::Response};
use serde::Serialize;
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::{Instant, timeout, timeout_at},
};

use super::problem::{Problem, encode, typed};
use crate::{
    control::{Command, Reply, Request, server::Counters, stream::Hub},
    serving::Peer,
};

/// Answers that are held in memory at once for one kind of question: with everything blocked that may be, each list
/// takes tens of megabytes.
const LISTS_AT_ONCE: usize = 2;

/// Questions to the history at once.
const HISTORIES_AT_ONCE: usize = 2;

/// How old an answer may be that is used again because slow readers leave no room for a new one.
const OLDEST: Duration = Duration::from_secs(10);

/// What room is given out in, bytes.
const PIECE: usize = 1024;

/// How much may be asked for how long.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a body to arrive.
    pub body: Duration,
    /// For the daemon to answer.
    pub answer: Duration,
    /// How old an answer may be that somebody else got: however many ask, the daemon is asked once in this time.
    pub fresh: Duration,
    /// Of the daemon's time a question that many ask takes one part in so many, at most: a hundred thousand blocks take it
    /// some tens of milliseconds to list, and scanners use such times.
    pub one_in: u32,
    /// Streams at once.
    pub streams: usize,
    /// Bytes of answers that may be held at once: by readers that take them slowly, and to be used again. One that is
    /// larger than all of it is held alone.
    pub room: usize,
    /// Questions to the daemon's loop a second, over all who ask. What changes something is not counted.
    pub questions: u32,
    /// Stories of addresses a second, over all who ask: each is another question, so none is used again.
    pub stories: u32,
    /// Questions to the history a second, over all who ask.
    pub histories: u32,
}

impl Patience {
    /// Of the control socket: an operator sees what is, not what was a moment ago.
    pub const CONTROL: Self = Self {
        body: Duration::from_secs(5),
        answer: Duration::from_secs(5),
        fresh: Duration::ZERO,
        one_in: 0,
        streams: 16,
        room: 64 << 20,
        questions: 500,
        stories: 200,
        histories: 100,
    };

    /// Of the HTTP port: hundreds may look at once, and none of them delays a block.
    pub const HTTP: Self = Self {
        fresh: Duration::from_millis(500),
        one_in: 20,
        streams: 64,
        questions: 100,
        stories: 20,
        histories: 20,
        ..Self::CONTROL
    };
}

/// How often something may be asked, over all who ask: as much as a second brings may come at once.
#[derive(Debug)]
struct Rate {
    per_second: u32,
    left: Plain<(f64, Instant)>,
}

impl Rate {
    fn new(per_second: u32) -> Self {
        Self { per_second, left: Plain::new((f64::from(per_second), Instant::now())) }
    }

    /// Takes one, if there is one left.
    fn take(&self, what: &str) -> Result<(), Problem> {
        if self.take_at(Instant::now()) {
            return Ok(());
        }
        let cause = format!("there are more than {} {what} a second", self.per_second);
        Err(Problem::too_many(cause, "ask again in a second, and less often"))
    }

    fn take_at(&self, now: Instant) -> bool {
        let most = f64::from(self.per_second);
        let mut guard = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, at) = &mut *guard;
        *left = most.min(*left + most * now.saturating_duration_since(*at).as_secs_f64());
        *at = now;
        let is_left = *left >= 1.0;
        if is_left {
            *left -= 1.0;
        }
        is_left
    }
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
    question_rate: Rate,
    story_rate: Rate,
    history_rate: Rate,
    room: Arc<Semaphore>,
    kept: [Mutex<Option<Again>>; Kept::COUNT],
}

/// An answer, and its place among those that may be held. It has it until the last reader has taken it.
#[derive(Debug)]
pub(super) struct Held {
    text: Vec<u8>,
    _place: OwnedSemaphorePermit,
}

impl Held {
    pub(super) fn new(text: Vec<u8>, place: OwnedSemaphorePermit) -> Self {
        Self { text, _place: place }
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

/// One that several readers share.
#[derive(Debug)]
struct Shared(Arc<Held>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

/// An answer that is used again.
#[derive(Debug)]
struct Again {
    /// When the daemon was last asked.
    asked: Instant,
    /// How long it took then.
    took: Duration,
    /// When it gave this answer.
    given: Instant,
    answer: Arc<Held>,
}

impl Again {
    /// Whether the daemon need not be asked again. What takes it long is asked for less often.
    fn is_fresh(&self, Patience { fresh, one_in, .. }: Patience) -> bool {
        !fresh.is_zero() && self.asked.elapsed() < fresh.max(self.took * one_in).min(OLDEST)
    }

    fn give(&self) -> Result<Bytes, Problem> {
        match self.given.elapsed() < OLDEST {
            true => Ok(Bytes::from_owner(Shared(Arc::clone(&self.answer)))),
            false => Err(Problem::full()),
        }
    }
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
            room: Arc::new(Semaphore::new(patience.room.div_ceil(PIECE))),
            question_rate: Rate::new(patience.questions),
            story_rate: Rate::new(patience.stories),
            history_rate: Rate::new(patience.histories),
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

    /// Whether one more story may be asked for.
    pub(super) fn take_story(&self) -> Result<(), Problem> {
        self.0.story_rate.take("stories of addresses")
    }

    /// Whether one more question may go to the history.
    pub(super) fn take_history(&self) -> Result<(), Problem> {
        self.0.history_rate.take("questions to the history")
    }

    /// Has a command carried out.
    pub(super) async fn ask(&self, Peer(who): Peer, command: Command) -> Result<Reply, Problem> {
        if command.only_looks() {
            self.0.question_rate.take("questions")?;
        }
        let waited = self.0.patience.answer;
        let until = Instant::now() + waited;
        let (answer, answered) = oneshot::channel();
        let place = timeout_at(until, self.0.requests.reserve()).await;
        let place = place.map_err(|_| Problem::busy())?.map_err(|_| Problem::stopping())?;
        place.send(Request { command, who: who.to_string(), answer });
        match timeout_at(until, answered).await {
            Ok(Ok(answer)) => answer.map_err(|refused| Problem(StatusCode::CONFLICT, refused)),
            Ok(Err(_)) => Err(Problem::stopping()),
            Err(_) => Err(Problem::silent(waited)),
        }
    }

    /// The encoded answer to a question that many ask, no older than is fresh. While one asks, the others wait for it.
    pub(super) async fn shared(&self, peer: Peer, what: Kept) -> Result<Bytes, Problem> {
        let slot = &self.0.kept[what as usize];
        let mut kept = timeout(self.0.patience.answer, slot.lock()).await.map_err(|_| Problem::busy())?;
        if let Some(again) = &*kept
            && again.is_fresh(self.0.patience)
        {
            return again.give();
        }
        let began = Instant::now();
        let reply = self.ask(peer, what.command()).await?;
        let took = began.elapsed();
        let text = encode(&reply).map_err(|e| Problem::unwritable(&e))?;
        let place = self.room_for(&text).or_else(|| {
            // The one that it replaces may be what takes the room, and nobody reads that any more.
            kept.take_if(|again| Arc::strong_count(&again.answer) == 1)?;
            self.room_for(&text)
        });
        let now = Instant::now();
        match (place, &mut *kept) {
            (Some(place), kept) => {
                let again = Again { asked: now, took, given: now, answer: Arc::new(Held::new(text, place)) };
                kept.insert(again).give()
            }
            (None, Some(again)) => {
                (again.asked, again.took) = (now, took);
                again.give()
            }
            (None, None) => Err(Problem::full()),
        }
    }

    fn room_for(&self, text: &[u8]) -> Option<OwnedSemaphorePermit> {
        let all = self.0.patience.room.div_ceil(PIECE);
        let pieces = u32::try_from(text.len().div_ceil(PIECE).min(all)).ok()?;
        Arc::clone(&self.0.room).try_acquire_many_owned(pieces).ok()
    }

    /// An answer that is given once.
    pub(super) fn once<T: Serialize>(&self, content: &T) -> Result<Response, Problem> {
        let text = encode(content).map_err(|e| Problem::unwritable(&e))?;
        let place = self.room_for(&text).ok_or_else(Problem::full)?;
        Ok(typed(StatusCode::OK, Bytes::from_owner(Held::new(text, place))))
    }

    /// Whether answers are used again.
    pub(super) fn shares(&self) -> bool {
        !self.0.patience.fresh.is_zero()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_much_as_a_second_brings_may_come_at_once_and_then_no_more_than_comes_in() {
        let rate = Rate::new(20);
        let start = Instant::now();
        let taken = |after: Duration| (0..100).filter(|_| rate.take_at(start + after)).count();
        assert_eq!(taken(Duration::ZERO), 20);
        assert_eq!(taken(Duration::ZERO), 0);
        assert_eq!(taken(Duration::from_millis(250)), 5);
        assert_eq!(taken(Duration::from_secs(3600)), 20, "an hour of silence saves up no more");
    }

    #[test]
    fn an_answer_that_nothing_can_replace_is_used_again_for_a_while_and_then_no_more() {
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let answer = Arc::new(Held::new(b"[]".to_vec(), place));
        let given =
            |given| Again { asked: Instant::now(), took: Duration::ZERO, given, answer: Arc::clone(&answer) }.give();
        assert_eq!(given(Instant::now()).unwrap(), "[]");
        let Problem(status, _) = given(Instant::now().checked_sub(OLDEST).unwrap()).unwrap_err();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    }

    #[test]
    fn what_takes_the_daemon_long_is_asked_for_less_often_and_at_the_socket_always() {
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let answer = Arc::new(Held::new(b"[]".to_vec(), place));
        let is_fresh = |took, age, fresh| {
            let asked = Instant::now().checked_sub(Duration::from_millis(age)).unwrap();
            let took = Duration::from_millis(took);
            let patience = Patience { fresh: Duration::from_millis(fresh), ..Patience::HTTP };
            Again { asked, took, given: asked, answer: Arc::clone(&answer) }.is_fresh(patience)
        };
        assert!(is_fresh(1, 100, 500) && !is_fresh(1, 600, 500));
        assert!(is_fresh(100, 1_500, 500) && !is_fresh(100, 2_100, 500));
        assert!(!is_fresh(5_000, 11_000, 500), "ten seconds are old, whatever it takes");
        assert!(!is_fresh(100, 0, 0));
    }
}
