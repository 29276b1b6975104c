//! The port scan rule: a source scans when it tries many (own address, port) pairs and completes none of them.
//!
//! Several windows over one set of pairs. *burst* counts at once and stops a fast scan while it runs. *fast*,
//! *medium* and *long* wait until a pair has settled: refused by this host, where its answers are in view, or still
//! incomplete after a second, so that a long round trip makes nobody suspect. *fast* weighs, since an honest source
//! seldom misses a privileged port (weights as in scanlogd and xtables-addons' psd). *abandoned* is for those who take
//! their time and stop early: pairs tried a few times and then left alone, by a source that otherwise achieves little.
//! Who is configured to try a dead service tries it again; who scans goes on to the next. *open* is for a host where
//! everything answers: nobody uses twenty privileged ports, each a few times, and then none of them again.
//!
//! The marks of a scanning tool on nearly all of the pairs halve each threshold. The same pairs are named a sweep when
//! they are many addresses and few ports. And when none of them was sent by the stack that the source's handshakes come
//! from, while these go on, the scan is somebody else's: named forged, and nobody's block.
//!
//! What it cannot see: a scan slower than the long window, a scan of unprivileged ports that all answer, a sweep of
//! hosts that all answer, a scan dealt out over many sources. At ingress alone, a scanner that sends the ACK of a
//! handshake that it did not see answered. And whoever scans from a host that completes handshakes all the while, with
//! another stack, passes for a victim.

use std::{collections::BTreeSet, time::Duration};

use tcpcap_common::{
    marks::{MARKED_PAIRS, MARKED_PERCENT},
    record::UNPRIVILEGED,
};

use super::{
    Finding, Record, Rule, Verdict,
    finding::Fingerprint,
    pairs::{Keep, Pair},
};
use crate::{Source, Time, Tool};

/// When the rule fires; `None` switches a window off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// *burst*: incomplete pairs within [`WINDOW`], each counted at once.
    pub burst_pairs: Option<u32>,
    /// *fast*: sum of the weights of settled incomplete pairs within [`WINDOW`].
    pub fast_score: Option<u32>,
    /// *medium*: settled incomplete pairs within [`MEDIUM_WINDOW`].
    pub medium_pairs: Option<u32>,
    /// *long*: settled incomplete pairs within [`LONG_WINDOW`].
    pub long_pairs: Option<u32>,
    /// *abandoned*: abandoned incomplete pairs within [`LONG_WINDOW`].
    pub abandoned_pairs: Option<u32>,
    /// *abandoned*, where they are a sweep.
    pub abandoned_targets: Option<u32>,
    /// *open*: privileged ports among abandoned pairs, completed or not, within [`LONG_WINDOW`].
    pub open_ports: Option<u32>,
}

/// How far back *burst* and *fast* look.
pub const WINDOW: Duration = Duration::from_secs(60);
/// How far back *medium* looks: two to six ports a minute.
pub const MEDIUM_WINDOW: Duration = Duration::from_secs(600);
/// How far back the others look: one port every five minutes, and with patience one an hour.
pub const LONG_WINDOW: Duration = Duration::from_secs(86_400);

/// When a pair that is still incomplete has settled: longer than any round trip with a retransmission or two.
pub const SETTLED_AFTER: Duration = Duration::from_secs(1);

/// When a pair is abandoned: not tried again for this long, which is longer than most monitors wait between two rounds …
pub const ABANDONED_AFTER: Duration = Duration::from_secs(2100);
/// … and tried no more often than this. Scanners repeat a probe that was not answered, once or twice.
pub const ABANDONED_TRIES: u8 = 3;

/// A sweep tries at least so many addresses.
pub const SWEEP_TARGETS: usize = 10;
/// A sweep tries at most so many ports.
pub const SWEEP_PORTS: usize = 3;

/// Handshakes that a source must have completed before the window for its stack to be known well enough to speak for it.
const KNOWN_STACK_COMPLETIONS: u64 = 10;

/// The least number of pairs kept for a source. Not below any preset's thresholds.
const MIN_CAPACITY: u32 = 64;

/// One way to look at a source's pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Window {
    Burst,
    Fast,
    Medium,
    Long,
    Abandoned,
    Open,
}

impl Window {
    const ALL: [Self; 6] = [Self::Burst, Self::Fast, Self::Medium, Self::Long, Self::Abandoned, Self::Open];

