//! The flood rules: alerts about handshakes that are begun and left open.
//!
//! *port*: a hundred handshakes to one (own address, port) in five seconds, and seven in ten of all begun there.
//! *address*: the same over all ports of an own address, from fifty sources or more, for a scan opens many by itself. A
//! flood says something about its target only: the senders are whoever the attacker wrote on the packets, so nobody is
//! blocked (RFC 4987 has the attack and what helps against it). *source*: a hundred of one source, nine in ten of all it
//! began. That may be a broken client, or as forged as the rest.
//!
//! A handshake is left open when it was neither completed nor refused a second after it began: a load test over a long
//! round trip is no flood. Without a view of this host's answers a refusal goes unseen, and many clients that try a
//! service that is down look like a flood of it.
//!
//! What it cannot see: a flood that completes its handshakes, a slow one, and, while thousands of pairs are busy at once,
//! those that are one too many ([`MAX_TARGETS`]).

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use tcpcap_common::Addr;

use super::{
    Finding, Record, Rule, Verdict,
    rate::{HalfOpen, Rate},
};
use crate::{Source, Time};

/// How far back they look; a handshake that began in the last second does not count yet.
pub const WINDOW: Duration = super::rate::WINDOW;

/// When the rules fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Handshakes left open at one target within [`WINDOW`]; `None` switches the rule off.
    pub half_open: Option<u32>,
    /// Handshakes left open by one source within [`WINDOW`]; `None` switches the rule off.
    pub half_open_of_source: Option<u32>,
}

/// Share of a target's handshakes that a flood leaves open, in percent.
const SHARE: u64 = 70;
/// The same of a source's.
const SHARE_OF_SOURCE: u64 = 90;
/// A flood of a whole address comes from so many sources.
const SOURCES: usize = 50;

/// Targets watched at once, addresses and pairs.
pub const MAX_TARGETS: usize = 8192;

/// How long a flood must have paused for its next one to be another.
const PAUSE: Duration = Duration::from_secs(60);

/// How often a busy target is looked at.
const LOOK: Duration = Duration::from_millis(500);

fn is_flood(half_open: HalfOpen, limit: u32, share: u64) -> bool {
    let HalfOpen { open, of } = half_open;
    open >= limit && u64::from(open) * 100 >= u64::from(of) * share
}

/// An own address, and one of its ports or all of them. The ports come first, so that a flood of one is told of as such.
type Key = (Addr, Where);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Where {
    Port(u16),
    Anywhere,
}

#[derive(Debug, Default)]
struct Target {
    rate: Rate,
    /// Sources of late, of a whole address: as many as it takes.
    sources: Vec<(Source, Time)>,
    last: Time,
    check_at: Option<Time>,
    /// It has been told of until then.
    told_until: Time,
}

/// All targets of late.
#[derive(Debug)]
pub(super) struct Targets {
    limit: Option<u32>,
    targets: HashMap<Key, Target>,
    checks: BTreeSet<(Time, Key)>,
    unwatched: u64,
}

impl Targets {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limit: limits.half_open, targets: HashMap::new(), checks: BTreeSet::new(), unwatched: 0 }
    }

    pub(super) fn configure(&mut self, limits: Limits) {
        self.limit = limits.half_open;
    }

    /// Notes an attempt.
    pub(super) fn attempt(&mut self, source: Source, (to, port): (Addr, u16), now: Time) {
        let Some(limit) = self.limit else { return };
        for key in [(to, Where::Port(port)), (to, Where::Anywhere)] {
            if !self.make_room(key, now) {
                continue;
            }
            let target = self.targets.entry(key).or_default();
            target.rate.attempt(now);
            target.last = now;
            // Nobody is counted before there is enough to count.
            let recent = target.rate.recent_attempts(now);
            if key.1 == Where::Anywhere && recent >= limit / 2 {
                note_source(&mut target.sources, source, now);
            }
            if recent >= limit && target.check_at.is_none() {
                let at = now + LOOK;
                if at > now {
                    target.check_at = Some(at);
                    self.checks.insert((at, key));
                }
            }
        }
    }

    /// Notes a handshake completed or refused.
    pub(super) fn end(&mut self, (to, port): (Addr, u16), now: Time) {
        for key in [(to, Where::Port(port)), (to, Where::Anywhere)] {
            if let Some(target) = self.targets.get_mut(&key) {
                target.rate.end(now);
            }
        }
    }

    /// Looks at the busy targets that are due.
    pub(super) fn advance(&mut self, now: Time, found: &mut impl FnMut(Finding)) {
        let Some(limit) = self.limit else { return };
        while let Some(&(at, key)) = self.checks.first()
            && at <= now
        {
            self.checks.pop_first();
            let Some(target) = self.targets.get_mut(&key) else { continue };
            target.check_at = None;
            let half_open = target.rate.half_open(now);
            let many = key.1 != Where::Anywhere || target.sources.len() >= SOURCES;
            if many && is_flood(half_open, limit, SHARE) {
                if now >= target.told_until {
                    found(finding(key, half_open.open, limit, now));
                }
                target.told_until = now + PAUSE;
                // It is a flood of the whole address as well, and that need not be said twice.
                if let Some(whole) = self.targets.get_mut(&(key.0, Where::Anywhere)) {
                    whole.told_until = now + PAUSE;
                }
            }
            let Some(target) = self.targets.get_mut(&key) else { continue };
            let next = now + LOOK;
            if target.rate.recent_attempts(now) >= limit && next > now {
                target.check_at = Some(next);
                self.checks.insert((next, key));
            }
        }
    }

    pub(super) fn next_due(&self) -> Option<Time> {
        self.checks.first().map(|(at, _)| *at)
    }

    /// Attempts to targets that there was no room to watch.
    pub(super) fn unwatched(&self) -> u64 {
        self.unwatched
    }

    /// Forgets the targets that nothing came to of late.
    pub(super) fn sweep(&mut self, now: Time) {
        self.targets.retain(|_, t| t.check_at.is_some() || now < t.told_until || now.since(t.last) <= 2 * WINDOW);
    }

    fn make_room(&mut self, key: Key, now: Time) -> bool {
        if self.targets.len() < MAX_TARGETS || self.targets.contains_key(&key) {
            return true;
        }
        // A walk over all of them must not happen for each attempt of a scan.
        if self.unwatched.is_multiple_of(MAX_TARGETS as u64) {
            self.sweep(now);
        }
        let room = self.targets.len() < MAX_TARGETS;
        self.unwatched += u64::from(!room);
        room
    }
}

