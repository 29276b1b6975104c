//! The daemon: one loop over one closed list of triggers. Nothing else writes blocks, settings or lists.

mod chronicle;
mod denying;
mod explain;
mod follow;
mod live;
mod notify;
mod operator;
mod poll;
mod pulse;
mod reload;
mod show;
mod start;

use std::{
    collections::{BTreeSet, VecDeque},
    future,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use ipnet::IpNet;
use tcpcap_common::record::{self, kind};
use tcpcap_core::{Engine, Outcome, Protected, Source, Time, Verdict};
use tokio::{
    signal::unix::Signal,
    sync::mpsc,
    time::{Instant, Interval, sleep_until},
};
use tracing::{error, info};

use crate::{
    control::{
        Request,
        stream::{Happened, Hub, Passing, Told},
    },
    enforce::{Allowed, Enforcer},
    failure::Failure,
    host,
    interfaces::Interfaces,
    kernel::{Kernel, Networks, OwnAddresses, Ring, Sources, Tally, Tuning, Wish},
    network::{Network, Watch},
    protect::Discovery,
    settings::{RunArgs, Settings},
    surface::{
        http::Health,
        log::Log,
        metrics::{self, Metrics},
        tell,
    },
    translate,
};
use chronicle::Chronicle;
use denying::{Denying, Heard};
use live::Live;
use notify::Notify;
use pulse::Pulse;
pub(crate) use start::already_running;
pub use start::{Claimed, claim};

/// How often the kernel's maps are read, blocks swept and failures tried again.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Events that waited longer in the ring were for a daemon that was not there: what they tell is past.
const STALE_AFTER: Duration = Duration::from_secs(60);

/// For how long the reflex does not look at a source that a verdict spared: the detector is silent about it for as long.
const SPARED_FOR: Duration = Duration::from_secs(60);

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
    /// SIGHUP.
    Reload,
    /// The kernel program saw something.
    Kernel,
    /// The detector has a check to make.
    Due,
    /// Time to look at the kernel's maps.
    Poll,
    /// Addresses, routes or interfaces changed.
    Network,
    /// Feeds were read, or a plan of them is made.
    Lists(Heard),
    /// An operator wants something.
    Command(Request),
    /// The way to a new plan goes on.
    Step,
    /// The service manager wants to hear that the loop lives.
    Sign,
}

/// The running daemon. What is pinned stays in force when it is dropped.
pub struct Daemon {
    // Where nothing is pinned, dropping takes the programs off: before their maps go.
    interfaces: Interfaces,
    pins: Claimed,
    kernel: Kernel,
    tuning: Tuning,
    wish: Wish,
    ring: Ring,
    own: OwnAddresses,
    own_networks: Networks<u32>,
    sources: Sources,
    tally: Tally,
    enforcer: Enforcer,
    allowed: Allowed,
    engine: Engine,
    protected: Protected,
    /// What operators allowed by command.
    allowed_by_command: BTreeSet<IpNet>,
    discovery: Discovery,
    denying: Denying,
    chronicle: Chronicle,
    hub: Arc<Hub>,
    live: Live,
    pulse: Pulse,
    notify: Notify,
    watch: Watch,
    network: Network,
    requests: mpsc::Receiver<Request>,
    poll: Interval,
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    batch: Vec<record::Event>,
    /// New connections judged and not yet logged; empty between two turns of the loop.
    to_log: VecDeque<record::Event>,
    verdicts: Vec<Verdict>,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    log: Log,
    /// As typed, to be resolved again.
    args: RunArgs,
    settings: Settings,
    started: Time,
    poll_complained: bool,
    breaker_open: bool,
}

