//! What the verbs are told that ask the running daemon.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use ipnet::IpNet;

use super::{ConfigArgs, Environment, keys, parse_network};
use crate::{
    control::{check_lasts, check_note, client::Client},
    failure::Failure,
};

/// How something is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ShowFormat {
    /// For people
    #[default]
    Text,
    /// For machines
    Json,
}

/// What of a blocked source is dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ScopeChoice {
    /// As each block says: all, but of sources that were honest before new connections
    #[default]
    All,
    /// New connections alone; those that exist go on
    Syn,
}

impl From<bool> for ScopeChoice {
    fn from(syn_only: bool) -> Self {
        if syn_only { Self::Syn } else { Self::All }
    }
}

const SOCKET_HELP: &str = "Where tcpcap takes commands [default: as its configuration says] [env: TCPCAP_SOCKET]";

/// Whom to ask.
#[derive(Args, Debug)]
pub struct SocketArgs {
    /// The socket, if it was named.
    #[arg(long, value_name = "PATH", display_order = 900, help = SOCKET_HELP)]
    pub socket: Option<PathBuf>,

    /// Where the configuration is that may say so.
    #[command(flatten)]
    pub config: ConfigArgs,
}

impl SocketArgs {
    /// Who asks there: as flag, environment, configuration or default say. No file is read if one of the first two does;
    /// one that cannot be read is as good as none.
    ///
    /// # Errors
    /// The configuration that was named is not there.
    pub fn client(&self) -> Result<Client, Failure> {
        let variables = keys::key("socket").map(super::key::Key::variables).unwrap_or_default();
        let environment = Environment::of_process();
        let named = variables.iter().find_map(|name| environment.get(name)).map(PathBuf::from);
        let path = match self.socket.clone().or(named) {
            Some(path) => path,
            None => self.config.lenient()?.socket,
        };
        Ok(Client::new(&path))
    }

    /// Where the daemon keeps its history, as environment, configuration or default say.
    ///
    /// # Errors
    /// The configuration that was named is not there.
    pub fn state(&self) -> Result<PathBuf, Failure> {
        Ok(self.config.lenient()?.state)
    }
}

/// What was typed after a verb that shows something.
#[derive(Args, Debug)]
pub struct ShowArgs {
    /// How it looks: text for people, json for machines
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t, hide_possible_values = true)]
    pub output: ShowFormat,

    /// Whom to ask.
    #[command(flatten)]
    pub socket: SocketArgs,
}

/// What was typed after a verb that is about one network.
#[derive(Args, Debug)]
pub struct TargetArgs {
    /// Address, or network such as 192.0.2.0/24
    #[arg(value_name = "ADDR[/LEN]", value_parser = parse_network)]
    pub network: IpNet,

    /// Whom to ask.
    #[command(flatten)]
    pub socket: SocketArgs,
}

/// What was typed after `tcpcap block`.
#[derive(Args, Debug)]
pub struct BlockArgs {
    /// Whom to block, and whom to ask.
    #[command(flatten)]
    pub target: TargetArgs,

    /// For how long, such as 1h [default: for ever]
    #[arg(long = "for", value_name = "TIME", value_parser = parse_lasts)]
    pub lasts: Option<Duration>,

    /// What for; shown in the log and by `tcpcap list`
    #[arg(long, value_name = "TEXT", value_parser = parse_note)]
    pub reason: Option<String>,
}

/// What was typed after `tcpcap mode`.
#[derive(Args, Debug)]
#[group(id = "change", required = true, multiple = true, args = ["observe", "enforce", "scope"])]
pub struct ModeArgs {
    /// Drop nothing: count what would have been dropped
    #[arg(long, conflicts_with = "enforce")]
    pub observe: bool,

    /// Drop the packets of blocked sources
    #[arg(long)]
    pub enforce: bool,

    /// What of a blocked source is dropped
    #[arg(long, value_enum)]
    pub scope: Option<ScopeChoice>,

    /// Whom to ask.
    #[command(flatten)]
    pub socket: SocketArgs,
}

fn parse_lasts(text: &str) -> Result<Duration, String> {
    let lasts = humantime::parse_duration(text).map_err(|e| format!("`{text}` is no time such as 1h: {e}"))?;
    check_lasts(lasts)?;
    Ok(lasts)
}

fn parse_note(text: &str) -> Result<String, String> {
    check_note(text)?;
    Ok(text.to_owned())
}
