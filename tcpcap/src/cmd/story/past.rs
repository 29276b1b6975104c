//! How it came to that: findings, decisions, and what operators did.

use std::time::{Duration, SystemTime};

use tcpcap_core::detect::SAMPLE;

use super::{list, moment::Moment, named, now::packets, number, ranges, span, title};
use crate::{
    control::Story,
    history::{BlockRow, CommandRow, FoundRow, Row, What},
};

/// Entries that are told; older ones are counted.
const TOLD: usize = 12;

/// What belongs together is written down within this time.
const TOGETHER: Duration = Duration::from_secs(2);

pub(super) fn told(story: &Story, moment: &Moment) -> Vec<String> {
    // From the oldest on, as a story goes.
    let rows: Vec<&Row> = story.past.iter().rev().collect();
    let entries: Vec<String> = rows
        .iter()
        .filter(|row| !is_told_by_another(row, &rows))
        .map(|row| format!("{}: {}", moment.shown(row.time), sentence(row, &rows, moment)))
        .collect();
    let mut out = Vec::new();
    let left_out = entries.len().saturating_sub(TOLD);
    if left_out > 0 {
        let entries = number(left_out as u64, "earlier entry", "earlier entries");
        out.push(format!("{entries}: see `tcpcap history {}`.", story.address));
    }
    let none = entries.is_empty();
    out.extend(entries.into_iter().skip(left_out));
    match &story.past_missing {
        Some(why) if none => out.push(format!("The past cannot be told: {why}.")),
        Some(why) => out.push(format!("This may not be all: {why}.")),
        None if none && story.now.blocks.is_empty() => {
            out.push("No rule fired for it, and no operator gave a command about it.".to_owned());
        }
        None if none => out.push("The history has nothing else about it.".to_owned()),
        None => {}
    }
    out
}

/// Whether another row says the same and more: a finding says that a block began, a command who wanted it.
fn is_told_by_another(row: &Row, rows: &[&Row]) -> bool {
    let What::Block(block) = &row.what else { return false };
    rows.iter().filter(|other| is_together(other.time, row.time)).any(|other| match &other.what {
        What::Finding(found) => {
            block.origin == "automatic"
                && matches!(block.event.as_str(), "begun" | "extended")
                && matches!(found.decision.as_str(), "block" | "extend")
                && found.rule == block.why
        }
        What::Command(command) => is_done_by(block, command),
        What::Block(_) => false,
    })
}

fn is_done_by(block: &BlockRow, command: &CommandRow) -> bool {
    match command.verb.as_str() {
        "block" => block.origin == "operator" && matches!(block.event.as_str(), "begun" | "extended"),
        "unblock" => block.event == "lifted" && block.by.as_deref() == Some("an operator"),
        _ => false,
    }
}

fn is_together(a: SystemTime, b: SystemTime) -> bool {
    a.duration_since(b).or_else(|_| b.duration_since(a)).is_ok_and(|apart| apart <= TOGETHER)
}

fn sentence(row: &Row, rows: &[&Row], moment: &Moment) -> String {
    match &row.what {
        What::Finding(found) => finding(found),
        What::Block(row) => block(row, moment),
        What::Command(row_of) => {
            let together = rows.iter().filter(|other| is_together(other.time, row.time));
            let with = together.filter_map(|other| match &other.what {
                What::Block(block) if is_done_by(block, row_of) => Some(block),
                _ => None,
            });
            command(row_of, with)
        }
    }
}

fn finding(found: &FoundRow) -> String {
    let FoundRow { count, threshold, window, why, .. } = found;
    let counted = match (found.rule.as_str(), window.as_str()) {
        ("port-scan" | "sweep" | "forged", "fast") => "points for pairs of address and port left incomplete",
        ("port-scan" | "sweep" | "forged", _) => "pairs of address and port left incomplete",
        ("stealth", "fragments") => "fragments too short for a TCP header",
        ("stealth", "flags") => "probes",
        ("stealth", _) => "pairs of address and port probed",
        ("stray", _) => "pairs of address and port hit outside any connection",
        ("brute-force", _) => "attempts to one port",
        ("fan-out", _) => "pairs of address and port tried",
        ("flood" | "flood-source", _) => "handshakes left open",
        _ => "counted",
    };
    let span = span(found.window_s);
    let mut out =
        format!("{}: {count} {counted} within {span} (window {window}); {threshold} are enough.", title(&found.rule));
    if !found.flags.is_empty() {
        out += &format!(" Flags: {}.", found.flags.join(", "));
    }
    out += &pairs(found);
    if let Some(tool) = &found.fingerprint {
        let share = found.fingerprint_percent.map_or_else(String::new, |percent| format!(" ({percent}\u{a0}%)"));
        out += &format!(" It bears the marks of {tool}{share}.");
    }
    out += match found.standing.as_str() {
        "unverified" => " Unverified.",
        "verified" => " Verified.",
        "established" => " Established.",
        _ => "",
    };
    out + &match found.decision.as_str() {
        "block" => format!(" Blocked {why}."),
        "extend" => format!(" Block extended, now {why}."),
        "observe" => format!(" Would have been blocked {why}, but observe mode was on."),
        "suppressed" => format!(" Not blocked: {why}."),
        "alert" => format!(" An alert: {why}."),
        other => format!(" {other}: {why}."),
    }
}

/// Where it went: ` On ports 22, 80 and more of 198.51.100.7.`
fn pairs(found: &FoundRow) -> String {
    let all = |named: usize| (!found.truncated || named < SAMPLE).then_some(named);
    let ports = list(&ranges(&found.ports), all(found.ports.len()));
    let targets = list(&named(&found.targets), all(found.targets.len()));
    match (ports.is_empty(), targets.is_empty()) {
        (true, true) => String::new(),
        (false, true) => format!(" On ports {ports}."),
        (true, false) => format!(" Against {targets}."),
        (false, false) => format!(" On ports {ports} of {targets}."),
    }
}

fn block(block: &BlockRow, moment: &Moment) -> String {
    let BlockRow { network, why, .. } = block;
    let by = match block.origin.as_str() {
        "automatic" => format!("rule {why}"),
        "feed" => format!("feed {why}"),
        _ if why.is_empty() => "operator".to_owned(),
        _ => format!("operator, who said: {why}"),
    };
    let until = match block.until.as_deref().map(humantime::parse_rfc3339) {
        Some(Ok(until)) => format!("until {}", moment.shown(until)),
        _ => "for ever".to_owned(),
    };
    let dropped = block.packets.map_or_else(String::new, |count| format!(" It had dropped {}.", packets(count)));
    match block.event.as_str() {
        "begun" => format!("{network} was blocked {until}, by {by}."),
        "extended" => format!("The block of {network} was changed: now {until}, by {by}."),
        "ended" => format!("The block of {network} by {by} was over.{dropped}"),
        _ => {
            let who = block.by.as_deref().map_or_else(String::new, |who| format!(", by {who}"));
            format!("The block of {network} by {by} was lifted{who}.{dropped}")
        }
    }
}

fn command<'a>(command: &CommandRow, with: impl Iterator<Item = &'a BlockRow>) -> String {
    let CommandRow { who, verb, argument, result } = command;
    let mut out = format!("Command `{verb} {argument}` of {who}: {result}.");
    for block in with {
        if block.event != "lifted" && !block.why.is_empty() {
            out += &format!(" Reason: {}.", block.why);
        }
        if let Some(count) = block.packets {
            out += &format!(" It had dropped {}.", packets(count));
        }
    }
    out
}
