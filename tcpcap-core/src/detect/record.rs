//! What is known about a source.

use std::time::Duration;

use tcpcap_common::Addr;

use super::{
    Finding, Standing, Thresholds, brute_force::Guesses, fan_out::Fan, flood::SourceRate, pairs::Keep, pairs::Pairs,
    stealth::Probes, stray::Strays,
};
use crate::{Marks, Time};

const MINUTE: Duration = Duration::from_secs(60);

/// How long sources are remembered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    /// Those that have left nothing open.
    pub(super) idle: Duration,
    /// The others.
    pub(super) open: Duration,
}

/// One source's record: what each rule keeps of it, and what they share.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) pairs: Pairs,
    pub(super) probes: Probes,
    pub(super) strays: Strays,
    pub(super) guesses: Guesses,
    pub(super) fan: Fan,
    pub(super) rate: SourceRate,
    /// The stacks of its completed handshakes.
    pub(super) stacks: Stacks,
    /// Its latest sighting.
    pub(super) last_seen: Time,
    /// Attempts since the record was made.
    pub(super) attempts: u64,
    /// Handshakes completed since then.
    pub(super) completions: u64,
    /// Minutes in which there was one: a hundred connections of one probing are no more than its one minute.
    pub(super) live_minutes: u64,
    /// When the latest of these minutes began.
    live_since: Time,
    /// The first of them: from then on the address is known to be real.
    pub(super) first_completion: Option<Time>,
    /// The latest of them.
    pub(super) last_completion: Option<Time>,
    /// When the rules look at it again without being asked by a sighting.
    pub(super) check_at: Option<Time>,
    /// A rule has fired, and nothing about the source counts before this.
    pub(super) quiet_until: Time,
    /// It was told that somebody scans in its name.
    pub(super) forged_told_until: Time,
    /// See [`super::Answers`].
    pub(super) voted_answered: bool,
    pub(super) voted_unanswered: bool,
}

impl Record {
    pub(super) fn new(now: Time) -> Self {
        Self {
            pairs: Pairs::default(),
            probes: Probes::default(),
            strays: Strays::default(),
            guesses: Guesses::default(),
            fan: Fan::default(),
            rate: SourceRate::default(),
            stacks: Stacks::default(),
            last_seen: now,
            attempts: 0,
            completions: 0,
            live_minutes: 0,
            live_since: Time::ZERO,
            first_completion: None,
            last_completion: None,
            check_at: None,
            quiet_until: Time::ZERO,
            forged_told_until: Time::ZERO,
            voted_answered: false,
            voted_unanswered: false,
        }
    }

    pub(super) fn attempt(&mut self, pair: (Addr, u16), marks: Marks, thresholds: &Thresholds, keep: Keep, now: Time) {
        self.attempts += 1;
        self.pairs.attempt(pair, marks, now, keep);
        self.rate.attempt(thresholds.flood, now);
        self.guesses.note(thresholds.brute_force, pair, now);
        self.fan.note(thresholds.fan_out, pair, &self.pairs, now);
    }

    pub(super) fn complete(&mut self, pair: (Addr, u16), now: Time) {
        self.completions += 1;
        if self.live_minutes == 0 || now.since(self.live_since) >= MINUTE {
            self.live_minutes += 1;
            self.live_since = now;
        }
        self.first_completion.get_or_insert(now);
        self.last_completion = Some(now);
        if let Some(stack) = self.pairs.complete(pair) {
            self.stacks.note(stack);
        }
        self.strays.complete(pair);
        self.rate.end(now);
    }

    pub(super) fn refuse(&mut self, pair: (Addr, u16), now: Time) {
        self.pairs.refuse(pair);
        self.rate.end(now);
    }

    /// Whether there is nothing to remember the source for any more.
    pub(super) fn is_forgotten(&self, now: Time, memory: Memory) -> bool {
        let idle = now.since(self.last_seen) >= memory.idle && self.check_at.is_none() && now >= self.quiet_until;
        idle && !self.pairs.has_incomplete(now, memory.open) && !self.probes.are_recent(now)
    }

    /// Whether the source had completed a handshake before a window that ends now began: then its address is real, and
    /// a scanner cannot buy that along the way.
    pub(super) fn was_verified_before(&self, now: Time, window: Duration) -> bool {
        self.first_completion.is_some_and(|at| now.since(at) > window)
    }

    /// What its past says, against `failures` of late.
    pub(super) fn standing(&self, now: Time, window: Duration, failures: u32) -> Standing {
        if !self.was_verified_before(now, window) {
            Standing::Unverified
        } else if self.completions >= u64::from(failures) {
            Standing::Established
        } else {
            Standing::Verified
        }
    }

    /// A finding about this source's attempts whatever became of them, so that no failures speak against its past.
    pub(super) fn told(&self, (count, threshold): (u32, u32), finding: Finding) -> Finding {
        Finding {
            count,
            threshold,
            // The one that made the rule fire is not before.
            attempts_before: self.attempts.saturating_sub(1),
            completions: self.completions,
            standing: self.standing(finding.time, finding.span, 0),
            ..finding
        }
    }

    /// Forgets the evidence, and hears nothing more until then; returns the check that is not to be made any more.
    pub(super) fn begin_anew(&mut self, quiet_until: Time) -> Option<Time> {
        self.pairs.clear();
        self.probes.clear();
        self.strays.clear();
        self.guesses.clear();
        self.quiet_until = quiet_until;
        self.check_at.take()
    }
}

/// The last few stacks that a source's handshakes came from: one for a host, some for a NAT.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stacks {
    known: [u32; 8],
    len: u8,
    next: u8,
}

impl Stacks {
    fn note(&mut self, stack: u32) {
        if self.holds(stack) {
            return;
        }
        self.known[usize::from(self.next)] = stack;
        self.next = (self.next + 1) % 8;
        self.len = (self.len + 1).min(8);
    }

    /// Whether they are all known, and few enough to be one host's: behind a NAT anybody may have a stack of his own.
    pub(super) fn are_few(&self) -> bool {
        (1..self.known.len()).contains(&usize::from(self.len))
    }

    /// Whether a handshake of this stack was completed of late.
    pub(super) fn holds(&self, stack: u32) -> bool {
        self.known[..usize::from(self.len)].contains(&stack)
    }
}