    const fn name(self) -> &'static str {
        match self {
            Self::Burst => "burst",
            Self::Fast => "fast",
            Self::Medium => "medium",
            Self::Long => "long",
            Self::Abandoned => "abandoned",
            Self::Open => "open",
        }
    }

    const fn span(self) -> Duration {
        match self {
            Self::Burst | Self::Fast => WINDOW,
            Self::Medium => MEDIUM_WINDOW,
            Self::Long | Self::Abandoned | Self::Open => LONG_WINDOW,
        }
    }

    /// Whether it ever counts such a pair.
    const fn cares_for(self, pair: &Pair) -> bool {
        match self {
            Self::Burst | Self::Fast | Self::Medium | Self::Long => !pair.completed,
            Self::Abandoned => !pair.completed && pair.tries <= ABANDONED_TRIES,
            Self::Open => pair.port < UNPRIVILEGED && pair.tries <= ABANDONED_TRIES,
        }
    }

    /// Whether a source is excused for what was counted: it lives here, or many live behind it, and somebody mistypes a
    /// port now and then.
    fn excuses(self, count: u32, record: &Record) -> bool {
        match self {
            Self::Burst | Self::Fast | Self::Medium | Self::Long => false,
            // Version detection completes many handshakes, one soon after the other.
            Self::Abandoned => 2 * record.live_minutes > u64::from(count),
            // What was counted may be completed handshakes itself: only what it comes back to speaks for it.
            Self::Open => record.pairs.regular_tries(ABANDONED_TRIES) > 4 * count,
        }
    }

    /// From when on it counts the pair.
    fn counts_from(self, pair: &Pair) -> Time {
        match self {
            Self::Burst => pair.first,
            _ if pair.refused && !matches!(self, Self::Abandoned | Self::Open) => pair.first,
            Self::Fast | Self::Medium | Self::Long => pair.first + SETTLED_AFTER,
            Self::Abandoned | Self::Open => pair.last + ABANDONED_AFTER,
        }
    }

    /// What the pairs come to.
    fn score<'a>(self, pairs: impl Iterator<Item = &'a Pair>) -> u32 {
        match self {
            Self::Fast => weigh(pairs),
            Self::Open => number(pairs.map(|p| p.port).collect::<BTreeSet<_>>().len()),
            _ => number(pairs.count()),
        }
    }
}

/// A privileged port weighs three, and two with each further address: an honest source seldom misses one, but where it
/// does, it may be one service that is down on several addresses.
fn weigh<'a>(pairs: impl Iterator<Item = &'a Pair>) -> u32 {
    let mut seen = BTreeSet::new();
    let weight = |p: &Pair| match p.port {
        UNPRIVILEGED.. => 1,
        port if seen.insert(port) => 3,
        _ => 2,
    };
    pairs.map(weight).sum()
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn is_sweep<'a>(pairs: impl Iterator<Item = &'a Pair> + Clone) -> bool {
    pairs.clone().map(|p| p.port).collect::<BTreeSet<_>>().len() <= SWEEP_PORTS
        && pairs.map(|p| p.to).collect::<BTreeSet<_>>().len() >= SWEEP_TARGETS
}

/// The tool that nearly all of the pairs are of.
pub(super) fn fingerprint<'a>(pairs: &(impl Iterator<Item = &'a Pair> + Clone)) -> Option<Fingerprint> {
    let all = pairs.clone().count();
    let (tool, marked) = Tool::ALL
        .into_iter()
        .map(|tool| (tool, pairs.clone().filter(|p| p.tool == Some(tool)).count()))
        .max_by_key(|(_, marked)| *marked)?;
    let percent = (marked * 100).checked_div(all)?;
    (marked >= MARKED_PAIRS && percent >= MARKED_PERCENT)
        .then(|| Fingerprint { tool, percent: u8::try_from(percent).unwrap_or(100) })
}

/// The rule with its limits.
#[derive(Debug)]
pub(super) struct PortScan {
    limits: Limits,
    /// The lowest limit, and so how few pairs are not worth a look.
    least: Option<u32>,
}

impl PortScan {
    pub(super) fn new(limits: Limits) -> Self {
        let mut rule = Self { limits, least: None };
        rule.least =
            Window::ALL.into_iter().flat_map(|w| [false, true].map(|sweep| rule.limit(w, sweep))).flatten().min();
        rule
    }

    /// What it wants kept of a source's pairs.
    pub(super) fn keep(&self) -> Keep {
        let most = Window::ALL.into_iter().filter_map(|w| self.limit(w, false)).chain([MIN_CAPACITY]).max();
        Keep { pause: WINDOW, memory: LONG_WINDOW, capacity: most.unwrap_or(MIN_CAPACITY) as usize }
    }

