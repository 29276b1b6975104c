//! An interface that is to be watched.

use std::{collections::BTreeSet, path::PathBuf};

use super::{Finding, Host, kernel::TCX};
use crate::{
    doctor::{card::Card, ethtool::Offload, host::Listener},
    kernel::{EgressChoice, ModeChoice, Way, survey},
    network::clsact,
};

const VIRTIO: &str = "virtio_net";

/// Bytes: what fits into one buffer of every driver known (Intel's 3 KiB buffers have the least room).
const MTU_OF_ONE_BUFFER: u32 = 3000;

pub(super) fn link(_: &Host, card: &Card) -> Finding {
    let what = match (&card.driver, &card.kind) {
        (Some(driver), None) => format!("driver {driver}"),
        (_, Some(kind)) => kind.clone(),
        (None, None) => "driver unknown".to_owned(),
    };
    if !card.ethernet {
        return Finding::warn(
            format!("{what}, whose packets have no Ethernet header"),
            "tcpcap reads Ethernet: it cannot make out these packets, and lets them pass",
            "watch the interface that the tunnel's packets come in by",
        );
    }
    if !card.up {
        return Finding::warn(
            format!("{what}, down"),
            "tcpcap starts, and sees nothing until it is up",
            format!("ip link set dev {} up", card.name),
        );
    }
    if !card.carrier {
        return Finding::warn(
            format!("{what}, up, but no carrier"),
            "nothing comes in: no cable, or nobody at its other end",
            "plug it in, or watch another interface with --iface",
        );
    }
    Finding::ok(format!("{what}, up"))
}

/// Whether a virtio card's host merges packets and cannot be told not to. Its driver refuses native mode then, although
/// the kernel says that it has it.
fn is_merged_by_host(card: &Card) -> bool {
    let fixed = |on: &Vec<Offload>| on.iter().any(|offload| offload.fixed);
    card.driver.as_deref() == Some(VIRTIO) && card.merges.as_ref().is_some_and(fixed)
}

/// Whether the driver has native XDP, where that is known: from the kernel since 6.3, before that of virtual ones.
fn has_native(card: &Card) -> Option<bool> {
    if is_merged_by_host(card) {
        return Some(false);
    }
    card.can.map(|can| can.native).or_else(|| match card.kind.as_deref()? {
        "veth" | "tun" => Some(true),
        _ => Some(false),
    })
}

/// Why there is no native mode, and what else to watch.
fn why_generic(card: &Card) -> (String, String) {
    let instead = |what: &str| format!("none needed; for speed, watch {what} instead with --iface");
    let accept = || "none needed; a faster mode takes another interface".to_owned();
    match card.kind.as_deref() {
        Some("loopback") => ("the loopback has no driver".into(), accept()),
        Some("bridge") => ("a bridge has no queue of its own".into(), instead("its ports")),
        Some("bond" | "team") => ("its cards have no native XDP, or its mode allows none".into(), instead("its cards")),
        Some("vlan" | "macvlan" | "ipvlan") => {
            ("it lies upon another card".into(), instead("the card beneath (tcpcap reads VLAN tags)"))
        }
        Some("veth") => (
            "a cable's end needs as many receive queues as the other end has transmit queues".into(),
            format!("ethtool -L {} rx N", card.name),
        ),
        Some(kind) => (format!("{kind} has no native XDP"), accept()),
        None if is_merged_by_host(card) => (
            "virtio_net refuses native mode while the hypervisor merges packets".into(),
            "none needed; for speed, have the hypervisor turn guest TSO off (QEMU: guest_tso4=off,guest_tso6=off)"
                .into(),
        ),
        None => (
            format!("the driver {} has no native XDP as it is set", card.driver.as_deref().unwrap_or("of this card")),
            "a newer kernel or driver may have it; else none needed".into(),
        ),
    }
}