impl Daemon {
    /// Runs until a signal stops it.
    ///
    /// # Errors
    /// The event ring can no longer be read.
    pub async fn run(&mut self) -> Result<(), Failure> {
        self.notify.ready(self.in_a_line());
        loop {
            match self.next().await? {
                Event::Stop(signal) => {
                    self.notify.stopping();
                    self.poll();
                    info!("tcpcap stops on {signal}: {}", self.left_behind());
                    return Ok(());
                }
                Event::Reload => drop(self.reload("SIGHUP")),
                Event::Kernel => self.take_events(),
                Event::Due => self.advance(),
                Event::Poll => {
                    self.advance();
                    self.expire();
                    self.follow_network().await;
                    self.follow_protected();
                    self.poll();
                    self.notify_status();
                }
                Event::Network => self.follow_network().await,
                Event::Lists(heard) => self.follow_lists(heard),
                Event::Command(request) => self.obey(request),
                Event::Step => {}
                Event::Sign => self.notify.alive(),
            }
            // A piece of it with each turn, so that neither holds up the other.
            self.enforcer.step();
            self.take_given_way();
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
            _ = self.hangup.recv() => Ok(Event::Reload),
            () = self.notify.wants_a_sign() => Ok(Event::Sign),
            _ = self.poll.tick() => Ok(Event::Poll),
            () = due => Ok(Event::Due),
            () = self.watch.changed() => Ok(Event::Network),
            heard = self.denying.hear() => Ok(Event::Lists(heard)),
            Some(request) = self.requests.recv() => Ok(Event::Command(request)),
            read = self.ring.read(&mut self.batch, RING_BATCH) => match read {
                Ok(()) => Ok(Event::Kernel),
                Err(e) => Err(Failure::failed(format!("the event ring cannot be read any more: {e}"), "restart tcpcap")),
            },
            () = future::ready(()), if self.enforcer.is_under_way() => Ok(Event::Step),
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
                let hub = self.hub.wants_connections().then(|| Arc::clone(&self.hub));
                for event in self.to_log.drain(..some) {
                    tell::connection(&event);
                    if let Some(hub) = &hub {
                        hub.tell(|| connection(&event));
                    }
                }
            }
        }
        self.report();
        metrics::set(&self.metrics.events_misshapen, self.ring.misshapen);
    }

    /// Judges a batch of events, and empties it.
    fn judge(&mut self) {
        self.metrics.events_read.inc_by(self.batch.len() as u64);
        let mut batch = std::mem::take(&mut self.batch);
        let now = host::now();
        for event in batch.drain(..) {
            if now.since(Time::from_nanos(event.time)) > STALE_AFTER {
                self.metrics.enforcement.events_stale.inc();
                continue;
            }
            let acted = self.verdicts.len();
            self.engine.see(&translate::sighting(&event), &self.protected, &mut self.verdicts);
            self.enforce_from(acted);
            if event.kind != kind::ATTEMPT {
                continue;
            }
            if self.log.takes_connection(now) {
                self.to_log.push_back(event);
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
            if let Some((source, from)) = counted_anew(verdict) {
                let_go(&mut self.sources, source, from, &self.metrics);
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
            let blocked = matches!(decision.outcome, Outcome::Block { .. });
            self.metrics.processed_blocks.inc_by(u64::from(blocked));
            self.pulse.count(blocked);
            self.chronicle.verdict(verdict);
        }
    }

    /// Takes blocks out that are over.
    fn expire(&mut self) {
        let now = host::now();
        for source in self.engine.expire(now) {
            let counted = self.enforcer.unblock(source);
            tell::unblock(source.network(), &counted, self.settings.judging.observe);
            self.chronicle.ended(source.network(), &counted, now);
        }
        for network in self.enforcer.over(now) {
            if let Some((block, counted)) = self.enforcer.unblock_for_operator(network) {
                tell::unblock(network, &counted, self.settings.judging.observe);
                self.chronicle.operator_ended(block, &counted, now);
            }
        }
    }

    /// Tells of automatic blocks that gave way to an operator's.
    fn take_given_way(&mut self) {
        while let Some(source) = self.enforcer.take_given_way() {
            self.engine.forget(source);
            tell::gave_way(source);
            self.chronicle.lifted(
                source.network(),
                &record::Block::default(),
                "gave way to an operator's",
                host::now(),
            );
        }
    }
}

/// Whom the reflex need not hold any more, and from when on it is to count anew, as the detector does: who is blocked, when
/// that is over; who must not be, or in whose name somebody else scans, for some time not at all.
fn counted_anew(verdict: &Verdict) -> Option<(Source, Time)> {
    let Verdict { finding, decision } = verdict;
    match decision.outcome {
        Outcome::Block { until } | Outcome::Extend { until } | Outcome::Observe { until } => {
            Some((finding.source?, until))
        }
        Outcome::Suppressed(_) => Some((finding.source?, finding.time + SPARED_FOR)),
        Outcome::Alert => Some((finding.in_name_of?, finding.time + SPARED_FOR)),
    }
}

/// Has the reflex let a source go, and look at it again from then on.
fn let_go(sources: &mut Sources, source: Source, from: Time, metrics: &Metrics) {
    if let Err(e) = sources.let_go(source.0, from.as_nanos()) {
        metrics.poll_errors.inc();
        error!("the reflex may hold {source} for a second more, the kernel refuses to change its record: {e}");
    }
}

/// A new connection, for listeners.
fn connection(event: &record::Event) -> Happened {
    let from = SocketAddr::new(event.from.to_ip(), event.from_port);
    let to = SocketAddr::new(event.to.to_ip(), event.to_port);
    Happened { time: wall(Time::from_nanos(event.time)), what: Told::Passing(Passing::Connection { from, to }) }
}

/// The wall clock's time of a moment of this boot.
fn wall(at: Time) -> SystemTime {
    let ago: Duration = host::now().since(at);
    SystemTime::now().checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH)
}
