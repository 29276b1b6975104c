//! What verbs look like in use, for the end of their help.

/// `tcpcap run`.
pub const RUN: &str = "Examples:
  tcpcap run                               watch the interfaces of the default routes
  tcpcap run --observe                     find scanners, and drop nothing
  tcpcap run --iface eth0 --allow 192.0.2.0/24";

/// `tcpcap status`.
pub const STATUS: &str = "Exit code 1 if tcpcap does not run.

Examples:
  tcpcap status
  tcpcap status -o json | jq .blocks";

/// `tcpcap sources`.
pub const SOURCES: &str = "Examples:
  tcpcap sources --limit 50
  tcpcap sources -o json | jq '.[] | select(.state == \"free\")'";

/// `tcpcap events`.
pub const EVENTS: &str = "Examples:
  tcpcap events                            the latest, and no more
  tcpcap events --follow
  tcpcap events --follow --connections -o json | jq -r .from";

/// `tcpcap history`.
pub const HISTORY: &str = "Examples:
  tcpcap history --since 7d --limit 1000
  tcpcap history 203.0.113.0/24
  tcpcap history --type command --since 2025-11-24";

/// `tcpcap explain`.
pub const EXPLAIN: &str = "Examples:
  tcpcap explain 203.0.113.7
  tcpcap explain 2001:db8::7 -o json";

/// `tcpcap block`.
pub const BLOCK: &str = "Examples:
  tcpcap block 203.0.113.7 --for 1h
  tcpcap block 203.0.113.0/24 --reason \"scans every night\"";

/// `tcpcap unblock`.
pub const UNBLOCK: &str = "Examples:
  tcpcap unblock 203.0.113.7
  tcpcap unblock 203.0.113.0/24            as it stands in `tcpcap list`";

/// `tcpcap allow`.
pub const ALLOW: &str = "Examples:
  tcpcap allow 192.0.2.10
  tcpcap allow 2001:db8:1::/48";

/// `tcpcap mode`.
pub const MODE: &str = "Examples:
  tcpcap mode --observe                    drop nothing, until it is switched back
  tcpcap mode --enforce
  tcpcap mode --scope syn                  connections that exist go on";

/// `tcpcap replay`.
pub const REPLAY: &str = "Examples:
  tcpcap replay night.pcap
  tcpcap replay --own 192.0.2.0/24 --preset strict -o json *.pcapng
  tcpdump -w - | tcpcap replay -";

/// `tcpcap completions`.
pub const COMPLETIONS: &str = "Examples:
  tcpcap completions bash > /etc/bash_completion.d/tcpcap
  tcpcap completions zsh > /usr/local/share/zsh/site-functions/_tcpcap
  tcpcap completions fish > ~/.config/fish/completions/tcpcap.fish";

/// `tcpcap man`.
pub const MAN: &str = "Examples:
  tcpcap man | man -l -                    read it
  tcpcap man --dir /usr/local/share/man/man1";

/// All of them.
pub const ALL: [&str; 13] =
    [RUN, STATUS, SOURCES, EVENTS, HISTORY, EXPLAIN, BLOCK, UNBLOCK, ALLOW, MODE, REPLAY, COMPLETIONS, MAN];
