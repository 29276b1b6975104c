//! Commands of operators, each carried out within one turn of the loop.

use std::time::Duration;

use ipnet::IpNet;
use tcpcap_common::Addr;
use tcpcap_core::{Scope, Source};

use super::{Daemon, let_go};
use crate::{
    block::{Block, Why},
    control::{Command, Named, Refused, Reply, Request},
    enforce::Place,
    host, lists,
    settings::{NARROWER, check_allowed},
    surface::tell,
};

fn refused<T>(cause: impl Into<String>, remedy: impl Into<String>) -> Result<T, Refused> {
    Err(Refused { cause: cause.into(), remedy: remedy.into() })
}

impl Daemon {
    /// Carries a command out, writes it down, and answers.
    pub(super) fn obey(&mut self, request: Request) {
        let Request { command, who, answer } = request;
        let (verb, about, only_looks) = (verb(&command), subject(&command), command.only_looks());
        let result = self.carry_out(command);
        if !only_looks {
            let came_of_it = match &result {
                Ok(Reply::Done { done }) => done.clone(),
                Ok(_) => "done".to_owned(),
                Err(refused) => format!("refused: {}", refused.cause),
            };
            tell::command(&who, verb, &came_of_it);
            self.chronicle.command(&who, verb, about, &came_of_it, host::now());
            // What was confirmed is not lost, whatever happens next. Who asked may have gone away.
            return self.chronicle.then(move || drop(answer.send(result)));
        }
        answer.send(result).ok();
    }

    fn carry_out(&mut self, command: Command) -> Result<Reply, Refused> {
        let done = command.done();
        let done = match command {
            Command::Status => return Ok(Reply::Status(Box::new(self.status()))),
            Command::List => return Ok(Reply::Blocks(self.blocks())),
            Command::Sources => return Ok(Reply::Sources(self.sources_shown())),
            Command::Explain { address } => return Ok(Reply::Story(Box::new(self.story(address)))),
            Command::Timeline => return Ok(Reply::Timeline(self.pulse.timeline())),
            Command::Findings => return Ok(Reply::Findings(self.chronicle.findings().cloned().collect())),
            Command::Block { network, lasts, note } => {
                self.block(plain(network), lasts, note)?;
                if self.settings.judging.observe { done + "; observe mode drops nothing" } else { done }
            }
            Command::Unblock { network } => self.unblock(plain(network))?,
            Command::Allow { network } => self.allow(plain(network)).map(|()| done)?,
            Command::Disallow { network } => self.disallow(plain(network)).map(|()| done)?,
            Command::Mode { observe, syn_only } => self.set_mode(observe, syn_only).map(|()| done)?,
            Command::Reload => self.reload("a command")?,
        };
        Ok(Reply::Done { done })
    }

    fn block(&mut self, network: IpNet, lasts: Option<Duration>, note: Option<String>) -> Result<(), Refused> {
        if let Err(unfit) = lists::check(&network) {
            return refused(format!("{} is not blocked: it {unfit}", Named(&network)), "block a smaller network");
        }
        if let Some(why) = self.protected.keeps_out(network) {
            return refused(
                format!("{} is not blocked: {why}", Named(&network)),
                "block a smaller network, or a single address",
            );
        }
        let now = host::now();
        let block = Block {
            network,
            why: Why::Operator { note: note.map(Into::into) },
            scope: Scope::All,
            since: now,
            until: lasts.map(|lasts| now + lasts),
            times: 0,
            unverified: false,
        };
        self.enforcer.block_for_operator(block.clone());
        self.chronicle.operator_begun(block, now);
        self.take_given_way();
        self.tune_or_tell();
        Ok(())
    }

    fn unblock(&mut self, network: IpNet) -> Result<String, Refused> {
        let now = host::now();
        let mut freed = Vec::new();
        if let Some((block, counted)) = self.enforcer.unblock_for_operator(network) {
            self.chronicle.operator_lifted(block, &counted, "an operator", now);
            freed.push(network);
        }
        for source in sources_of(network) {
            if self.engine.forget(source) {
                let counted = self.enforcer.unblock(source);
                self.chronicle.lifted(source.network(), &counted, "an operator", now);
                freed.push(source.network());
            }
            let_go(&mut self.sources, source, now, &self.metrics);
        }
        self.tune_or_tell();
        let listed = self.enforcer.wanted().plan().holds(network.network());
        match (freed.first(), listed) {
            (Some(freed), None) => Ok(format!("{} is not blocked any more", Named(freed))),
            (Some(freed), Some((by, why))) => Ok(format!(
                "{} is not blocked any more by itself, but {} stands in {}",
                Named(freed),
                Named(&by),
                list(why)
            )),
            (None, Some((by, why))) => refused(
                format!("{} stays blocked: {} stands in {}", Named(&network), Named(&by), list(why)),
                format!("let it pass with `tcpcap allow {}`, or take it out there", Named(&network)),
            ),
            (None, None) => refused(
                format!("{} is not blocked", Named(&network)),
                "`tcpcap list` shows what is; name a network as it stands there",
            ),
        }
    }

