//! The brute force rule, off unless switched on: a source that connects to one management port again and again.
//!
//! Thirty attempts in a minute to one (own address, port) where passwords are asked for. On any port such a rate is
//! ordinary, for a busy client or a load test; on these it is rare, and log readers, which see the passwords fail, still
//! know better. The original counted every connection like this.
//!
//! What it cannot see: whether the passwords were right; guesses within one connection; a slow guesser; many sources.

use std::{collections::VecDeque, time::Duration};

use tcpcap_common::Addr;

use super::{Finding, Record, Rule};
use crate::{Source, Time};

/// When the rule fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Attempts to one of the ports within [`WINDOW`]; `None` switches the rule off.
    pub attempts: Option<u32>,
    /// Ports beside [`PORTS`]; 0 is none.
    pub more_ports: [u16; MORE_PORTS],
}

impl Limits {
    fn cares_for(&self, port: u16) -> bool {
        self.attempts.is_some() && (PORTS.contains(&port) || (port != 0 && self.more_ports.contains(&port)))
    }
}

/// How many ports may be added.
pub const MORE_PORTS: usize = 8;

/// How far back it looks.
pub const WINDOW: Duration = Duration::from_secs(60);

/// Where passwords are asked for: FTP, SSH, telnet, remote desktop, VNC.
pub const PORTS: [u16; 5] = [21, 22, 23, 3389, 5900];

/// Attempts kept of a source; a limit above it counts as this.
const CAPACITY: usize = 256;

/// A source's attempts on these ports of late. Kept only while the rule is on.
#[derive(Debug, Default)]
pub(super) struct Guesses(Option<Box<Recent>>);

#[derive(Debug, Default)]
struct Recent(VecDeque<(Time, Addr, u16)>);

impl Guesses {
    /// Notes an attempt, if it is on one of the ports.
    pub(super) fn note(&mut self, limits: Limits, (to, port): (Addr, u16), now: Time) {
        if !limits.cares_for(port) {
            return;
        }
        let recent = &mut self.0.get_or_insert_default().0;
        let old = recent.iter().take_while(|(time, ..)| now.since(*time) > WINDOW).count();
        recent.drain(..old.max((recent.len() + 1).saturating_sub(CAPACITY)));
        recent.push_back((now, to, port));
    }

    pub(super) fn clear(&mut self) {
        self.0 = None;
    }
}

/// What the rule makes of a source that has just tried this pair.
pub(super) fn judge(limits: Limits, source: Source, record: &Record, pair: (Addr, u16), now: Time) -> Option<Finding> {
    let threshold = limits.attempts?.min(u32::try_from(CAPACITY).unwrap_or(u32::MAX));
    let here = record
        .guesses
        .0
        .iter()
        .flat_map(|recent| &recent.0)
        .filter(|(time, to, port)| (*to, *port) == pair && now.since(*time) <= WINDOW);
    let count = u32::try_from(here.count()).unwrap_or(u32::MAX);
    if count < threshold {
        return None;
    }
    let finding = Finding::new(now, Some(source), Rule::BruteForce, ("attempts", WINDOW));
    let finding = record.told((count, threshold), finding);
    Some(finding.with_sample([pair].into_iter()))
}
