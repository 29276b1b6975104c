//! The nftables mirror: the same blocks once more, in a table of our own, for whatever passes the XDP program by.
//!
//! The table `inet tcpcap` has one chain and a set for each family, scope and kind of network. The chain hooks in at
//! `prerouting`, by default with priority -310: behind reassembly (-400), before `raw` (-300), connection tracking
//! (-200) and address translation (-100). So a dropped packet costs no tracking, and packets for forwarded ports
//! (those that Docker publishes), which never reach `input`, are dropped too, whatever they are translated to.
//!
//! Elements carry their timeouts: they end without us. In observe mode the sets are the same and the rules only count:
//! what would be dropped can be seen there, and either way of switching is one small run of nft.
//!
//! Nobody waits for nft: [`Mirror`] takes notes, a thread of its own brings nft to them. `plan` and `render` are
//! pure; `apply` runs nft; `worker` ties them.

mod apply;
mod layout;
mod plan;
mod read;
mod render;
#[cfg(test)]
mod tests;
mod wanted;
mod worker;

use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use ipnet::IpNet;
use tcpcap_core::{Scope, Time};
use tokio::{runtime, sync::Notify};

use crate::{
    block::{Block, Why},
    failure::Failure,
};
use plan::Step;
use read::Found;
use worker::{Worker, stored};

/// The default of [`Config::table`].
pub const DEFAULT_TABLE: &str = "tcpcap";
/// The default of [`Config::priority`]: behind reassembly (-400), before `raw` (-300) and all that follows.
pub const DEFAULT_PRIORITY: i32 = -310;

/// Where the chain hooks in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hook {
    /// All that arrives, forwarded packets included.
    #[default]
    Prerouting,
    /// What this host itself receives: not what is forwarded to containers.
    Input,
}

impl Hook {
    /// As nft names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prerouting => "prerouting",
            Self::Input => "input",
        }
    }
}

/// How the mirror works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The table's name, in family `inet`.
    pub table: String,
    /// Where its chain hooks in.
    pub hook: Hook,
    /// And in which order among others there; the lowest comes first.
    pub priority: i32,
    /// The program: a name looked up in the usual directories, or a path.
    pub nft: PathBuf,
    /// Whether blocks that stand in feeds are mirrored too, see [`Config::mirrors`].
    pub include_feeds: bool,
    /// How long a run of nft may take before it is killed.
    pub timeout: Duration,
    /// How often what nft holds is compared with what it should.
    pub reconcile_every: Duration,
    /// How many networks are mirrored at most; what is more is refused and counted.
    pub most: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            table: DEFAULT_TABLE.to_owned(),
            hook: Hook::default(),
            priority: DEFAULT_PRIORITY,
            nft: "nft".into(),
            include_feeds: false,
            timeout: Duration::from_secs(5),
            reconcile_every: Duration::from_secs(30),
            // As many as the block maps hold.
            most: 1 << 20,
        }
    }
}

impl Config {
    /// Whether such a block is mirrored. Feeds are large, and a set of intervals takes seconds to change then.
    #[must_use]
    pub fn mirrors(&self, block: &Block) -> bool {
        self.include_feeds || !matches!(block.why, Why::Feed(_))
    }
}

/// A change of what is to be blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Block this, or block it until another time or in another scope.
    Put {
        /// Whose packets.
        network: IpNet,
        /// Which packets.
        scope: Scope,
        /// Until when; `None` for ever.
        until: Option<Time>,
    },
    /// Block this no more.
    Remove(IpNet),
}

impl From<&Block> for Change {
    fn from(block: &Block) -> Self {
        Self::Put { network: block.network, scope: block.scope, until: block.until }
    }
}

/// How it fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Runs of nft that changed something.
    pub applied: u64,
    /// Failures, whatever their reason.
    pub errors: u64,
    /// Elements in nft's sets, as of the last look or change.
    pub elements: u64,
    /// How often somebody had changed the table and it was repaired.
    pub drift_repaired: u64,
    /// Changes not taken because there were too many networks.
    pub refused: u64,
    /// Why nft may not hold what it should; `None` when all is well.
    pub degraded: Option<Arc<str>>,
    /// When nft was last known to hold all that it should.
    pub last_success: Option<Time>,
}

/// What was asked for and not yet taken up: the latest word about each network.
#[derive(Debug, Default)]
struct Pending {
    blocks: HashMap<IpNet, Option<(Scope, Option<Time>)>>,
    allow: Option<Vec<IpNet>>,
    observe: Option<bool>,
}

impl Pending {
    fn is_waiting(&self) -> bool {
        !self.blocks.is_empty() || self.allow.is_some() || self.observe.is_some()
    }
}

