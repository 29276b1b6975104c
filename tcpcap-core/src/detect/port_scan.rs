//! The port scan rule: a source scans when it tries many (own address, port) pairs and completes none of them.
//!
//! Four windows over one set of incomplete pairs. *burst* counts at once and stops a fast scan while it runs. The others
//! wait until a pair is a second old, so that a long round trip makes nobody suspect: *fast* weighs it, since an honest
//! source seldom misses a privileged port (weights as in scanlogd and xtables-addons' psd); *medium* and *long* find
//! scans that take their time. The same pairs are named a sweep when they are many addresses and few ports.
//!
//! What it cannot see: a scan slower than the long window, a scan of ports that all answer, a scan dealt out over many
//! sources, and a scanner that sends the ACK of a handshake it did not see answered.

use std::{collections::BTreeSet, time::Duration};

use super::{
    Finding, Record, Rule,
    pairs::{Keep, Pair},
};
use crate::{Source, Time};

/// When the rule fires; `None` switches a window off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// *burst*: incomplete pairs within [`WINDOW`], each counted at once.
    pub burst_pairs: u32,
    /// *fast*: sum of the weights of settled incomplete pairs within [`WINDOW`].
    pub fast_score: Option<u32>,
    /// *medium*: settled incomplete pairs within [`MEDIUM_WINDOW`].
    pub medium_pairs: u32,
    /// *long*: settled incomplete pairs within [`LONG_WINDOW`].
    pub long_pairs: u32,
}

/// How far back *burst* and *fast* look.
pub const WINDOW: Duration = Duration::from_secs(60);
/// How far back *medium* looks: two to six ports a minute.
pub const MEDIUM_WINDOW: Duration = Duration::from_secs(600);
/// How far back *long* looks: one port every five minutes, and with patience one an hour.
pub const LONG_WINDOW: Duration = Duration::from_secs(86_400);

/// When a pair that is still incomplete has settled: longer than any round trip with a retransmission or two.
pub const SETTLED_AFTER: Duration = Duration::from_secs(1);

/// A sweep tries at least so many addresses.
pub const SWEEP_TARGETS: usize = 10;
/// A sweep tries at most so many ports.
pub const SWEEP_PORTS: usize = 3;

/// The least number of pairs kept for a source. Not below any preset's thresholds.
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

/// One of the windows in which pairs must have settled.
struct Window {
    name: &'static str,
    span: Duration,
    threshold: u32,
    weight: fn(&Pair) -> u32,
}

impl PortScan {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits }
    }

    /// What it wants kept of a source's pairs.
    pub(super) fn keep(&self) -> Keep {
        let l = &self.limits;
        let most = [l.burst_pairs, l.fast_score.unwrap_or(0), l.medium_pairs, l.long_pairs, MIN_CAPACITY];
        let capacity = most.into_iter().max().unwrap_or(MIN_CAPACITY) as usize;
        Keep { pause: WINDOW, memory: LONG_WINDOW, capacity }
    }

    fn settled_windows(&self) -> impl Iterator<Item = Window> {
        let Limits { fast_score, medium_pairs, long_pairs, .. } = self.limits;
        let fast = fast_score.map(|threshold| Window { name: "fast", span: WINDOW, threshold, weight });
        let count = |name, span, threshold| Window { name, span, threshold, weight: |_| 1 };
        let slow = [count("medium", MEDIUM_WINDOW, medium_pairs), count("long", LONG_WINDOW, long_pairs)];
        fast.into_iter().chain(slow)
    }

    /// Looks at a source. Costs a few walks over its pairs.
    pub(super) fn judge(&self, source: Source, record: &Record, now: Time) -> Verdict {
        let burst = record.pairs.incomplete(now, WINDOW);
        let count = u32::try_from(burst.clone().count()).unwrap_or(u32::MAX);
        if count >= self.limits.burst_pairs {
            let counted = (count, self.limits.burst_pairs);
            return Verdict::Fires(finding(source, record, now, ("burst", WINDOW), counted, burst));
        }
        let mut look_again = None;
        for window in self.settled_windows() {
            let pairs = record.pairs.incomplete(now, window.span);
            let settled = pairs.clone().filter(|p| now.since(p.first) >= SETTLED_AFTER);
            let count: u32 = settled.clone().map(window.weight).sum();
            if count >= window.threshold {
                let counted = (count, window.threshold);
                return Verdict::Fires(finding(source, record, now, (window.name, window.span), counted, settled));
            }
            let potential: u32 = pairs.clone().map(window.weight).sum();
            if potential >= window.threshold {
                let fresh = pairs.filter(|p| now.since(p.first) < SETTLED_AFTER).map(|p| p.first + SETTLED_AFTER);
                look_again = fresh.chain(look_again).min();
            }
        }
        look_again.map_or(Verdict::Quiet, Verdict::LookAgain)
    }
}

fn finding<'a>(
    source: Source,
    record: &Record,
    now: Time,
    (window, span): (&'static str, Duration),
    (count, threshold): (u32, u32),
    pairs: impl Iterator<Item = &'a Pair> + Clone,
) -> Finding {
    let targets: BTreeSet<_> = pairs.clone().map(|p| p.to).collect();
    let ports: BTreeSet<_> = pairs.map(|p| p.port).collect();
    let rule = if targets.len() >= SWEEP_TARGETS && ports.len() <= SWEEP_PORTS { Rule::Sweep } else { Rule::PortScan };
    Finding {
        time: now,
        source,
        rule,
        window,
        count,
        threshold,
        span,
        targets: Vec::new(),
        ports: Vec::new(),
        truncated: false,
        // The one that made the rule fire is not before.
        attempts_before: record.attempts.saturating_sub(1),
        verified: record.was_verified_before(now, span),
    }
    .with_sample(targets, ports)
}
