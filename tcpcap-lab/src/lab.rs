//! Making namespaces and the cables between them, and removing them.

use std::{
    net::IpAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use anyhow::{bail, ensure};

use crate::{
    interrupt,
    ip::ip,
    namespace::Namespace,
    sweep::{PREFIX, sweep},
};

/// A set of namespaces that live as long as this value.
#[derive(Debug)]
pub struct Lab {
    prefix: String,
    namespaces: Mutex<Vec<Namespace>>,
    cables: AtomicU32,
}

/// One end of a cable.
#[derive(Clone, Debug)]
pub struct End<'a> {
    /// Where it is plugged in.
    pub namespace: &'a Namespace,
    /// The card's name there.
    pub card: &'a str,
    /// The card's addresses with their prefix lengths.
    pub addresses: &'a [(IpAddr, u8)],
}

/// A cable, and how many queues its cards have.
#[derive(Clone, Debug)]
pub struct Veth<'a> {
    /// Its ends.
    pub ends: [End<'a>; 2],
    /// Receive and transmit queues of each card.
    pub queues: u32,
}

/// Set in every new namespace, before it has a card: no packet is sent that no test sends, so that counters add up.
const QUIET: &[(&str, &str)] = &[
    // Addresses can be used at once.
    ("ipv6/conf/default/accept_dad", "0"),
    ("ipv6/conf/default/dad_transmits", "0"),
    // No address of its own making, no asking for routers.
    ("ipv6/conf/default/addr_gen_mode", "1"),
    ("ipv6/conf/default/accept_ra", "0"),
    ("ipv6/conf/default/router_solicitations", "0"),
    // Multicast reports come at once and not for seconds.
    ("ipv6/conf/default/mldv1_unsolicited_report_interval", "0"),
    ("ipv6/conf/default/mldv2_unsolicited_report_interval", "0"),
    // A scanner with many addresses answers for each from any card.
    ("ipv4/conf/default/rp_filter", "0"),
    ("ipv4/conf/all/rp_filter", "0"),
];

impl Lab {
    /// An empty lab. Removes what dead processes left behind.
    ///
    /// # Errors
    /// When this is not root, or `ip` is missing.
    pub fn new() -> anyhow::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // SAFETY: has no preconditions.
        ensure!(unsafe { libc::geteuid() } == 0, "network namespaces need root\n  run as root");
        interrupt::install();
        interrupt::check()?;
        sweep()?;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("{PREFIX}{}-{number}-", std::process::id());
        Ok(Self { prefix, namespaces: Mutex::default(), cables: AtomicU32::new(0) })
    }

    /// Adds a namespace; its name ends in the role.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn namespace(&self, role: &str) -> anyhow::Result<Namespace> {
        interrupt::check()?;
        let namespace = Namespace::new(&format!("{}{role}", self.prefix));
        // Noted first: should something fail after it exists, it is removed nevertheless.
        self.lock().push(namespace.clone());
        ip(&["netns", "add", namespace.name()], "")?;
        namespace.sysctl(QUIET)?;
        namespace.ip("link set dev lo up\n")?;
        Ok(namespace)
    }

    /// Lays a cable. The ends know each other's hardware addresses, so that nobody has to ask.
    ///
    /// # Errors
    /// When the kernel refuses, or the cable would need more than 255 hardware addresses.
    pub fn connect(&self, veth: &Veth) -> anyhow::Result<()> {
        let number = self.cables.fetch_add(1, Ordering::Relaxed);
        let [a, b] = &veth.ends;
        let Ok(number) = u8::try_from(number) else { bail!("too many cables") };
        let macs = [mac(number, 0), mac(number, 1)];
        let queues = format!("numtxqueues {0} numrxqueues {0}", veth.queues.max(1));
        ip(
            &["-n", a.namespace.name(), "-batch", "-"],
            &format!(
                "link add name {} address {} {queues} type veth peer name {} address {} {queues} netns {}\n",
                a.card,
                macs[0],
                b.card,
                macs[1],
                b.namespace.name()
            ),
        )?;
        for ((end, peer), peer_mac) in [(a, b), (b, a)].into_iter().zip([&macs[1], &macs[0]]) {
            let mut lines = format!("link set dev {} up\n", end.card);
            for (address, len) in end.addresses {
                let flags = if address.is_ipv6() { "nodad" } else { "" };
                lines += &format!("address add {address}/{len} dev {} {flags}\n", end.card);
            }
            for (address, _) in peer.addresses {
                lines += &format!("neighbour replace {address} lladdr {peer_mac} dev {} nud permanent\n", end.card);
            }
            end.namespace.ip(&lines)?;
        }
        Ok(())
    }

    /// Removes everything now, instead of when this value goes out of scope.
    ///
    /// # Errors
    /// What could not be removed.
    pub fn remove(self) -> anyhow::Result<()> {
        self.clear()
    }

    fn clear(&self) -> anyhow::Result<()> {
        let mut failed = Vec::new();
        for namespace in self.lock().drain(..) {
            if namespace.path().exists()
                && let Err(error) = ip(&["netns", "delete", namespace.name()], "")
            {
                failed.push(format!("{error:#}"));
            }
        }
        ensure!(failed.is_empty(), "cannot remove the lab: {}", failed.join("; "));
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Namespace>> {
        self.namespaces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Err(error) = self.clear() {
            eprintln!("{error:#}\n  run: ip netns delete NAME, for each tcpcap-* of ip netns list");
        }
    }
}

/// A locally administered hardware address.
fn mac(cable: u8, end: u8) -> String {
    format!("02:74:63:70:{cable:02x}:{end:02x}")
}
