//! The pure core: sightings and time go in, findings and decisions come out.
//!
//! No clock, no I/O, no runtime, no threads, no log: the daemon, `replay` and the tests drive the same [`Engine`].
//! Memory is bounded everywhere, and whatever gives way is counted.

pub mod decide;
pub mod detect;
pub mod engine;
mod marks;
pub mod sense;
pub mod sighting;
pub mod source;
pub mod time;
mod wording;

pub use decide::{Caps, Decision, Outcome, Protected, Protection, Scope, Suppression};
pub use detect::{Finding, Fingerprint, Preset, ReflexLimits, Rule, Standing, Thresholds};
pub use engine::{Config, Engine, Stats, Verdict};
pub use marks::{Marks, Syn, Tool};
pub use sense::{Own, Sensor};
pub use sighting::{Sighting, SightingKind};
pub use source::{IPV6_PREFIX_LEN, Source};
pub use time::Time;
