//! What the daemon tells the history. Where there is none it tells nobody, and nothing else changes.

use std::{collections::VecDeque, path::Path, sync::Arc, time::Duration};

use ipnet::IpNet;
use tcpcap_common::record;
use tcpcap_core::{Outcome, Time, Verdict, decide};

use crate::{
    block::{Block, Why},
    control::{
        PartShown,
        stream::{Happened, Hub, Told},
    },
    history::{
        AllowedEntry, Change, Command, Drops, Entry, History, HostClock, Limits, Repeater, Restored, What, Who,
        history_in,
    },
    host,
    surface::{metrics::Enforcement, tell},
    translate,
};

/// How long an operator waits for a command to be on disk.
const COMMAND_WITHIN: Duration = Duration::from_secs(1);

/// Findings that are kept in memory, for those who look at what goes on now.
const FINDINGS: usize = 500;

/// The history, or why there is none.
pub(super) struct Chronicle {
    history: Result<Arc<History>, String>,
    hub: Arc<Hub>,
    /// The latest findings, the newest first, whether there is a history or not.
    findings: VecDeque<Arc<Happened>>,
}

impl Chronicle {
    /// Opens the history, and tells what it holds that still counts. Without it the daemon goes on.
    pub(super) fn open(directory: &Path, limits: Limits, hub: Arc<Hub>) -> (Self, Restored) {
        let (history, restored) = match History::open(&history_in(directory), limits, Arc::new(HostClock)) {
            Ok((history, restored)) => (Ok(Arc::new(history)), restored),
            Err(problem) => {
                tell::no_history(&problem);
                (Err(problem.cause), Restored::default())
            }
        };
        (Self { history, hub, findings: VecDeque::new() }, restored)
    }

    fn record(&self, entry: Entry) {
        self.hub.try_tell(|| happened(&entry));
        self.keep(entry);
    }

    fn keep(&self, entry: Entry) {
        if let Ok(history) = &self.history {
            history.record(entry);
        }
    }

    /// The latest findings, the newest first.
    pub(super) fn findings(&self) -> impl Iterator<Item = &Arc<Happened>> {
        self.findings.iter()
    }

    fn found(&mut self, verdict: Verdict) {
        let entry = Entry::Verdict(verdict);
        if let Some(happened) = happened(&entry).map(Arc::new) {
            if self.findings.len() == FINDINGS {
                self.findings.pop_back();
            }
            self.findings.push_front(Arc::clone(&happened));
            self.hub.pass_on(happened);
        }
        self.keep(entry);
    }

    /// A rule fired.
    pub(super) fn verdict(&mut self, verdict: Verdict) {
        if let Some((source, entry)) = translate::block(&verdict)
            && !matches!(verdict.decision.outcome, Outcome::Observe { .. })
            && let Some(block) = translate::block_of(source.network(), &entry)
        {
            let change = match verdict.decision.outcome {
                Outcome::Extend { .. } => Change::Extended,
                _ => Change::Begun,
            };
            let at = verdict.finding.time;
            self.repeater(&block);
            self.found(verdict);
            self.record(Entry::Block { block, change, at });
        } else {
            self.found(verdict);
        }
    }

    fn repeater(&self, block: &Block) {
        if let Some(until) = block.until {
            let forget_after = until + decide::REPEATER_MEMORY;
            self.record(Entry::Repeater(Repeater { network: block.network, times: block.times, forget_after }));
        }
    }

    /// An automatic block's time was over; `entry` is what stood in the kernel.
    pub(super) fn ended(&self, network: IpNet, entry: &record::Block, at: Time) {
        if let Some(block) = translate::block_of(network, entry) {
            self.record(Entry::Block { block, change: Change::Ended(drops(entry)), at });
        }
    }

    /// An automatic block was ended before its time; its source is no repeater.
    pub(super) fn lifted(&self, network: IpNet, entry: &record::Block, by: &str, at: Time) {
        self.record(Entry::Forgotten(network));
        if let Some(block) = translate::block_of(network, entry) {
            self.record(Entry::Block { block, change: lifted(entry, by), at });
        }
    }

    /// An operator's block began.
    pub(super) fn operator_begun(&self, block: Block, at: Time) {
        self.record(Entry::Block { block, change: Change::Begun, at });
    }

    /// An operator's block's time was over.
    pub(super) fn operator_ended(&self, block: Block, entry: &record::Block, at: Time) {
        self.record(Entry::Block { block, change: Change::Ended(drops(entry)), at });
    }

    /// An operator's block was ended before its time.
    pub(super) fn operator_lifted(&self, block: Block, entry: &record::Block, by: &str, at: Time) {
        self.record(Entry::Block { block, change: lifted(entry, by), at });
    }

    /// An operator allowed a network, or took that back.
    pub(super) fn allowed(&self, network: IpNet, allowed: bool) {
        self.record(if allowed {
            Entry::Allowed(AllowedEntry { network, note: None })
        } else {
            Entry::Disallowed(network)
        });
    }

    /// An operator gave a command.
    pub(super) fn command(&self, who: &str, verb: &str, about: Option<IpNet>, result: &str, at: Time) {
        let argument = about.map(|network| network.to_string()).unwrap_or_default();
        self.record(Entry::Command(Command {
            at,
            who: Who::Other(who.into()),
            verb: verb.into(),
            argument: argument.into(),
            about,
            result: result.into(),
        }));
    }

    /// Does something once all that was told is in the file, or the disk has had its time; without holding up the loop.
    pub(super) fn then(&self, act: impl FnOnce() + Send + 'static) {
        match &self.history {
            Ok(history) => {
                let history = Arc::clone(history);
                tokio::task::spawn_blocking(move || {
                    host::be_ordinary();
                    // What is not in the file is said by the history itself.
                    let _written = history.flush(COMMAND_WITHIN);
                    act();
                });
            }
            Err(_) => act(),
        }
    }

    /// Waits until everything is in the file.
    pub(super) fn flush(&self) {
        if let Ok(history) = &self.history
            && !history.flush(Duration::from_secs(2))
        {
            tell::history_unfinished();
        }
    }

    /// How it is.
    pub(super) fn shown(&self) -> PartShown {
        match &self.history {
            Ok(history) => match history.stats().degraded {
                None => PartShown { state: "on".into(), why: None },
                Some(why) => PartShown { state: "degraded".into(), why: Some(why.name().to_owned()) },
            },
            Err(why) => PartShown { state: "off".into(), why: Some(why.clone()) },
        }
    }

    /// Hands on what it counts.
    pub(super) fn show(&self, enforcement: &Enforcement) {
        let Ok(history) = &self.history else {
            return enforcement.set_healthy("history", false);
        };
        enforcement.set_history(&history.stats());
    }
}

/// An entry as listeners hear of it.
fn happened(entry: &Entry) -> Option<Happened> {
    let (time, what) = What::of(entry, &HostClock)?;
    Some(Happened { time, what: Told::Kept(what) })
}

fn drops(entry: &record::Block) -> Drops {
    Drops { packets: entry.packets, bytes: entry.bytes }
}

fn lifted(entry: &record::Block, by: &str) -> Change {
    Change::Lifted { drops: drops(entry), by: Who::Other(by.into()) }
}

/// Whether a restored block is a rule's.
pub(super) fn is_automatic(block: &Block) -> bool {
    matches!(block.why, Why::Rule(_))
}
