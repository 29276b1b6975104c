//! What is kept of what happened, as it is asked for later.

use std::{
    net::{IpAddr, Ipv6Addr},
    time::SystemTime,
};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use tcpcap_core::{Time, Verdict};
use utoipa::ToSchema;

use super::{
    clock::{Clock, Moment, from_millis, rfc3339},
    entry::{Change, Command, Drops, Entry},
};
use crate::block::{Block, Why};

/// Characters kept of a command's argument and result.
const TEXT: usize = 1000;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Row {
    /// Its number; later ones have higher numbers.
    pub id: i64,
    /// When, by the wall clock.
    #[serde(with = "super::clock::text")]
    #[schema(value_type = String, format = DateTime)]
    pub time: SystemTime,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum What {
    /// A rule fired.
    Finding(FoundRow),
    /// A block began, changed or ended.
    Block(BlockRow),
    /// An operator gave a command.
    Command(CommandRow),
}

/// A finding with its evidence, and what policy made of it. Named as in the output of `tcpcap replay`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FoundRow {
    /// For whom; none where it is about a target.
    pub source: Option<String>,
    /// In whose name the packets came, if it is known that another sent them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_name_of: Option<String>,
    /// Which rule.
    pub rule: String,
    /// Which of its windows.
    pub window: String,
    /// What was counted.
    pub count: u32,
    /// The count at which the window fires.
    pub threshold: u32,
    /// How far back it looked, in seconds.
    pub window_s: u64,
    /// Own addresses tried, some of them.
    #[schema(value_type = Vec<String>, example = json!(["198.51.100.1"]))]
    pub targets: Vec<IpAddr>,
    /// Ports tried, some of them.
    pub ports: Vec<u16>,
    /// There were more targets or ports than are named.
    #[serde(default)]
    pub truncated: bool,
    /// Odd TCP flags, where it is about them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// Attempts before this finding.
    pub attempts_before: u64,
    /// Handshakes completed before.
    pub completions: u64,
    /// The source's address is known to be real.
    pub verified: bool,
    /// `unverified`, `verified` or `established`.
    #[schema(pattern = "^(unverified|verified|established)$")]
    pub standing: String,
    /// The tool that made most of what was counted.
    pub fingerprint: Option<String>,
    /// How much of it bears that tool's marks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint_percent: Option<u8>,
    /// `block`, `extend`, `observe`, `alert` or `suppressed`.
    #[schema(pattern = "^(block|extend|observe|alert|suppressed)$")]
    pub decision: String,
    /// How often in a row the source has been blocked; 0 if it is not.
    pub times: u32,
    /// How long from then, in seconds; none if nobody is blocked.
    pub ttl_s: Option<u64>,
    /// What of the source is dropped: `all` or `syn`; none if nothing.
    pub scope: Option<String>,
    /// Which part of policy decided, in words.
    pub why: String,
}

/// A step in the life of a block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BlockRow {
    /// Whose packets.
    pub network: String,
    /// `begun`, `extended`, `ended` or `lifted`.
    #[schema(pattern = "^(begun|extended|ended|lifted)$")]
    pub event: String,
    /// `automatic` or `operator` or `feed`.
    #[schema(pattern = "^(automatic|operator|feed)$")]
    pub origin: String,
    /// The rule, or what the operator said.
    pub why: String,
    /// `all` or `syn`.
    #[schema(pattern = "^(all|syn)$")]
    pub scope: String,
    /// When it ends, or would have, by the wall clock of the time of writing; none for never.
    #[schema(format = DateTime)]
    pub until: Option<String>,
    /// How often in a row the source has been blocked.
    pub times: u32,
    /// The source's address may be forged.
    pub unverified: bool,
    /// Packets it dropped; none where it goes on, or where nobody was there to count at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packets: Option<u64>,
    /// Bytes it dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Who lifted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// An operator's command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CommandRow {
    /// Who gave it: `uid 0, pid 4711`.
    pub who: String,
    /// `block`, `unblock` …
    pub verb: String,
    /// What it was given.
    pub argument: String,
    /// What came of it.
    pub result: String,
}

/// A row on its way into the file.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) at: i64,
    pub(super) kind: &'static str,
    pub(super) bounds: Option<Bounds>,
    pub(super) body: String,
}

/// First and last address of a network, IPv4 as v4-mapped.
pub(super) type Bounds = ([u8; 16], [u8; 16]);

pub(super) fn bounds(network: &IpNet) -> Bounds {
    (octets(network.network()), octets(network.broadcast()))
}

pub(super) fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => Ipv6Addr::octets(&v6),
    }
}

/// One address without its length, anything else with it.
pub(super) fn shown(network: &IpNet) -> String {
    if network.prefix_len() == network.max_prefix_len() { network.addr().to_string() } else { network.to_string() }
}

impl Line {
    fn new(at: i64, kind: &'static str, about: Option<&IpNet>, body: &impl Serialize) -> Option<Self> {
        // Plain structs of strings and numbers: there is nothing that JSON cannot say.
        let body = serde_json::to_string(body).ok()?;
        Some(Self { at, kind, bounds: about.map(bounds), body })
    }

