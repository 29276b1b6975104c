//! Plays packets to the engine, with the capture's clock.

use std::{collections::HashSet, time::Duration};

use ipnet::IpNet;
use tcpcap_common::tally::End;
use tcpcap_core::{Config, Engine, Own, Protected, Sensor, Source, Time, Verdict};

use crate::capture::Packet;

/// How often the engine is let to forget what is old: as often as in the daemon.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How many sources are told apart for the summary.
const MAX_SOURCES: usize = 1 << 20;

/// What there was in a replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Packets of any kind.
    pub packets: u64,
    /// Connection attempts to own addresses.
    pub attempts: u64,
    /// Probes to own addresses.
    pub probes: u64,
    /// Sources of either.
    pub sources: usize,
    /// There were more sources than that.
    pub more_sources: bool,
    /// Findings.
    pub findings: u64,
    /// Packets that contradict themselves or end before their TCP header does.
    pub unparsed: u64,
    /// Handshakes whose completion may have been missed for want of room.
    pub displaced: u64,
    /// Sources that the engine gave up for want of room.
    pub evicted: u64,
    /// Packets captured more than a second before an earlier one.
    pub backwards: u64,
}

/// A sensor and an engine, and the time between them.
///
/// Nothing is dropped: the packets of a source that would be blocked go on to the engine, which keeps silent about the
/// source until the block would have ended. On a live host they would not have come that far, so what a scanner does
/// after its block in a capture is not quite what it would have done.
pub struct Player {
    sensor: Sensor,
    engine: Engine,
    protected: Protected,
    polled: Time,
    sources: HashSet<Source>,
    /// The last of them that was seen.
    noted: Option<Source>,
    summary: Summary,
}

impl Player {
    /// A player that has played nothing. Own and allowed networks are protected as they are in the daemon, but for own
    /// ones that an exception cuts into: whoever is excepted can be blocked.
    #[must_use]
    pub fn new(own: Own, allow: Vec<IpNet>, config: &Config) -> Self {
        let cut = |n: &IpNet| own.except.iter().any(|e| e.contains(n) || n.contains(e));
        let mut protected = Protected::new(own.networks.iter().filter(|n| !cut(n)).copied().collect(), allow);
        protected.set_host(own.addresses.iter().copied(), []);
        Self {
            sensor: Sensor::new(own, config.thresholds.stray.unanswered_pairs.is_some()),
            engine: Engine::new(config),
            protected,
            polled: Time::ZERO,
            sources: HashSet::new(),
            noted: None,
            summary: Summary::default(),
        }
    }

    /// The same player, for which our own answers do not count.
    #[must_use]
    pub fn ingress_only(self) -> Self {
        Self { sensor: self.sensor.ingress_only(), ..self }
    }

    /// Plays a packet; appends what comes of it, and of the time since the one before.
    pub fn play(&mut self, packet: &Packet<'_>, out: &mut Vec<Verdict>) {
        let found = out.len();
        self.summary.packets += 1;
        let now = self.sensor.tick(packet.time);
        self.pass_time(now, out);
        match packet.link.parse(packet.frame) {
            Ok((network, segment)) => {
                let (offset, len) = (segment.options.offset, usize::from(segment.options.len));
                let options = packet.frame.get(offset..).unwrap_or_default();
                let options = &options[..len.min(options.len())];
                let (end, sighting) = self.sensor.see(&network, &segment, options);
                self.summary.attempts += u64::from(end == End::Attempt);
                self.summary.probes += u64::from(end == End::Probe);
                if let Some(sighting) = sighting {
                    // Whoever completes something has been noted for his attempt.
                    if end != End::Completion {
                        self.note_source(sighting.source);
                    }
                    self.engine.see(&sighting, &self.protected, out);
                }
            }
            Err(end) => self.summary.unparsed += u64::from(is_unreadable(end)),
        }
        self.summary.findings += (out.len() - found) as u64;
    }

    /// Lets the time come that the engine is still waiting for, and is done.
    pub fn finish(mut self, out: &mut Vec<Verdict>) -> Summary {
        let found = out.len();
        while let Some(due) = self.engine.next_due() {
            self.engine.advance(due, &self.protected, out);
        }
        Summary {
            sources: self.sources.len(),
            findings: self.summary.findings + (out.len() - found) as u64,
            displaced: self.sensor.displaced(),
            evicted: self.engine.stats().evicted_sources,
            backwards: self.sensor.backwards(),
            ..self.summary
        }
    }

    fn pass_time(&mut self, now: Time, out: &mut Vec<Verdict>) {
        while let Some(due) = self.engine.next_due().filter(|due| *due <= now) {
            self.engine.expire(due);
            self.engine.advance(due, &self.protected, out);
        }
        if now.since(self.polled) >= POLL_INTERVAL {
            self.polled = now;
            self.engine.advance(now, &self.protected, out);
        }
        self.engine.expire(now);
    }

    fn note_source(&mut self, source: Source) {
        // A scanner's attempts come one after the other.
        if self.noted.replace(source) == Some(source) {
            return;
        }
        if self.sources.len() < MAX_SOURCES {
            self.sources.insert(source);
        } else if !self.sources.contains(&source) {
            self.summary.more_sources = true;
        }
    }
}

/// Whether something is wrong with a packet that ended so, rather than it being another kind of packet.
const fn is_unreadable(end: End) -> bool {
    !matches!(end, End::NotIp | End::NotTcp | End::LaterFragment)
}
