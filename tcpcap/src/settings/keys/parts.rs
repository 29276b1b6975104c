//! Tables of the parts: who is protected, the history, HTTP, and the mirror.

use std::time::Duration;

use crate::{
    mirror::Hook,
    settings::{
        key::Key,
        list::ListOf,
        types::{Choice, Name, Number, Program, Size, Switch, Time},
    },
};

/// As far as kernel and nft tell names apart.
const LONGEST_TABLE_NAME: usize = 31;
/// Between these lie all priorities that have a name, with room on both sides.
const PRIORITIES: std::ops::RangeInclusive<i32> = -1_000..=1_000;
/// More ports sshd does not listen on.
const MOST_SSH_PORTS: usize = 64;

const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn keys() -> Vec<Key> {
    let mut keys = vec![
        Key::new(
            "protect.ssh_ports",
            ListOf::replacing(Number(1..=u16::MAX), MOST_SSH_PORTS),
            |s| s.protect.ports.clone(),
            |s, v| s.protect.ports = v,
        )
        .doc(
            "Ports of SSH servers, whose peers are never blocked; none named: those of sshd_config",
            "sshd's own configuration knows best",
        )
        .example("[22, 8022]")
        .restart(),
        Key::new(
            "protect.session_linger",
            Time(Duration::ZERO..=DAY),
            |s| s.protect.linger,
            |s, v| s.protect.linger = v,
        )
        .doc(
            "How long the peer of an SSH session is protected after its end",
            "that is time to come back; until then whoever has that address may scan",
        )
        .hidden_flag("session-linger", "TIME")
        .restart(),
        Key::new("history.max_age", Time(DAY / 24..=DAY * 3650), |s| s.history.age, |s, v| s.history.age = v)
            .doc("What happened longer ago is forgotten", "people ask about the last month")
            .restart(),
        Key::new("history.max_size", Size(1 << 20..=1 << 40), |s| s.history.bytes, |s, v| s.history.bytes = v)
            .doc("Room for the history on disk; past it the oldest is forgotten", "half a million findings fit in")
            .restart(),
        Key::new("http.hosts", ListOf::adding(host_name()), |s| s.http_hosts.clone(), |s, v| s.http_hosts = v)
            .doc(
                "Names by which browsers may ask for the web page, beside addresses and `localhost`",
                "any other name is one that somebody else has pointed here",
            )
            .example("[\"sensor.example.org\"]")
            .restart(),
    ];
    keys.extend(mirror());
    keys
}

fn host_name() -> Name {
    Name {
        rule: "a host name without a port, such as \"sensor.example.org\"",
        fits: |name| {
            (1..=253).contains(&name.len())
                && name.split('.').all(|label| {
                    (1..=63).contains(&label.len())
                        && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
                })
        },
    }
}

fn mirror() -> Vec<Key> {
    let table_name = Name {
        rule: "a name for a table: a letter, then letters, digits and _, at most 31",
        fits: |name| {
            name.len() <= LONGEST_TABLE_NAME
                && name.starts_with(|c: char| c.is_ascii_alphabetic())
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        },
    };
    vec![
        Key::new("mirror.nftables.enabled", Switch, |s| s.mirror.enabled, |s, v| s.mirror.enabled = v)
            .doc("Write blocks into nftables too", "the card drops them already")
            .restart(),
        Key::new(
            "mirror.nftables.table",
            table_name,
            |s| s.mirror.config.table.clone(),
            |s, v| s.mirror.config.table = v,
        )
        .doc("The table's name, in family inet; it must be tcpcap's alone", "everybody sees whose it is")
        .restart(),
        Key::new(
            "mirror.nftables.hook",
            Choice::of([Hook::Prerouting, Hook::Input].map(|hook| (hook.name(), hook))),
            |s| s.mirror.config.hook,
            |s, v| s.mirror.config.hook = v,
        )
        .doc("Where its chain hooks in", "what is forwarded to containers comes by there as well")
        .restart(),
        Key::new(
            "mirror.nftables.priority",
            Number(PRIORITIES),
            |s| s.mirror.config.priority,
            |s, v| s.mirror.config.priority = v,
        )
        .doc("Its order among other chains; the lowest comes first", "that is behind reassembly, and before all others")
        .restart(),
        Key::new("mirror.nftables.nft", Program, |s| s.mirror.config.nft.clone(), |s, v| s.mirror.config.nft = v)
            .doc("The nft program", "it is found where programs are")
            .restart(),
        Key::new(
            "mirror.nftables.include_feeds",
            Switch,
            |s| s.mirror.config.include_feeds,
            |s, v| s.mirror.config.include_feeds = v,
        )
        .doc("Mirror the networks of feeds too", "they are many, and nft takes seconds to change as many")
        .restart(),
    ]
}
