//! What the verbs are told: flags over environment over configuration files over defaults.
//!
//! `keys` says all about every key. `files` reads what files say, `layers` lays one over the other, `across` holds keys
//! against each other, and `show` tells what came of it.

mod across;
mod args;
mod control;
mod feeds;
mod files;
mod key;
mod keys;
mod layers;
mod list;
mod networks;
mod problem;
mod raw;
mod reference;
mod replay;
mod show;
#[cfg(test)]
mod tests;
mod types;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use ipnet::IpNet;
use tcpcap_core::{Caps, Config, Preset, Thresholds, decide};

use crate::{
    control::socket,
    history,
    kernel::{EgressChoice, ModeChoice},
    lists::FeedConfig,
    mirror, protect,
    surface::log,
};

use args::CONFIG_VARIABLE;
pub use args::{ConfigArgs, JudgingArgs, Report, RunArgs};
pub use control::{BlockArgs, ModeArgs, ScopeChoice, ShowArgs, ShowFormat, SocketArgs, TargetArgs};
pub use files::DEFAULT_PATH;
use layers::Environment;
pub use layers::Loaded;
pub(crate) use networks::{NARROWER, check_allowed, parse_network};
pub use problem::{Origin, Problem};
pub use reference::{defaults, reference};
pub use replay::{OwnArg, ReplayArgs, ReplaySettings};
pub use show::{Change, Effective, changes};

/// Where metrics are served unless told otherwise: on this host alone, on the port that the original used.
const DEFAULT_LISTEN: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 2112);

/// Where the history is kept unless told otherwise.
const DEFAULT_STATE: &str = "/var/lib/tcpcap";

/// What the daemon does. Its defaults are the configuration's.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Interfaces to watch; empty: those of the default routes.
    pub interfaces: Vec<String>,
    /// How to attach.
    pub mode: ModeChoice,
    /// Whether to look at what leaves.
    pub egress: EgressChoice,
    /// Own beside the interfaces' addresses.
    pub own: Vec<IpNet>,
    /// Always blocked.
    pub deny: Vec<IpNet>,
    /// Lists of networks, from files, that are blocked as long as they stand there.
    pub feeds: Vec<FeedConfig>,
    /// What is judged, and how.
    pub judging: Judging,
    /// Where to look for who must never be blocked.
    pub protect: protect::Config,
    /// Which packets of a blocked source are dropped.
    pub scope: ScopeChoice,
    /// Whether the kernel program drops before there is a verdict.
    pub reflex: bool,
    /// Where the history is kept.
    pub state: PathBuf,
    /// How much of it.
    pub history: history::Limits,
    /// Take everything out of the kernel at the end.
    pub detach: bool,
    /// Metrics.
    pub listen: SocketAddr,
    /// Names by which browsers may ask, beside addresses and `localhost`.
    pub http_hosts: Vec<String>,
    /// Where commands are taken.
    pub socket: PathBuf,
    /// Log.
    pub log_format: log::Format,
    /// Where else blocks are written.
    pub mirror: Mirror,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            interfaces: Vec::new(),
            mode: ModeChoice::default(),
            egress: EgressChoice::default(),
            own: Vec::new(),
            deny: Vec::new(),
            feeds: Vec::new(),
            judging: Judging::default(),
            protect: protect::Config::default(),
            scope: ScopeChoice::default(),
            reflex: true,
            state: DEFAULT_STATE.into(),
            history: history::Limits::default(),
            detach: false,
            listen: DEFAULT_LISTEN.into(),
            http_hosts: Vec::new(),
            socket: socket::DEFAULT_PATH.into(),
            log_format: log::Format::default(),
            mirror: Mirror::default(),
        }
    }
}

impl Settings {
    /// Takes over whatever a running daemon can change; the rest stays as it is until it starts again.
    pub fn take_over(&mut self, new: &Self) {
        keys::keys().iter().filter(|key| !key.needs_restart).for_each(|key| key.copy(new, self));
    }
}

/// How it is judged.
#[derive(Clone, Debug)]
pub struct Judging {
    /// Drop nothing.
    pub observe: bool,
    /// Where the thresholds come from that the configuration does not set.
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

impl Default for Judging {
    fn default() -> Self {
        let preset = Preset::default();
        Self {
            observe: false,
            preset,
            thresholds: Thresholds::of(preset),
            caps: Caps::default(),
            allow: Vec::new(),
            block_for: decide::FIRST_TTL,
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

    /// All thresholds become the preset's.
    fn set_preset(&mut self, preset: Preset) {
        (self.preset, self.thresholds) = (preset, Thresholds::of(preset));
    }
}

/// Writing blocks into nftables too.
#[derive(Clone, Debug, Default)]
pub struct Mirror {
    /// Whether to.
    pub enabled: bool,
    /// How.
    pub config: mirror::Config,
}

impl Mirror {
    /// How, if it is to be.
    #[must_use]
    pub fn wanted(&self) -> Option<&mirror::Config> {
        self.enabled.then_some(&self.config)
    }
}