pub(super) fn mode(host: &Host, card: &Card) -> Finding {
    let native = has_native(card);
    match (host.settings.mode, native) {
        (ModeChoice::Generic, _) => Finding::ok("generic, as it is told"),
        (_, Some(true)) => Finding::ok("native: in the driver, before the kernel spends work on a packet"),
        (ModeChoice::Native, Some(false)) => Finding::fail(
            format!("native was asked for, and cannot be: {}", why_generic(card).0),
            "tcpcap does not start",
            "use --mode auto, which falls back to generic mode",
        ),
        (ModeChoice::Auto, Some(false)) => {
            let (why, remedy) = why_generic(card);
            Finding::warn(
                format!("generic: {why}"),
                "all works, but the kernel has made a socket buffer of a packet before it is dropped",
                remedy,
            )
        }
        (_, None) => Finding::ok("native if the driver can: this kernel tells only when a program is attached"),
    }
}

pub(super) fn mtu(host: &Host, card: &Card) -> Finding {
    let bytes = format!("{} bytes", card.mtu);
    let generic = host.settings.mode == ModeChoice::Generic || has_native(card) == Some(false);
    if generic || card.mtu <= MTU_OF_ONE_BUFFER {
        return Finding::ok(bytes);
    }
    if card.can.is_some_and(|can| can.frags) {
        return Finding::ok(format!("{bytes}, in several buffers, which the driver can"));
    }
    Finding::warn(
        format!("{bytes}, more than fits into one buffer"),
        "most drivers refuse native mode then, unless they can split packets (Linux 5.18 and newer)",
        format!("ip link set dev {} mtu 1500; or none: generic mode works", card.name),
    )
}

pub(super) fn other_program(host: &Host, card: &Card) -> Finding {
    let Some(attached) = card.xdp else { return Finding::ok("no XDP program yet") };
    let mode = if attached.native { "native" } else { "generic" };
    let id = attached.id;
    let left = match host.left() {
        Ok(left) => left,
        Err(_) if !host.has_rights() => return host.unseen(),
        Err(_) => None,
    };
    let pinned = left.into_iter().flat_map(|left| &left.links);
    if pinned.filter(|(link, _)| matches!(link.way, Way::In(_))).any(|(_, program)| *program == id) {
        return Finding::ok(format!("tcpcap's own (id {id}, {mode}): the next start takes its place"));
    }
    let name = survey::program_name(id);
    if matches!(host.listener(), Listener::Alive(_)) {
        match name.as_deref() {
            Some(name) if name.starts_with("tcpcap") => {
                return Finding::ok(format!("tcpcap's own (id {id}, {mode}), not pinned: it ends with its daemon"));
            }
            // To ask for a name takes CAP_SYS_ADMIN, which tcpcap does without.
            None => return Finding::skip(format!("a program (id {id}, {mode}), tcpcap's own if that is not pinned")),
            Some(_) => {}
        }
    }
    let named = name.map_or_else(String::new, |name| format!(" `{name}`"));
    Finding::fail(
        format!("another XDP program{named} (id {id}, {mode}) has the interface"),
        "an interface has one: tcpcap does not start, and does not push it out",
        format!("stop what put it there (`bpftool net` shows more), or: ip link set dev {} xdp off", card.name),
    )
}

pub(super) fn offloads(_: &Host, card: &Card) -> Finding {
    let Some(on) = &card.merges else { return Finding::skip("this interface has no offloads to ask for") };
    if on.is_empty() {
        return Finding::ok("none that merges packets before tcpcap sees them");
    }
    let names: Vec<_> = on.iter().map(|offload| offload.name).collect();
    if card.driver.as_deref() == Some(VIRTIO) && !is_merged_by_host(card) {
        return Finding::ok(format!("{}, which the driver turns off by itself for XDP", names.join(", ")));
    }
    let found = format!("{} on: the card merges packets", names.join(", "));
    let means = "merged packets count as one, and many drivers refuse native mode meanwhile";
    if on.iter().all(|offload| offload.fixed) {
        return Finding::warn(
            found,
            format!("{means}; in generic mode the kernel warns in its log that it cannot turn this off: harmless"),
            "cannot be changed here: turn it off where this card is set up (the hypervisor)",
        );
    }
    let off: Vec<_> = on.iter().filter(|offload| !offload.fixed).map(|o| format!("{} off", o.name)).collect();
    Finding::warn(found, means, format!("ethtool -K {} {}", card.name, off.join(" ")))
}

/// The CPUs in a list such as `0-3,8`.
fn cpus(list: &str) -> BTreeSet<u32> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
    };
    list.split(',').filter_map(range).flat_map(|range: std::ops::RangeInclusive<u32>| range.take(4096)).collect()
}

