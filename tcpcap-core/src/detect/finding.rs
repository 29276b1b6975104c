//! What a rule found, with its evidence: log, metrics and history tell the same story from it.

use std::{collections::BTreeSet, fmt::Write as _, net::IpAddr, time::Duration};

use super::pairs::Pair;
use crate::{Source, Time};

/// How many ports and targets a finding names.
pub const SAMPLE: usize = 32;

/// A rule fired for a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// When.
    pub time: Time,
    /// For whom.
    pub source: Source,
    /// Which rule.
    pub rule: &'static str,
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
    /// Attempts of the source before this finding, as far back as it is remembered.
    pub attempts_before: u64,
    /// The source had completed a handshake before the window began, so its address is real and has a history.
    pub verified: bool,
}

impl Finding {
    /// Fills in which targets and ports the pairs were.
    pub(super) fn with_sample<'a>(mut self, pairs: impl Iterator<Item = &'a Pair>) -> Self {
        let (mut targets, mut ports) = (BTreeSet::new(), BTreeSet::new());
        for pair in pairs {
            targets.insert(pair.to.to_ip());
            ports.insert(pair.port);
        }
        self.truncated = targets.len() > SAMPLE || ports.len() > SAMPLE;
        self.targets = targets.into_iter().take(SAMPLE).collect();
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

fn list<T: std::fmt::Display>(items: &[T], more: bool) -> String {
    let mut out = String::new();
    for (i, item) in items.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        // Writing to a string does not fail.
        let _infallible = write!(out, "{comma}{item}");
    }
    if more { out + "…" } else { out }
}
