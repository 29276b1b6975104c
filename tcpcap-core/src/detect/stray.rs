//! The stray rule: a source scans when it sends segments of connections that do not exist to many pairs.
//!
//! ACK, window and Maimon scans (nmap's documentation has them) send ACK or FIN+ACK first, which is what every segment
//! of a connection looks like. Three windows over one set of pairs. *refused*: this host answered with RST that it knows
//! of no such connection (RFC 9293 §3.10.7.1), which takes a view of its answers. *burst*: three times as many of these,
//! counted at once. *unanswered*, off unless switched on: the segment belongs to no connection that was seen to begin; it
//! needs the kernel to follow every connection, and the connections that began before we did must end first ([`WARM_UP`]).
//!
//! But for *burst*, a pair counts after three seconds, if the source has not completed a handshake there: after a restart
//! or a failover every client hits a host that has forgotten it, is refused, and connects anew. Ports that this host
//! connects out from never count: what comes late for a connection that it has given up on is refused as well.
//!
//! What it cannot see: probes of the ports that are left out, and, in the first window, those that a firewall swallows.

use std::time::Duration;

use tcpcap_common::Addr;

use super::{
    Finding, Record, Rule, Verdict,
    pairs::{Keep, Pairs},
};
use crate::{Marks, Source, Time};

/// When the rule fires; `None` switches a window off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// *refused*: pairs within [`WINDOW`] that this host refused.
    pub refused_pairs: Option<u32>,
    /// *unanswered*: pairs within [`WINDOW`], whatever became of them.
    pub unanswered_pairs: Option<u32>,
}

/// How far back it looks.
pub const WINDOW: Duration = Duration::from_secs(60);

/// When a pair has settled: clients that were forgotten try again after a second or two.
pub const SETTLED_AFTER: Duration = Duration::from_secs(3);

/// Thrice the limit count at once, or as many as are kept.
fn at_once(limit: u32) -> u32 {
    limit.saturating_mul(3).min(u32::try_from(KEEP.capacity).unwrap_or(u32::MAX))
}

/// How long connections that began before the first sighting are waited out: longer than proxies keep idle ones.
pub const WARM_UP: Duration = Duration::from_secs(300);

/// Ports that this host connects out from (Linux's `ip_local_port_range`; RFC 6335 §6 has the upper half of them).
const CLIENT_PORTS: std::ops::RangeInclusive<u16> = 32_768..=60_999;

const KEEP: Keep = Keep { pause: WINDOW, memory: WINDOW, capacity: 64 };

/// A source's strays of late. Most sources have none.
#[derive(Debug, Default)]
pub(super) struct Strays(Option<Box<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    pairs: Pairs,
    all: u64,
}

impl Strays {
    /// Notes a stray, or that it was refused.
    pub(super) fn note(&mut self, pair: (Addr, u16), refused: bool, now: Time) {
        if CLIENT_PORTS.contains(&pair.1) {
            return;
        }
        let seen = self.0.get_or_insert_default();
        seen.all += 1;
        seen.pairs.attempt(pair, Marks::default(), now, KEEP);
        if refused {
            seen.pairs.refuse(pair);
        }
    }

    /// Notes that the source has completed a handshake there.
    pub(super) fn complete(&mut self, pair: (Addr, u16)) {
        if let Some(seen) = &mut self.0 {
            seen.pairs.complete(pair);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |seen| seen.pairs.len())
    }

    pub(super) fn clear(&mut self) {
        self.0 = None;
    }
}

/// Looks at a source. `began` is when the first sighting of all came.
pub(super) fn judge(limits: Limits, source: Source, record: &Record, began: Time, now: Time) -> Verdict {
    let Some(seen) = &record.strays.0 else { return Verdict::Quiet };
    let warm = now.since(began) >= WARM_UP;
    let windows = [
        // So many at once are nobody's connections: a scan must not be over before its first pair has settled.
        ("burst", limits.refused_pairs.map(at_once), true, Duration::ZERO),
        ("refused", limits.refused_pairs, true, SETTLED_AFTER),
        ("unanswered", limits.unanswered_pairs.filter(|_| warm), false, SETTLED_AFTER),
    ];
    let mut look_again: Option<Time> = None;
    for (window, threshold, only_refused, settled_after) in windows {
        let Some(threshold) = threshold else { continue };
        let pairs = seen.pairs.incomplete(now, WINDOW).filter(|p| p.refused || !only_refused);
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        if number(pairs.clone().count()) < threshold {
            continue;
        }
        let settled = pairs.clone().filter(|p| now.since(p.first) >= settled_after);
        let count = number(settled.clone().count());
        if count >= threshold {
            let finding = Finding {
                count,
                threshold,
                attempts_before: seen.all.saturating_sub(1),
                completions: record.completions,
                standing: record.standing(now, WINDOW, count),
                ..Finding::new(now, Some(source), Rule::Stray, (window, WINDOW))
            };
            return Verdict::Fires(finding.with_sample(settled.map(|p| (p.to, p.port))));
        }
        look_again = pairs.map(|p| p.first + settled_after).filter(|at| *at > now).chain(look_again).min();
    }
    look_again.map_or(Verdict::Quiet, Verdict::LookAgain)
}
