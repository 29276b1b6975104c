//! What the detector knows of a source, for people to look at.

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use super::{Finding, Fingerprint, Rule, Standing, port_scan::fingerprint, record::Record};
use crate::Time;

/// A source as it is remembered. Cost: a walk over its pairs, of which there are at most some hundreds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Attempts since it is remembered.
    pub attempts: u64,
    /// Handshakes completed since then.
    pub completions: u64,
    /// Pairs tried of late, completed or not.
    pub pairs: usize,
    /// Those of them that were not completed.
    pub incomplete: usize,
    /// Distinct ports among all pairs.
    pub ports: usize,
    /// Distinct own addresses among them.
    pub hosts: usize,
    /// Some of the ports, in ascending order, at most [`super::SAMPLE`].
    pub some_ports: Vec<u16>,
    /// Some of the own addresses, at most [`super::SAMPLE`].
    pub some_hosts: Vec<IpAddr>,
    /// What its past says, against the pairs that it left incomplete of late.
    pub standing: Standing,
    /// The tool whose marks the pairs bear, if they do.
    pub fingerprint: Option<Fingerprint>,
    /// Its latest sighting.
    pub last_seen: Time,
    /// Nothing about it counts before this, for a rule has fired; in the past if none has.
    pub quiet_until: Time,
}

impl Known {
    pub(super) fn of(record: &Record, now: Time, memory: Duration) -> Self {
        let pairs = record.pairs.all(now, memory);
        let incomplete = pairs.clone().filter(|pair| !pair.completed).count();
        let failures = u32::try_from(incomplete).unwrap_or(u32::MAX);
        let sample =
            Finding::new(now, None, Rule::PortScan, ("", memory)).with_sample(pairs.clone().map(|p| (p.to, p.port)));
        Self {
            attempts: record.attempts,
            completions: record.completions,
            pairs: pairs.clone().count(),
            incomplete,
            ports: pairs.clone().map(|pair| pair.port).collect::<BTreeSet<_>>().len(),
            hosts: pairs.clone().map(|pair| pair.to).collect::<BTreeSet<_>>().len(),
            some_ports: sample.ports,
            some_hosts: sample.targets,
            standing: record.standing(now, Duration::ZERO, failures),
            fingerprint: fingerprint(&pairs),
            last_seen: record.last_seen,
            quiet_until: record.quiet_until,
        }
    }
}