/// Which CPUs the card's interrupts come to, where that is shown: the files are those of the mount's network.
fn interrupted(host: &Host, card: &Card) -> BTreeSet<u32> {
    let device = format!("/sys/class/net/{}", card.name);
    if host.read(&format!("{device}/ifindex")).ok().and_then(|index| index.parse().ok()) != Some(card.index) {
        return BTreeSet::new();
    }
    // The second of the two is where a virtio card has them.
    let places = ["device/msi_irqs", "device/../msi_irqs"].map(|place| host.path(&format!("{device}/{place}")));
    let numbers = |place: &PathBuf| std::fs::read_dir(place).into_iter().flatten().flatten().map(|e| e.file_name());
    let mut found = BTreeSet::new();
    for number in places.iter().flat_map(numbers) {
        let number = number.to_string_lossy();
        // Those that never came have no CPU yet.
        if let Ok(list) = host.read(&format!("/proc/irq/{number}/effective_affinity_list")) {
            found.extend(cpus(&list));
        }
    }
    found
}

/// Whether the kernel hands a card's packets on to other CPUs.
fn is_shared_out(host: &Host, card: &Card) -> bool {
    let mask = host.read(&format!("/sys/class/net/{}/queues/rx-0/rps_cpus", card.name));
    mask.is_ok_and(|mask| mask.contains(|c: char| !matches!(c, '0' | ',')))
}

pub(super) fn queues(host: &Host, card: &Card) -> Finding {
    let Some(queues) = card.queues else { return Finding::skip("this interface does not tell of its queues") };
    let cpus = host.read("/sys/devices/system/cpu/online").map_or(1, |list| cpus(&list).len());
    let now = queues.now;
    let found = format!(
        "{now} receive {}, {cpus} {}",
        if now == 1 { "queue" } else { "queues" },
        if cpus == 1 { "CPU" } else { "CPUs" }
    );
    if card.kind.is_some() {
        return Finding::ok(format!("{found}; a virtual card's packets are looked at where they are sent"));
    }
    if cpus > 1 && now == 1 && queues.most > 1 {
        let wanted = usize::try_from(queues.most).unwrap_or(cpus).min(cpus);
        return Finding::warn(
            found,
            "one CPU looks at all packets, while the card could share them out",
            format!("ethtool -L {} combined {wanted}", card.name),
        );
    }
    if cpus > 1 && now == 1 {
        // Generic mode comes behind it, native mode before it.
        let shared = if is_shared_out(host, card) { "; in generic mode several do (RPS)" } else { "" };
        return Finding::ok(format!("{found}: one CPU looks at all packets, and the card has no more{shared}"));
    }
    let busy = interrupted(host, card);
    if cpus > 1
        && now > 1
        && let (Some(cpu), 1) = (busy.first(), busy.len())
    {
        return Finding::warn(
            format!("{found}, but all interrupts come to CPU {cpu}"),
            "one CPU looks at all packets, whatever the queues",
            "start irqbalance, or spread /proc/irq/*/smp_affinity_list by hand",
        );
    }
    Finding::ok(found)
}

pub(super) fn answers(host: &Host, card: &Card) -> Finding {
    if host.settings.egress == EgressChoice::Off {
        return Finding::ok("not looked at, as it is told");
    }
    if !card.ethernet {
        return Finding::warn(
            "our own answers go unseen: they leave without an Ethernet header",
            "completions are judged by what comes in alone",
            "none needed; `egress = \"off\"` says that this is meant",
        );
    }
    if host.kernel() >= TCX && host.settings.egress != EgressChoice::Clsact {
        return Finding::ok("our own answers are seen as they leave, by tcx");
    }
    match clsact::is_unused(card.index) {
        Ok(false) => {
            Finding::ok("our own answers are seen as they leave, by clsact; other filters hang there too, behind ours")
        }
        _ => Finding::ok("our own answers are seen as they leave, by clsact"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus_are_read() {
        assert_eq!(cpus("0-3,8"), BTreeSet::from([0, 1, 2, 3, 8]));
        assert_eq!(cpus("5"), BTreeSet::from([5]));
        assert_eq!(cpus(""), BTreeSet::new());
        assert_eq!(cpus("0-4294967295").len(), 4096, "however wrong");
    }
}