    fn limit(&self, window: Window, sweep: bool) -> Option<u32> {
        let l = &self.limits;
        match window {
            Window::Burst => l.burst_pairs,
            Window::Fast => l.fast_score,
            Window::Medium => l.medium_pairs,
            Window::Long => l.long_pairs,
            Window::Abandoned if sweep => l.abandoned_targets.or(l.abandoned_pairs),
            Window::Abandoned => l.abandoned_pairs,
            Window::Open => l.open_ports,
        }
    }

    /// The threshold for these pairs, and whose marks have a say in it.
    fn threshold<'a>(
        &self,
        window: Window,
        pairs: &(impl Iterator<Item = &'a Pair> + Clone),
    ) -> Option<(u32, Option<Fingerprint>)> {
        // Telling the sweep costs a walk or two, and only one window asks.
        let limit = self.limit(window, window == Window::Abandoned && is_sweep(pairs.clone()))?;
        let fingerprint = fingerprint(pairs);
        Some((if fingerprint.is_some() { limit.div_ceil(2) } else { limit }, fingerprint))
    }

    /// The lowest threshold that there can be for some of these pairs.
    fn least_threshold<'a>(&self, window: Window, mut pairs: impl Iterator<Item = &'a Pair>) -> Option<u32> {
        let limit = [false, true].into_iter().filter_map(|sweep| self.limit(window, sweep)).min()?;
        Some(if pairs.any(|p| p.tool.is_some()) { limit.div_ceil(2) } else { limit })
    }

    /// Looks at a source. Costs a few walks over its pairs.
    pub(super) fn judge(&self, source: Source, record: &Record, now: Time) -> Verdict {
        // Most sources have a pair or two. None weighs more than three, and no limit is more than halved.
        if self.least.is_none_or(|least| 3 * number(record.pairs.len()) < least.div_ceil(2)) {
            return Verdict::Quiet;
        }
        let mut look_again: Option<Time> = None;
        for window in Window::ALL {
            let pairs = record.pairs.all(now, window.span()).filter(|p| window.cares_for(p));
            let Some(least) = self.least_threshold(window, pairs.clone()) else { continue };
            if window.score(pairs.clone()) < least {
                continue;
            }
            let counted = pairs.clone().filter(|p| window.counts_from(p) <= now);
            if let Some((threshold, fingerprint)) = self.threshold(window, &counted) {
                let count = window.score(counted.clone());
                if count >= threshold && !window.excuses(count, record) {
                    let finding = finding(source, record, now, window, counted);
                    return Verdict::Fires(Finding { count, threshold, fingerprint, ..finding });
                }
            }
            look_again = pairs.map(|p| window.counts_from(p)).filter(|at| *at > now).chain(look_again).min();
        }
        look_again.map_or(Verdict::Quiet, Verdict::LookAgain)
    }
}

/// The evidence, and the name for it.
fn finding<'a>(
    source: Source,
    record: &Record,
    now: Time,
    window: Window,
    pairs: impl Iterator<Item = &'a Pair> + Clone,
) -> Finding {
    // A past that began well before the first of the pairs was not bought for this. Looking back as far as the window
    // does would ask a day of whoever gets flagged after hours.
    let began = pairs.clone().map(|p| p.first).min().unwrap_or(now);
    let looked = window.span().min(WINDOW.max(now.since(began)));
    let forged = is_forged(record, now, looked, pairs.clone());
    let rule = match is_sweep(pairs.clone()) {
        _ if forged => Rule::Forged,
        true => Rule::Sweep,
        false => Rule::PortScan,
    };
    let (count, span) = (number(pairs.clone().count()), window.span());
    let base = Finding::new(now, Some(source).filter(|_| !forged), rule, (window.name(), span));
    Finding {
        in_name_of: Some(source).filter(|_| forged),
        // The one that made the rule fire is not before.
        attempts_before: record.attempts.saturating_sub(1),
        completions: record.completions,
        standing: record.standing(now, looked, count),
        ..base
    }
    .with_sample(pairs.map(|p| (p.to, p.port)))
}

/// Whether another stack sent the pairs than the source's own, which is known well and in use at the same time. A
/// scanner that keeps a few connections going from another stack looks the same, and so do the two in one NAT: then
/// nobody is blocked, but it is told.
fn is_forged<'a>(
    record: &Record,
    now: Time,
    looked: Duration,
    mut pairs: impl Iterator<Item = &'a Pair> + Clone,
) -> bool {
    let known = record.was_verified_before(now, looked)
        && record.completions >= KNOWN_STACK_COMPLETIONS
        // In use when the latest of the pairs was tried, or since.
        && record.last_completion.zip(pairs.clone().map(|p| p.last).max()).is_some_and(|(at, last)| last.since(at) <= WINDOW);
    known && record.stacks.are_few() && pairs.all(|p| !record.stacks.holds(p.stack))
}
