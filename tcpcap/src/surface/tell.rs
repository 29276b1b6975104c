//! The log lines about what happens on the wire, and what is done about it.

use std::net::SocketAddr;

use ipnet::IpNet;

use tcpcap_common::record::{Block, Event};
use tcpcap_core::{Finding, Outcome, Protection, Source, Verdict};
use tracing::{error, field::display, info, warn};

use crate::control::Named;

/// `New connection: 192.0.2.56:5973 -> 10.0.0.5:80`
pub fn connection(e: &Event) {
    let from = SocketAddr::new(e.from.to_ip(), e.from_port);
    let to = SocketAddr::new(e.to.to_ip(), e.to_port);
    info!(event = "connection", %from, %to, "New connection: {from} -> {to}");
}

/// The line of a finding, and the line of what became of it.
pub fn verdict(verdict: &Verdict) {
    let Verdict { finding: found, decision } = verdict;
    finding(found);
    let (event, line) = (decision.outcome.name(), verdict.done());
    let source = found.source.map(display);
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
    info!(
        event = "finding",
        source,
        in_name_of,
        rule = f.rule.name(),
        window = f.window,
        count = f.count,
        threshold = f.threshold,
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
    info!(event = "unblock", source = %source, packets, "Block of {source} is over: {verb} {packets} packets, {bytes} bytes");
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
