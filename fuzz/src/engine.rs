//! The engine: any stream of sightings and times.

mod input;
mod witness;

use tcpcap_core::{Engine, Sighting, SightingKind, Time, Verdict};

use input::{Settings, Step, What};
use witness::Witness;

/// More looks than the sources here can have pairs: a clock that keeps asking for another one has no end.
const MAX_LOOKS: usize = 100_000;

/// The bytes are settings and steps, see [`input`].
pub fn run(input: &[u8]) {
    let (settings, steps) = input::read(input);
    let mut play = Play::new(&settings);
    steps.for_each(|step| play.step(step));
    play.finish();
}

/// An engine, and what is known of it from outside.
struct Play {
    engine: Engine,
    protected: tcpcap_core::Protected,
    witness: Witness,
    now: Time,
    verdicts: Vec<Verdict>,
}

impl Play {
    fn new(settings: &Settings) -> Self {
        Self {
            engine: Engine::new(&settings.config()),
            protected: input::protected(false),
            witness: Witness::new(settings),
            now: Time::ZERO,
            verdicts: Vec::new(),
        }
    }

    fn step(&mut self, step: Step) {
        self.now = input::moved(self.now, step.time);
        match step.what {
            What::See { kind, times } => {
                for n in 0..times {
                    self.see(kind, step.source, step.target, step.port.wrapping_add(n));
                }
            }
            What::SeeMany { kind, sources } => {
                for n in 0..sources {
                    self.see(kind, step.source.wrapping_add(n), step.target, step.port);
                }
            }
            What::Advance => self.advance(),
            What::Expire => self.expire(),
            What::Protect { less } => {
                self.protected = input::protected(less);
                self.witness.protect(less);
            }
        }
    }

    fn see(&mut self, kind: SightingKind, source: u8, target: u8, port: u16) {
        let (from, to) = input::ends(source, target);
        let sighting = Sighting::new(self.now, kind, (from, 40_000), (to, port));
        self.witness.time_is(self.now);
        self.witness.sighting(&sighting);
        self.engine.see(&sighting, &self.protected, &mut self.verdicts);
        let own = |v: &Verdict| v.finding.source.or(v.finding.in_name_of) == Some(sighting.source);
        assert!(self.verdicts.iter().all(own), "of its own source: {:?}", self.verdicts);
        let serious = self.verdicts.iter().filter(|v| !v.finding.rule.is_alert()).count();
        assert!(serious <= 1, "a sighting gets its source blocked once at most: {:?}", self.verdicts);
        self.look();
    }

    fn advance(&mut self) {
        let latest = self.witness.time_is(self.now);
        self.engine.advance(self.now, &self.protected, &mut self.verdicts);
        assert!(self.engine.next_due().is_none_or(|due| due > latest), "what was due has been looked at");
        self.look();
    }

    fn expire(&mut self) {
        let over = self.engine.expire(self.now);
        self.witness.over(&over, self.now);
        self.look();
    }

    /// What is asked of it after each step.
    fn look(&mut self) {
        self.verdicts.drain(..).for_each(|verdict| self.witness.verdict(&verdict));
        self.witness.stats(self.engine.stats());
        let latest = self.witness.time_is(Time::ZERO);
        self.witness.breaker(self.engine.is_breaker_open(latest));
    }

    /// Lets everything come that is still waited for: that has an end.
    fn finish(mut self) {
        let mut looks = 0;
        while let Some(due) = self.engine.next_due() {
            looks += 1;
            assert!(looks < MAX_LOOKS, "it waits for ever");
            self.now = self.now.max(due);
            self.advance();
        }
        self.now = Time::from_nanos(u64::MAX);
        self.expire();
        assert_eq!(self.engine.stats().blocked, 0, "every block ends");
    }
}

/// Scans, sweeps, probes, floods and honest clients, of which some get blocked again and again.
pub fn seeds() -> Vec<Vec<u8>> {
    input::seeds()
}
