//! What `status` and `list` show.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How it is going.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// Of this binary.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// Seconds since the start.
    pub uptime_s: u64,
    /// `enforce` or `observe`.
    #[schema(pattern = "^(enforce|observe)$")]
    pub mode: String,
    /// What of a blocked source is dropped: `all`, as each block says, or `syn`, new connections alone.
    #[schema(pattern = "^(all|syn)$")]
    pub scope: String,
    /// How much is a scan.
    pub preset: String,
    /// What is watched.
    pub interfaces: Vec<InterfaceShown>,
    /// What is blocked.
    pub blocks: Counts,
    /// The circuit breaker is open: nobody new is blocked for now.
    pub breaker_open: bool,
    /// Whether blocks outlive the daemon.
    pub pins: PartShown,
    /// The history.
    pub history: PartShown,
    /// The nftables mirror; `off` unless configured.
    pub mirror: PartShown,
    /// The feeds.
    pub feeds: Vec<FeedShown>,
    /// Who is never blocked, found on this host.
    pub never_block: Vec<ProtectedShown>,
    /// Who is never blocked, by configuration or command.
    #[schema(value_type = Vec<String>, example = json!(["10.0.0.0/8"]))]
    pub allowed: Vec<IpNet>,
    /// Differences between what is wanted and what kernel and nft held, repaired since the start.
    pub drift_repaired: u64,
}

/// An interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InterfaceShown {
    /// Its name.
    pub name: String,
    /// `native`, `generic` or `away`.
    #[schema(pattern = "^(native|generic|away)$")]
    pub mode: String,
    /// How our answers are seen to leave: `tcx`, `clsact` or `unseen`.
    #[schema(pattern = "^(tcx|clsact|unseen)$")]
    pub egress: String,
}

/// What is blocked, by who wants it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Counts {
    /// Sources that a rule found.
    pub automatic: usize,
    /// Operators' sources and networks.
    pub operator: usize,
    /// Entries of feeds.
    pub feed: usize,
    /// Refused by the kernel so far, and tried again.
    pub owed: usize,
}

/// A part that may be off or unwell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PartShown {
    /// `on`, `off` or `degraded`.
    #[schema(pattern = "^(on|off|degraded)$")]
    pub state: String,
    /// More about it, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub why: Option<String>,
}

/// A feed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FeedShown {
    /// Its name.
    pub name: String,
    /// Entries in force.
    pub entries: usize,
    /// Lines that could not be read.
    pub bad_lines: usize,
    /// What is wrong with it, if something is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub problem: Option<String>,
}

/// An address that is never blocked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProtectedShown {
    /// The address.
    #[schema(value_type = String, example = "192.0.2.1")]
    pub address: std::net::IpAddr,
    /// Why, in a sentence.
    pub why: String,
}

/// A block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlockShown {
    /// Whose packets.
    #[schema(value_type = String, example = "192.0.2.7/32")]
    pub network: IpNet,
    /// `automatic`, `operator` or `feed`.
    #[schema(pattern = "^(automatic|operator|feed)$")]
    pub origin: String,
    /// The rule's name, the operator's words, or the feed's name.
    pub why: String,
    /// `all` or `syn`.
    #[schema(pattern = "^(all|syn)$")]
    pub scope: String,
    /// Seconds since it began.
    pub age_s: u64,
    /// Seconds until it ends; null for never.
    pub left_s: Option<u64>,
    /// How often in a row the source has been blocked; 0 where nobody counts.
    pub times: u32,
    /// Packets dropped, or that would have been.
    pub packets: u64,
    /// Bytes of those.
    pub bytes: u64,
}
