//! The start, in the order in which it may fail. Nothing is attached before everything that can be wrong has been looked
//! at, and what an earlier daemon left goes on in the kernel until this one is ready to take its place.

use std::{
    collections::{BTreeSet, VecDeque},
    fmt,
    path::Path,
    sync::Arc,
};

use ipnet::IpNet;
use tcpcap_common::Addr;
use tcpcap_core::{Engine, Protected, Source, Time};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};
use tracing::warn;

use super::{
    Daemon, POLL_INTERVAL, RING_BATCH,
    chronicle::{self, Chronicle},
    denying::{self, Denying},
    follow::allowed_networks,
    live::Live,
    notify::Notify,
    pulse::Pulse,
};
use crate::{
    block::Block,
    control::Request,
    enforce::{Allowed, Enforcer, Place, is_automatic, is_listed},
    failure::Failure,
    history::Restored,
    host,
    interfaces::{self, Choice, Interfaces},
    kernel::{BPFFS, Kernel, Networks, Pins, Refusal, Sizes, Wish},
    lists::Plan,
    network::{Network, Watch},
    protect::Discovery,
    settings::{RunArgs, Settings},
    surface::{http::Shown, log::Log, metrics::gauge, tell},
    translate,
};

/// Room in the hash of sources beside what lists name: for rules, for operators, and for lists to grow.
const ROOM: usize = crate::kernel::BLOCKS as usize;

/// What the host looks like, and what is to be denied there.
struct Surroundings {
    watch: Watch,
    network: Network,
    protected: Protected,
    discovery: Discovery,
    denying: Denying,
    plan: Arc<Plan>,
}

impl Surroundings {
    async fn look(settings: &Settings) -> Result<Self, Failure> {
        let blind = |e: &dyn fmt::Display| {
            Failure::failed(
                format!("cannot ask the kernel about the network: {e}"),
                "netlink must not be blocked by a filter",
            )
        };
        let threads = |what: &str| {
            let what = what.to_owned();
            move |e: std::io::Error| Failure::failed(format!("cannot {what}: {e}"), "raise the limit of threads")
        };
        let mut watch = Watch::open().map_err(|e| blind(&e))?;
        let network = watch.ask().await.map_err(|e| blind(&e))?;
        let mut protected = Protected::new(settings.own.clone(), settings.judging.allow.clone());
        protected.set_host(network.addresses.iter().copied(), network.gateways.iter().copied());
        let discovery =
            Discovery::start(&settings.protect, &mut protected).map_err(threads("look for SSH sessions"))?;
        let mut denying =
            Denying::start(settings.deny.clone(), settings.feeds.clone()).map_err(threads("read lists"))?;
        let plan = denying.first(&protected).await;
        denying::tell_refusals(&plan);
        Ok(Self { watch, network, protected, discovery, denying, plan })
    }
}

/// The pins, or why there are none.
pub type Claimed = Result<Arc<Pins>, String>;

/// Takes the pins, or says why there are none.
///
/// # Errors
/// Another tcpcap has them.
pub fn claim() -> Result<Claimed, Failure> {
    match Pins::claim(Path::new(BPFFS)) {
        Ok(pins) => Ok(Ok(Arc::new(pins))),
        Err(Refusal::Unusable { why, remedy }) => {
            tell::unpinned(&why, &remedy);
            Ok(Err(why))
        }
        Err(Refusal::Held(pid)) => Err(already_running(pid)),
    }
}

/// Another tcpcap runs in this network namespace.
pub(crate) fn already_running(pid: Option<u32>) -> Failure {
    match pid {
        Some(pid) => Failure::failed(
            format!("tcpcap is running here already, as process {pid}"),
            format!("stop that first: `systemctl stop tcpcap`, or `kill {pid}`"),
        ),
        None => Failure::failed(
            "tcpcap is running here already, in another container it seems",
            "stop that first: two would undo each other's blocks",
        ),
    }
}

impl Daemon {
    /// Looks at the network, loads the program, fills its lists, and attaches it last. What an earlier daemon left is taken
    /// over.
    ///
    /// # Errors
    /// Whatever is in the way; nothing stays attached then that was not before.
    pub async fn start(
        args: RunArgs,
        settings: Settings,
        shown: Shown,
        pins: Claimed,
        requests: mpsc::Receiver<Request>,
        log: Log,
    ) -> Result<Self, Failure> {
        let surroundings = Surroundings::look(&settings).await?;
        let started = Self::start_with(args, settings, shown, requests, log, surroundings, pins.clone());
        if started.is_err()
            && let Ok(pins) = pins
        {
            pins.remove_unless_linked();
        }
        started
    }

