//! What a rule found, with its evidence: log, metrics and history tell the same story from it.

use std::{
    collections::BTreeSet,
    fmt::{self, Write as _},
    net::IpAddr,
    time::Duration,
};

use tcpcap_common::Addr;

use crate::{Source, Time};

/// How many ports and targets a finding names.
pub const SAMPLE: usize = 32;

/// What a rule calls what it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Many (address, port) pairs.
    PortScan,
    /// Many addresses, few ports.
    Sweep,
    /// Segments that no honest stack sends.
    Stealth,
}

impl Rule {
    /// The name used in metrics and for machines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PortScan => "port-scan",
            Self::Sweep => "sweep",
            Self::Stealth => "stealth",
        }
    }

    /// The name used in sentences, at their beginning.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::PortScan => "Port scan",
            Self::Sweep => "Sweep",
            Self::Stealth => "Stealth scan",
        }
    }
}

/// A rule fired for a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// When.
    pub time: Time,
    /// For whom.
    pub source: Source,
    /// Which rule.
    pub rule: Rule,
    /// Which of its windows.
    pub window: &'static str,
    /// What was counted; pairs, or a score where the window weighs them.
    pub count: u32,
    /// The count at which the window fires.
    pub threshold: u32,
    /// How far back it looked.
    pub span: Duration,
    /// Own addresses tried, at most [`SAMPLE`] of them.
    pub targets: Vec<IpAddr>,
    /// Ports tried, in ascending order, at most [`SAMPLE`] of them.
    pub ports: Vec<u16>,
    /// There were more targets or ports than are named.
    pub truncated: bool,
    /// Attempts (or probes, where the rule counts those) of the source before this finding, as far back as it is
    /// remembered.
    pub attempts_before: u64,
    /// The source had completed a handshake before the window began, so its address is real and has a history.
    pub verified: bool,
}

impl Finding {
    /// Fills in which targets and ports were tried.
    pub(super) fn with_sample(mut self, targets: BTreeSet<Addr>, ports: BTreeSet<u16>) -> Self {
        self.truncated = targets.len() > SAMPLE || ports.len() > SAMPLE;
        self.targets = targets.into_iter().take(SAMPLE).map(|to| to.to_ip()).collect();
        self.ports = ports.into_iter().take(SAMPLE).collect();
        self
    }

    /// The targets, separated by commas.
    #[must_use]
    pub fn targets_text(&self) -> String {
        list(&self.targets, self.truncated && self.targets.len() == SAMPLE)
    }

    /// The ports, separated by commas.
    #[must_use]
    pub fn ports_text(&self) -> String {
        list(&self.ports, self.truncated && self.ports.len() == SAMPLE)
    }
}

/// The line of the log: `Port scan detected: 192.0.2.56 -> 10.0.0.5 on ports 80,81,82`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (title, source) = (self.rule.title(), self.source);
        write!(f, "{title} detected: {source} -> {} on ports {}", self.targets_text(), self.ports_text())
    }
}

fn list<T: std::fmt::Display>(items: &[T], more: bool) -> String {
    let mut out = String::new();
    for (i, item) in items.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        // Writing to a string does not fail.
        let _infallible = write!(out, "{comma}{item}");
    }
    if more { out + "…" } else { out }
}
