//! Decisions: what policy makes of a finding, and which part of it decided.
//!
//! In this order: only an alert → never-block ([`Protected`]) → already blocked (extend) → caps ([`Caps`]) → observe mode
//! → block. A block lasts [`FIRST_TTL`] unless configured otherwise, twice as long with each repeat, and never longer than
//! [`MAX_TTL`]. What a source's past says ([`Standing`](crate::detect::Standing)) decides the rest: an unverified one may
//! be anybody's invention, so its blocks are the shortest and their number is capped; a verified one begins a step
//! higher; of an established one only new connections are dropped, since it may be a victim, or many people at once.

mod policy;
mod protected;

use std::{fmt, time::Duration};

pub use policy::{Policy, Prospect};
pub use protected::{Protected, Protection};

use crate::{Time, time::Readable};

/// How long a first block lasts: long enough to spoil a scan, short enough for a mistake to heal by itself.
pub const FIRST_TTL: Duration = Duration::from_secs(600);

/// The longest that a block lasts. Automatic blocks are never for ever: addresses change hands.
pub const MAX_TTL: Duration = Duration::from_secs(86_400);

/// How long after its block has ended a source still counts as a repeater.
pub const REPEATER_MEMORY: Duration = MAX_TTL;

/// How many sources are blocked or remembered as repeaters. Half of what the kernel's map has room for, so that what
/// else goes into it fits too.
pub const MAX_ENTRIES: usize = 131_072;

/// How much may be blocked, whatever is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Sources blocked or remembered as repeaters.
    pub entries: usize,
    /// Unverified sources blocked at once, so that forgers cannot use up the room.
    pub unverified: usize,
    /// New blocks in a minute. One more opens the circuit breaker for [`BREAKER_OPEN`].
    pub per_minute: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self { entries: MAX_ENTRIES, unverified: MAX_ENTRIES / 2, per_minute: BLOCKS_PER_MINUTE }
    }
}

/// New blocks in a minute unless configured otherwise: far more than a bad day on the Internet brings, and few enough
/// that a mistake, or somebody who forges scans by the thousand, does not block the world.
pub const BLOCKS_PER_MINUTE: usize = 600;

/// How long nobody new is blocked once the circuit breaker has opened.
pub const BREAKER_OPEN: Duration = Duration::from_secs(60);

/// What policy made of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What happens.
    pub outcome: Outcome,
    /// How often the source has been blocked, this time included; 0 if it is not blocked.
    pub times: u32,
    /// How long from now.
    pub ttl: Duration,
    /// What of the source is dropped.
    pub scope: Scope,
}

/// What of a blocked source is dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Every packet.
    #[default]
    All,
    /// New connections; those that exist go on.
    Syn,
}

impl Scope {
    /// The name used in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Syn => "syn",
        }
    }
}

/// What happens to a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is blocked.
    Block {
        /// Until when.
        until: Time,
    },
    /// It is blocked already, and for longer now.
    Extend {
        /// Until when.
        until: Time,
    },
    /// Nothing, because we only observe: it would be blocked.
    Observe {
        /// Until when it would be.
        until: Time,
    },
    /// Nothing: the finding only tells.
    Alert,
    /// Nothing, for this reason.
    Suppressed(Suppression),
}

/// Why a source is not blocked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Suppression {
    /// It must never be.
    Protected(Protection),
    /// [`Caps::entries`] sources are blocked already.
    Full(usize),
    /// [`Caps::unverified`] unverified sources are.
    Unverified(usize),
    /// The circuit breaker is open: [`Caps::per_minute`] were blocked within a minute.
    BreakerOpen(usize),
}

impl Outcome {
    /// The name used in metrics and output.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Block { .. } => "block",
            Self::Extend { .. } => "extend",
            Self::Observe { .. } => "observe",
            Self::Alert => "alert",
            Self::Suppressed(_) => "suppressed",
        }
    }
}

impl Decision {
    /// Until when the kernel is to have an entry for the source. In observe mode too: it counts what would be dropped.
    #[must_use]
    pub const fn entry_until(&self) -> Option<Time> {
        match self.outcome {
            Outcome::Block { until } | Outcome::Extend { until } | Outcome::Observe { until } => Some(until),
            Outcome::Alert | Outcome::Suppressed(_) => None,
        }
    }
}

/// The end of a sentence about the source: `Blocked 192.0.2.1 for 10 min`.
impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Outcome::Alert => f.write_str("this is told, and nobody is blocked for it"),
            Outcome::Suppressed(why) => why.fmt(f),
            _ => {
                write!(f, "for {}", Readable(self.ttl))?;
                if self.times > 1 {
                    write!(f, ", block number {} in a row", self.times)?;
                }
                match self.scope {
                    Scope::All => Ok(()),
                    Scope::Syn => f.write_str(", new connections only: it completed many before"),
                }
            }
        }
    }
}

impl fmt::Display for Suppression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protected(what) => what.fmt(f),
            Self::Full(cap) => write!(f, "{cap} sources are blocked already, which is all there is room for"),
            Self::Unverified(cap) => {
                write!(f, "{cap} sources that never completed a handshake are blocked already, and more may be forged")
            }
            Self::BreakerOpen(cap) => {
                write!(
                    f,
                    "the circuit breaker is open: {cap} sources were blocked within a minute, and more look like a mistake"
                )
            }
        }
    }
}
