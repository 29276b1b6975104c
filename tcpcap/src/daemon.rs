//! The daemon: one loop over one closed list of triggers. Nothing else writes blocks, settings or lists.

use std::{collections::VecDeque, fmt, future, sync::Arc, time::Duration};

use ipnet::IpNet;
use tcpcap_common::{
    Addr,
    record::{self, kind},
};
use tcpcap_core::{Engine, Outcome, Preset, Protected, Verdict};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, Interval, MissedTickBehavior, interval, sleep_until},
};
use tracing::{error, info, warn};

use crate::{
    enforce::Enforcer,
    failure::Failure,
    host,
    interfaces::{self, Choice, Interfaces},
    kernel::{Kernel, Networks, OwnAddresses, Ring, Sources, Tally, Tuning, Wish},
    network::{Network, Watch},
    protect::Discovery,
    settings::Settings,
    surface::{
        http::{Health, Shown},
        log::Log,
        metrics::{self, Metrics},
        tell,
    },
    translate,
};

/// How often the kernel's maps are read, blocks swept and failures tried again.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// New connections that are logged one by one between two polls. More are a flood: writing each line would cost more
/// than judging it, and nobody reads them.
const CONNECTION_LINES_PER_POLL: u32 = 10_000;

/// Events taken from the ring at once.
const RING_BATCH: usize = 1024;

/// Events taken from the ring, roughly, before the loop looks at its other triggers.
const RING_TURN: usize = 16 * RING_BATCH;

/// Lines written before the ring is looked at again.
const LINES_AT_ONCE: usize = 4;

