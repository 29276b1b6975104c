//! What tcpcap found in a capture, held against what is in it.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::manifest::{Entry, Label, Target};

/// The alarm about a target.
const FLOOD: &str = "flood";
/// The rule that is off unless somebody wants it. It may fire for brute force, and only there; no other may.
const OPTIONAL: &str = "brute-force";

/// A finding as `tcpcap replay -o json` prints it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Finding {
    /// `None` where it is an alarm about a target.
    #[serde(deserialize_with = "source", serialize_with = "source_text")]
    pub(crate) source: Option<IpNet>,
    pub(crate) rule: String,
    #[serde(default)]
    pub(crate) window: Option<String>,
    #[serde(default)]
    targets: Vec<IpAddr>,
    #[serde(default)]
    ports: Vec<u16>,
    #[serde(default)]
    pub(crate) attempts_before: u64,
    decision: String,
}

/// Whether what was to be found was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    Found,
    Missed,
    /// There was nothing to find.
    Nothing,
    /// An optional rule found it. It need not.
    OptionalFound,
    /// An optional rule did not find it, which is as right.
    OptionalMissed,
}

/// What is to be said about a capture.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Judgement {
    pub(crate) outcome: Outcome,
    /// The first finding for each of those that were to be found.
    pub(crate) fired: Vec<Finding>,
    /// Those for whom there is none.
    pub(crate) missed: Vec<String>,
    /// Findings that name somebody who has done nothing.
    pub(crate) false_alarms: Vec<Finding>,
    /// Alarms that block nobody where nothing was flooded. They are told, and do not count as false.
    pub(crate) alerts: Vec<Finding>,
}

impl Judgement {
    /// Whether all is as it should be.
    pub(crate) fn is_right(&self) -> bool {
        self.outcome != Outcome::Missed && self.false_alarms.is_empty()
    }

    /// How many attempts each of those that were found had made before.
    pub(crate) fn attempts_before(&self) -> impl Iterator<Item = u64> {
        self.fired.iter().filter(|f| f.source.is_some()).map(|f| f.attempts_before)
    }
}

/// Judges the findings of one capture, in the order in which they were made.
pub(crate) fn judge(entry: &Entry, findings: &[Finding]) -> Judgement {
    let optional = entry.label == Label::BruteForce;
    let first_for = |who: &IpNet| findings.iter().find(|f| f.names(who) && (f.rule == OPTIONAL) == optional);
    let mut fired: Vec<Finding> = Vec::new();
    let mut missed = Vec::new();
    for who in &entry.flagged {
        match first_for(who) {
            // Two in the same network are one source.
            Some(finding) if fired.iter().any(|f| f.source == finding.source) => {}
            Some(finding) => fired.push(finding.clone()),
            None => missed.push(shown(who)),
        }
    }
    let all_flagged = !entry.flagged.is_empty() && missed.is_empty();
    let mut found = all_flagged;
    if let Some(target) = entry.target {
        match findings.iter().find(|f| f.is_flood_of(target)) {
            // Then it matters little whether its only source is named, too.
            Some(alarm) => {
                found = true;
                missed.clear();
                fired.insert(0, alarm.clone());
            }
            None if all_flagged => {}
            None => missed.push(format!("a flood of {}", target.addr)),
        }
    }
    let outcome = match entry.label {
        Label::Benign => Outcome::Nothing,
        Label::BruteForce if found => Outcome::OptionalFound,
        Label::BruteForce => Outcome::OptionalMissed,
        _ if found => Outcome::Found,
        _ => Outcome::Missed,
    };
    let is_false = |f: &&Finding| {
        let due = entry.flagged.iter().any(|who| f.names(who)) && (f.rule == OPTIONAL) == optional;
        f.source.is_some() && !due && !entry.tolerated.iter().any(|who| f.names(who))
    };
    let is_alert = |f: &&Finding| match entry.target {
        Some(target) => f.source.is_none() && !f.is_flood_of(target),
        None => f.source.is_none() || f.decision == "alert",
    };
    Judgement {
        outcome,
        missed: if matches!(outcome, Outcome::Missed) { missed } else { Vec::new() },
        false_alarms: findings.iter().filter(is_false).cloned().collect(),
        alerts: findings.iter().filter(is_alert).cloned().collect(),
        fired,
    }
}

