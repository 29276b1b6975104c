//! The log's lines that have a kind, each written in one place. `docs/logs.md` shows them.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use tcpcap_common::record::{Block, Event};
use tcpcap_core::{Finding, Outcome, Protection, Source, Verdict};
use tracing::{error, field::display, info, warn};

use super::log::Kind;
use crate::{
    control::{Named, Refused},
    history,
    lists::{News, Refusal},
};

/// `New connection: 192.0.2.56:5973 -> 10.0.0.5:80`
pub fn connection(e: &Event) {
    let from = SocketAddr::new(e.from.to_ip(), e.from_port);
    let to = SocketAddr::new(e.to.to_ip(), e.to_port);
    info!(event = "connection", %from, %to, "New connection: {from} -> {to}");
}

/// The line of a finding, and the line of what became of it.
pub fn verdict(verdict: &Verdict) {
    finding(&verdict.finding);
    decision_of(verdict);
}

fn decision_of(verdict: &Verdict) {
    let Verdict { finding, decision } = verdict;
    let (event, line) = (decision.outcome.name(), verdict.done());
    let source = finding.source.map(display);
    match decision.outcome {
        Outcome::Suppressed(_) => warn!(event, source, why = %decision, "{line}"),
        // The finding's line has said it all.
        Outcome::Alert => {}
        _ => info!(event, source, why = %decision, scope = decision.scope.name(), "{line}"),
    }
}

fn finding(f: &Finding) {
    let (source, in_name_of) = (f.source.map(display), f.in_name_of.map(display));
    let fingerprint = f.fingerprint.map(|f| f.tool.name());
    let ports = (!f.ports.is_empty()).then(|| f.ports_text());
    let flags = (!f.flags.is_empty()).then(|| f.flags_text().join(","));
    info!(
        event = "finding",
        source,
        in_name_of,
        rule = f.rule.name(),
        window = f.window,
        count = f.count,
        threshold = f.threshold,
        window_s = f.span.as_secs(),
        targets = f.targets_text(),
        ports,
        flags,
        attempts_before = f.attempts_before,
        completions = f.completions,
        verified = f.verified(),
        fingerprint,
        "{f}"
    );
}

/// A block is over; `counted` is what it dropped.
pub fn unblock(source: IpNet, counted: &Block, observe: bool) {
    let source = Named(&source);
    let verb = if observe { "would have dropped" } else { "dropped" };
    let Block { packets, bytes, .. } = counted;
    info!(event = "unblock", source = %source, packets, bytes, "Block of {source} is over: {verb} {packets} packets, {bytes} bytes");
}

/// A block ends before its time, because its source must not be blocked; `counted` is what it dropped.
pub fn lift(source: IpNet, why: Protection, counted: &Block) {
    let (source, packets) = (Named(&source), counted.packets);
    warn!(event = "lift", source = %source, packets, why = %why, "Block of {source} is lifted after {packets} packets: {why}");
}

/// An automatic block gave way to an operator's.
pub fn gave_way(source: Source) {
    warn!(event = "gave_way", source = %source, "Block of {source} gave way: the list is full, and an operator's comes first");
}

/// The circuit breaker opened, or closed.
pub fn breaker(open: bool) {
    if open {
        error!(
            event = "circuit_breaker",
            open,
            "Circuit breaker open: too many sources were blocked within a minute. Nobody new is blocked for now, everything \
             else goes on. If these were scanners, raise `caps.per_minute`"
        );
    } else {
        warn!(event = "circuit_breaker", open, "Circuit breaker closed: scanners are blocked again");
    }
}

/// The kernel's lists were not as they should be.
pub fn drift(entries: u64, list: Drifted) {
    let (what, who) = match list {
        Drifted::Blocks => ("block lists", ": somebody else writes to them"),
        Drifted::Allowed => ("allow list", ""),
    };
    warn!(
        event = "drift",
        drift = entries,
        "{entries} entries of the kernel's {what} were not as they should be and are so again{who}"
    );
}

/// Which of the kernel's lists has drifted.
#[derive(Clone, Copy, Debug)]
pub enum Drifted {
    /// Those of what is blocked.
    Blocks,
    /// That of what is allowed.
    Allowed,
}

