//! The presets: every threshold of every rule in one table.

use std::{fmt, str::FromStr};

use super::{brute_force, fan_out, flood, port_scan, stealth, stray};

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
    /// See [`stray`].
    pub stray: stray::Limits,
    /// See [`brute_force`].
    pub brute_force: brute_force::Limits,
    /// See [`flood`].
    pub flood: flood::Limits,
    /// See [`fan_out`].
    pub fan_out: fan_out::Limits,
}

impl Thresholds {
    /// A preset's limits.
    #[must_use]
    pub const fn of(preset: Preset) -> Self {
        match preset {
            Preset::Strict => Self {
                port_scan: port_scan::Limits { burst_pairs: Some(3), fast_score: None, ..BALANCED.port_scan },
                ..BALANCED
            },
            Preset::Balanced => BALANCED,
            Preset::Relaxed => RELAXED,
        }
    }
}

/// What the kernel program may act upon by itself until there is a verdict: the windows of the port scan rule that count
/// at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReflexLimits {
    /// Incomplete pairs, as *burst*.
    pub pairs: Option<u32>,
    /// Score of refused pairs, as *fast*.
    pub refused: Option<u32>,
}

impl Thresholds {
    /// The reflex's numbers.
    #[must_use]
    pub const fn reflex(&self) -> ReflexLimits {
        ReflexLimits { pairs: self.port_scan.burst_pairs, refused: self.port_scan.fast_score }
    }
}

const BALANCED: Thresholds = Thresholds {
    port_scan: port_scan::Limits {
        // A passive FTP session at a round trip of 300 ms has up to 31 pairs on the way.
        burst_pairs: Some(32),
        // Six dead privileged ports or eighteen others. The worst honest sources come to 12 (a metrics server with a
        // dozen dead targets, a host that boots), so there is room on either side.
        fast_score: Some(18),
        // No honest source came near it.
        medium_pairs: Some(20),
        // The worst honest source comes to 12 in a day; 30 leaves room for a large NAT's typing errors.
        long_pairs: Some(30),
        // For sources that achieve little, and pairs that nobody comes back to. The worst honest one comes to 12.
        abandoned_pairs: Some(14),
        // No honest source was seen to try ten dead addresses, each once or twice.
        abandoned_targets: Some(10),
        // A large NAT in front of everything that there is uses a dozen.
        open_ports: Some(20),
    },
    // No honest stack sends a single one.
    stealth: stealth::Limits { probes: Some(3) },
    // More connections than a client has to ports of one host when that host forgets them.
    stray: stray::Limits { refused_pairs: Some(15), unanswered_pairs: None },
    brute_force: brute_force::Limits { attempts: None, more_ports: [0; brute_force::MORE_PORTS] },
    flood: flood::Limits { half_open: Some(100), half_open_of_source: Some(100) },
    fan_out: fan_out::Limits { pairs: Some(100) },
};

const RELAXED: Thresholds = Thresholds {
    port_scan: port_scan::Limits {
        burst_pairs: twice(BALANCED.port_scan.burst_pairs),
        fast_score: twice(BALANCED.port_scan.fast_score),
        medium_pairs: twice(BALANCED.port_scan.medium_pairs),
        long_pairs: twice(BALANCED.port_scan.long_pairs),
        abandoned_pairs: twice(BALANCED.port_scan.abandoned_pairs),
        abandoned_targets: twice(BALANCED.port_scan.abandoned_targets),
        open_ports: twice(BALANCED.port_scan.open_ports),
    },
    stealth: stealth::Limits { probes: twice(BALANCED.stealth.probes) },
    stray: stray::Limits { refused_pairs: twice(BALANCED.stray.refused_pairs), unanswered_pairs: None },
    brute_force: brute_force::Limits { attempts: None, more_ports: [0; brute_force::MORE_PORTS] },
    flood: flood::Limits {
        half_open: twice(BALANCED.flood.half_open),
        half_open_of_source: twice(BALANCED.flood.half_open_of_source),
    },
    fan_out: fan_out::Limits { pairs: twice(BALANCED.fan_out.pairs) },
};

const fn twice(limit: Option<u32>) -> Option<u32> {
    match limit {
        Some(limit) => Some(2 * limit),
        None => None,
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
    fn strict_is_three_pairs_at_once_and_otherwise_balanced() {
        let [strict, balanced, relaxed] = Preset::ALL.map(Thresholds::of);
        assert_eq!((strict.port_scan.burst_pairs, strict.port_scan.fast_score), (Some(3), None));
        let port_scan = port_scan::Limits { burst_pairs: Some(32), fast_score: Some(18), ..strict.port_scan };
        assert_eq!(balanced, Thresholds { port_scan, ..strict });
        assert_eq!((relaxed.port_scan.burst_pairs, relaxed.port_scan.fast_score), (Some(64), Some(36)));
    }
}