    pub(super) fn verdict(verdict: &Verdict, now: Moment) -> Option<Self> {
        let finding = &verdict.finding;
        let about = finding.source.or(finding.in_name_of).map(tcpcap_core::Source::network);
        Self::new(now.wall_at(finding.time), "finding", about.as_ref(), &FoundRow::of(verdict))
    }

    pub(super) fn block(block: &Block, change: &Change, at: Time, now: Moment) -> Option<Self> {
        Self::new(now.wall_at(at), "block", Some(&block.network), &BlockRow::of(block, change, now))
    }

    /// The end of a block that came while nobody was there to see it.
    pub(super) fn unseen_end(block: &Block, ends_at: i64, now: Moment) -> Option<Self> {
        let row = BlockRow::new(block, "ended", Some(ends_at), None);
        Self::new(ends_at.min(now.wall), "block", Some(&block.network), &row)
    }

    pub(super) fn command(command: &Command, now: Moment) -> Option<Self> {
        Self::new(now.wall_at(command.at), "command", command.about.as_ref(), &CommandRow::of(command))
    }
}

impl FoundRow {
    /// What is kept of a verdict.
    #[must_use]
    pub fn of(verdict: &Verdict) -> Self {
        let Verdict { finding, decision } = verdict;
        let blocked = decision.entry_until().is_some();
        Self {
            source: finding.source.map(|s| s.to_string()),
            in_name_of: finding.in_name_of.map(|s| s.to_string()),
            rule: finding.rule.name().to_owned(),
            window: finding.window.to_owned(),
            count: finding.count,
            threshold: finding.threshold,
            window_s: finding.span.as_secs(),
            targets: finding.targets.clone(),
            ports: finding.ports.clone(),
            truncated: finding.truncated,
            flags: finding.flags_text(),
            attempts_before: finding.attempts_before,
            completions: finding.completions,
            verified: finding.verified(),
            standing: finding.standing.name().to_owned(),
            fingerprint: finding.fingerprint.map(|f| f.tool.name().to_owned()),
            fingerprint_percent: finding.fingerprint.map(|f| f.percent),
            decision: decision.outcome.name().to_owned(),
            times: decision.times,
            ttl_s: blocked.then_some(decision.ttl.as_secs()),
            scope: blocked.then(|| decision.scope.name().to_owned()),
            why: decision.to_string(),
        }
    }
}

impl BlockRow {
    /// What is kept of a block and what happened to it.
    pub(super) fn of(block: &Block, change: &Change, now: Moment) -> Self {
        let (event, drops, by) = match change {
            Change::Begun => ("begun", None, None),
            Change::Extended => ("extended", None, None),
            Change::Ended(drops) => ("ended", Some(drops), None),
            Change::Lifted { drops, by } => ("lifted", Some(drops), Some(by.to_string())),
        };
        let until = block.until.map(|until| now.wall_at(until));
        Self { by, ..Self::new(block, event, until, drops) }
    }

    fn new(block: &Block, event: &str, until: Option<i64>, drops: Option<&Drops>) -> Self {
        Self {
            network: shown(&block.network),
            event: event.to_owned(),
            origin: block.why.origin().to_owned(),
            why: match &block.why {
                Why::Operator { note } => note.as_deref().unwrap_or_default().to_owned(),
                other => other.to_string(),
            },
            scope: block.scope.name().to_owned(),
            until: until.map(rfc3339),
            times: block.times,
            unverified: block.unverified,
            packets: drops.map(|d| d.packets),
            bytes: drops.map(|d| d.bytes),
            by: None,
        }
    }
}

impl CommandRow {
    /// What is kept of a command.
    pub(super) fn of(command: &Command) -> Self {
        Self {
            who: command.who.to_string(),
            verb: command.verb.to_string(),
            argument: cut(&command.argument),
            result: cut(&command.result),
        }
    }
}

impl What {
    /// What will be kept of an entry, and when it happened; none of what is present state and no event.
    #[must_use]
    pub fn of(entry: &Entry, clock: &dyn Clock) -> Option<(SystemTime, Self)> {
        let now = Moment::of(clock);
        let (at, what) = match entry {
            Entry::Verdict(verdict) => (verdict.finding.time, Self::Finding(FoundRow::of(verdict))),
            Entry::Block { block, change, at } => (*at, Self::Block(BlockRow::of(block, change, now))),
            Entry::Command(command) => (command.at, Self::Command(CommandRow::of(command))),
            Entry::Repeater(_) | Entry::Forgotten(_) | Entry::Allowed(_) | Entry::Disallowed(_) => return None,
        };
        Some((from_millis(now.wall_at(at)), what))
    }

    /// Its name: `finding`, `block` or `command`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Finding(_) => "finding",
            Self::Block(_) => "block",
            Self::Command(_) => "command",
        }
    }
}

impl Row {
    /// As it stands in the file; `None` where it cannot be understood.
    pub(super) fn read(id: i64, at: i64, kind: &str, body: &str) -> Option<Self> {
        let what = match kind {
            "finding" => What::Finding(serde_json::from_str(body).ok()?),
            "block" => What::Block(serde_json::from_str(body).ok()?),
            "command" => What::Command(serde_json::from_str(body).ok()?),
            _ => return None,
        };
        Some(Self { id, time: from_millis(at), what })
    }
}

/// What somebody else wrote, as long as a line may be.
fn cut(text: &str) -> String {
    text.chars().take(TEXT).collect()
}
