//! What the daemon tells the history.

use std::{fmt, sync::Arc};

use ipnet::IpNet;
use tcpcap_core::{Time, Verdict};

use crate::block::Block;

/// Something to be remembered.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "the largest is the most frequent")]
pub enum Entry {
    /// A rule fired, and this is what policy made of it.
    Verdict(Verdict),
    /// A block began, changed or ended. Present state follows it; a feed's is not taken, its file is its memory.
    Block {
        /// The block as it is now, or as it was at its end.
        block: Block,
        /// What happened to it.
        change: Change,
        /// When.
        at: Time,
    },
    /// A source counts as a repeater.
    Repeater(Repeater),
    /// It does not any more. What is past its time is forgotten without being told.
    Forgotten(IpNet),
    /// An operator allowed a network.
    Allowed(AllowedEntry),
    /// An operator took that back.
    Disallowed(IpNet),
    /// An operator gave a command.
    Command(Command),
}

/// What happened to a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It began.
    Begun,
    /// It lasts longer now, or differs otherwise from what it was.
    Extended,
    /// Its time was over.
    Ended(Drops),
    /// Somebody ended it before its time.
    Lifted {
        /// What it had dropped.
        drops: Drops,
        /// Who did.
        by: Who,
    },
}

/// What a block dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// A source whose next block is longer than its last one was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeater {
    /// The source.
    pub network: IpNet,
    /// How often in a row it has been blocked.
    pub times: u32,
    /// When that is forgotten.
    pub forget_after: Time,
}

/// A network that an operator allowed while the daemon was running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedEntry {
    /// Whose packets are never dropped.
    pub network: IpNet,
    /// In the operator's own words.
    pub note: Option<Arc<str>>,
}

/// A command of an operator and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// When.
    pub at: Time,
    /// Who gave it.
    pub who: Who,
    /// `block`, `unblock`, `allow` …
    pub verb: Arc<str>,
    /// What it was given.
    pub argument: Arc<str>,
    /// Whom it was about, if anybody: it is found by that.
    pub about: Option<IpNet>,
    /// `done`, or why not.
    pub result: Arc<str>,
}

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// A process at the control socket.
    Process {
        /// Its user.
        uid: u32,
        /// Its id.
        pid: u32,
    },
    /// Whatever else: `reload`, `circuit breaker`.
    Other(Arc<str>),
}

/// `uid 0, pid 4711`
impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { uid, pid } => write!(f, "uid {uid}, pid {pid}"),
            Self::Other(name) => f.write_str(name),
        }
    }
}
