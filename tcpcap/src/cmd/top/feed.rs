//! Who asks the daemon, so that the screen never waits: one thread looks, another one carries the operator's commands.

use std::{
    io,
    net::IpAddr,
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel},
    thread,
    time::{Duration, Instant, SystemTime},
};

use ipnet::IpNet;

use super::{Event, alarm::Alarm};
use crate::{
    control::{BlockShown, Command, SourceShown, Status, Story, Timeline, client::Client, stream::Happened},
    failure::Failure,
};

/// How long after an answer the next look follows.
const PAUSE: Duration = Duration::from_secs(1);

/// Looking takes at most one part of so many of the time: a daemon with much to tell has more to do than that.
const SHARE: u32 = 5;

/// What is looked at, beside status and timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    Sources,
    Blocks,
    Findings,
    Story { address: IpAddr, source: IpNet },
}

/// What was seen.
#[derive(Debug)]
pub(super) struct Seen {
    /// By the wall clock.
    pub(super) at: SystemTime,
    pub(super) status: Status,
    pub(super) timeline: Timeline,
    pub(super) what: View,
}

#[derive(Debug)]
pub(super) enum View {
    Sources(Vec<SourceShown>),
    Blocks(Vec<BlockShown>),
    Findings(Vec<Happened>),
    Story(Box<Story>),
}

/// What the threads tell.
#[derive(Debug)]
pub(super) enum News {
    /// A look begins.
    Asking,
    /// It is over.
    Seen(Result<Box<Seen>, Failure>),
    /// A command was carried out, or was not.
    Done { command: Command, result: Result<String, Failure> },
}

/// The ends of the threads.
pub(super) struct Feed {
    wants: Sender<Want>,
    commands: Sender<Command>,
}

impl Feed {
    pub(super) fn start(client: &Client, events: &SyncSender<Event>) -> io::Result<Self> {
        let (wants, wanted) = channel();
        let (commands, ordered) = channel();
        let (looker, alarm) = (client.clone(), Alarm::new(events));
        thread::Builder::new().name("top-look".to_owned()).spawn(move || look(&looker, &wanted, &alarm))?;
        let (client, alarm) = (client.clone(), Alarm::new(events));
        thread::Builder::new().name("top-act".to_owned()).spawn(move || act(&client, &ordered, &alarm))?;
        Ok(Self { wants, commands })
    }

    /// Looks at this from now on, and at once.
    pub(super) fn want(&self, want: Want) {
        // A thread that is gone has told so by its alarm.
        self.wants.send(want).ok();
    }

    pub(super) fn act(&self, command: Command) {
        self.commands.send(command).ok();
    }
}

fn look(client: &Client, wanted: &Receiver<Want>, events: &Alarm) {
    let Ok(mut want) = wanted.recv() else { return };
    loop {
        // Only the latest counts.
        want = wanted.try_iter().last().unwrap_or(want);
        let start = Instant::now();
        if !events.tell(News::Asking) || !events.tell(News::Seen(seen(client, want).map(Box::new))) {
            return;
        }
        match wanted.recv_timeout(PAUSE.max(start.elapsed() * (SHARE - 1))) {
            Ok(next) => want = next,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn seen(client: &Client, want: Want) -> Result<Seen, Failure> {
    let status = client.status()?;
    let timeline = client.timeline()?;
    let what = match want {
        Want::Sources => View::Sources(client.sources()?),
        Want::Blocks => View::Blocks(client.blocks()?),
        Want::Findings => View::Findings(client.findings()?),
        Want::Story { address, .. } => View::Story(Box::new(client.explain(address)?)),
    };
    Ok(Seen { at: SystemTime::now(), status, timeline, what })
}

fn act(client: &Client, ordered: &Receiver<Command>, events: &Alarm) {
    for command in ordered {
        let result = client.act(&command);
        if !events.tell(News::Done { command, result }) {
            return;
        }
    }
}
