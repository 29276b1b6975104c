//! What can be told while no daemon runs: what the kernel goes on doing by itself.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::SystemTime,
};

use clap::Args;
use indicatif::HumanCount;
use ipnet::IpNet;
use tcpcap_common::{
    Addr,
    record::{self, setting},
};
use tcpcap_core::{Source, Time};

use crate::{
    block::Why,
    control::{BlockShown, InterfaceShown, Next, Now, SourceShown, Story},
    failure::Failure,
    history::{Question, Reader, clock, history_in},
    host,
    kernel::{BPFFS, Left, Unreadable, Way},
    settings::SocketArgs,
    translate,
};

/// Where to look while no daemon runs.
#[derive(Args, Debug)]
pub struct StateArgs {
    /// Where the history is, to be read if no daemon runs [default: as its configuration says]
    #[arg(long, value_name = "DIR", display_order = 901)]
    pub state: Option<PathBuf>,
}

impl StateArgs {
    /// The history's file.
    ///
    /// # Errors
    /// The configuration that was named is not there.
    pub(super) fn history(&self, socket: &SocketArgs) -> Result<PathBuf, Failure> {
        let directory = self.state.clone().map_or_else(|| socket.state(), Ok)?;
        Ok(history_in(&directory))
    }
}

/// How to have a daemon.
pub(super) const START: &str = "start it with `tcpcap run` or `systemctl start tcpcap`";

/// Rows of the history in a story.
const STORY_ROWS: usize = 200;

/// What the kernel holds; none where there is nothing of tcpcap in it.
///
/// # Errors
/// It may not or cannot be read.
pub(super) fn left() -> Result<Option<Left>, Failure> {
    Left::find(Path::new(BPFFS)).map_err(unreadable)
}

fn unreadable(why: Unreadable) -> Failure {
    let cause = "tcpcap is not running, and what it left in the kernel cannot be read";
    match why {
        Unreadable::Forbidden => Failure::failed(format!("{cause} by this user"), format!("use sudo, or {START}")),
        Unreadable::Layout(version) => Failure::failed(
            format!("{cause}: it is of layout {version}, which this version does not know"),
            "start the version that made it, or let go of it with `tcpcap detach`",
        ),
        Unreadable::Broken(what) => Failure::failed(format!("{cause}: {what}"), START),
    }
}

/// The line about who is missing, and what is shown instead.
pub(super) fn warning(socket: &Path, left: Option<&Left>, instead: &str) -> String {
    let socket = socket.display();
    match left.and_then(Left::holder) {
        Some(pid) => format!(
            "warning: nobody listens on {socket}, but tcpcap runs as process {pid}: name its socket with --socket; {instead}"
        ),
        None => format!("warning: tcpcap is not running (nobody listens on {socket}): {instead}; {START}"),
    }
}

/// Whether packets are looked at, so that blocks are in force.
pub(super) fn is_attached(left: &Left) -> bool {
    !left.attached().is_empty()
}

/// What the kernel blocks by itself.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// Those of rules and operators.
    pub(super) in_force: Vec<BlockShown>,
    /// How many entries of lists there are.
    pub(super) listed: usize,
    /// Whether packets are looked at.
    pub(super) attached: bool,
}

impl Blocks {
    /// What is shown in a daemon's place.
    pub(super) fn instead(&self) -> String {
        if !self.attached {
            return "nothing of it is in the kernel, and nothing is dropped".to_owned();
        }
        let listed = match self.listed {
            0 => String::new(),
            some => format!(", beside {} entries of lists", HumanCount(some as u64)),
        };
        format!("this is what the kernel goes on dropping, each until its end{listed}")
    }
}

/// The blocks in force.
///
/// # Errors
/// The kernel refuses to tell.
pub(super) fn blocks(left: &Left) -> Result<Blocks, Failure> {
    if !is_attached(left) {
        return Ok(Blocks::default());
    }
    let all = left.blocks().map_err(unreadable)?;
    let now = host::now();
    let shown = all.into_iter().filter_map(|(network, entry)| block(network, &entry, now));
    let (listed, in_force): (Vec<_>, Vec<_>) = shown.partition(|block| block.origin == "feed");
    Ok(Blocks { in_force, listed: listed.len(), attached: true })
}

