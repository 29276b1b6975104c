//! Between the kernel program's records, the core's words, and what is shown.

use ipnet::IpNet;
use tcpcap_common::record::{self, Block, kind, scope};
use tcpcap_core::{Marks, Rule, Scope, Sighting, SightingKind, Source, Syn, Time, Verdict};

use crate::{
    block::{self, Why},
    control::{BlockShown, SourceShown},
};

/// What an event of the ring tells.
pub fn sighting(event: &record::Event) -> Sighting {
    let kind = match event.kind {
        kind::COMPLETION => SightingKind::Completion { unanswered: false },
        kind::UNANSWERED_COMPLETION => SightingKind::Completion { unanswered: true },
        kind::REFUSAL => SightingKind::Refusal,
        kind::STRAY_REFUSED => SightingKind::Stray { refused: true },
        kind::STRAY => SightingKind::Stray { refused: false },
        kind::PROBE => SightingKind::Probe { flags: event.flags },
        kind::FRAGMENT => SightingKind::TinyFragment,
        _ => {
            let options = &event.options[..usize::from(event.options_len).min(event.options.len())];
            let (to, seq, ip_id) = ((event.to, event.to_port), event.seq, event.ip_id);
            SightingKind::Attempt(Marks::of(&Syn { to, seq, ip_id, ttl: event.ttl, window: event.window, options }))
        }
    };
    let (from, to) = ((event.from, event.from_port), (event.to, event.to_port));
    Sighting::new(Time::from_nanos(event.time), kind, from, to)
}

/// The entry that a verdict asks for, and for whom.
pub fn block(verdict: &Verdict) -> Option<(Source, Block)> {
    let Verdict { finding, decision } = verdict;
    let block = Block {
        until: decision.entry_until()?.as_nanos(),
        since: finding.time.as_nanos(),
        reason: reason(finding.rule),
        scope: scope_code(decision.scope),
        times: decision.times,
        flags: if finding.verified() { 0 } else { record::block::UNVERIFIED },
        ..Block::default()
    };
    Some((finding.source?, block))
}

fn reason(rule: Rule) -> u32 {
    match rule {
        Rule::PortScan => record::reason::PORT_SCAN,
        Rule::Sweep => record::reason::SWEEP,
        Rule::Stealth => record::reason::STEALTH,
        Rule::Stray => record::reason::STRAY,
        Rule::BruteForce => record::reason::BRUTE_FORCE,
        // These only tell, and make no entry.
        Rule::Forged | Rule::Flood | Rule::FloodSource | Rule::FanOut => 0,
    }
}

/// The entry that a block asks for.
pub fn entry(block: &block::Block) -> Block {
    Block {
        until: block.until.map_or(0, Time::as_nanos),
        since: block.since.as_nanos(),
        reason: reason_of(&block.why),
        scope: scope_code(block.scope),
        times: block.times,
        flags: if block.unverified { record::block::UNVERIFIED } else { 0 },
        ..Block::default()
    }
}

/// The block that an entry tells of. The words of an operator, and the name of a feed, it does not know.
pub fn block_of(network: IpNet, entry: &Block) -> Option<block::Block> {
    let why = match entry.reason {
        record::reason::OPERATOR => Why::Operator { note: None },
        record::reason::FEED => Why::Feed("".into()),
        code => Why::Rule(Rule::ALL.into_iter().find(|rule| code != 0 && reason(*rule) == code)?),
    };
    Some(block::Block {
        network,
        why,
        scope: if entry.scope == scope::SYN { Scope::Syn } else { Scope::All },
        since: Time::from_nanos(entry.since),
        until: (entry.until != 0).then(|| Time::from_nanos(entry.until)),
        times: entry.times,
        unverified: entry.flags & record::block::UNVERIFIED != 0,
    })
}

/// A block as it is shown, with what its entry has counted.
pub fn block_shown(block: &block::Block, why: String, counted: &Block, now: Time) -> BlockShown {
    BlockShown {
        network: block.network,
        origin: block.why.origin().to_owned(),
        why,
        scope: block.scope.name().to_owned(),
        age_s: now.since(block.since).as_secs(),
        left_s: block.until.map(|until| until.since(now).as_secs()),
        times: block.times,
        packets: counted.packets,
        bytes: counted.bytes,
    }
}