    #[allow(clippy::too_many_lines, reason = "one thing after the other")]
    fn start_with(
        args: RunArgs,
        settings: Settings,
        shown: Shown,
        requests: mpsc::Receiver<Request>,
        log: Log,
        surroundings: Surroundings,
        pins: Claimed,
    ) -> Result<Self, Failure> {
        let Surroundings { watch, network, protected, discovery, denying, plan } = surroundings;
        let names = interfaces::choose(&settings.interfaces, &network)?;
        let signals = |e: std::io::Error| Failure::failed(format!("cannot listen for signals: {e}"), "report this");
        let interrupt = signal(SignalKind::interrupt()).map_err(signals)?;
        let terminate = signal(SignalKind::terminate()).map_err(signals)?;
        let hangup = signal(SignalKind::hangup()).map_err(signals)?;
        let held = pins.as_deref().ok();
        let fresh = held.is_none_or(|pins| !pins.has_blocks());

        let listed = usize::try_from(plan.counts().exact).unwrap_or(usize::MAX);
        // Lists may grow by an eighth before there is no room for them.
        let sources = if listed == 0 { ROOM } else { ROOM.saturating_add(listed + listed / 8) };
        let sizes = Sizes { blocks: u32::try_from(sources).unwrap_or(u32::MAX) };
        let mut kernel = Kernel::load_with(held, sizes)?;
        shown.metrics.set_room(kernel.room());
        let tuning = kernel.tuning()?;
        let mut tables = kernel.tables()?;
        if let Some(pins) = held {
            let moved = pins.take_over(&mut tables)?;
            if moved > 0 {
                tell::migrated(moved);
            }
        }
        let (ring, counters, tally) = (kernel.ring()?, kernel.sources()?, kernel.tally()?);
        let (metrics, health) = (shown.metrics, shown.health);
        metrics.enforcement.pinned.set(i64::from(held.is_some()));
        denying.show(&metrics.enforcement);
        metrics.process.start();
        let unreadable = |what: &str| {
            let what = what.to_owned();
            move |e: std::io::Error| {
                Failure::failed(
                    format!("cannot read the {what} in the kernel: {e}"),
                    "take it out with `tcpcap detach`",
                )
            }
        };
        let (chronicle, restored) = Chronicle::open(&settings.state, settings.history, Arc::clone(&shown.hub));
        let mut own_networks = tables.own_networks;
        make(&mut own_networks, &settings.own)?;
        let allowed = Allowed::new(tables.allowed).map_err(unreadable("allow list"))?;
        let enforcer =
            Enforcer::new(tables.blocks, tables.networks, sources, settings.judging.caps.entries, Arc::clone(&metrics));
        let mut poll = interval(POLL_INTERVAL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut daemon = Self {
            interfaces: Interfaces::none(Arc::clone(&metrics)),
            pins,
            kernel,
            tuning,
            wish: Wish::default(),
            ring,
            own: tables.own,
            own_networks,
            sources: counters,
            tally,
            enforcer,
            allowed,
            engine: Engine::new(&settings.judging.engine()),
            protected,
            allowed_by_command: BTreeSet::new(),
            discovery,
            denying,
            chronicle,
            hub: shown.hub,
            live: Live::default(),
            pulse: Pulse::default(),
            notify: Notify::of_process(),
            watch,
            network,
            requests,
            poll,
            interrupt,
            terminate,
            hangup,
            batch: Vec::with_capacity(RING_BATCH),
            to_log: VecDeque::new(),
            verdicts: Vec::new(),
            metrics,
            health,
            log,
            args,
            settings,
            started: host::now(),
            poll_complained: false,
            breaker_open: false,
        };
        daemon.take_over(restored, plan, fresh).map_err(unreadable("block lists"))?;
        daemon.set_allowed();
        daemon.tune_first()?;
        daemon.own.set(&daemon.network.addresses).map_err(|e| {
            Failure::failed(
                format!("the kernel refuses the own addresses: {e}"),
                "has this host more than 16,384 addresses?",
            )
        })?;
        let choice = Choice { mode: daemon.settings.mode, egress: daemon.settings.egress };
        daemon.interfaces = Interfaces::attach(
            &mut daemon.kernel,
            &names,
            &daemon.network,
            choice,
            daemon.pins.clone().ok(),
            Arc::clone(&daemon.metrics),
        )?;
        if let Ok(pins) = &daemon.pins {
            pins.drop_old();
        }
        daemon.start_mirror()?;
        daemon.take_network()?;
        daemon.tune()?;
        daemon.poll();
        Ok(daemon)
    }

    /// Takes over the blocks that an earlier daemon left in the kernel or, when the kernel has none, in the history; then
    /// makes the kernel's lists what is wanted now.
    fn take_over(&mut self, restored: Restored, plan: Arc<Plan>, fresh: bool) -> std::io::Result<()> {
        let now = host::now();
        let mut adopted = 0;
        let Restored { blocks, repeaters, allowed, .. } = restored;
        for (place, entry) in self.enforcer.found()? {
            // Who made an entry that does not say what it is, nobody knows: it is not wanted.
            let Some(block) = translate::block_of(place.network(), &entry) else { continue };
            if is_listed(&entry) || block.until.is_some_and(|until| until <= now) {
                continue;
            }
            match (place, block.until) {
                (Place::Source(source), Some(until)) if is_automatic(&entry) => {
                    self.engine.restore(source, until, block.times.max(1), block.unverified);
                    self.enforcer.adopt(source, entry);
                }
                _ if is_automatic(&entry) => continue,
                _ => {
                    // The words are in the history.
                    let known = blocks.iter().find(|b| b.network == block.network && !chronicle::is_automatic(b));
                    let why = known.map_or_else(|| block.why.clone(), |known| known.why.clone());
                    self.enforcer.adopt_operator(Block { why, ..block });
                }
            }
            adopted += 1;
        }
        if fresh {
            for block in blocks {
                self.restore(block, now);
                adopted += 1;
            }
        }
        for repeater in repeaters {
            self.engine.remember(Source(Addr::from(repeater.network.network())), repeater.forget_after, repeater.times);
        }
        self.allowed_by_command = allowed.into_iter().map(|entry| entry.network).collect();
        self.metrics.enforcement.adopted.inc_by(adopted);
        self.enforcer.begin(plan, self.denying.is_whole(), now);
        // Before the first entry of a list is in force, who must pass does.
        self.allowed.set(&allowed_networks(&self.protected)).map_err(std::io::Error::other)?;
        self.enforcer.reconcile_all()?;
        self.metrics.enforcement.never_block.set(gauge(self.protected.iter().count()));
        if adopted > 0 {
            tell::adopted(adopted);
        }
        Ok(())
    }

    /// Takes a block over from the history: the kernel has lost it, with the boot for example.
    fn restore(&mut self, block: Block, now: Time) {
        match block.until {
            Some(until) if until <= now => {}
            Some(until) if chronicle::is_automatic(&block) => {
                let source = Source(Addr::from(block.network.network()));
                self.engine.restore(source, until, block.times.max(1), block.unverified);
                self.enforcer.adopt(source, translate::entry(&block));
            }
            None if chronicle::is_automatic(&block) => {}
            _ => self.enforcer.adopt_operator(block),
        }
    }

    fn start_mirror(&mut self) -> Result<(), Failure> {
        let Some(config) = self.settings.mirror.wanted().cloned() else { return Ok(()) };
        let allowed = allowed_networks(&self.protected).into_iter().collect();
        self.enforcer.start_mirror(config, self.settings.judging.observe, allowed).map_err(|e| {
            Failure::failed(format!("cannot start the nftables mirror: {e}"), "raise the limit of threads")
        })
    }
}

/// Makes a list of networks hold exactly these.
fn make(list: &mut Networks<u32>, networks: &[IpNet]) -> Result<(), Failure> {
    let refused = |e: &dyn fmt::Display| {
        Failure::failed(format!("the kernel refuses the list of own networks: {e}"), "name fewer networks with --own")
    };
    let mut found = Vec::new();
    list.walk(|network, _| found.push(network)).map_err(|e| refused(&e))?;
    networks.iter().try_for_each(|network| list.put(network, 1)).map_err(|e| refused(&e))?;
    for gone in found.into_iter().filter(|network| !networks.contains(network)) {
        list.remove(&gone).map_err(|e| refused(&e))?;
    }
    Ok(())
}

impl Daemon {
    /// Takes everything out of the kernel if that is wanted at the end, and writes the last of the history.
    pub fn end(self) {
        self.chronicle.flush();
        if !self.settings.detach {
            return;
        }
        self.interfaces.detach();
        if let Ok(pins) = &self.pins
            && let Err(e) = pins.remove()
        {
            warn!("not everything could be taken out of the kernel: {e}; `tcpcap detach` tries again");
        }
        if let Some(config) = self.settings.mirror.wanted()
            && let Err(failure) = crate::mirror::remove(config)
        {
            warn!("{}; {}", failure.cause, failure.remedy);
        }
    }
}
