//! The stealth rule: a source scans when it sends segments that no honest stack sends first.
//!
//! Three segments in a minute with flags that mean nothing (none at all, FIN+PSH+URG, SYN+FIN, SYN+RST and whatever else
//! has neither ACK nor a plain SYN, RST or FIN); or FIN alone to three (own address, port) pairs, since a FIN without
//! ACK may come from a broken middlebox, but not to one pair after the other (RFC 9293 §3.10.7 has every segment after
//! the SYN carry ACK; nmap's documentation has the probes); or three first fragments too short for a TCP header, which
//! hide the flags in the second one (RFC 1858 §3; the smallest MTU of IPv4 holds the header many times over). Or, *slow*,
//! any of these to six pairs in a day.
//!
//! What it cannot see: probes that look like an established connection (ACK, FIN+ACK), which are [`super::stray`]'s.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use tcpcap_common::{
    Addr,
    wire::flag::{ACK, FIN, PSH, RST, SYN, URG},
};

use super::{Finding, Record, Rule};
use crate::{Source, Time};

/// When the rule fires; `None` switches it off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Probes, pairs probed with FIN alone, or tiny fragments, each for itself, within [`WINDOW`].
    pub probes: Option<u32>,
}

/// How far back it looks.
pub const WINDOW: Duration = Duration::from_secs(60);

/// How far back *slow* looks, which wants twice as many pairs.
pub const SLOW_WINDOW: Duration = Duration::from_secs(86_400);

/// How many probes of a source are kept. Above every preset's threshold.
const CAPACITY: usize = 32;

/// What was odd about a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Oddity {
    Flags(u8),
    TinyFragment,
}

#[derive(Clone, Copy, Debug)]
struct Probe {
    time: Time,
    to: Addr,
    port: u16,
    oddity: Oddity,
}

impl Probe {
    const fn is_fin_alone(&self) -> bool {
        matches!(self.oddity, Oddity::Flags(flags) if flags & (SYN | ACK | FIN | RST | PSH | URG) == FIN)
    }

    const fn is_fragment(&self) -> bool {
        matches!(self.oddity, Oddity::TinyFragment)
    }
}

/// A source's probes of late.
#[derive(Debug, Default)]
pub(super) struct Probes {
    recent: VecDeque<Probe>,
    all: u64,
}

impl Probes {
    /// Notes a probe; the oldest gives way when there is no room.
    pub(super) fn note(&mut self, (to, port): (Addr, u16), oddity: Oddity, now: Time) {
        self.all += 1;
        let old = self.recent.iter().take_while(|p| now.since(p.time) > SLOW_WINDOW).count();
        self.recent.drain(..old.max((self.recent.len() + 1).saturating_sub(CAPACITY)));
        self.recent.push_back(Probe { time: now, to, port, oddity });
    }

    pub(super) fn len(&self) -> usize {
        self.recent.len()
    }

    /// Whether there is one that could still count.
    pub(super) fn are_recent(&self, now: Time) -> bool {
        self.recent.back().is_some_and(|p| now.since(p.time) <= SLOW_WINDOW)
    }

    pub(super) fn clear(&mut self) {
        self.recent.clear();
    }
}

/// What the rule makes of a source that has just sent a probe.
pub(super) fn judge(limits: Limits, source: Source, record: &Record, now: Time) -> Option<Finding> {
    let threshold = limits.probes?;
    let recent = record.probes.recent.iter().filter(|p| now.since(p.time) <= WINDOW);
    let length = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let flags = recent.clone().filter(|p| !p.is_fin_alone() && !p.is_fragment());
    let fin: BTreeSet<(Addr, u16)> = recent.clone().filter(|p| p.is_fin_alone()).map(|p| (p.to, p.port)).collect();
    let fragments = recent.clone().filter(|p| p.is_fragment());
    let counts = [("flags", flags.count()), ("fin", fin.len()), ("fragments", fragments.count())];
    let fast = counts.map(|(w, n)| (w, length(n))).into_iter().find(|(_, count)| *count >= threshold);
    let all = &record.probes.recent;
    let slow = || {
        let of_a_day = all.iter().filter(|p| now.since(p.time) <= SLOW_WINDOW);
        let pairs: BTreeSet<(Addr, u16)> = of_a_day.map(|p| (p.to, p.port)).collect();
        Some(("slow", length(pairs.len()))).filter(|(_, count)| *count >= 2 * threshold)
    };
    let (window, count) = fast.or_else(slow)?;
    let (span, threshold) = if window == "slow" { (SLOW_WINDOW, 2 * threshold) } else { (WINDOW, threshold) };
    let recent = all.iter().filter(|p| now.since(p.time) <= span);
    let seen: BTreeSet<u8> = recent
        .clone()
        .filter_map(|p| match p.oddity {
            Oddity::Flags(flags) => Some(flags),
            Oddity::TinyFragment => None,
        })
        .collect();
    let finding = Finding {
        count,
        threshold,
        flags: seen.into_iter().collect(),
        attempts_before: record.probes.all.saturating_sub(1),
        completions: record.completions,
        standing: record.standing(now, span, count),
        ..Finding::new(now, Some(source), Rule::Stealth, (window, span))
    };
    Some(finding.with_sample(recent.map(|p| (p.to, p.port))))
}
