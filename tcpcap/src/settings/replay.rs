//! What `tcpcap replay` is told.

use std::{path::PathBuf, str::FromStr};

use clap::Args;
use ipnet::IpNet;
use tcpcap_core::Own;

use super::{Judging, JudgingArgs, parse_network};
use crate::{failure::Failure, kernel::EgressChoice, replay::Format};

/// What was typed after `tcpcap replay`.
#[derive(Args, Debug)]
pub struct ReplayArgs {
    /// Capture: pcap or pcapng, gzip-compressed or not, `-` for standard input; several are one stream in this order
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Protected address or network; `!CIDR` excludes; repeatable [default: inferred from who answers]
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    pub own: Vec<OwnArg>,

    /// What is judged, and how.
    #[command(flatten)]
    pub judging: JudgingArgs,

    /// Do not look at this host's own answers, as on a host that cannot see them
    #[arg(long)]
    pub ingress_only: bool,

    /// How findings look
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    pub output: Format,
}

/// What a replay does.
#[derive(Debug)]
pub struct ReplaySettings {
    /// Captures, `-` for standard input.
    pub files: Vec<PathBuf>,
    /// What was said about own addresses. Without a network in it they are inferred.
    pub own: Own,
    /// What is judged, and how.
    pub judging: Judging,
    /// Our own answers do not count.
    pub ingress_only: bool,
    /// How it is told.
    pub output: Format,
}

impl ReplayArgs {
    /// Merges what was typed with the configuration file, of which the daemon's own keys are left alone, and the
    /// defaults. Lists in the file and on the command line add up.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn resolve(self) -> Result<ReplaySettings, Failure> {
        let settings = self.judging.load()?.settings;
        let mut own = Own { networks: settings.own, ..Own::default() };
        for arg in self.own {
            match arg {
                OwnArg::Is(network) => own.networks.push(network),
                OwnArg::IsNot(network) => own.except.push(network),
            }
        }
        Ok(ReplaySettings {
            files: self.files,
            own,
            ingress_only: self.ingress_only || settings.egress == EgressChoice::Off,
            judging: settings.judging,
            output: self.output,
        })
    }
}

/// A network that is own, or one that is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnArg {
    /// `192.0.2.0/24`
    Is(IpNet),
    /// `!192.0.2.0/24`
    IsNot(IpNet),
}

impl FromStr for OwnArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix('!') {
            Some(network) => parse_network(network).map(Self::IsNot),
            None => parse_network(text).map(Self::Is),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_own_network_may_be_excluded() {
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        assert_eq!("192.0.2.1/24".parse(), Ok(OwnArg::Is(net("192.0.2.0/24"))));
        assert_eq!("!2001:db8::1".parse(), Ok(OwnArg::IsNot(net("2001:db8::1/128"))));
        for bad in ["", "!", "!!192.0.2.1", "example.org"] {
            bad.parse::<OwnArg>().unwrap_err();
        }
    }
}
