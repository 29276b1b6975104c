//! Commands of operators, each carried out within one turn of the loop.

use std::time::Duration;

use ipnet::IpNet;
use tcpcap_common::Addr;
use tcpcap_core::{Scope, Source, time::Readable};
use tracing::info;

use super::Daemon;
use crate::{
    block::{Block, Why},
    control::{Command, Refused, Reply, Request},
    enforce::Place,
    host, lists,
    surface::tell::Shown,
};

/// The longest that an operator's block lasts unless it has no end: what is longer is meant to have none.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

fn refused<T>(cause: impl Into<String>, remedy: impl Into<String>) -> Result<T, Refused> {
    Err(Refused { cause: cause.into(), remedy: remedy.into() })
}

impl Daemon {
    /// Carries a command out, writes it down, and answers.
    pub(super) fn obey(&mut self, request: Request) {
        let Request { command, who, answer } = request;
        let (verb, about) = (verb(&command), subject(&command));
        let result = self.carry_out(command);
        if !matches!(verb, "status" | "list") {
            let came_of_it = match &result {
                Ok(Reply::Done { done }) => done.clone(),
                Ok(_) => "done".to_owned(),
                Err(refused) => format!("refused: {}", refused.cause),
            };
            info!(event = "command", verb, who, result = came_of_it, "{who}: {verb}: {came_of_it}");
            self.chronicle.command(&who, verb, about, &came_of_it, host::now());
        }
        // Who asked may have gone away.
        answer.send(result).ok();
    }

    fn carry_out(&mut self, command: Command) -> Result<Reply, Refused> {
        let done = match command {
            Command::Status => return Ok(Reply::Status(Box::new(self.status()))),
            Command::List => return Ok(Reply::Blocks(self.blocks())),
            Command::Block { network, lasts, note } => self.block(network.trunc(), lasts, note)?,
            Command::Unblock { network } => self.unblock(network.trunc())?,
            Command::Allow { network } => self.allow(network.trunc())?,
            Command::Disallow { network } => self.disallow(network.trunc())?,
            Command::Mode { observe, syn_only } => self.set_mode(observe, syn_only)?,
            Command::Reload => self.reload("a command")?,
        };
        Ok(Reply::Done { done })
    }

    fn block(&mut self, network: IpNet, lasts: Option<Duration>, note: Option<String>) -> Result<String, Refused> {
        if let Err(unfit) = lists::check(&network) {
            return refused(format!("{} is not blocked: it {unfit}", Shown(network)), "block a smaller network");
        }
        if let Some(why) = self.protected.keeps_out(network) {
            return refused(
                format!("{} is not blocked: {why}", Shown(network)),
                "block a smaller network, or a single address",
            );
        }
        if lasts.is_some_and(|lasts| lasts.is_zero() || lasts > LONGEST) {
            return refused("a block lasts between a second and 366 days, or for ever", "leave the time out for ever");
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
        let lasts = lasts.map_or("for ever".to_owned(), |lasts| format!("for {}", Readable(lasts)));
        let observing = if self.settings.judging.observe { "; observe mode drops nothing" } else { "" };
        Ok(format!("Blocked {} {lasts}{observing}", Shown(network)))
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
        }
        self.tune_or_tell();
        let listed = self.enforcer.wanted().plan().holds(network.network());
        match (freed.first(), listed) {
            (Some(freed), None) => Ok(format!("{} is not blocked any more", Shown(*freed))),
            (Some(freed), Some((by, why))) => {
                Ok(format!("{} is not blocked any more by itself, but {} stands in {why}", Shown(*freed), Shown(by)))
            }
            (None, Some((by, why))) => refused(
                format!("{} stays blocked: {} stands in {why}", Shown(network), Shown(by)),
                format!("let it pass with `tcpcap allow {}`, or take it out there", Shown(network)),
            ),
            (None, None) => refused(
                format!("{} is not blocked", Shown(network)),
                "`tcpcap list` shows what is; name a network as it stands there",
            ),
        }
    }

    fn allow(&mut self, network: IpNet) -> Result<String, Refused> {
        if let IpNet::V6(net) = network
            && net.contains(&std::net::Ipv6Addr::from([0, 0, 0, 0, 0, 0xffff, 0, 0]))
        {
            return refused(
                format!("{network} holds the IPv4 addresses too"),
                "name what is meant: 2000::/3 are the public IPv6 addresses",
            );
        }
        if self.protected.allowed().contains(&network) {
            return Ok(format!("{} was allowed before", Shown(network)));
        }
        self.allowed_by_command.insert(network);
        self.chronicle.allowed(network, true);
        self.set_allowed();
        Ok(format!("{} is never blocked from now on", Shown(network)))
    }

    fn disallow(&mut self, network: IpNet) -> Result<String, Refused> {
        if self.settings.judging.allow.contains(&network) {
            return refused(
                format!("{} is allowed by the configuration", Shown(network)),
                "take it out there, then `tcpcap reload`",
            );
        }
        if !self.allowed_by_command.remove(&network) {
            return refused(
                format!("{} is not among what was allowed", Shown(network)),
                "`tcpcap status` shows what is; name a network as it stands there",
            );
        }
        self.chronicle.allowed(network, false);
        self.set_allowed();
        Ok(format!("{} may be blocked from now on", Shown(network)))
    }

    /// Hands on what configuration and commands allow.
    pub(super) fn set_allowed(&mut self) {
        let mut allowed = self.settings.judging.allow.clone();
        allowed.extend(self.allowed_by_command.iter().filter(|n| !self.settings.judging.allow.contains(n)));
        self.protected.set_allowed(allowed);
        self.lift_protected();
        self.tune_or_tell();
    }

    fn set_mode(&mut self, observe: Option<bool>, syn_only: Option<bool>) -> Result<String, Refused> {
        self.settings.judging.observe = observe.unwrap_or(self.settings.judging.observe);
        if let Some(syn_only) = syn_only {
            self.settings.scope = syn_only.into();
        }
        self.apply_mode().or_else(|cause| refused(cause, "look at the kernel's log; the mode before goes on"))?;
        Ok(self.mode_in_words())
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
        Command::Status | Command::List | Command::Mode { .. } | Command::Reload => None,
    }
}
