//! What happens, as it happens, for whoever listens. A slow listener misses some and is told how many; nobody waits for it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::{self, error::RecvError};
use utoipa::ToSchema;

use super::Sample;
use crate::history::{What, clock};

/// How many events wait for a listener before it misses the oldest.
const WAITING: usize = 4096;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Happened {
    /// When.
    #[serde(with = "clock::text")]
    #[schema(value_type = String, format = DateTime)]
    pub time: SystemTime,
    /// What.
    #[serde(flatten)]
    pub what: Told,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[allow(clippy::large_enum_variant, reason = "each is behind a pointer")]
pub enum Told {
    /// What the history is told as well.
    Kept(What),
    /// What it is not.
    Passing(Passing),
}

/// What is told once and not kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Passing {
    /// A new connection was tried.
    Connection {
        /// By whom.
        #[schema(value_type = String, example = "192.0.2.56:5973")]
        from: SocketAddr,
        /// Where.
        #[schema(value_type = String, example = "10.0.0.5:80")]
        to: SocketAddr,
    },
    /// A second is over.
    Pulse(Sample),
    /// The listener was too slow.
    Missed {
        /// So many events never reach it.
        events: u64,
    },
}

/// Where it is told.
#[derive(Debug)]
pub struct Hub {
    sender: broadcast::Sender<Arc<Happened>>,
    /// Listeners who want to hear of each new connection.
    curious: Arc<AtomicUsize>,
}

impl Default for Hub {
    fn default() -> Self {
        Self { sender: broadcast::Sender::new(WAITING), curious: Arc::default() }
    }
}

impl Hub {
    /// Tells whoever listens. Costs next to nothing while nobody does.
    pub fn tell(&self, what: impl FnOnce() -> Happened) {
        self.try_tell(|| Some(what()));
    }

    /// As [`Hub::tell`], of what may turn out to be nothing.
    pub fn try_tell(&self, what: impl FnOnce() -> Option<Happened>) {
        if self.sender.receiver_count() > 0
            && let Some(happened) = what()
        {
            self.pass_on(Arc::new(happened));
        }
    }

    /// As [`Hub::tell`], of what has been put together anyway.
    pub fn pass_on(&self, happened: Arc<Happened>) {
        // The last listener may have left just now.
        self.sender.send(happened).ok();
    }

    /// Whether anybody wants to hear of each new connection.
    #[must_use]
    pub fn wants_connections(&self) -> bool {
        self.curious.load(Ordering::Relaxed) > 0
    }

    /// Listens from now on.
    #[must_use]
    pub fn listen(&self, connections: bool) -> Listener {
        let curious = connections.then(|| {
            self.curious.fetch_add(1, Ordering::Relaxed);
            Arc::clone(&self.curious)
        });
        Listener { receiver: self.sender.subscribe(), curious }
    }
}

/// Somebody who listens.
#[derive(Debug)]
pub struct Listener {
    receiver: broadcast::Receiver<Arc<Happened>>,
    curious: Option<Arc<AtomicUsize>>,
}

impl Listener {
    /// What happens next; none when the daemon stops.
    pub async fn next(&mut self) -> Option<Arc<Happened>> {
        loop {
            match self.receiver.recv().await {
                Ok(event) if self.curious.is_none() && event.is_connection() => {}
                Ok(event) => return Some(event),
                Err(RecvError::Lagged(events)) => {
                    let what = Told::Passing(Passing::Missed { events });
                    return Some(Arc::new(Happened { time: SystemTime::now(), what }));
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

impl Listener {
    /// How many events it has missed since it last heard of some.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.receiver.len().saturating_sub(WAITING) as u64
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(curious) = &self.curious {
            curious.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Happened {
    /// Its name: `finding`, `block`, `command`, `connection`, `pulse` or `missed`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match &self.what {
            Told::Kept(what) => what.name(),
            Told::Passing(Passing::Connection { .. }) => "connection",
            Told::Passing(Passing::Pulse(_)) => "pulse",
            Told::Passing(Passing::Missed { .. }) => "missed",
        }
    }

    const fn is_connection(&self) -> bool {
        matches!(self.what, Told::Passing(Passing::Connection { .. }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(port: u16) -> Happened {
        let (from, to) = (SocketAddr::from(([192, 0, 2, 1], port)), SocketAddr::from(([198, 51, 100, 1], 22)));
        Happened { time: SystemTime::UNIX_EPOCH, what: Told::Passing(Passing::Connection { from, to }) }
    }

    fn pulse() -> Happened {
        Happened { time: SystemTime::UNIX_EPOCH, what: Told::Passing(Passing::Pulse(Sample::default())) }
    }

    #[tokio::test]
    async fn only_who_is_curious_hears_of_each_connection() {
        let hub = Hub::default();
        let mut plain = hub.listen(false);
        assert!(!hub.wants_connections());
        let mut curious = hub.listen(true);
        assert!(hub.wants_connections());
        hub.tell(|| connection(1));
        hub.tell(pulse);
        assert_eq!(plain.next().await.unwrap().name(), "pulse");
        assert_eq!(curious.next().await.unwrap().name(), "connection");
        drop(curious);
        assert!(!hub.wants_connections());
    }

    #[tokio::test]
    async fn a_slow_listener_is_told_how_many_events_it_missed_and_holds_nobody_up() {
        let hub = Hub::default();
        let mut slow = hub.listen(true);
        (0..WAITING + 10).for_each(|_| hub.tell(|| connection(1)));
        assert_eq!(slow.missed(), 10);
        assert_eq!(slow.next().await.unwrap().what, Told::Passing(Passing::Missed { events: 10 }));
        assert_eq!(slow.missed(), 0, "it has been told");
        for _ in 0..WAITING {
            assert_eq!(slow.next().await.unwrap().name(), "connection");
        }
        drop(hub);
        assert_eq!(slow.next().await, None);
    }

    #[test]
    fn while_nobody_listens_nothing_is_even_put_together() {
        Hub::default().tell(|| unreachable!("nobody listens"));
    }

    #[test]
    fn an_event_survives_json() {
        for event in [connection(7), pulse()] {
            let text = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<Happened>(&text).unwrap(), event, "{text}");
        }
    }
}
