//! What is shown of sources: who is knocking, and the story of one address.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::BlockShown;
use crate::history::Row;

/// A source, as the kernel counts it and the detector knows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SourceShown {
    /// Who: an address, or the prefix that an IPv6 source is.
    #[schema(value_type = String, example = "192.0.2.7/32")]
    pub source: IpNet,
    /// `free`, `blocked`, `observed` (would be blocked, but we only observe) or `protected` (never blocked).
    #[schema(pattern = "^(free|blocked|observed|protected)$")]
    pub state: String,
    /// Seconds until the block ends; null for never, or where there is none.
    pub left_s: Option<u64>,
    /// Why it is blocked, or would be: a rule's name, `operator: too curious`, `feed drop.txt`; null where it is not.
    #[serde(default)]
    pub why: Option<String>,
    /// Packets that its block dropped, or would have: they are no attempts any more.
    #[serde(default)]
    pub dropped_packets: u64,
    /// Attempts a second, smoothed over some seconds.
    pub per_second: f64,
    /// Attempts to own addresses.
    pub attempts: u64,
    /// SYNs seen before.
    pub retransmissions: u64,
    /// Handshakes completed.
    pub completions: u64,
    /// Attempts that this host refused, as far as its answers are in view.
    pub refusals: u64,
    /// Segments that no honest stack sends first.
    pub probes: u64,
    /// Segments of no known connection.
    pub strays: u64,
    /// Events withheld because there were too many; the counts above have them.
    pub events_withheld: u64,
    /// Seconds since it was first seen, if the kernel still knows.
    pub first_seen_s: Option<u64>,
    /// Seconds since it was last seen, or last had a packet dropped.
    pub last_seen_s: u64,
    /// Distinct ports tried of late, or named by the latest finding.
    pub ports: usize,
    /// Distinct own addresses tried of late, or named by the latest finding.
    pub hosts: usize,
    /// Some of the ports.
    pub some_ports: Vec<u16>,
    /// Some of the own addresses.
    #[schema(value_type = Vec<String>, example = json!(["198.51.100.1"]))]
    pub some_hosts: Vec<IpAddr>,
    /// `unverified`, `verified` or `established`: what its past says. Null where the detector does not know it.
    #[schema(pattern = "^(unverified|verified|established)$")]
    pub standing: Option<String>,
    /// The tool whose marks its attempts bear.
    pub fingerprint: Option<String>,
    /// The rule of its latest finding.
    pub rule: Option<String>,
}

/// The story of an address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Story {
    /// Whose.
    #[schema(value_type = String, example = "192.0.2.7")]
    pub address: IpAddr,
    /// The source that it is counted and blocked as.
    #[schema(value_type = String, example = "192.0.2.7/32")]
    pub source: IpNet,
    /// When this was told.
    #[schema(format = DateTime)]
    pub time: String,
    /// How it is.
    pub now: Now,
    /// What it did, as far as kernel and detector remember; null if neither does.
    pub seen: Option<SourceShown>,
    /// What is to come.
    pub next: Next,
    /// What was found, decided and done about it, the newest first.
    pub past: Vec<Row>,
    /// Why the past is not whole, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub past_missing: Option<String>,
}

/// What happens to an address's packets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Now {
    /// As the state of a source.
    #[schema(pattern = "^(free|blocked|observed|protected)$")]
    pub state: String,
    /// Why it is never blocked, in a sentence.
    pub protected: Option<String>,
    /// The blocks that it lies in, of rules, operators and lists. Without effect where it is protected.
    pub blocks: Vec<BlockShown>,
}

/// What is to come for an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Next {
    /// How often in a row rules had it blocked.
    pub times: u32,
    /// Seconds until a rule's block ends; null if there is none.
    pub ends_s: Option<u64>,
    /// How long the next one would last, seconds.
    pub repeat_s: u64,
    /// Seconds until it stops to count as a repeater; null if it is none.
    pub forgotten_s: Option<u64>,
}
