//! `[detect.…]` and `[caps]` of the configuration file: single thresholds over those of the preset.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};
use tcpcap_core::{
    Caps, Thresholds,
    decide::MAX_ENTRIES,
    detect::brute_force::{self, MORE_PORTS},
};

/// A threshold: a number from 1 to `MAX`, or `"off"`. More than `MAX` is more than is kept of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limit<const MAX: u32>(Option<u32>);

impl<'de, const MAX: u32> Deserialize<'de> for Limit<MAX> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Read<const MAX: u32>;
        impl<const MAX: u32> Visitor<'_> for Read<MAX> {
            type Value = Limit<MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a number from 1 to {MAX}, or \"off\"")
            }

            fn visit_i64<E: de::Error>(self, n: i64) -> Result<Limit<MAX>, E> {
                match u32::try_from(n) {
                    Ok(n) if (1..=MAX).contains(&n) => Ok(Limit(Some(n))),
                    _ => Err(E::invalid_value(de::Unexpected::Signed(n), &self)),
                }
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Limit<MAX>, E> {
                if text == "off" { Ok(Limit(None)) } else { Err(E::invalid_value(de::Unexpected::Str(text), &self)) }
            }
        }
        d.deserialize_any(Read)
    }
}

/// Declares a table of the file and what each of its keys sets.
macro_rules! table {
    ($name:ident over $limits:ident: $($key:ident ($max:literal) => $field:ident),* $(,)?) => {
        #[derive(Debug, Default, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        struct $name { $($key: Option<Limit<$max>>,)* }

        impl $name {
            fn apply(&self, limits: &mut tcpcap_core::detect::$limits::Limits) {
                $(if let Some(Limit(limit)) = self.$key { limits.$field = limit; })*
            }
        }
    };
}

table!(PortScan over port_scan:
    burst (256) => burst_pairs,
    fast (256) => fast_score,
    medium (256) => medium_pairs,
    long (256) => long_pairs,
    abandoned (256) => abandoned_pairs,
    abandoned_sweep (256) => abandoned_targets,
    open (256) => open_ports,
);
table!(Stealth over stealth: probes (32) => probes);
table!(Stray over stray: refused (64) => refused_pairs, unanswered (64) => unanswered_pairs);
table!(Flood over flood: target (1_000_000) => half_open, source (1_000_000) => half_open_of_source);
table!(FanOut over fan_out: pairs (256) => pairs);

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct BruteForce {
    attempts: Option<Limit<256>>,
    /// Ports beside the usual ones.
    ports: Ports,
}

#[derive(Debug, Default)]
struct Ports([u16; MORE_PORTS]);

impl<'de> Deserialize<'de> for Ports {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let named = Vec::<u16>::deserialize(d)?;
        let mut ports = [0; MORE_PORTS];
        if named.len() > MORE_PORTS || named.contains(&0) {
            return Err(de::Error::custom(format!("at most {MORE_PORTS} ports from 1 to 65535 can be added")));
        }
        ports[..named.len()].copy_from_slice(&named);
        Ok(Self(ports))
    }
}

impl BruteForce {
    fn apply(&self, limits: &mut brute_force::Limits) {
        if let Some(Limit(limit)) = self.attempts {
            limits.attempts = limit;
        }
        limits.more_ports = self.ports.0;
    }
}

/// `[detect]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Detect {
    port_scan: PortScan,
    stealth: Stealth,
    stray: Stray,
    brute_force: BruteForce,
    flood: Flood,
    fan_out: FanOut,
}

impl Detect {
    /// Sets what is set here.
    pub(super) fn apply(&self, thresholds: &mut Thresholds) {
        self.port_scan.apply(&mut thresholds.port_scan);
        self.stealth.apply(&mut thresholds.stealth);
        self.stray.apply(&mut thresholds.stray);
        self.brute_force.apply(&mut thresholds.brute_force);
        self.flood.apply(&mut thresholds.flood);
        self.fan_out.apply(&mut thresholds.fan_out);
    }
}

/// `[caps]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct CapsTable {
    blocks: Option<Cap>,
    unverified: Option<Cap>,
    per_minute: Option<Cap>,
}

/// A number of blocks: at least one, and no more than the kernel's map is sure to have room for.
#[derive(Clone, Copy, Debug)]
struct Cap(usize);

