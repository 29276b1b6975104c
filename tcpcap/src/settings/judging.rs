//! What every verb that judges is told about judging.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use ipnet::IpNet;
use tcpcap_core::{Caps, Config, Preset, Thresholds, decide};

use super::{File, parse_network, parse_ttl};
use crate::failure::Failure;

/// What was typed of it.
#[derive(Args, Clone, Debug, Default)]
pub struct JudgingArgs {
    /// Do everything but drop: count what would have been dropped
    #[arg(long)]
    pub observe: bool,

    /// How much is a scan: strict (3 ports in 60 s), balanced, relaxed [default: balanced]
    #[arg(long, value_name = "PRESET")]
    pub preset: Option<Preset>,

    /// Address or network that is never blocked; repeatable
    #[arg(long, value_name = "CIDR", value_parser = parse_network, value_delimiter = ',')]
    pub allow: Vec<IpNet>,

    /// How long a first block lasts; each repeat doubles it, up to 24h [default: 10m]
    #[arg(long, value_name = "TIME", value_parser = parse_ttl)]
    pub block_for: Option<Duration>,

    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// How it is judged.
#[derive(Clone, Debug)]
pub struct Judging {
    /// Drop nothing.
    pub observe: bool,
    /// Where the thresholds come from that the configuration file does not set.
    pub preset: Preset,
    /// When rules fire.
    pub thresholds: Thresholds,
    /// How much may be blocked.
    pub caps: Caps,
    /// Never blocked.
    pub allow: Vec<IpNet>,
    /// First block.
    pub block_for: Duration,
}

impl JudgingArgs {
    /// The configuration file; an empty one if none was named.
    pub(super) fn file(&self) -> Result<File, Failure> {
        Ok(self.config.as_deref().map(File::read).transpose()?.unwrap_or_default())
    }

    /// Merges what was typed with the file and the defaults.
    pub(super) fn resolve(self, file: &File) -> Judging {
        let preset = self.preset.or(file.preset.as_ref().map(|p| p.0)).unwrap_or_default();
        let mut thresholds = Thresholds::of(preset);
        file.detect.apply(&mut thresholds);
        Judging {
            observe: self.observe || file.observe,
            preset,
            thresholds,
            caps: file.caps.resolve(),
            allow: self.allow.into_iter().chain(file.allow.iter().map(|n| n.0)).collect(),
            block_for: self.block_for.or(file.block_for.as_ref().map(|t| t.0)).unwrap_or(decide::FIRST_TTL),
        }
    }
}

impl Judging {
    /// The engine that judges so.
    #[must_use]
    pub fn engine(&self) -> Config {
        Config {
            thresholds: self.thresholds,
            observe: self.observe,
            first_ttl: self.block_for,
            caps: self.caps,
            ..Config::default()
        }
    }
}