impl Finding {
    /// Whether its source, which for IPv6 is a network, holds all of `who`.
    fn names(&self, who: &IpNet) -> bool {
        self.source.is_some_and(|source| source.contains(who))
    }

    fn is_flood_of(&self, Target { addr, port }: Target) -> bool {
        let port_fits = port.is_none_or(|port| self.ports.is_empty() || self.ports.contains(&port));
        self.rule == FLOOD && self.targets.contains(&addr) && port_fits
    }

    /// The rule and its window: `port-scan/fast`.
    pub(crate) fn rule_and_window(&self) -> String {
        match &self.window {
            Some(window) => format!("{}/{window}", self.rule),
            None => self.rule.clone(),
        }
    }

    /// Whom it names, and why: `192.0.2.7 by port-scan/fast (block)`.
    pub(crate) fn in_words(&self) -> String {
        let about = match &self.source {
            Some(source) => shown(source),
            None => self.targets.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        };
        format!("{about} by {} ({})", self.rule_and_window(), self.decision)
    }
}

/// A whole address without its length.
fn shown(network: &IpNet) -> String {
    if network.prefix_len() == network.max_prefix_len() { network.addr().to_string() } else { network.to_string() }
}

fn source<'de, D: Deserializer<'de>>(d: D) -> Result<Option<IpNet>, D::Error> {
    let Some(text) = Option::<String>::deserialize(d)? else { return Ok(None) };
    let parsed = text.parse::<IpAddr>().map(IpNet::from).or_else(|_| text.parse::<IpNet>());
    parsed.map(Some).map_err(|_| de::Error::custom(format!("`{text}` is no source")))
}

fn source_text<S: Serializer>(source: &Option<IpNet>, s: S) -> Result<S::Ok, S::Error> {
    source.as_ref().map(shown).serialize(s)
}

#[cfg(test)]
mod tests {
    use super::{super::manifest, *};
    use serde_json::json;

    fn entry(label: &str, flagged: &str, tolerated: &str, expect: &str) -> Entry {
        let heading = "file\tlabel\tflagged\ttolerated\town\texpect\thow\tsha256";
        let own = "10.80.0.0/24,fd80::/64";
        let line = ["x.pcap", label, flagged, tolerated, own, expect, "-", "-"].join("\t");
        manifest::parse(&format!("{heading}\n{line}\n")).unwrap().remove(0)
    }

    fn by(source: Option<&str>, rule: &str) -> Finding {
        let decision = if source.is_some() { "block" } else { "alert" };
        serde_json::from_value(json!({
            "type": "finding", "time": "2026-01-02T03:04:05.031000Z", "source": source, "rule": rule,
            "window": "burst", "count": 32, "threshold": 32, "window_s": 60, "targets": ["10.80.0.10"],
            "ports": [80], "attempts_before": 31, "verified": false, "fingerprint": null, "decision": decision,
            "why": "for 10 min",
        }))
        .unwrap()
    }

    fn scan(source: &str) -> Finding {
        by(Some(source), "port-scan")
    }

    #[test]
    fn a_scan_is_found_when_every_flagged_source_is_named() {
        let entry = entry("scan", "10.81.0.1,10.81.0.2", "-", "-");
        let half = judge(&entry, &[scan("10.81.0.1"), scan("10.81.0.1")]);
        assert_eq!((half.outcome, half.missed, half.fired.len()), (Outcome::Missed, vec!["10.81.0.2".to_owned()], 1));
        let both = judge(&entry, &[scan("10.81.0.2"), scan("10.81.0.1")]);
        assert_eq!((both.outcome, both.is_right()), (Outcome::Found, true));
        assert_eq!(both.attempts_before().collect::<Vec<_>>(), [31, 31]);
    }

    #[test]
    fn who_is_neither_flagged_nor_tolerated_is_a_false_alarm_whatever_the_label() {
        for (label, expect) in [("scan", "-"), ("sweep", "-"), ("stealth", "-"), ("benign", "-"), ("bruteforce", "-")] {
            let entry = entry(label, "10.81.0.1", "10.81.0.9", expect);
            let judged = judge(&entry, &[scan("10.81.0.9"), scan("10.82.0.1"), by(Some("10.82.0.2"), "brute-force")]);
            assert_eq!((judged.false_alarms.len(), judged.is_right()), (2, false), "{label}");
        }
        let mut alert = scan("10.82.0.1");
        alert.decision = "alert".to_owned();
        let judged = judge(&entry("benign", "-", "-", "-"), &[alert]);
        assert_eq!((judged.false_alarms.len(), judged.alerts.len()), (1, 1));
    }

