//! The line that a decision is to people, in one place for all who print it.

use crate::{Decision, Outcome, Source};

impl Decision {
    /// As of something done: `Blocked 192.0.2.1 for 10 min`.
    #[must_use]
    pub fn done(&self, source: Source) -> String {
        match self.outcome {
            Outcome::Block { .. } => format!("Blocked {source} {self}"),
            Outcome::Extend { .. } => format!("Block of {source} extended, now {self}"),
            Outcome::Observe { .. } => format!("Would block {source} {self}"),
            Outcome::Suppressed(_) => format!("Not blocked {source}: {self}"),
        }
    }

    /// As of something that a live host would have done: `Would block 192.0.2.1 for 10 min`.
    #[must_use]
    pub fn supposed(&self, source: Source) -> String {
        match self.outcome {
            Outcome::Block { .. } | Outcome::Observe { .. } => format!("Would block {source} {self}"),
            Outcome::Extend { .. } => format!("Would extend the block of {source}, now {self}"),
            Outcome::Suppressed(_) => format!("Would not block {source}: {self}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, time::Duration};

    use super::*;
    use crate::{Suppression, Time};

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
                Outcome::Suppressed(Suppression::Full),
                0,
                &format!("Not blocked 192.0.2.1: {full}"),
                &format!("Would not block 192.0.2.1: {full}"),
            ),
        ] {
            let decision = Decision { outcome, times, ttl: Duration::from_secs(600) };
            assert_eq!((&*decision.done(source), &*decision.supposed(source)), (done, supposed));
        }
    }
}