/// Everything that wakes the loop.
enum Event {
    /// SIGINT or SIGTERM.
    Stop(&'static str),
    /// The kernel program saw something.
    Kernel,
    /// The detector has a check to make.
    Due,
    /// Time to look at the kernel's maps.
    Poll,
    /// Addresses, routes or interfaces changed.
    Network,
}

/// The running daemon. Dropping it detaches the kernel program.
pub struct Daemon {
    // Detached first.
    interfaces: Interfaces,
    kernel: Kernel,
    tuning: Tuning,
    wish: Wish,
    ring: Ring,
    own: OwnAddresses,
    sources: Sources,
    tally: Tally,
    enforcer: Enforcer,
    engine: Engine,
    protected: Protected,
    discovery: Discovery,
    watch: Watch,
    network: Network,
    poll: Interval,
    interrupt: Signal,
    terminate: Signal,
    batch: Vec<record::Event>,
    /// New connections judged and not yet logged; empty between two turns of the loop.
    to_log: VecDeque<record::Event>,
    verdicts: Vec<Verdict>,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    log: Log,
    preset: Preset,
    observe: bool,
    poll_complained: bool,
    breaker_open: bool,
    connection_lines: u32,
    connections_unlogged: u64,
}

impl Daemon {
    /// Looks at the network, loads the program, fills its lists, and attaches it last.
    ///
    /// # Errors
    /// Whatever is in the way; nothing stays attached then.
    pub async fn start(settings: &Settings, shown: Shown, log: Log) -> Result<Self, Failure> {
        let blind = |e: &dyn fmt::Display| {
            Failure::failed(
                format!("cannot ask the kernel about the network: {e}"),
                "netlink must not be blocked by a filter",
            )
        };
        let mut watch = Watch::open().map_err(|e| blind(&e))?;
        let network = watch.ask().await.map_err(|e| blind(&e))?;
        let names = interfaces::choose(&settings.interfaces, &network)?;
        let signals = |e: std::io::Error| Failure::failed(format!("cannot listen for signals: {e}"), "report this");
        let interrupt = signal(SignalKind::interrupt()).map_err(signals)?;
        let terminate = signal(SignalKind::terminate()).map_err(signals)?;

        let mut kernel = Kernel::load()?;
        let mut tuning = kernel.tuning()?;
        let (mut allowed, mut own_networks) = (kernel.allowed()?, kernel.own_networks()?);
        fill(&mut allowed, &settings.judging.allow)?;
        fill(&mut own_networks, &settings.own)?;
        let wish = Wish {
            observe: settings.judging.observe,
            strays: settings.judging.thresholds.stray.unanswered_pairs.is_some(),
            has_allowed: !allowed.is_empty(),
            has_own_networks: !own_networks.is_empty(),
            ..Wish::default()
        };
        tuning.set(&wish)?;
        let mut protected = Protected::new(settings.own.clone(), settings.judging.allow.clone());
        let discovery = Discovery::start(&settings.protect, &mut protected)
            .map_err(|e| Failure::failed(format!("cannot look for SSH sessions: {e}"), "raise the limit of threads"))?;
        let engine = Engine::new(&settings.judging.engine());
        let (metrics, health) = (shown.metrics, shown.health);
        let enforcer = Enforcer::new(kernel.blocks()?, Arc::clone(&metrics));
        let (ring, sources, tally) = (kernel.ring()?, kernel.sources()?, kernel.tally()?);
        let mut own = kernel.own_addresses()?;
        write_own(&mut own, &network)?;
        let choice = Choice { mode: settings.mode, egress: settings.egress };
        let interfaces = Interfaces::attach(&mut kernel, &names, &network, choice, Arc::clone(&metrics))?;
        let mut poll = interval(POLL_INTERVAL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut daemon = Self {
            interfaces,
            kernel,
            tuning,
            wish,
            ring,
            own,
            sources,
            tally,
            enforcer,
            engine,
            protected,
            discovery,
            watch,
            network,
            poll,
            interrupt,
            terminate,
            batch: Vec::with_capacity(RING_BATCH),
            to_log: VecDeque::new(),
            verdicts: Vec::new(),
            metrics,
            health,
            log,
            preset: settings.judging.preset,
            observe: settings.judging.observe,
            poll_complained: false,
            breaker_open: false,
            connection_lines: 0,
            connections_unlogged: 0,
        };
        daemon.take_network()?;
        daemon.tune()?;
        daemon.poll();
        Ok(daemon)
    }

    /// Runs until a signal stops it.
    ///
    /// # Errors
    /// The event ring can no longer be read.
    pub async fn run(&mut self) -> Result<(), Failure> {
        loop {
            match self.next().await? {
                Event::Stop(signal) => {
                    self.poll();
                    info!("tcpcap stops on {signal} and lets go of its blocks: {}", self.enforcer.len());
                    return Ok(());
                }
                Event::Kernel => self.take_events(),
                Event::Due => self.advance(),
                Event::Poll => {
                    self.advance();
                    self.expire();
                    self.follow_network().await;
                    self.follow_protected();
                    self.poll();
                }
                Event::Network => self.follow_network().await,
            }
        }
    }

    async fn next(&mut self) -> Result<Event, Failure> {
        let due = self.engine.next_due().map(|due| Instant::now() + due.since(host::now()));
        let due = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => future::pending().await,
            }
        };
        // The ring is looked at after what is rare, so that a flood of events starves nothing.
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => Ok(Event::Stop("SIGINT")),
            _ = self.terminate.recv() => Ok(Event::Stop("SIGTERM")),
            _ = self.poll.tick() => Ok(Event::Poll),
            () = due => Ok(Event::Due),
            () = self.watch.changed() => Ok(Event::Network),
            read = self.ring.read(&mut self.batch, RING_BATCH) => match read {
                Ok(()) => Ok(Event::Kernel),
                Err(e) => Err(Failure::failed(format!("the event ring cannot be read any more: {e}"), "restart tcpcap")),
            },
        }
    }

    /// Judges what comes out of the ring, each event at once. Logging waits while there is something to judge: writing a
    /// line takes as long as several verdicts, and a scanner uses the time.
    fn take_events(&mut self) {
        let mut taken = 0;
        loop {
            taken += self.batch.len();
            self.judge();
            if taken < RING_TURN {
                self.ring.take(&mut self.batch, RING_BATCH);
            }
            if self.batch.is_empty() {
                if self.to_log.is_empty() {
                    break;
                }
                let some = self.to_log.len().min(LINES_AT_ONCE);
                self.to_log.drain(..some).for_each(|event| tell::connection(&event));
            }
        }
        self.report();
        metrics::set(&self.metrics.events_misshapen, self.ring.misshapen);
    }

    /// Judges a batch of events, and empties it.
    fn judge(&mut self) {
        self.metrics.events_read.inc_by(self.batch.len() as u64);
        let mut batch = std::mem::take(&mut self.batch);
        for event in batch.drain(..) {
            let acted = self.verdicts.len();
            self.engine.see(&translate::sighting(&event), &self.protected, &mut self.verdicts);
            self.enforce_from(acted);
            if event.kind != kind::ATTEMPT {
                continue;
            }
            if self.connection_lines < CONNECTION_LINES_PER_POLL {
                self.connection_lines += 1;
                self.to_log.push_back(event);
            } else {
                self.connections_unlogged += 1;
            }
        }
        // Its memory is used again.
        self.batch = batch;
    }

    /// Lets the detector make the checks that are due.
    fn advance(&mut self) {
        self.engine.advance(host::now(), &self.protected, &mut self.verdicts);
        self.enforce_from(0);
        self.report();
    }

    /// Writes the blocks among the verdicts from the given one on.
    fn enforce_from(&mut self, first: usize) {
        for verdict in &self.verdicts[first..] {
            if let Some((source, block)) = translate::block(verdict) {
                self.enforcer.block(source, block);
                self.metrics.event_to_block.observe(host::now().since(verdict.finding.time).as_secs_f64());
            }
        }
    }

    /// Counts and logs the verdicts, and is done with them.
    fn report(&mut self) {
        for verdict in self.verdicts.drain(..) {
            let Verdict { finding, decision } = &verdict;
            self.metrics.count_finding(finding.rule.name(), finding.window);
            self.metrics.count_decision(decision.outcome.name());
            tell::verdict(&verdict);
            if let Outcome::Block { .. } = decision.outcome {
                self.metrics.processed_blocks.inc();
            }
        }
    }

    /// Takes blocks out that are over.
    fn expire(&mut self) {
        for source in self.engine.expire(host::now()) {
            let counted = self.enforcer.unblock(source);
            tell::unblock(source, &counted, self.observe);
        }
    }

    /// Asks for the network's present state when it is time to, and acts on what has changed.
    async fn follow_network(&mut self) {
        if !self.watch.is_due(!self.interfaces.are_all_up()) {
            return;
        }
        match self.watch.ask().await {
            Ok(network) if network == self.network && self.interfaces.are_all_up() => {}
            Ok(network) => {
                self.network = network;
                self.interfaces.follow(&mut self.kernel, &self.network);
                if let Err(f) = self.take_network() {
                    self.metrics.poll_errors.inc();
                    error!("own addresses are out of date: {}", f.cause);
                }
                if let Err(f) = self.tune() {
                    self.metrics.poll_errors.inc();
                    error!("the kernel program goes on as it was told before: {}", f.cause);
                }
            }
            Err(e) => {
                self.metrics.poll_errors.inc();
                warn!("cannot ask the kernel about the network: {e}");
            }
        }
    }

    /// Hands the network's present addresses and gateways to the kernel program and to the policy.
    fn take_network(&mut self) -> Result<(), Failure> {
        self.protected.set_host(self.network.addresses.iter().copied(), self.network.gateways.iter().copied());
        self.lift_protected();
        write_own(&mut self.own, &self.network)?;
        self.health.set_ready(self.interfaces.are_all_up());
        Ok(())
    }

    /// Takes in who else must never be blocked.
    fn follow_protected(&mut self) {
        let failures = self.discovery.failures();
        if let Some(ended) = self.discovery.refresh(&mut self.protected) {
            self.lift_protected();
            ended.into_iter().for_each(|ip| self.engine.unprotect(ip));
        }
        self.metrics.poll_errors.inc_by(self.discovery.failures() - failures);
    }

    /// Lifts the blocks of sources that have become protected.
    fn lift_protected(&mut self) {
        for (source, why) in self.engine.lift_protected(&self.protected) {
            let counted = self.enforcer.unblock(source);
            tell::lift(source, why, &counted);
        }
    }

    /// Tells the kernel program whether our answers are in view, where that has changed.
    fn tune(&mut self) -> Result<(), Failure> {
        let wish = Wish { egress_view: self.interfaces.show_answers(), ..self.wish };
        if wish != self.wish {
            self.tuning.set(&wish)?;
            self.wish = wish;
        }
        Ok(())
    }

    /// Reads the kernel's counters and records, and tries again what failed.
    fn poll(&mut self) {
        let start = std::time::Instant::now();
        let mut problem = None;
        match self.tally.read() {
            Ok(tally) => self.metrics.take_tally(&tally),
            Err(e) => problem = Some(e.to_string()),
        }
        let mut over_budget = 0i64;
        let walked = self.sources.walk(|_: Addr, record: record::Source| {
            over_budget += i64::from(record.events_withheld > 0);
        });
        match walked {
            Ok(n) => {
                self.metrics.source_records.set(i64::try_from(n).unwrap_or(i64::MAX));
                self.metrics.source_records_over_budget.set(over_budget);
            }
            Err(e) => problem = Some(e.to_string()),
        }
        self.enforcer.retry(host::now());
        self.connection_lines = 0;
        let unlogged = std::mem::take(&mut self.connections_unlogged);
        if unlogged > 0 {
            self.metrics.connections_unlogged.inc_by(unlogged);
            warn!(event = "flood", unlogged, "{unlogged} more new connections, too many to log each");
        }
        if let Some(problem) = &problem {
            self.metrics.poll_errors.inc();
            if !self.poll_complained {
                warn!("counters are out of date, a map cannot be read: {problem}");
            }
        }
        self.poll_complained = problem.is_some();
        let stats = self.engine.stats();
        self.metrics.tracked_sources.set(i64::try_from(stats.tracked_sources).unwrap_or(i64::MAX));
        metrics::set(&self.metrics.evicted_sources, stats.evicted_sources);
        metrics::set(&self.metrics.unwatched_attempts, stats.unwatched_attempts);
        self.watch_breaker();
        metrics::set(&self.metrics.log_lines_dropped, self.log.dropped());
        self.metrics.poll_seconds.set(start.elapsed().as_secs_f64());
        self.health.beat();
    }

    /// Says so once when the circuit breaker opens, and once when it has closed.
    fn watch_breaker(&mut self) {
        let open = self.engine.is_breaker_open(host::now());
        self.metrics.breaker_open.set(i64::from(open));
        if std::mem::replace(&mut self.breaker_open, open) != open {
            tell::breaker(open);
        }
    }
}

/// `watching eth0 (native) for 3 own addresses, balanced preset`
impl fmt::Display for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = self.network.addresses.len();
        write!(f, "watching {} for {own} own addresses, {} preset", self.interfaces, self.preset)?;
        if self.observe { f.write_str(", observing only") } else { Ok(()) }
    }
}

fn fill(list: &mut Networks<u32>, networks: &[IpNet]) -> Result<(), Failure> {
    networks.iter().try_for_each(|network| {
        list.put(network, 1)
            .map_err(|e| Failure::failed(format!("the kernel refuses network {network}: {e}"), "name fewer networks"))
    })
}

fn write_own(own: &mut OwnAddresses, network: &Network) -> Result<(), Failure> {
    own.set(&network.addresses).map(drop).map_err(|e| {
        Failure::failed(
            format!("the kernel refuses the own addresses: {e}"),
            "has this host more than 16,384 addresses?",
        )
    })
}
