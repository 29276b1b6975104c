//! The daemon's end of the control socket: HTTP/1 and JSON, see [`super::api`] for what can be asked. A connection carries
//! one request. The daemon's loop is reached only through a bounded channel.

use std::{io, time::Duration};

use axum::http::StatusCode;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use tokio::net::UnixListener;

use super::{
    api::{self, Door},
    socket::{Bound, File},
};
use crate::serving::{self, Lost, Serving};

/// Commands that wait for the daemon's loop at most: how much the channel should hold.
pub const WAITING: usize = 64;

/// How much is served at once, and how long each part of it may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; more wait until one ends.
    pub connections: usize,
    /// For a header to arrive.
    pub header: Duration,
    /// For everything.
    pub connection: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 32,
            header: Duration::from_secs(5),
            // Header, body, answer, and some for a long list to be read.
            connection: Duration::from_secs(25),
        }
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StatusLabels {
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct LossLabels {
    how: &'static str,
}

/// What was asked over a door, counted.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    requests: Family<StatusLabels, Counter>,
    lost: Family<LossLabels, Counter>,
    missed: Counter,
}

impl Counters {
    /// Shows them under a prefix: `control` or `http`.
    pub fn register(&self, registry: &mut Registry, prefix: &'static str) {
        for how in Lost::ALL {
            self.lost.get_or_create(&LossLabels { how: how.name() }).inc_by(0);
        }
        let registry = registry.sub_registry_with_prefix(prefix);
        let help = "Requests, by the HTTP status they were answered with";
        registry.register("requests", help, self.requests.clone());
        let help = "Connections that could not be taken, broke, or were cut for being slow";
        registry.register("connections_lost", help, self.lost.clone());
        let help = "Events that listeners of the event stream missed because they were too slow";
        registry.register("stream_events_missed", help, self.missed.clone());
    }

    /// A request was answered.
    pub fn answered(&self, status: StatusCode) {
        self.requests.get_or_create(&StatusLabels { status: status.as_u16() }).inc();
    }

    /// A connection was lost.
    pub fn lose(&self, how: Lost) {
        self.lost.get_or_create(&LossLabels { how: how.name() }).inc();
    }

    /// A listener was too slow for so many events.
    pub fn miss(&self, events: u64) {
        self.missed.inc_by(events);
    }
}

/// The running server. Dropping it stops it and removes the socket.
#[derive(Debug)]
pub struct Server {
    _serving: Serving,
    _file: File,
}

impl Server {
    /// Serves until it is dropped. Drop the other end of the door's channel first: what waits for an answer is told then.
    ///
    /// # Errors
    /// No thread or runtime to be had.
    pub fn start(socket: Bound, door: Door, limits: Limits) -> io::Result<Self> {
        let (listener, file) = socket.into_parts();
        let Limits { connections, header, connection } = limits;
        let limits = serving::Limits { connections, header, connection, keep_alive: false };
        let counters = door.counters().clone();
        let listen = || UnixListener::from_std(listener);
        let serving = Serving::start("control", listen, api::everything(door), limits, move |how| counters.lose(how))?;
        Ok(Self { _serving: serving, _file: file })
    }
}
