//! What is watched, who is blocked, and where tcpcap keeps and shows things: keys of no table.

use std::time::Duration;

use tcpcap_core::{Preset, decide};

use crate::settings::{
    feeds::Feed,
    key::Key,
    list::ListOf,
    networks::Network,
    types::{AbsolutePath, Choice, Endpoint, Name, Switch, Time},
};

/// More cards nobody has.
const MOST_INTERFACES: usize = 64;

fn interface() -> Name {
    Name {
        rule: "the name of an interface, such as \"eth0\"",
        // What the kernel takes for one.
        fits: |name| (1..=15).contains(&name.len()) && !name.contains(|c: char| c == '/' || c.is_whitespace()),
    }
}

pub(super) fn keys() -> Vec<Key> {
    let mut keys = watching();
    keys.extend(judging());
    keys.extend(running());
    keys
}

fn watching() -> Vec<Key> {
    vec![
        Key::new(
            "interfaces",
            ListOf::replacing(interface(), MOST_INTERFACES),
            |s| s.interfaces.clone(),
            |s, v| s.interfaces = v,
        )
        .doc("Interfaces to watch; none named: those of the default routes", "that is where the Internet comes in")
        .flag("iface", "IF")
        .older_name("INTERFACE_NAME")
        .example("[\"eth0\"]")
        .restart(),
        Key::new("mode", Choice::of_enum(), |s| s.mode, |s, v| s.mode = v)
            .doc("How to hook into the network card", "native is fastest, and not every driver has it")
            .flag("mode", "MODE")
            .restart(),
        Key::new("egress", Choice::of_enum(), |s| s.egress, |s, v| s.egress = v)
            .doc(
                "Whether to look at this host's own answers as they leave",
                "a scan of closed ports is known sooner where they are seen",
            )
            .flag("egress", "EGRESS")
            .restart(),
        Key::new("own", ListOf::adding(Network::Own), |s| s.own.clone(), |s, v| s.own = v)
            .doc(
                "Addresses or networks that this host answers for beside the addresses of its interfaces",
                "the interfaces' own addresses are found and followed",
            )
            .flag("own", "CIDR")
            .older_name("PUBLIC_IP")
            .example("[\"203.0.113.0/24\"]")
            .restart(),
    ]
}

fn judging() -> Vec<Key> {
    vec![
        Key::new("observe", Switch, |s| s.judging.observe, |s, v| s.judging.observe = v)
            .doc("Do everything but drop: count what would have been dropped", "tcpcap is there to drop scanners")
            .flag("observe", "BOOL"),
        Key::new(
            "preset",
            Choice::of(Preset::ALL.map(|preset| (preset.name(), preset))),
            |s| s.judging.preset,
            |s, v| s.judging.set_preset(v),
        )
        .doc(
            "How much is a scan; the keys of [detect] set single thresholds over it",
            "no honest source of the recorded traffic comes near it",
        )
        .flag("preset", "PRESET"),
        Key::new("allow", ListOf::adding(Network::Allowed), |s| s.judging.allow.clone(), |s, v| s.judging.allow = v)
            .doc(
                "Addresses or networks that are never blocked",
                "own addresses, gateways, name servers and SSH sessions are never blocked anyway",
            )
            .flag("allow", "CIDR")
            .example("[\"192.0.2.0/24\"]"),
        Key::new("deny", ListOf::adding(Network::Denied), |s| s.deny.clone(), |s, v| s.deny = v)
            .doc("Addresses or networks that are always blocked", "whom to shut out for good is for you to say")
            .flag("deny", "CIDR")
            .example("[\"198.51.100.0/24\"]"),
        Key::new("feeds", ListOf::adding(Feed), |s| s.feeds.clone(), |s, v| s.feeds = v)
            .doc(
                "Files of networks that are blocked as long as they stand there; read again when they change",
                "whom to trust with that is for you to say",
            )
            .example("[{ path = \"/etc/tcpcap/feeds/drop.txt\", name = \"drop\" }]"),
        Key::new(
            "block_for",
            Time(Duration::from_secs(1)..=decide::MAX_TTL),
            |s| s.judging.block_for,
            |s, v| s.judging.block_for = v,
        )
        .doc(
            "How long a first block lasts; each repeat doubles it, up to a day",
            "a scan is over by then, and a mistake heals by itself",
        )
        .flag("block-for", "TIME"),
        Key::new("scope", Choice::of_enum(), |s| s.scope, |s, v| s.scope = v)
            .doc(
                "Which packets of a blocked source are dropped: all, or new connections alone",
                "each block says by itself what it drops",
            )
            .flag("scope", "SCOPE"),
        Key::new("reflex", Switch, |s| s.reflex, |s, v| s.reflex = v)
            .doc(
                "Whether the kernel program itself holds a scanner's new connections for the second until it is judged",
                "a scanner sees no more while the processor is busy",
            )
            .flag("reflex", "BOOL"),
    ]
}

fn running() -> Vec<Key> {
    vec![
        Key::new("listen", Endpoint, |s| s.listen, |s, v| s.listen = v)
            .doc(
                "Where to serve metrics and the web page",
                "only this host reaches it there; the port is the original's",
            )
            .flag("listen", "ADDRESS:PORT")
            .restart(),
        Key::new("socket", AbsolutePath, |s| s.socket.clone(), |s, v| s.socket = v)
            .doc("Where to take commands", "systemd and people look for it there")
            .flag("socket", "PATH")
            .restart(),
        Key::new("state", AbsolutePath, |s| s.state.clone(), |s, v| s.state = v)
            .doc("Directory of the history", "what a service keeps belongs there")
            .flag("state", "DIR")
            .restart(),
        Key::new("detach", Switch, |s| s.detach, |s, v| s.detach = v)
            .doc(
                "Take everything out of the kernel when stopped, instead of leaving blocks in force",
                "nobody gets in while tcpcap is restarted",
            )
            .flag("detach", "BOOL"),
        Key::new("log_format", Choice::of_enum(), |s| s.log_format, |s, v| s.log_format = v)
            .doc("How log lines look", "people read them first")
            .flag("log-format", "FORMAT")
            .restart(),
        Key::new("host_root", AbsolutePath, |s| s.protect.root.clone(), |s, v| s.protect.root = v)
            .doc(
                "Where the host's files are, when tcpcap runs in a container that has them elsewhere",
                "that is where they are, outside of containers",
            )
            .flag("host-root", "DIR")
            .restart(),
    ]
}
