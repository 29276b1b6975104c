//! Interfaces as they might be.

use super::{Case, Tree};
use crate::{
    doctor::{
        Finding, Host, Level,
        card::{Attached, Card},
        checks::{ALL, Run},
        ethtool::{Offload, Queues},
        netdev::Can,
    },
    kernel::{EgressChoice, ModeChoice},
};

/// What a check of an interface says.
fn ask_card(name: &str, host: &Host, card: &Card) -> Finding {
    let check = ALL.iter().find(|check| check.name == name).unwrap();
    let Run::Card(run) = check.run else { panic!("{name} is about the host") };
    run(host, card)
}

/// An interface where all is well.
fn eth0() -> Card {
    Card {
        name: "eth0".into(),
        index: 2,
        up: true,
        carrier: true,
        kind: None,
        driver: Some("ice".into()),
        mtu: 1500,
        ethernet: true,
        can: Some(Can { native: true, frags: true }),
        xdp: None,
        merges: Some(Vec::new()),
        queues: Some(Queues { now: 8, most: 8 }),
    }
}

fn virtual_card(kind: &str) -> Card {
    Card { kind: Some(kind.into()), driver: None, can: Some(Can::default()), ..eth0() }
}

#[allow(clippy::too_many_lines, reason = "a table")]
pub(super) fn cases() -> Vec<Case> {
    use Level::{Fail, Ok, Skip, Warn};
    let well = Tree::but(&[]);
    let host = well.host();
    let old = Tree::but(&[("proc/sys/kernel/osrelease", Some("5.15.0"))]);
    let with = |mode| well.host_with(|settings| settings.mode = mode);
    let (native, generic) = (with(ModeChoice::Native), with(ModeChoice::Generic));
    let unseen_egress = well.host_with(|settings| settings.egress = EgressChoice::Off);
    let unseen = |name| Card { can: None, ..virtual_card(name) };
    let merging = |name, fixed, driver: &str| Card {
        merges: Some(vec![Offload { name, fixed }]),
        driver: Some(driver.into()),
        ..eth0()
    };
    let lro = merging("rx-lro", false, "bnx2x");
    let stuck = merging("rx-gro-hw", true, "virtio_net");
    let virtio = merging("rx-gro-hw", false, "virtio_net");
    let jumbo = Card { mtu: 9000, can: Some(Can { native: true, frags: false }), ..eth0() };
    let busy = |native| Card { xdp: Some(Attached { id: u32::MAX, native }), ..eth0() };
    let queues = |now, most| Card { queues: Some(Queues { now, most }), ..eth0() };
    let spread = Tree::but(&[
        ("sys/class/net/eth0/ifindex", Some("2\n")),
        ("sys/class/net/eth0/device/msi_irqs/40", Some("")),
        ("sys/class/net/eth0/device/msi_irqs/41", Some("")),
        ("proc/irq/40/effective_affinity_list", Some("3\n")),
        ("proc/irq/41/effective_affinity_list", Some("3\n")),
    ]);
    let crowded = spread.host();
    let all_on_one = ask_card("queues", &crowded, &eth0());
    spread.put("proc/irq/41/effective_affinity_list", "5\n");
    let rps = Tree::but(&[("sys/class/net/eth0/queues/rx-0/rps_cpus", Some("00000000,000000ff\n"))]);
    let say = |name, level, says, host: &Host, card: &Card| (name, level, says, ask_card(name, host, card));
    vec![
        say("link", Ok, "driver ice, up", &host, &eth0()),
        say("link", Warn, "ip link set dev eth0 up", &host, &Card { up: false, ..eth0() }),
        say("link", Warn, "no carrier", &host, &Card { carrier: false, ..eth0() }),
        say("link", Warn, "no Ethernet header", &host, &Card { ethernet: false, ..virtual_card("wireguard") }),
        say("mode", Ok, "native", &host, &eth0()),
        say("mode", Warn, "generic: a bridge has no queue", &host, &virtual_card("bridge")),
        say("mode", Warn, "the loopback has no driver", &host, &virtual_card("loopback")),
        say("mode", Warn, "tcpcap reads VLAN tags", &host, &virtual_card("vlan")),
        say("mode", Warn, "watch its cards instead", &host, &Card { name: "bond0".into(), ..virtual_card("bond") }),
        say("mode", Warn, "as many receive queues", &host, &virtual_card("veth")),
        say("mode", Warn, "ifb has no native XDP", &host, &unseen("ifb")),
        say("mode", Ok, "native", &host, &unseen("tun")),
        say(
            "mode",
            Warn,
            "e1000 has no native",
            &host,
            &Card { driver: Some("e1000".into()), can: Some(Can::default()), ..eth0() },
        ),
        say("mode", Ok, "native if the driver can", &host, &Card { can: None, ..eth0() }),
        say("mode", Fail, "use --mode auto", &native, &virtual_card("bridge")),
        say("mode", Ok, "generic, as it is told", &generic, &virtual_card("bridge")),
        say("mode", Warn, "while the hypervisor merges", &host, &stuck),
        say("mtu", Ok, "1500 bytes", &host, &eth0()),
        say("mtu", Warn, "more than fits into one buffer", &host, &jumbo),
        say("mtu", Ok, "in several buffers", &host, &Card { mtu: 9000, ..eth0() }),
        say("mtu", Ok, "9000 bytes", &generic, &jumbo),
        say("other-program", Ok, "no XDP program yet", &host, &eth0()),
        say("other-program", Fail, "(id 4294967295, native) has the interface", &host, &busy(true)),
        say("other-program", Fail, "ip link set dev eth0 xdp off", &host, &busy(false)),
        say("offloads", Ok, "none", &host, &eth0()),
        say("offloads", Warn, "ethtool -K eth0 rx-lro off", &host, &lro),
        say("offloads", Warn, "cannot be changed here", &host, &stuck),
        say("offloads", Ok, "turns off by itself", &host, &virtio),
        say("offloads", Skip, "no offloads", &host, &Card { merges: None, ..eth0() }),
        say("queues", Ok, "8 receive queues, 8 CPUs", &host, &eth0()),
        say("queues", Warn, "ethtool -L eth0 combined 8", &host, &queues(1, 16)),
        say("queues", Ok, "the card has no more", &host, &queues(1, 1)),
        say("queues", Ok, "in generic mode several do (RPS)", &rps.host(), &queues(1, 1)),
        say("queues", Ok, "a virtual card's", &host, &virtual_card("veth")),
        say("queues", Skip, "does not tell", &host, &Card { queues: None, ..eth0() }),
        ("queues", Warn, "all interrupts come to CPU 3", all_on_one),
        say("queues", Ok, "8 receive queues", &spread.host(), &eth0()),
        say("answers", Ok, "by tcx", &host, &eth0()),
        say("answers", Ok, "by clsact", &old.host(), &eth0()),
        say("answers", Ok, "as it is told", &unseen_egress, &eth0()),
        say("answers", Warn, "without an Ethernet header", &host, &Card { ethernet: false, ..eth0() }),
    ]
}
