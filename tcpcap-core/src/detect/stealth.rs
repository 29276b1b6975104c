//! The stealth rule: a source scans when it sends segments that no honest stack sends first.
//!
//! Three segments in a minute with flags that mean nothing (none at all, FIN+PSH+URG, SYN+FIN, SYN+RST and whatever else
//! has neither ACK nor a plain SYN, RST or FIN); or FIN alone to three (own address, port) pairs, since a FIN without
//! ACK may come from a broken middlebox, but not to one pair after the other (RFC 9293 §3.10.7 has every segment after
//! the SYN carry ACK; nmap's documentation has the probes).
//!
//! What it cannot see: probes that look like an established connection (ACK, FIN+ACK), and flags hidden in a second
//! fragment.

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

/// When the rule fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Probes, or pairs probed with FIN alone, within [`WINDOW`].
    pub probes: u32,
}

/// How far back it looks.
pub const WINDOW: Duration = Duration::from_secs(60);

/// How many probes of a source are kept. Above every preset's threshold.
const CAPACITY: usize = 32;

#[derive(Clone, Copy, Debug)]
struct Probe {
    time: Time,
    to: Addr,
    port: u16,
    fin_alone: bool,
}

/// A source's probes of late.
#[derive(Debug, Default)]
pub(super) struct Probes {
    recent: VecDeque<Probe>,
    all: u64,
}

impl Probes {
    /// Notes a probe; the oldest gives way when there is no room.
    pub(super) fn note(&mut self, (to, port): (Addr, u16), flags: u8, now: Time) {
        self.all += 1;
        let old = self.recent.iter().take_while(|p| now.since(p.time) > WINDOW).count();
        self.recent.drain(..old.max((self.recent.len() + 1).saturating_sub(CAPACITY)));
        let fin_alone = flags & (SYN | ACK | FIN | RST | PSH | URG) == FIN;
        self.recent.push_back(Probe { time: now, to, port, fin_alone });
    }

    pub(super) fn len(&self) -> usize {
        self.recent.len()
    }

    pub(super) fn clear(&mut self) {
        self.recent.clear();
    }
}

/// What the rule makes of a source that has just sent a probe.
pub(super) fn judge(limits: Limits, source: Source, record: &Record, now: Time) -> Option<Finding> {
    let recent = record.probes.recent.iter().filter(|p| now.since(p.time) <= WINDOW);
    let odd = recent.clone().filter(|p| !p.fin_alone);
    let fin: BTreeSet<(Addr, u16)> = recent.clone().filter(|p| p.fin_alone).map(|p| (p.to, p.port)).collect();
    let length = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let counts = [("flags", length(odd.count())), ("fin", length(fin.len()))];
    let (window, count) = counts.into_iter().find(|(_, count)| *count >= limits.probes)?;
    let (targets, ports) = (recent.clone().map(|p| p.to).collect(), recent.map(|p| p.port).collect());
    let finding = Finding {
        time: now,
        source,
        rule: Rule::Stealth,
        window,
        count,
        threshold: limits.probes,
        span: WINDOW,
        targets: Vec::new(),
        ports: Vec::new(),
        truncated: false,
        attempts_before: record.probes.all.saturating_sub(1),
        verified: record.was_verified_before(now, WINDOW),
    };
    Some(finding.with_sample(targets, ports))
}