impl<'de> Deserialize<'de> for Cap {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let n = usize::deserialize(d)?;
        if (1..=MAX_ENTRIES).contains(&n) {
            return Ok(Self(n));
        }
        Err(de::Error::custom(format!("{n} is not between 1 and {MAX_ENTRIES}")))
    }
}

impl CapsTable {
    /// The caps, with what is not set here as it usually is.
    pub(super) fn resolve(&self) -> Caps {
        let usual = Caps::default();
        let entries = self.blocks.map_or(usual.entries, |c| c.0);
        Caps {
            entries,
            unverified: self.unverified.map_or_else(|| entries.div_ceil(2), |c| c.0),
            per_minute: self.per_minute.map_or(usual.per_minute, |c| c.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tcpcap_core::Preset;

    fn detect(text: &str) -> Result<Thresholds, String> {
        let mut thresholds = Thresholds::of(Preset::Balanced);
        toml::from_str::<Detect>(text).map_err(|e| e.message().to_owned())?.apply(&mut thresholds);
        Ok(thresholds)
    }

    #[test]
    fn a_threshold_may_be_set_or_switched_off_and_the_others_stay_the_presets() {
        let usual = Thresholds::of(Preset::Balanced);
        let t =
            detect("[port_scan]\nburst = 100\nlong = \"off\"\n[brute_force]\nattempts = 30\nports = [8022]").unwrap();
        assert_eq!(t.brute_force.more_ports, [8022, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(
            (t.port_scan.burst_pairs, t.port_scan.long_pairs, t.brute_force.attempts),
            (Some(100), None, Some(30))
        );
        assert_eq!(
            (t.port_scan.fast_score, t.stealth, t.flood),
            (usual.port_scan.fast_score, usual.stealth, usual.flood)
        );
        assert_eq!(detect("").unwrap(), usual);
    }

    #[test]
    fn every_rule_has_a_table() {
        let t = detect(
            "stealth.probes = 1\nstray = { refused = 2, unanswered = 3 }\nflood = { target = 4, source = 5 }\n\
             fan_out.pairs = 6\nport_scan = { fast = 7, medium = 8, abandoned = 9, abandoned_sweep = 10, open = 11 }",
        )
        .unwrap();
        let p = t.port_scan;
        assert_eq!((t.stealth.probes, t.stray.refused_pairs, t.stray.unanswered_pairs), (Some(1), Some(2), Some(3)));
        assert_eq!((t.flood.half_open, t.flood.half_open_of_source, t.fan_out.pairs), (Some(4), Some(5), Some(6)));
        assert_eq!((p.fast_score, p.medium_pairs, p.abandoned_pairs), (Some(7), Some(8), Some(9)));
        assert_eq!((p.abandoned_targets, p.open_ports), (Some(10), Some(11)));
    }

    #[test]
    fn what_is_no_threshold_is_an_error_that_says_what_is() {
        for (text, said) in [
            ("port_scan.burst = 0", "a number from 1 to 256, or \"off\""),
            ("port_scan.burst = 257", "a number from 1 to 256, or \"off\""),
            ("port_scan.burst = \"none\"", "a number from 1 to 256, or \"off\""),
            ("stealth.probes = 33", "a number from 1 to 32, or \"off\""),
            ("port_scan.bursts = 3", "expected one of"),
            ("portscan.burst = 3", "`port_scan`"),
            ("brute_force.ports = [0]", "at most 8 ports from 1 to 65535"),
            ("brute_force.ports = [1, 2, 3, 4, 5, 6, 7, 8, 9]", "at most 8 ports from 1 to 65535"),
        ] {
            let problem = detect(text).unwrap_err();
            assert!(problem.contains(said), "{text}: {problem}");
        }
    }

    #[test]
    fn caps_are_bounded_and_unverified_sources_get_half_unless_told_otherwise() {
        let caps = |text: &str| toml::from_str::<CapsTable>(text).map(|c| c.resolve()).map_err(|e| e.to_string());
        assert_eq!(caps(""), Ok(Caps::default()));
        assert_eq!(caps("blocks = 11\nper_minute = 5"), Ok(Caps { entries: 11, unverified: 6, per_minute: 5 }));
        assert!(caps("blocks = 0").unwrap_err().contains("0 is not between 1 and 131072"));
    }
}
