//! The thread that brings nft to what is wanted, and keeps it there.

use std::{
    sync::{Arc, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

use tcpcap_core::Time;
use tokio::time::Instant;
use tracing::{info, warn};

use super::{
    Config, Shared,
    apply::{self, nft},
    layout::{Mode, NEVER},
    plan::{Batch, Held, plan},
    read::{self, Found},
    render::render,
    wanted::Wanted,
};
use crate::host;

/// From the start of a round to the next: at most five runs of nft a second, however many changes come.
const ROUND: Duration = Duration::from_millis(200);
/// How many elements a run takes: tens of milliseconds.
const CHUNK: usize = 5_000;
/// The first wait after a failure; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait after a failure.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Why the table is not as wanted.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// nft does not do it.
    #[error(transparent)]
    Nft(#[from] apply::Error),
    /// It lists what we cannot read.
    #[error("nft's listing is not readable: {0}")]
    Listing(serde_json::Error),
    /// A run cannot be written.
    #[error("cannot write a run for nft: {0}")]
    Render(serde_json::Error),
    /// There is a table of that name that we did not make.
    #[error(
        "the table inet {0} is not tcpcap's: {1}; remove it (nft delete table inet {0}) or choose another name \
         (mirror.nftables.table)"
    )]
    Foreign(String, String),
}

/// What nft holds under our name.
pub(super) async fn look(config: &Config, known: bool) -> Result<Found, Trouble> {
    let text = match nft(config, &["-j", "list", "table", "inet", &config.table], "").await {
        Ok(text) => text,
        Err(failed @ apply::Error::Failed(..)) => {
            // It fails where there is none. Whether that is why is asked in a way that does not depend on its words.
            let tables = nft(config, &["-j", "list", "tables", "inet"], "").await?;
            return match read::lists(&tables, config).map_err(Trouble::Listing)? {
                true => Err(failed.into()),
                false => Ok(Found::Ours(Held::default())),
            };
        }
        Err(error) => return Err(error.into()),
    };
    read::read(&text, config, known, host::now()).map_err(Trouble::Listing)
}

/// Does this, or nothing.
pub(super) async fn run(config: &Config, batch: &Batch) -> Result<(), Trouble> {
    let json = render(config, batch, host::now()).map_err(Trouble::Render)?;
    nft(config, &["-j", "-f", "-"], &json.to_string()).await?;
    Ok(())
}

/// Its state.
pub(super) struct Worker {
    shared: Arc<Shared>,
    config: Config,
    wanted: Wanted,
    /// What nft holds; `None` when that has to be looked at first.
    held: Option<Held>,
    /// The table is known to be ours.
    known: bool,
    next_look: Instant,
    /// After the last failure; zero if there was none since the last success.
    wait: Duration,
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, config: Config) -> Self {
        let (wanted, next_look) = (Wanted::default(), Instant::now());
        Self { shared, config, wanted, held: None, known: false, next_look, wait: Duration::ZERO }
    }

    /// Works until it is told to stop.
    pub(super) async fn run(mut self) {
        while !self.shared.stop.load(Relaxed) {
            let start = Instant::now();
            match self.round().await {
                Ok(()) => {
                    self.recovered();
                    self.pause(start + ROUND, false).await;
                    self.pause(self.next_look, true).await;
                }
                Err(trouble) => {
                    self.degraded(&trouble);
                    self.pause(Instant::now() + self.wait, false).await;
                }
            }
        }
    }

    /// Waits until then, or until there is something to do if that ends the wait, or to the end of all.
    async fn pause(&self, until: Instant, wakeable: bool) {
        while !self.shared.stop.load(Relaxed) {
            if wakeable && self.shared.lock().is_waiting() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep_until(until) => return,
                () = self.shared.wake.notified() => {}
            }
        }
    }

    fn absorb(&mut self) {
        let pending = std::mem::take(&mut *self.shared.lock());
        for (network, block) in pending.blocks {
            match block {
                None => self.wanted.remove(network),
                Some(_) if self.wanted.len() >= self.config.most && !self.wanted.holds(network) => {
                    self.shared.refused.fetch_add(1, Relaxed);
                }
                Some((scope, until)) => self.wanted.put(network, scope, until.unwrap_or(NEVER)),
            }
        }
        if let Some(networks) = pending.allow {
            self.wanted.allow(&networks);
        }
        if let Some(observe) = pending.observe {
            self.wanted.mode = if observe { Mode::Observe } else { Mode::Enforce };
        }
    }

    async fn round(&mut self) -> Result<(), Trouble> {
        self.absorb();
        let held = match self.held.take() {
            Some(held) if Instant::now() < self.next_look => held,
            before => self.look(before).await?,
        };
        let mut held = held;
        let now = host::now();
        held.expire(now);
        self.wanted.expire(now);
        for batch in plan(&held, &mut self.wanted, now, CHUNK) {
            if self.shared.stop.load(Relaxed) {
                return Ok(());
            }
            run(&self.config, &batch).await?;
            self.known = true;
            held.follow(&batch);
            self.shared.applied.fetch_add(1, Relaxed);
            self.shared.elements.store(held.len() as u64, Relaxed);
        }
        self.shared.elements.store(held.len() as u64, Relaxed);
        self.shared.last_success.store(host::now().as_nanos(), Relaxed);
        self.held = Some(held);
        Ok(())
    }

    /// Looks at what nft holds, and whether that is what we left there.
    async fn look(&mut self, before: Option<Held>) -> Result<Held, Trouble> {
        let mut held = match look(&self.config, self.known).await? {
            Found::Ours(held) => held,
            Found::Foreign(why) => return Err(Trouble::Foreign(self.config.table.clone(), why)),
        };
        self.next_look = Instant::now() + self.config.reconcile_every;
        self.wanted.refresh();
        self.wanted.touch_all();
        held.settle(|set, network| {
            let left = before.as_ref().and_then(|b| b.sets.get(&set)).and_then(|elements| elements.get(network));
            [left.copied(), self.wanted.elements(set).get(network).copied()]
        });
        match before {
            Some(before) if held.differs(&before, host::now()) => {
                self.shared.drift_repaired.fetch_add(1, Relaxed);
                warn!(
                    table = self.config.table,
                    "nftables: somebody changed the table inet {} ({} elements where there should be {}); it is repaired",
                    self.config.table,
                    held.len(),
                    before.len()
                );
            }
            Some(_) => {}
            None if held.table && !self.known => {
                info!("nftables: adopted the table inet {} with {} elements", self.config.table, held.len());
            }
            None => {}
        }
        self.known |= held.table;
        Ok(held)
    }

    fn degraded(&mut self, trouble: &Trouble) {
        self.held = None;
        self.shared.errors.fetch_add(1, Relaxed);
        if self.wait.is_zero() {
            warn!("nftables: the mirror is degraded: {trouble}; it is tried again, and nothing else depends on it");
        }
        self.wait = (self.wait * 2).clamp(FIRST_WAIT, LONGEST_WAIT);
        let reason = trouble.to_string();
        *self.shared.degraded.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.into());
    }

    fn recovered(&mut self) {
        if !self.wait.is_zero() {
            info!("nftables: the mirror works again");
            self.wait = Duration::ZERO;
            *self.shared.degraded.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

/// A point in time that was stored; 0 is none.
pub(super) fn stored(nanos: u64) -> Option<Time> {
    (nanos > 0).then_some(Time::from_nanos(nanos))
}