/// Lines of a kind, or of a place that has none, were held back; `first` is the first of them.
pub fn held_back(kind: Option<Kind>, lines: u64, first: &str) {
    match kind.map(Kind::name) {
        Some("connection") => {
            warn!(
                event = "held_back",
                kind = "connection",
                lines,
                "{lines} more new connections, too many to log each"
            );
        }
        Some(kind) => warn!(event = "held_back", kind, lines, "{lines} more lines of the kind `{kind}`, held back"),
        None => warn!(event = "held_back", lines, "{lines} more lines like this one, held back: {first}"),
    }
}

/// The journal cannot be reached.
pub fn no_journal(why: &std::io::Error) {
    warn!(event = "no_journal", "the journal cannot be reached: {why}; lines go to standard output");
}

/// There is no control socket.
pub fn no_control(why: &Refused) {
    warn!(event = "no_control", "{}; {}", why.cause, why.remedy);
}

/// Nothing can be pinned.
pub fn unpinned(why: &str, remedy: &str) {
    warn!(event = "unpinned", "blocks will end with this process, nothing can be pinned: {why}; {remedy}");
}

/// Blocks were moved to a map of another size.
pub fn migrated(moved: usize) {
    info!(event = "migrated", moved, "{moved} blocks were moved to a map of another size");
}

/// Blocks of an earlier run go on.
pub fn adopted(adopted: u64) {
    info!(event = "adopted", adopted, "{adopted} blocks of an earlier run go on");
}

/// There is no history.
pub fn no_history(problem: &history::Problem) {
    warn!(event = "history", "there is no history: {}; {}", problem.cause, problem.remedy);
}

/// The history could not be finished in time.
pub fn history_unfinished() {
    warn!(event = "history", "the last entries of the history may be missing: the disk is too slow");
}

/// What an operator asked for, and what came of it.
pub fn command(who: &str, verb: &str, came_of_it: &str) {
    info!(event = "command", verb, who, result = came_of_it, "{who}: {verb}: {came_of_it}");
}

/// A feed was read, or could not be.
pub fn feed(news: &News) {
    if news.is_bad() {
        warn!(event = "feed", feed = %news.feed, "{news}");
    } else {
        info!(event = "feed", feed = %news.feed, entries = news.in_force, "{news}");
    }
}

/// The thread that reads feeds has ended.
pub fn feeds_ended() {
    error!(event = "feed", "feeds are not read any more, the thread has ended: what was in force stays so");
}

/// Feeds take too long at the start.
pub fn feeds_late() {
    warn!(event = "feed", "feeds cannot be read yet: going on without them until they can");
}

/// An entry of a list is not blocked.
pub fn list_refusal(refusal: &Refusal) {
    let Refusal { network, why: list, reason } = refusal;
    warn!(event = "list_refusal", network = %network, list = %list, why = reason, "Not blocked {network} of {list}: {reason}");
}

/// So many more are not.
pub fn more_list_refusals(more: u64) {
    warn!(event = "list_refusal", "{more} more entries of lists are not blocked: they hit who must never be");
}

/// The lists name `beyond` sources more than there is room for.
pub fn list_too_long(beyond: u64) {
    error!(
        event = "list_too_long",
        beyond,
        "the lists name {beyond} sources more than the kernel's map has room for: what was in force before stays so; start \
         tcpcap again, which makes room without letting anybody pass"
    );
}

/// The configuration is wrong.
pub fn not_reloaded(because: &str, cause: &str) {
    error!(event = "reload", "on {because}: the configuration stays as it was: {cause}");
}

/// The kernel refuses what the configuration says.
pub fn not_tuned(cause: &str) {
    error!(event = "reload", "the kernel program goes on as it was told before: {cause}");
}

/// The configuration was read again.
pub fn reloaded(because: &str, done: &str) {
    info!(event = "reload", "on {because}: {done}");
}

/// An address is never blocked from now on.
pub fn protect(ip: IpAddr, why: &Protection) {
    info!(event = "protect", address = %ip, why = why.name(), "Never blocked from now on: {why}");
}

/// An address is not protected any more.
pub fn unprotect(ip: IpAddr) {
    info!(event = "unprotect", address = %ip, "Not protected any more: {ip}");
}

#[cfg(test)]
mod tests;
