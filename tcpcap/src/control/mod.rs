//! The operator's way into the running daemon: what can be asked of it, and what it answers.
//!
//! A command enters the daemon's one loop and is answered by it; nobody else changes blocks, lists or modes.

pub mod api;
pub mod client;
mod limits;
mod seen;
pub mod server;
pub mod socket;
mod status;
pub mod stream;
mod timeline;
mod wording;

pub use limits::{LONGEST, LONGEST_NOTE, check_lasts, check_note};
pub use seen::{Next, Now, SourceShown, Story};
pub use status::{BlockShown, Counts, FeedShown, InterfaceShown, PartShown, ProtectedShown, Status};
pub use timeline::{Sample, Timeline};
pub(crate) use wording::{Named, readable};

use std::{net::IpAddr, sync::Arc, time::Duration};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use utoipa::ToSchema;

use stream::Happened;

/// What an operator can ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Command {
    /// How is it going?
    Status,
    /// The blocks that are on: automatic ones and operators', and single entries of feeds only if asked for one by one.
    List,
    /// Who is knocking?
    Sources,
    /// What is it about this address?
    Explain {
        /// Which.
        address: IpAddr,
    },
    /// What happened over time?
    Timeline,
    /// What did rules find of late?
    Findings,
    /// Block a source or network.
    Block {
        /// Whom.
        network: IpNet,
        /// For how long; `None` for ever.
        #[serde(default, with = "seconds")]
        lasts: Option<Duration>,
        /// What for, in the operator's words.
        #[serde(default)]
        note: Option<String>,
    },
    /// Let go of a source or network: an operator's block, an automatic one, or both.
    Unblock {
        /// Whom.
        network: IpNet,
    },
    /// Never block a network.
    Allow {
        /// Whom.
        network: IpNet,
    },
    /// Take that back.
    Disallow {
        /// Whom.
        network: IpNet,
    },
    /// Drop, or only count what would be dropped; of everything or of new connections alone. What is not named stays.
    Mode {
        /// Drop nothing.
        #[serde(default)]
        observe: Option<bool>,
        /// Take every block for one of new connections.
        #[serde(default)]
        syn_only: Option<bool>,
    },
    /// Read configuration and feeds anew.
    Reload,
}

impl Command {
    /// Whether it changes nothing.
    #[must_use]
    pub const fn only_looks(&self) -> bool {
        match self {
            Self::Status | Self::List | Self::Sources | Self::Explain { .. } | Self::Timeline | Self::Findings => true,
            Self::Block { .. }
            | Self::Unblock { .. }
            | Self::Allow { .. }
            | Self::Disallow { .. }
            | Self::Mode { .. }
            | Self::Reload => false,
        }
    }
}

/// What the daemon answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Reply {
    /// To [`Command::Status`].
    Status(Box<Status>),
    /// To [`Command::List`].
    Blocks(Vec<BlockShown>),
    /// To [`Command::Sources`], those with the most attempts first.
    Sources(Vec<SourceShown>),
    /// To [`Command::Explain`], without the past, which the history tells.
    Story(Box<Story>),
    /// To [`Command::Timeline`].
    Timeline(Timeline),
    /// To [`Command::Findings`], the newest first.
    Findings(Vec<Arc<Happened>>),
    /// To everything else: what has been done, as a sentence.
    Done {
        /// The sentence.
        done: String,
    },
}

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Refused {
    /// What is wrong: one line.
    #[schema(example = "192.0.2.7 is not blocked")]
    pub cause: String,
    /// What can be done about it: one line.
    #[schema(example = "`tcpcap list` shows what is; name a network as it stands there")]
    pub remedy: String,
}

/// What the daemon's loop gets.
#[derive(Debug)]
pub struct Request {
    /// What is wanted.
    pub command: Command,
    /// Who wants it: `uid 0, pid 1234`.
    pub who: String,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Result<Reply, Refused>>,
}

/// A duration as whole seconds.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[allow(clippy::ref_option, reason = "as serde calls it")]
    pub(super) fn serialize<S: Serializer>(lasts: &Option<Duration>, s: S) -> Result<S::Ok, S::Error> {
        lasts.map(|lasts| lasts.as_secs()).serialize(s)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(d)?.map(Duration::from_secs))
    }
}