fn block(network: IpNet, entry: &record::Block, now: Time) -> Option<BlockShown> {
    let block = translate::block_of(network, entry)?;
    if block.until.is_some_and(|until| until <= now) {
        return None;
    }
    // Words of operators and names of feeds are not in the kernel.
    let why = if let Why::Rule(rule) = block.why { rule.name().to_owned() } else { String::new() };
    Some(translate::block_shown(&block, why, entry, now))
}

/// What the programs are attached to.
pub(super) fn interfaces(left: &Left) -> Vec<InterfaceShown> {
    let (attached, names) = (left.attached(), super::detach::interfaces());
    let name = |index: u32| names.iter().find(|(known, _)| *known == index).map(|(_, name)| name.clone());
    let sees_answers = |index: u32| attached.iter().any(|link| link.index == index && link.way == Way::Out);
    let mut shown: Vec<_> = attached
        .iter()
        .filter_map(|link| {
            let Way::In(mode) = link.way else { return None };
            Some(InterfaceShown {
                name: name(link.index).unwrap_or_else(|| format!("interface {}", link.index)),
                mode: mode.to_string(),
                egress: if sees_answers(link.index) { "tcx" } else { "unseen" }.to_owned(),
            })
        })
        .collect();
    shown.sort_by(|a, b| a.name.cmp(&b.name));
    shown
}

/// `enforce` or `observe`, and `all` or `syn`, as the kernel was told last.
pub(super) fn mode(left: &Left) -> (&'static str, &'static str) {
    let flags = left.settings().map_or(0, |settings| settings.flags);
    (
        if flags & setting::OBSERVE != 0 { "observe" } else { "enforce" },
        if flags & setting::SYN_ONLY != 0 { "syn" } else { "all" },
    )
}

/// The story of an address, as far as kernel and history know it. Nobody knows what would come next.
pub(super) fn story(left: Option<&Left>, history: &Path, address: IpAddr) -> Story {
    let address = address.to_canonical();
    let now = host::now();
    let whole = Source(Addr::from(address));
    let record = |source: Source| left.and_then(|left| left.source(source)).map(|record| (source, record));
    let seen = record(whole).or_else(|| record(whole.prefix()));
    let source = seen.map_or_else(|| whole.prefix(), |(source, _)| source).network();
    let in_force = left.filter(|left| is_attached(left));
    let blocks: Vec<BlockShown> = in_force
        .map(|left| left.blocks_of(address))
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(network, entry)| block(network, &entry, now))
        .collect();
    let allowed = in_force.is_some_and(|left| left.allows(address));
    let state = match (allowed, blocks.is_empty(), in_force.map(mode)) {
        (true, ..) => "protected",
        (false, true, _) => "free",
        (false, false, Some(("observe", _))) => "observed",
        (false, false, _) => "blocked",
    };
    let rule = blocks.iter().find(|block| block.origin == "automatic");
    let next =
        Next { times: rule.map_or(0, |block| block.times), ends_s: rule.and_then(|b| b.left_s), ..Next::default() };
    let about = Question { about: Some(source), limit: STORY_ROWS, ..Question::default() };
    let (past, past_missing) = match Reader::open(history).and_then(|reader| reader.ask(&about)) {
        Ok(past) => {
            let cut = past.len() == STORY_ROWS;
            (past, cut.then(|| format!("only the latest {STORY_ROWS} entries are told")))
        }
        Err(problem) => (Vec::new(), Some(problem.cause)),
    };
    Story {
        address,
        source,
        time: clock::shown(SystemTime::now()),
        seen: seen.map(|(source, record)| SourceShown {
            state: state.to_owned(),
            ..translate::source_shown(source, &record, now)
        }),
        now: Now {
            state: state.to_owned(),
            protected: allowed.then(|| format!("{address} is among those that must never be blocked")),
            blocks,
        },
        next,
        past,
        past_missing,
    }
}
