//! The fan-out rule: an alert about a source that tries very many pairs, whatever becomes of them.
//!
//! A hundred distinct pairs in a minute, completed or not: the last resort against a scanner that completes every
//! handshake or forges the completions, and against one for which everything answers. Mirrors and load tests do that
//! too, so it tells, and blocks nobody.

use std::time::Duration;

use tcpcap_common::Addr;

use super::{Finding, Record, Rule, pairs::Pairs};
use crate::{Source, Time};

/// When the rule fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Distinct pairs within [`WINDOW`]; `None` switches the rule off.
    pub pairs: Option<u32>,
}

/// How far back it looks.
pub const WINDOW: Duration = Duration::from_secs(60);

/// Pairs kept of a source; a limit above it counts as this.
const CAPACITY: usize = 256;

/// From so many pairs on in the port scan rule's set they are kept here too, for that set is smaller than the limit.
const WORTH_KEEPING: usize = 32;

/// Pairs of late, as a hash, and the second in which each was last tried. Most sources have too few to keep any.
#[derive(Debug, Default)]
pub(super) struct Fan(Option<Box<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    pairs: Vec<(u32, u32)>,
    told_until: Time,
}

impl Fan {
    /// Notes an attempt that `pairs` has just been told of.
    pub(super) fn note(&mut self, limits: Limits, pair: (Addr, u16), pairs: &Pairs, now: Time) {
        if limits.pairs.is_none() {
            return;
        }
        let Some(seen) = &mut self.0 else {
            if pairs.len() >= WORTH_KEEPING {
                let pairs = pairs.all(now, WINDOW).map(|p| (hash((p.to, p.port)), second(p.last))).collect();
                self.0 = Some(Box::new(Seen { pairs, told_until: Time::ZERO }));
            }
            return;
        };
        let (hash, now) = (hash(pair), second(now));
        if let Some(known) = seen.pairs.iter_mut().find(|p| p.0 == hash) {
            known.1 = now;
            return;
        }
        if seen.pairs.len() == CAPACITY {
            seen.pairs.retain(|(_, at)| is_recent(*at, now));
        }
        if seen.pairs.len() < CAPACITY {
            seen.pairs.push((hash, now));
        }
    }

    /// Drops what is too old to count, and itself when nothing is left.
    fn forget(&mut self, now: Time) {
        if let Some(seen) = &mut self.0 {
            seen.pairs.retain(|(_, at)| is_recent(*at, second(now)));
            if seen.pairs.is_empty() && now >= seen.told_until {
                self.0 = None;
            }
        }
    }
}

/// FNV-1a. Whoever makes pairs collide makes himself look smaller in an alert, and no worse.
fn hash((to, port): (Addr, u16)) -> u32 {
    let step = |h: u32, b: u8| (h ^ u32::from(b)).wrapping_mul(0x0100_0193);
    to.octets().into_iter().chain(port.to_be_bytes()).fold(0x811c_9dc5, step)
}

/// Wraps after 136 years.
#[allow(clippy::cast_possible_truncation, reason = "only differences count")]
const fn second(time: Time) -> u32 {
    (time.as_nanos() / 1_000_000_000) as u32
}

fn is_recent(at: u32, now: u32) -> bool {
    u64::from(now.wrapping_sub(at)) <= WINDOW.as_secs()
}

/// What the rule makes of a source that has just made an attempt.
pub(super) fn judge(limits: Limits, source: Source, record: &mut Record, now: Time) -> Option<Finding> {
    let threshold = limits.pairs?.min(u32::try_from(CAPACITY).unwrap_or(u32::MAX));
    if record.fan.0.as_ref().is_none_or(|seen| seen.pairs.len() < threshold as usize || now < seen.told_until) {
        return None;
    }
    record.fan.forget(now);
    let seen = record.fan.0.as_mut()?;
    let count = u32::try_from(seen.pairs.len()).unwrap_or(u32::MAX);
    if count < threshold {
        return None;
    }
    seen.told_until = now + WINDOW;
    let finding = Finding::new(now, Some(source), Rule::FanOut, ("pairs", WINDOW));
    let finding = record.told((count, threshold), finding);
    // The sample comes from the other set, which holds the latest.
    Some(finding.with_sample(record.pairs.all(now, WINDOW).map(|p| (p.to, p.port))))
}
