//! Decisions: what policy makes of a finding, and which part of it decided.
//!
//! In this order: never-block ([`Protected`]) → already blocked → room → observe mode → block. A block lasts
//! [`FIRST_TTL`] unless configured otherwise, twice as long with each repeat, and never longer than [`MAX_TTL`].

mod policy;
mod protected;

use std::{fmt, time::Duration};

pub use policy::Policy;
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

/// What policy made of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What happens.
    pub outcome: Outcome,
    /// How often the source has been blocked, this time included; 0 if it is not blocked.
    pub times: u32,
    /// How long from now.
    pub ttl: Duration,
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
    /// Nothing, for this reason.
    Suppressed(Suppression),
}

/// Why a source is not blocked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Suppression {
    /// It must never be.
    Protected(Protection),
    /// [`MAX_ENTRIES`] sources are blocked already.
    Full,
}

impl Outcome {
    /// The name used in metrics and output.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Block { .. } => "block",
            Self::Extend { .. } => "extend",
            Self::Observe { .. } => "observe",
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
            Outcome::Suppressed(_) => None,
        }
    }
}

/// The end of a sentence about the source: `Blocked 192.0.2.1 for 10 min`.
impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Outcome::Suppressed(why) => why.fmt(f),
            _ => {
                write!(f, "for {}", Readable(self.ttl))?;
                if self.times > 1 { write!(f, ", block number {} in a row", self.times) } else { Ok(()) }
            }
        }
    }
}

impl fmt::Display for Suppression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protected(what) => what.fmt(f),
            Self::Full => write!(f, "{MAX_ENTRIES} sources are blocked already, which is all there is room for"),
        }
    }
}
