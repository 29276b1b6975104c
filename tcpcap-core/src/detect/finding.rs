//! What a rule found, with its evidence: log, metrics and history tell the same story from it.

use std::{
    collections::BTreeSet,
    fmt::{self, Write as _},
    net::IpAddr,
    time::Duration,
};

use tcpcap_common::{Addr, wire::flag};

use crate::{Source, Time, Tool};

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
    /// Segments of connections that do not exist.
    Stray,
    /// Many connections to one port of those that get their passwords guessed.
    BruteForce,
    /// A scan in the name of a source that did not send it.
    Forged,
    /// Many handshakes left open at one target, by whomever.
    Flood,
    /// Many handshakes left open by one source.
    FloodSource,
    /// Many pairs of any kind.
    FanOut,
}

impl Rule {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::PortScan,
        Self::Sweep,
        Self::Stealth,
        Self::Stray,
        Self::BruteForce,
        Self::Forged,
        Self::Flood,
        Self::FloodSource,
        Self::FanOut,
    ];

    /// The name used in metrics and for machines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PortScan => "port-scan",
            Self::Sweep => "sweep",
            Self::Stealth => "stealth",
            Self::Stray => "stray",
            Self::BruteForce => "brute-force",
            Self::Forged => "forged",
            Self::Flood => "flood",
            Self::FloodSource => "flood-source",
            Self::FanOut => "fan-out",
        }
    }

    /// The name used in sentences, at their beginning.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::PortScan => "Port scan",
            Self::Sweep => "Sweep",
            Self::Stealth => "Stealth scan",
            Self::Stray => "Stray scan",
            Self::BruteForce => "Brute force",
            Self::Forged => "Forged scan",
            Self::Flood => "SYN flood",
            Self::FloodSource => "SYN flood of one source",
            Self::FanOut => "Fan-out",
        }
    }

    /// Whether it only tells, and gets nobody blocked: its evidence does not show who sent the packets, or that they
    /// were meant ill.
    #[must_use]
    pub const fn is_alert(self) -> bool {
        matches!(self, Self::Forged | Self::Flood | Self::FloodSource | Self::FanOut)
    }
}

/// What a source's past says about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// It had not completed a handshake before the window began: the address may be anybody's invention.
    #[default]
    Unverified,
    /// It had, so the address is real.
    Verified,
    /// It had, and it completed at least as many handshakes as it now left open: an honest source with a bad moment, a
    /// large NAT with one scanner behind it, or the victim of somebody who sends SYNs in its name.
    Established,
}

impl Standing {
    /// The name used in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unverified => "unverified",
            Self::Verified => "verified",
            Self::Established => "established",
        }
    }
}

/// The tool that made a source's attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Which.
    pub tool: Tool,
    /// How many of the pairs counted bear its marks, in percent.
    pub percent: u8,
}

/// A rule fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// When.
    pub time: Time,
    /// For whom; `None` where it is about a target, whoever the sources are.
    pub source: Option<Source>,
    /// [`Rule::Forged`]: in whose name.
    pub in_name_of: Option<Source>,
    /// Which rule.
    pub rule: Rule,
    /// Which of its windows.
    pub window: &'static str,
    /// What was counted; pairs, or a score where the window weighs them.
    pub count: u32,
    /// The count at which the window fires; half of the usual one where a fingerprint spoke against the source.
    pub threshold: u32,
    /// How far back it looked.
    pub span: Duration,
    /// Own addresses tried, at most [`SAMPLE`] of them.
    pub targets: Vec<IpAddr>,
    /// Ports tried, in ascending order, at most [`SAMPLE`] of them.
    pub ports: Vec<u16>,
    /// There were more targets or ports than are named.
    pub truncated: bool,
    /// TCP flags of the segments counted, where it is they that are odd: each combination once.
    pub flags: Vec<u8>,
    /// Attempts (or probes, where the rule counts those) of the source before this finding, as far back as it is
    /// remembered.
    pub attempts_before: u64,
    /// Handshakes that the source completed, as far back as it is remembered.
    pub completions: u64,
    /// What its past says.
    pub standing: Standing,
    /// The tool that made most of what was counted.
    pub fingerprint: Option<Fingerprint>,
}

