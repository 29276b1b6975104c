//! The port scan rule: a source scans when it tries many (own address, port) pairs and completes none of them.
//!
//! Two windows over one set of incomplete pairs: *burst* counts at once and stops a fast scan while it runs; *fast*
//! waits until a pair is a second old, so that a long round trip makes nobody suspect, and weighs it. Weights as in
//! scanlogd and xtables-addons' psd: an honest source seldom misses a privileged port.
//!
//! What it cannot see: a scan slower than the windows, a scan of ports that all answer, a scan dealt out over many
//! sources, and a scanner that sends the ACK of a handshake it did not see answered.

use std::time::Duration;

use super::{Finding, Record, pairs::Pair};
use crate::{Source, Time};

/// The rule's name.
pub const NAME: &str = "port-scan";

/// When the rule fires. Pairs and score are counted over [`WINDOW`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// *burst*: incomplete pairs, each counted at once.
    pub burst_pairs: u32,
    /// *fast*: sum of the weights of incomplete pairs that are [`SETTLED_AFTER`] old; `None` switches it off.
    pub fast_score: Option<u32>,
}

/// How far back both windows look.
pub const WINDOW: Duration = Duration::from_secs(60);

/// When a pair that is still incomplete counts for *fast*: longer than any round trip with a retransmission or two.
pub const SETTLED_AFTER: Duration = Duration::from_secs(1);

/// A source is forgotten when nothing was seen of it for this long. Longer than the windows, for the sake of
/// [`Finding::verified`].
const MEMORY: Duration = Duration::from_secs(600);

/// The least number of pairs kept for a source. Above every preset's thresholds.
const MIN_CAPACITY: u32 = 64;

/// What a pair adds to the *fast* score.
fn weight(pair: &Pair) -> u32 {
    if pair.port < 1024 { 3 } else { 1 }
}

/// What the rule says about a source.
pub(super) enum Verdict {
    Fires(Finding),
    /// Nothing yet, but pairs that are still fresh could be enough at this time.
    LookAgain(Time),
    Quiet,
}

/// The rule with its limits.
#[derive(Debug)]
pub(super) struct PortScan {
    limits: Limits,
}

impl PortScan {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits }
    }

    /// How far back it looks.
    pub(super) fn window(&self) -> Duration {
        WINDOW
    }

    /// How long a source that is silent is remembered.
    pub(super) fn memory(&self) -> Duration {
        MEMORY
    }

    /// How many pairs of a source it wants kept.
    pub(super) fn capacity(&self) -> usize {
        self.limits.burst_pairs.max(self.limits.fast_score.unwrap_or(0)).max(MIN_CAPACITY) as usize
    }

    /// Looks at a source. Costs a walk over its pairs.
    pub(super) fn judge(&self, source: Source, record: &Record, now: Time) -> Verdict {
        let incomplete = record.pairs.incomplete(now, WINDOW);
        let count = u32::try_from(incomplete.clone().count()).unwrap_or(u32::MAX);
        let finding = |window, count, threshold| Finding {
            time: now,
            source,
            rule: NAME,
            window,
            count,
            threshold,
            span: WINDOW,
            targets: Vec::new(),
            ports: Vec::new(),
            truncated: false,
            // The one that made the rule fire is not before.
            attempts_before: record.attempts.saturating_sub(1),
            verified: record.first_completion.is_some_and(|at| now.since(at) > WINDOW),
        };
        if count >= self.limits.burst_pairs {
            return Verdict::Fires(finding("burst", count, self.limits.burst_pairs).with_sample(incomplete));
        }
        let Some(threshold) = self.limits.fast_score else { return Verdict::Quiet };
        let settled = incomplete.clone().filter(|p| now.since(p.first) >= SETTLED_AFTER);
        let score: u32 = settled.clone().map(weight).sum();
        if score >= threshold {
            return Verdict::Fires(finding("fast", score, threshold).with_sample(settled));
        }
        let potential: u32 = incomplete.clone().map(weight).sum();
        let fresh = incomplete.filter(|p| now.since(p.first) < SETTLED_AFTER).map(|p| p.first + SETTLED_AFTER);
        match fresh.min() {
            Some(at) if potential >= threshold => Verdict::LookAgain(at),
            _ => Verdict::Quiet,
        }
    }
}
