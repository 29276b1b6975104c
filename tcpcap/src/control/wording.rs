//! The sentences about commands that were carried out, in one place for all who answer them.

use std::{fmt, time::Duration};

use ipnet::IpNet;
use tcpcap_core::time::Readable;

use super::{BlockShown, Command, SourceShown};

impl Command {
    /// As of something done: `Blocked 192.0.2.1 for 10 min`. Empty for what is answered with more than a sentence.
    #[must_use]
    pub fn done(&self) -> String {
        match self {
            Self::Status | Self::List | Self::Sources | Self::Explain { .. } | Self::Timeline | Self::Findings => {
                String::new()
            }
            Self::Block { network, lasts: Some(lasts), .. } => {
                format!("Blocked {} for {}", Named(network), Readable(*lasts))
            }
            Self::Block { network, lasts: None, .. } => format!("Blocked {} for ever", Named(network)),
            Self::Unblock { network } => format!("Unblocked {}", Named(network)),
            Self::Allow { network } => format!("Allowed {}: it is never blocked", Named(network)),
            Self::Disallow { network } => format!("No longer allowed: {}", Named(network)),
            Self::Mode { observe, syn_only } => mode(*observe, *syn_only),
            Self::Reload => "Configuration and feeds were read anew".to_owned(),
        }
    }
}

fn mode(observe: Option<bool>, syn_only: Option<bool>) -> String {
    let observe = observe.map(|observe| match observe {
        true => "Observing: nothing is dropped",
        false => "Enforcing: blocked sources are dropped",
    });
    let scope = syn_only.map(|syn_only| match syn_only {
        true => "Scope syn: only new connections of blocked sources are dropped",
        false => "Scope all: each block says what is dropped",
    });
    let said: Vec<_> = [observe, scope].into_iter().flatten().collect();
    if said.is_empty() { "Nothing was changed".to_owned() } else { said.join(". ") }
}

impl BlockShown {
    /// Who wants it and what for: `port-scan`, `operator: too curious`, `feed drop.txt`.
    #[must_use]
    pub fn because(&self) -> String {
        let Self { origin, why, .. } = self;
        match origin.as_str() {
            "operator" if why.is_empty() || why == origin => origin.clone(),
            "operator" => format!("operator: {why}"),
            "feed" => format!("feed {why}"),
            _ => why.clone(),
        }
    }
}

impl SourceShown {
    /// Why it is blocked or, where it is not, which rule fired of late.
    #[must_use]
    pub fn because(&self) -> Option<&str> {
        self.why.as_deref().or(self.rule.as_deref())
    }
}

/// A network as people write it: a single address without its length.
pub(crate) struct Named<'a>(pub(crate) &'a IpNet);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.prefix_len() == self.0.max_prefix_len() {
            true => write!(f, "{}", self.0.addr()),
            false => write!(f, "{}", self.0),
        }
    }
}

/// Whole seconds as people write them.
pub(crate) fn readable(seconds: u64) -> String {
    Readable(Duration::from_secs(seconds)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_was_carried_out_is_a_sentence() {
        let network = "192.0.2.7/32".parse().unwrap();
        let wide = "2001:db8::/32".parse().unwrap();
        let hour = Some(Duration::from_secs(3600));
        for (command, sentence) in [
            (Command::Block { network, lasts: hour, note: None }, "Blocked 192.0.2.7 for 1 h"),
            (Command::Block { network: wide, lasts: None, note: None }, "Blocked 2001:db8::/32 for ever"),
            (Command::Unblock { network }, "Unblocked 192.0.2.7"),
            (Command::Allow { network }, "Allowed 192.0.2.7: it is never blocked"),
            (Command::Disallow { network }, "No longer allowed: 192.0.2.7"),
            (Command::Mode { observe: Some(true), syn_only: None }, "Observing: nothing is dropped"),
            (
                Command::Mode { observe: Some(false), syn_only: Some(true) },
                "Enforcing: blocked sources are dropped. Scope syn: only new connections of blocked sources are dropped",
            ),
            (Command::Mode { observe: None, syn_only: None }, "Nothing was changed"),
            (Command::Reload, "Configuration and feeds were read anew"),
            (Command::List, ""),
        ] {
            assert_eq!(command.done(), sentence);
        }
    }
}