impl Finding {
    /// A finding of this rule, yet without evidence.
    #[must_use]
    pub fn new(time: Time, source: Option<Source>, rule: Rule, window: (&'static str, Duration)) -> Self {
        Self {
            time,
            source,
            in_name_of: None,
            rule,
            window: window.0,
            count: 0,
            threshold: 0,
            span: window.1,
            targets: Vec::new(),
            ports: Vec::new(),
            truncated: false,
            flags: Vec::new(),
            attempts_before: 0,
            completions: 0,
            standing: Standing::Unverified,
            fingerprint: None,
        }
    }

    /// Fills in which targets and ports were tried.
    pub(super) fn with_sample(mut self, pairs: impl Iterator<Item = (Addr, u16)> + Clone) -> Self {
        let targets: BTreeSet<Addr> = pairs.clone().map(|p| p.0).collect();
        let ports: BTreeSet<u16> = pairs.map(|p| p.1).collect();
        self.truncated = targets.len() > SAMPLE || ports.len() > SAMPLE;
        self.targets = targets.into_iter().take(SAMPLE).map(|to| to.to_ip()).collect();
        self.ports = ports.into_iter().take(SAMPLE).collect();
        self
    }

    /// Whether the source had completed a handshake before the window began, so that its address is real.
    #[must_use]
    pub fn verified(&self) -> bool {
        self.standing != Standing::Unverified
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

    /// The flags' names, one text for each combination: `FIN+PSH+URG`, `none`.
    #[must_use]
    pub fn flags_text(&self) -> Vec<String> {
        self.flags.iter().map(|&f| flag_names(f)).collect()
    }
}

/// The line of the log: `Port scan detected: 192.0.2.56 -> 10.0.0.5 on ports 80,81,82`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} detected: ", self.rule.title())?;
        match (self.source, self.in_name_of) {
            (Some(source), _) => write!(f, "{source}")?,
            (None, Some(source)) => write!(f, "somebody in the name of {source}")?,
            (None, None) => f.write_str("many sources")?,
        }
        write!(f, " -> {}", self.targets_text())?;
        // A flood of a whole address has no port to name.
        if self.ports.is_empty() { Ok(()) } else { write!(f, " on ports {}", self.ports_text()) }
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

/// The names of the flags that are set.
fn flag_names(flags: u8) -> String {
    use flag::{ACK, FIN, PSH, RST, SYN, URG};
    const NAMES: [(u8, &str); 6] = [(FIN, "FIN"), (SYN, "SYN"), (RST, "RST"), (PSH, "PSH"), (ACK, "ACK"), (URG, "URG")];
    let set: Vec<&str> = NAMES.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect();
    if set.is_empty() { "none".to_owned() } else { set.join("+") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_reads_as_a_sentence_with_or_without_a_source() {
        let addr = |text: &str| Addr::from(text.parse::<IpAddr>().unwrap());
        let source = Some(Source(addr("192.0.2.56")));
        let pairs = [(addr("10.0.0.5"), 80), (addr("10.0.0.5"), 81)];
        let finding = |source, rule| {
            Finding::new(Time::ZERO, source, rule, ("burst", Duration::from_secs(60))).with_sample(pairs.into_iter())
        };
        assert_eq!(
            finding(source, Rule::PortScan).to_string(),
            "Port scan detected: 192.0.2.56 -> 10.0.0.5 on ports 80,81"
        );
        assert_eq!(
            finding(None, Rule::Flood).to_string(),
            "SYN flood detected: many sources -> 10.0.0.5 on ports 80,81"
        );
        let forged = Finding { in_name_of: source, ..finding(None, Rule::Forged) };
        assert_eq!(
            forged.to_string(),
            "Forged scan detected: somebody in the name of 192.0.2.56 -> 10.0.0.5 on ports 80,81"
        );
        let whole = Finding { ports: Vec::new(), ..finding(None, Rule::Flood) };
        assert_eq!(whole.to_string(), "SYN flood detected: many sources -> 10.0.0.5");
    }

    #[test]
    fn flags_have_names() {
        assert_eq!([0, 1, 41].map(flag_names), ["none", "FIN", "FIN+PSH+URG"]);
    }
}
