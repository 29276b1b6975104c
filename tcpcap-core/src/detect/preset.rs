//! The presets: every threshold of every rule in one table.

use std::{fmt, str::FromStr};

use super::{port_scan, stealth};

/// How much is a scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// The trigger of the program that tcpcap replaces, made exact: three distinct incomplete pairs in a minute. For
    /// hosts with one service and nothing else; a port knocker or a monitor with dead targets is a scanner here. Beyond
    /// that minute it is as patient as balanced.
    Strict,
    /// Chosen on recorded traffic: low enough for scans that take their time, and above the worst honest sources.
    #[default]
    Balanced,
    /// Twice balanced: for hosts with very large NATs or many dead services in front of them.
    Relaxed,
}

/// The limits of every rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// See [`port_scan`].
    pub port_scan: port_scan::Limits,
    /// See [`stealth`].
    pub stealth: stealth::Limits,
}

impl Thresholds {
    /// A preset's limits.
    #[must_use]
    pub const fn of(preset: Preset) -> Self {
        let (burst_pairs, fast_score, medium_pairs, long_pairs, probes) = match preset {
            Preset::Strict => (3, None, 20, 30, 3),
            // burst: a passive FTP session at a round trip of 300 ms has up to 31 pairs on the way.
            // fast: six dead privileged ports or eighteen others. The worst honest sources come to 12 (a metrics
            // server with a dozen dead targets, a host that boots), so there is room on either side.
            // medium: no honest source came near it. long: the worst honest source comes to 12 in a day, 30 leaves room
            // for a large NAT's typing errors. stealth: no honest stack sends a single one.
            Preset::Balanced => (32, Some(18), 20, 30, 3),
            Preset::Relaxed => (64, Some(36), 40, 60, 6),
        };
        Self {
            port_scan: port_scan::Limits { burst_pairs, fast_score, medium_pairs, long_pairs },
            stealth: stealth::Limits { probes },
        }
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Self::of(Preset::default())
    }
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Strict, Self::Balanced, Self::Relaxed];

    /// The name used in configuration and output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Balanced => "balanced",
            Self::Relaxed => "relaxed",
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Preset {
    type Err = UnknownPreset;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|p| p.name() == text).ok_or_else(|| UnknownPreset(text.to_owned()))
    }
}

/// There is no preset of this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownPreset(String);

impl fmt::Display for UnknownPreset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no preset `{}`; there are {}", self.0, Preset::ALL.map(Preset::name).join(", "))
    }
}

impl std::error::Error for UnknownPreset {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preset_is_read_by_its_name() {
        for preset in Preset::ALL {
            assert_eq!(preset.to_string().parse(), Ok(preset));
        }
        let said = "wild".parse::<Preset>().unwrap_err().to_string();
        assert_eq!(said, "there is no preset `wild`; there are strict, balanced, relaxed");
    }

    #[test]
    fn relaxed_is_twice_balanced_and_strict_is_three_pairs() {
        let [strict, balanced, relaxed] = Preset::ALL.map(Thresholds::of);
        assert_eq!((strict.port_scan.burst_pairs, strict.port_scan.fast_score), (3, None));
        let port_scan = port_scan::Limits {
            burst_pairs: 2 * balanced.port_scan.burst_pairs,
            fast_score: balanced.port_scan.fast_score.map(|s| 2 * s),
            medium_pairs: 2 * balanced.port_scan.medium_pairs,
            long_pairs: 2 * balanced.port_scan.long_pairs,
        };
        let stealth = stealth::Limits { probes: 2 * balanced.stealth.probes };
        assert_eq!(relaxed, Thresholds { port_scan, stealth });
    }
}
