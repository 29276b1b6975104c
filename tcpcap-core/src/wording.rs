//! The line that a decision is to people, in one place for all who print it.

use std::fmt;

use crate::{Finding, Outcome, Verdict};

impl Verdict {
    /// As of something done: `Blocked 192.0.2.1 for 10 min`.
    #[must_use]
    pub fn done(&self) -> String {
        let (decision, who) = (&self.decision, Who(&self.finding));
        match decision.outcome {
            Outcome::Block { .. } => format!("Blocked {who} {decision}"),
            Outcome::Extend { .. } => format!("Block of {who} extended, now {decision}"),
            Outcome::Observe { .. } => format!("Would block {who} {decision}"),
            Outcome::Alert => format!("Alert about {who}: {decision}"),
            Outcome::Suppressed(_) => format!("Not blocked {who}: {decision}"),
        }
    }

    /// As of something that a live host would have done: `Would block 192.0.2.1 for 10 min`.
    #[must_use]
    pub fn supposed(&self) -> String {
        let (decision, who) = (&self.decision, Who(&self.finding));
        match decision.outcome {
            Outcome::Block { .. } | Outcome::Observe { .. } => format!("Would block {who} {decision}"),
            Outcome::Extend { .. } => format!("Would extend the block of {who}, now {decision}"),
            Outcome::Alert => self.done(),
            Outcome::Suppressed(_) => format!("Would not block {who}: {decision}"),
        }
    }
}

/// Whom a finding is about: its source, or what it is about where it has none.
struct Who<'a>(&'a Finding);

impl fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.source.or(self.0.in_name_of) {
            Some(source) => write!(f, "{source}"),
            None => f.write_str(&self.0.targets_text()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, time::Duration};

    use super::*;
    use crate::{Decision, Rule, Scope, Source, Suppression, Time};

    #[test]
    fn every_outcome_has_a_line_for_what_was_done_and_for_what_would_be() {
        let source = Source("192.0.2.1".parse::<IpAddr>().unwrap().into());
        let until = Time::from_secs(600);
        let full = "131072 sources are blocked already, which is all there is room for";
        for (outcome, times, done, supposed) in [
            (Outcome::Block { until }, 1, "Blocked 192.0.2.1 for 10 min", "Would block 192.0.2.1 for 10 min"),
            (
                Outcome::Extend { until },
                2,
                "Block of 192.0.2.1 extended, now for 10 min, block number 2 in a row",
                "Would extend the block of 192.0.2.1, now for 10 min, block number 2 in a row",
            ),
            (Outcome::Observe { until }, 1, "Would block 192.0.2.1 for 10 min", "Would block 192.0.2.1 for 10 min"),
            (
                Outcome::Suppressed(Suppression::Full(131_072)),
                0,
                &format!("Not blocked 192.0.2.1: {full}"),
                &format!("Would not block 192.0.2.1: {full}"),
            ),
        ] {
            let decision = Decision { outcome, times, ttl: Duration::from_secs(600), scope: Scope::All };
            let finding = Finding::new(Time::ZERO, Some(source), Rule::PortScan, ("burst", Duration::ZERO));
            let verdict = Verdict { finding, decision };
            assert_eq!((&*verdict.done(), &*verdict.supposed()), (done, supposed));
        }
    }
}