    fn allow(&mut self, network: IpNet) -> Result<(), Refused> {
        if let Err(why) = check_allowed(&network) {
            return refused(format!("{network} {why}"), NARROWER);
        }
        self.allowed_by_command.insert(network);
        self.chronicle.allowed(network, true);
        self.set_allowed();
        Ok(())
    }

    fn disallow(&mut self, network: IpNet) -> Result<(), Refused> {
        if self.settings.judging.allow.contains(&network) {
            return refused(
                format!("{} is allowed by the configuration", Named(&network)),
                "take it out there, then `tcpcap reload`",
            );
        }
        if !self.allowed_by_command.remove(&network) {
            return refused(
                format!("{} is not among what was allowed", Named(&network)),
                "`tcpcap status` shows what is; name a network as it stands there",
            );
        }
        self.chronicle.allowed(network, false);
        self.set_allowed();
        Ok(())
    }

    /// Hands on what configuration and commands allow.
    pub(super) fn set_allowed(&mut self) {
        let mut allowed = self.settings.judging.allow.clone();
        allowed.extend(self.allowed_by_command.iter().filter(|n| !self.settings.judging.allow.contains(n)));
        self.protected.set_allowed(allowed);
        self.lift_protected();
        self.tune_or_tell();
    }

    fn set_mode(&mut self, observe: Option<bool>, syn_only: Option<bool>) -> Result<(), Refused> {
        self.settings.judging.observe = observe.unwrap_or(self.settings.judging.observe);
        if let Some(syn_only) = syn_only {
            self.settings.scope = syn_only.into();
        }
        self.apply_mode().or_else(|cause| refused(cause, "look at the kernel's log; the mode before goes on"))
    }

    /// Has kernel, engine and mirror do as the settings say.
    pub(super) fn apply_mode(&mut self) -> Result<(), String> {
        self.engine.configure(&self.settings.judging.engine());
        if let Some(mirror) = self.enforcer.mirror() {
            mirror.observe(self.settings.judging.observe);
        }
        self.tune().map_err(|failure| failure.cause)
    }

    fn tune_or_tell(&mut self) {
        if let Err(failure) = self.tune() {
            tracing::error!("the kernel program goes on as it was told before: {}", failure.cause);
        }
    }
}

/// Which list, in words.
fn list(why: &Why) -> String {
    if let Why::Feed(name) = why { format!("feed {name}") } else { "the configuration".to_owned() }
}

/// A network without host bits, and IPv4 as such, however it was written.
fn plain(network: IpNet) -> IpNet {
    lists::Entry::new(network).network()
}

/// The sources that an operator may mean by a network: an IPv6 address stands for its prefix, unless it is a neighbour's.
fn sources_of(network: IpNet) -> Vec<Source> {
    let whole = Source(Addr::from(network.network()));
    match Place::of(network) {
        Place::Source(source) => vec![source],
        Place::Network(_) if network.prefix_len() == network.max_prefix_len() => vec![whole, whole.prefix()],
        Place::Network(_) => Vec::new(),
    }
}

fn verb(command: &Command) -> &'static str {
    match command {
        Command::Status => "status",
        Command::List => "list",
        Command::Sources => "sources",
        Command::Explain { .. } => "explain",
        Command::Timeline => "timeline",
        Command::Findings => "findings",
        Command::Block { .. } => "block",
        Command::Unblock { .. } => "unblock",
        Command::Allow { .. } => "allow",
        Command::Disallow { .. } => "disallow",
        Command::Mode { .. } => "mode",
        Command::Reload => "reload",
    }
}

fn subject(command: &Command) -> Option<IpNet> {
    match command {
        Command::Block { network, .. }
        | Command::Unblock { network }
        | Command::Allow { network }
        | Command::Disallow { network } => Some(*network),
        Command::Status
        | Command::List
        | Command::Sources
        | Command::Explain { .. }
        | Command::Timeline
        | Command::Findings
        | Command::Mode { .. }
        | Command::Reload => None,
    }
}
