//! What keeps this process apart from the host.

use super::{Finding, Host};

// The host's own namespaces have fixed numbers (include/linux/proc_ns.h).
const HOST_PIDS: u64 = 0xefff_fffc;
const HOST_USERS: u64 = 0xefff_fffd;
const HOST_CGROUPS: u64 = 0xefff_fffb;
/// Since [`NUMBERED`]; before that the host's network has a number like any other.
const HOST_NETWORK: u64 = 0xefff_fff9;
const NUMBERED: (u32, u32) = (6, 18);

/// The number of one of this process's namespaces, or of process 1's: `pid:[4026531836]`.
fn namespace(host: &Host, process: &str, kind: &str) -> Option<u64> {
    let link = host.link(&format!("/proc/{process}/ns/{kind}")).ok()?;
    link.split_once('[')?.1.strip_suffix(']')?.parse().ok()
}

/// Which engine's marker there is.
fn engine(host: &Host) -> Option<&'static str> {
    [("/run/.containerenv", "podman"), ("/.dockerenv", "Docker"), ("/var/run/secrets/kubernetes.io", "Kubernetes")]
        .into_iter()
        .find_map(|(path, engine)| host.path(path).exists().then_some(engine))
}

/// Whether this is a container. A marker alone is none: images are also booted as machines.
pub(super) fn is_one(host: &Host) -> bool {
    let apart = |kind, hosts| namespace(host, "self", kind).is_some_and(|number| number != hosts);
    apart("pid", HOST_PIDS) || apart("cgroup", HOST_CGROUPS)
}

pub(super) fn container(host: &Host) -> Finding {
    if !is_one(host) {
        return Finding::ok("not in a container");
    }
    let found = format!("in a container{}", engine(host).map_or_else(String::new, |engine| format!(" ({engine})")));
    if host.settings.protect.root.as_os_str() == "/" {
        return Finding::warn(
            found,
            "who is logged in to the host by SSH, and its name servers, are looked for in the container, so they are \
             not protected from being blocked",
            "mount the host's files read-only and name them: -v /:/host:ro … --host-root /host",
        );
    }
    Finding::ok(format!("{found}; the host's files are in {}", host.settings.protect.root.display()))
}

pub(super) fn users(host: &Host) -> Finding {
    match namespace(host, "self", "user") {
        Some(HOST_USERS) => Finding::ok("the host's: capabilities are what they seem"),
        Some(_) => Finding::fail(
            "a user namespace of its own, as rootless containers have",
            "capabilities in it count for nothing outside: no BPF program can be loaded",
            "start the container as root (sudo podman …), or tcpcap outside of it",
        ),
        None => Finding::skip("/proc/self/ns/user is not shown here"),
    }
}

pub(super) fn network(host: &Host) -> Finding {
    let (Some(ours), first) = (namespace(host, "self", "net"), namespace(host, "1", "net")) else {
        return Finding::skip("/proc/self/ns/net is not shown here");
    };
    if ours == HOST_NETWORK {
        return Finding::ok("the host's");
    }
    if is_one(host) {
        return in_container(host);
    }
    match first {
        Some(first) if first == ours => Finding::ok("the host's"),
        None if host.kernel() < NUMBERED => host.unseen(),
        _ => Finding::warn(
            "a network namespace of its own",
            "tcpcap sees and blocks what comes into this namespace, and nothing else of the host",
            "if that is not meant, start it outside of `ip netns exec` or `nsenter`",
        ),
    }
}

/// In a container process 1 may be its own, so the interfaces tell: one of its own has ends of cables alone.
fn in_container(host: &Host) -> Finding {
    let Ok(cards) = host.cards() else { return Finding::skip("there are no interfaces to tell by: see below") };
    let mut found = cards.iter().filter_map(|(_, card)| card.as_ref().ok()).peekable();
    if found.peek().is_some() && found.all(|card| card.kind.as_deref() == Some("veth")) {
        return Finding::warn(
            "the container's own, it seems: its interfaces are virtual cables",
            "tcpcap sees what is sent to this container, not what is sent to the host",
            "start the container with --network host (Kubernetes: hostNetwork: true)",
        );
    }
    Finding::ok("the host's, as its interfaces tell")
}