fn note_source(sources: &mut Vec<(Source, Time)>, source: Source, now: Time) {
    if let Some(known) = sources.iter_mut().find(|(s, _)| *s == source) {
        known.1 = now;
    } else if sources.len() < SOURCES {
        sources.push((source, now));
    } else if let Some(oldest) = sources.iter_mut().min_by_key(|(_, at)| *at) {
        *oldest = (source, now);
    }
    sources.retain(|(_, at)| now.since(*at) <= 2 * WINDOW);
}

fn finding((to, port): Key, count: u32, threshold: u32, now: Time) -> Finding {
    let (window, port) = match port {
        Where::Port(port) => ("port", Some(port)),
        Where::Anywhere => ("address", None),
    };
    let finding = Finding { count, threshold, ..Finding::new(now, None, Rule::Flood, (window, WINDOW)) };
    Finding { targets: vec![to.to_ip()], ports: port.into_iter().collect(), ..finding }
}

/// A source's handshakes of late. Few have so many that it is worth a ring.
#[derive(Debug, Default)]
pub(super) struct SourceRate {
    since: Time,
    begun: u32,
    rate: Option<Box<Rate>>,
    told_until: Time,
}

/// From so many handshakes in a [`WINDOW`] on they are counted in buckets.
const WORTH_COUNTING: u32 = 32;

impl SourceRate {
    pub(super) fn attempt(&mut self, limits: Limits, now: Time) {
        if limits.half_open_of_source.is_none() {
            return;
        }
        self.turn(now);
        self.begun += 1;
        match &mut self.rate {
            Some(rate) => rate.attempt(now),
            None if self.begun >= WORTH_COUNTING => {
                // What came before is too old to be put into one bucket, and too little to matter.
                let mut rate = Box::<Rate>::default();
                rate.attempt(now);
                self.rate = Some(rate);
            }
            None => {}
        }
    }

    pub(super) fn end(&mut self, now: Time) {
        self.turn(now);
        if let Some(rate) = &mut self.rate {
            rate.end(now);
        }
    }

    /// A quiet window ends the counting.
    fn turn(&mut self, now: Time) {
        if now.since(self.since) > 2 * WINDOW {
            if self.begun < WORTH_COUNTING {
                self.rate = None;
            }
            (self.since, self.begun) = (now, 0);
        }
    }
}

/// Looks at a source.
pub(super) fn judge(limits: Limits, source: Source, record: &mut Record, now: Time) -> Verdict {
    let (Some(limit), Some(rate)) = (limits.half_open_of_source, &mut record.rate.rate) else { return Verdict::Quiet };
    if rate.recent_attempts(now) < limit || now < record.rate.told_until {
        return Verdict::Quiet;
    }
    let half_open = rate.half_open(now);
    if !is_flood(half_open, limit, SHARE_OF_SOURCE) {
        return Verdict::LookAgain(now + LOOK);
    }
    let sample = record.pairs.all(now, 2 * WINDOW).map(|p| (p.to, p.port));
    if sample.clone().next().is_none() {
        // Forgotten with another finding, which has told of them.
        return Verdict::Quiet;
    }
    record.rate.told_until = now + PAUSE;
    let finding = Finding {
        count: half_open.open,
        threshold: limit,
        attempts_before: record.attempts.saturating_sub(1),
        completions: record.completions,
        standing: record.standing(now, WINDOW, half_open.open),
        ..Finding::new(now, Some(source), Rule::FloodSource, ("source", WINDOW))
    };
    Verdict::Fires(finding.with_sample(sample))
}
