//! What happened over time.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What happened in a span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sample {
    /// When it began, seconds since 1970.
    pub at: u64,
    /// How long it was, seconds.
    pub span_s: u32,
    /// Attempts to own addresses.
    pub attempts: u64,
    /// Probes and tiny fragments.
    pub probes: u64,
    /// Packets dropped.
    pub dropped_packets: u64,
    /// Bytes of these.
    pub dropped_bytes: u64,
    /// Packets that observe mode let pass.
    pub would_drop_packets: u64,
    /// Rules that fired.
    pub findings: u64,
    /// Sources that were blocked because of it.
    pub blocks: u64,
    /// How many were blocked by rules at its end.
    pub blocked: u64,
}

impl Sample {
    /// Adds what happened after it. When it began stays.
    pub fn add(&mut self, later: &Self) {
        let Self { at: _, span_s, attempts, probes, dropped_packets, dropped_bytes, would_drop_packets, .. } = later;
        self.span_s += span_s;
        self.attempts += attempts;
        self.probes += probes;
        self.dropped_packets += dropped_packets;
        self.dropped_bytes += dropped_bytes;
        self.would_drop_packets += would_drop_packets;
        self.findings += later.findings;
        self.blocks += later.blocks;
        self.blocked = later.blocked;
    }
}

/// The last ten minutes by the second, and the last day by the minute; what the daemon was not there for is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Timeline {
    /// The oldest first.
    pub seconds: Vec<Sample>,
    /// The oldest first; the last one is not over.
    pub minutes: Vec<Sample>,
}