/// A source as it is shown: what the kernel counts, and nothing that others know.
pub fn source_shown(source: Source, record: &record::Source, now: Time) -> SourceShown {
    let ago = |at: u64| now.since(Time::from_nanos(at)).as_secs();
    SourceShown {
        source: source.network(),
        attempts: record.attempts,
        retransmissions: record.retransmissions,
        completions: record.completions,
        refusals: record.refusals,
        probes: record.probes,
        strays: record.strays,
        events_withheld: record.events_withheld,
        first_seen_s: (record.first_seen > 0).then(|| ago(record.first_seen)),
        last_seen_s: ago(record.last_seen),
        ..SourceShown::default()
    }
}

/// The code of who wants a block.
pub fn reason_of(why: &Why) -> u32 {
    match why {
        Why::Rule(rule) => reason(*rule),
        Why::Operator { .. } => record::reason::OPERATOR,
        Why::Feed(_) => record::reason::FEED,
    }
}

fn scope_code(scope: Scope) -> u32 {
    match scope {
        Scope::All => scope::ALL,
        Scope::Syn => scope::SYN,
    }
}

/// The name of a block's reason, for metrics.
pub fn reason_name(code: u32) -> &'static str {
    match code {
        record::reason::OPERATOR => "operator",
        record::reason::FEED => "feed",
        record::reason::REFLEX => "reflex",
        _ => Rule::ALL.into_iter().find(|rule| code != 0 && reason(*rule) == code).map_or("unknown", Rule::name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::HashSet, time::Duration};
    use tcpcap_core::{Decision, Outcome};

    #[test]
    fn every_rule_that_blocks_has_a_reason_of_its_own_and_the_others_have_none() {
        let blocking: Vec<_> = Rule::ALL.into_iter().filter(|r| !r.is_alert()).map(reason).collect();
        assert_eq!(blocking.iter().collect::<HashSet<_>>().len(), blocking.len());
        assert!(!blocking.contains(&0));
        assert!(Rule::ALL.into_iter().filter(|r| r.is_alert()).all(|r| reason(r) == 0));
    }

    #[test]
    fn a_block_is_read_back_from_its_entry_as_far_as_that_tells() {
        let block = block::Block {
            network: "192.0.2.0/24".parse().unwrap(),
            why: Why::Operator { note: Some("too curious".into()) },
            scope: Scope::Syn,
            since: Time::from_secs(1),
            until: None,
            times: 0,
            unverified: false,
        };
        let read = block_of(block.network, &entry(&block)).unwrap();
        assert_eq!(read, block::Block { why: Why::Operator { note: None }, ..block.clone() });
        for rule in Rule::ALL.into_iter().filter(|rule| !rule.is_alert()) {
            let entry = Block {
                reason: reason(rule),
                until: 9,
                times: 3,
                flags: record::block::UNVERIFIED,
                ..Block::default()
            };
            let read = block_of(block.network, &entry).unwrap();
            assert_eq!((read.why, read.times, read.unverified), (Why::Rule(rule), 3, true));
            assert_eq!(read.until, Some(Time::from_nanos(9)));
        }
        for unknown in [0, record::reason::REASONS, u32::MAX] {
            assert_eq!(block_of(block.network, &Block { reason: unknown, ..Block::default() }), None);
        }
    }

    #[test]
    fn every_reason_has_a_name_of_its_own() {
        let names: HashSet<_> = (0..record::reason::REASONS).map(reason_name).collect();
        assert_eq!(names.len(), record::reason::REASONS as usize);
        assert_eq!(reason_name(record::reason::REASONS), "unknown");
    }

    #[test]
    fn an_entry_has_the_decisions_end_and_scope_and_without_a_decision_to_block_there_is_none() {
        let source = Source("192.0.2.7".parse::<std::net::IpAddr>().unwrap().into());
        let entry = |outcome, scope| {
            let finding =
                tcpcap_core::Finding::new(Time::from_secs(1), Some(source), Rule::Sweep, ("fast", Duration::ZERO));
            block(&Verdict { finding, decision: Decision { outcome, times: 1, ttl: Duration::ZERO, scope } })
        };
        let until = Time::from_secs(9);
        let (who, block) = entry(Outcome::Block { until }, Scope::Syn).unwrap();
        assert_eq!((who, block.since, block.until), (source, 1_000_000_000, 9_000_000_000));
        assert_eq!((block.reason, block.scope), (record::reason::SWEEP, scope::SYN));
        assert_eq!(entry(Outcome::Observe { until }, Scope::All).unwrap().1.scope, scope::ALL);
        assert_eq!(entry(Outcome::Alert, Scope::All), None);
    }
}