#[derive(Debug, Default)]
struct Shared {
    pending: Mutex<Pending>,
    wake: Notify,
    stop: AtomicBool,
    applied: AtomicU64,
    errors: AtomicU64,
    elements: AtomicU64,
    drift_repaired: AtomicU64,
    refused: AtomicU64,
    /// On the boot clock; 0 for never.
    last_success: AtomicU64,
    degraded: Mutex<Option<Arc<str>>>,
}

impl Shared {
    /// Held for single entries only, on either side.
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, note: impl FnOnce(&mut Pending)) {
        note(&mut self.lock());
        self.wake.notify_one();
    }
}

/// The running mirror. Its methods only take notes; none waits. When it goes out of scope, the thread ends by itself,
/// and the table stays.
#[derive(Debug)]
pub struct Mirror {
    shared: Arc<Shared>,
    most: usize,
    thread: Option<JoinHandle<()>>,
}

impl Mirror {
    /// Starts it. It takes over the table of an earlier run and takes out of it what nobody asks for, so what is to stay
    /// blocked has to be in `first`.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn start(
        config: Config,
        observe: bool,
        allow: Vec<IpNet>,
        first: impl IntoIterator<Item = Change>,
    ) -> io::Result<Self> {
        let mut mirror = Self { shared: Arc::default(), most: config.most, thread: None };
        mirror.observe(observe);
        mirror.allow(allow);
        first.into_iter().for_each(|change| mirror.set(change));
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let worker = Worker::new(Arc::clone(&mirror.shared), config);
        mirror.thread = Some(thread::Builder::new().name("nft-mirror".to_owned()).spawn(move || {
            crate::host::be_ordinary();
            runtime.block_on(worker.run());
        })?);
        Ok(mirror)
    }

    /// Notes a change. A later one of the same network replaces it.
    pub fn set(&self, change: Change) {
        let (network, block) = match change {
            Change::Put { network, scope, until } => (network.trunc(), Some((scope, until))),
            Change::Remove(network) => (network.trunc(), None),
        };
        self.shared.ask(|pending| {
            if pending.blocks.len() < self.most || pending.blocks.contains_key(&network) {
                pending.blocks.insert(network, block);
            } else {
                self.shared.refused.fetch_add(1, Relaxed);
            }
        });
    }

    /// Lets these networks pass, whatever is blocked, and no others.
    pub fn allow(&self, networks: Vec<IpNet>) {
        self.shared.ask(|pending| pending.allow = Some(networks));
    }

    /// Drops nothing and only counts, or drops.
    pub fn observe(&self, observe: bool) {
        self.shared.ask(|pending| pending.observe = Some(observe));
    }

    /// How it fares.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let shared = &self.shared;
        Stats {
            applied: shared.applied.load(Relaxed),
            errors: shared.errors.load(Relaxed),
            elements: shared.elements.load(Relaxed),
            drift_repaired: shared.drift_repaired.load(Relaxed),
            refused: shared.refused.load(Relaxed),
            degraded: shared.degraded.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            last_success: stored(shared.last_success.load(Relaxed)),
        }
    }

    /// Ends the thread and waits for it: for the run of nft that is under way, if any. The table stays.
    pub fn stop(mut self) {
        self.tell_to_stop();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }

    fn tell_to_stop(&self) {
        self.shared.stop.store(true, Relaxed);
        self.shared.wake.notify_one();
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.tell_to_stop();
    }
}

/// Asks nft for its version and its tables, and changes nothing. Returns the version as nft tells it.
///
/// # Errors
/// nft cannot be run, or cannot ask the kernel.
pub fn probe(config: &Config) -> Result<String, String> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    runtime.block_on(async {
        let version = apply::nft(config, &["--version"], "").await.map_err(|e| e.to_string())?;
        apply::nft(config, &["list", "tables"], "").await.map_err(|e| e.to_string())?;
        Ok(String::from_utf8_lossy(&version).trim().to_owned())
    })
}

/// Takes our table out of nft, and returns whether there was one. One of the same name that somebody else made stays.
///
/// # Errors
/// nft cannot be run or fails.
pub fn remove(config: &Config) -> Result<bool, Failure> {
    let failure = |cause: String| {
        Failure::failed(
            format!("the table inet {} cannot be removed: {cause}", config.table),
            format!("as root, run: nft delete table inet {}", config.table),
        )
    };
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(|e| failure(e.to_string()))?;
    runtime.block_on(async {
        match worker::look(config, false).await.map_err(|e| failure(e.to_string()))? {
            Found::Ours(held) if held.table => {
                worker::run(config, &vec![Step::DeleteTable]).await.map_err(|e| failure(e.to_string()))?;
                Ok(true)
            }
            Found::Ours(_) | Found::Foreign(_) => Ok(false),
        }
    })
}