    #[test]
    fn an_address_is_named_by_the_network_that_holds_it() {
        let entry = entry("scan", "fd81::9:1", "-", "-");
        assert!(judge(&entry, &[scan("fd81::/64")]).is_right());
        let other = judge(&entry, &[scan("fd81:0:0:9::/64")]);
        assert_eq!((other.outcome, other.false_alarms.len()), (Outcome::Missed, 1));
    }

    #[test]
    fn a_flood_of_forged_sources_is_an_alarm_about_the_target_and_about_nobody_else() {
        let entry = entry("flood", "-", "-", "flood alarm on 10.80.0.10:80; block no source");
        let alarm = by(None, "flood");
        assert!(judge(&entry, std::slice::from_ref(&alarm)).is_right());
        assert!(judge(&entry, std::slice::from_ref(&alarm)).alerts.is_empty());
        assert_eq!(judge(&entry, &[]).missed, ["a flood of 10.80.0.10"]);
        assert_eq!(judge(&entry, &[alarm.clone(), scan("1.2.3.4")]).false_alarms.len(), 1);
        let elsewhere = [Finding { targets: vec!["10.80.0.11".parse().unwrap()], ..alarm.clone() }];
        assert_eq!((judge(&entry, &elsewhere).outcome, judge(&entry, &elsewhere).alerts.len()), (Outcome::Missed, 1));
        let other_port = [Finding { ports: vec![443], ..alarm.clone() }];
        assert_eq!(judge(&entry, &other_port).outcome, Outcome::Missed);
        let all_ports = [Finding { ports: vec![], ..alarm }];
        assert_eq!(judge(&entry, &all_ports).outcome, Outcome::Found);
        let another_rule = [by(None, "port-scan")];
        assert_eq!(judge(&entry, &another_rule).outcome, Outcome::Missed);
    }

    #[test]
    fn a_flood_of_one_source_is_found_by_its_target_or_by_its_source() {
        let entry = entry("flood", "10.81.0.6", "-", "flood alarm on 10.80.0.10");
        for found in [vec![by(None, "flood")], vec![by(Some("10.81.0.6"), "flood-source")]] {
            let judged = judge(&entry, &found);
            assert_eq!((judged.outcome, judged.is_right(), judged.missed.len()), (Outcome::Found, true, 0));
        }
        assert_eq!(judge(&entry, &[]).outcome, Outcome::Missed);
    }

    #[test]
    fn brute_force_may_be_found_by_its_own_rule_and_must_not_be_by_another() {
        let entry = entry("bruteforce", "10.81.0.1", "-", "optional rule");
        let quiet = judge(&entry, &[]);
        assert_eq!((quiet.outcome, quiet.is_right()), (Outcome::OptionalMissed, true));
        let found = judge(&entry, &[by(Some("10.81.0.1"), "brute-force")]);
        assert_eq!((found.outcome, found.is_right()), (Outcome::OptionalFound, true));
        let scan = judge(&entry, &[scan("10.81.0.1")]);
        assert_eq!((scan.outcome, scan.false_alarms.len()), (Outcome::OptionalMissed, 1));
    }

    #[test]
    fn the_optional_rule_finds_no_scan() {
        let judged = judge(&entry("scan", "10.81.0.1", "-", "-"), &[by(Some("10.81.0.1"), "brute-force")]);
        assert_eq!((judged.outcome, judged.false_alarms.len()), (Outcome::Missed, 1));
    }

    #[test]
    fn an_alarm_about_a_target_where_nothing_was_flooded_is_told_and_not_false() {
        let judged = judge(&entry("benign", "-", "-", "-"), &[by(None, "flood")]);
        assert_eq!((judged.outcome, judged.is_right(), judged.alerts.len()), (Outcome::Nothing, true, 1));
        assert_eq!(judged.alerts[0].in_words(), "10.80.0.10 by flood/burst (alert)");
    }
}
