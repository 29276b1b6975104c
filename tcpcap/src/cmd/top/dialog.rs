//! What is asked before anything is done, and what is said where it was not.

use std::time::Duration;

use ipnet::IpNet;

use crate::{
    control::{Command, Named, Status, readable},
    failure::Failure,
};

/// What stands in front of everything else until it is answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Dialog {
    /// For how long to block: an index of [`LENGTHS`].
    HowLong { network: IpNet, choice: usize },
    /// Whether to do it.
    Confirm { command: Command },
    /// It was not done.
    Refused { what: String, cause: String, remedy: String },
    /// The keys.
    Help,
}

/// A key, and how long a block lasts that it stands for.
pub(super) struct Length {
    pub(super) key: char,
    pub(super) said: &'static str,
    pub(super) lasts: Option<Duration>,
}

pub(super) const LENGTHS: [Length; 3] = [
    Length { key: 'h', said: "1 hour", lasts: Some(Duration::from_secs(3600)) },
    Length { key: 'd', said: "1 day (24 h)", lasts: Some(Duration::from_secs(86_400)) },
    Length { key: 'e', said: "for ever, until somebody unblocks it", lasts: None },
];

impl Dialog {
    pub(super) fn refused(command: &Command, failure: Failure) -> Self {
        let Failure { cause, remedy, .. } = failure;
        Self::Refused { what: wish(command), cause, remedy }
    }

    pub(super) fn title(&self) -> String {
        match self {
            Self::HowLong { network, .. } => format!("Block {}", Named(network)),
            Self::Confirm { command } => format!("{}?", wish(command)),
            Self::Refused { what, .. } => format!("Not done: {}", uncapitalised(what)),
            Self::Help => "Keys".to_owned(),
        }
    }

    /// The keys that answer it.
    pub(super) fn keys(&self) -> &'static str {
        match self {
            Self::HowLong { .. } => "h d e or arrows: choose   Enter: go on   Esc: leave it",
            Self::Confirm { .. } => "y: yes, do it   n or Esc: no",
            Self::Refused { .. } | Self::Help => "any key: close",
        }
    }
}

/// What is wanted, in a few words.
pub(super) fn wish(command: &Command) -> String {
    match command {
        Command::Block { network, lasts: Some(lasts), .. } => {
            format!("Block {} for {}", Named(network), readable(lasts.as_secs()))
        }
        Command::Block { network, lasts: None, .. } => format!("Block {} for ever", Named(network)),
        Command::Unblock { network } => format!("Unblock {}", Named(network)),
        Command::Allow { network } => format!("Allow {}", Named(network)),
        Command::Disallow { network } => format!("Disallow {}", Named(network)),
        other => other.done(),
    }
}

/// What it will bring about.
pub(super) fn consequence(command: &Command, status: &Status) -> &'static str {
    match command {
        Command::Block { .. } if status.mode == "observe" => {
            "tcpcap observes: its packets go on to pass, and are counted as those that would be dropped."
        }
        Command::Block { .. } if status.scope == "syn" => {
            "Its new connections are dropped at the network card from now on; those that exist go on."
        }
        Command::Block { .. } => {
            "All its packets are dropped at the network card from now on, those of existing connections too."
        }
        Command::Unblock { .. } => "Its packets pass again. A rule may block it anew, should it go on as before.",
        Command::Allow { .. } => {
            "It is never blocked: not by a rule, an operator or a list. What blocks it now has no effect any more."
        }
        Command::Disallow { .. } => "Rules, operators and lists may block it again.",
        _ => "",
    }
}

fn uncapitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialog_names_what_is_wanted_and_what_it_brings_about() {
        let network = "192.0.2.7/32".parse().unwrap();
        let command = Command::Block { network, lasts: LENGTHS[1].lasts, note: None };
        assert_eq!(Dialog::refused(&command, Failure::failed("c", "r")).title(), "Not done: block 192.0.2.7 for 24 h");
        let status =
            |mode: &str, scope: &str| Status { mode: mode.to_owned(), scope: scope.to_owned(), ..Status::default() };
        assert!(consequence(&command, &status("observe", "syn")).contains("would be dropped"));
        assert!(consequence(&command, &status("enforce", "syn")).contains("those that exist go on"));
        assert!(consequence(&command, &status("enforce", "all")).contains("existing connections too"));
        for command in [
            command,
            Command::Block { network, lasts: None, note: None },
            Command::Unblock { network },
            Command::Allow { network },
            Command::Disallow { network },
        ] {
            assert!(wish(&command).contains("192.0.2.7") && !consequence(&command, &Status::default()).is_empty());
        }
    }
}
