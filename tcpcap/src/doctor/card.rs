//! An interface as the checks look at it.

use std::{collections::BTreeMap, fmt::Display};

use futures_util::TryStreamExt as _;
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage, LinkXdp};

use super::{
    ethtool::{Ethtool, Offload, Queues},
    finding::Finding,
    netdev::{Can, Netdev},
};
use crate::{interfaces, network::Watch};

/// Offloads that make one packet of several before XDP sees them.
const MERGING: [&str; 2] = ["rx-lro", "rx-gro-hw"];

/// What is known of an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Card {
    pub(super) name: String,
    pub(super) index: u32,
    pub(super) up: bool,
    /// A cable, or what stands for one.
    pub(super) carrier: bool,
    /// The kind of a virtual interface: `veth`, `bridge`; `loopback`. A physical one has none.
    pub(super) kind: Option<String>,
    pub(super) driver: Option<String>,
    pub(super) mtu: u32,
    /// Its packets have an Ethernet header.
    pub(super) ethernet: bool,
    /// As the kernel tells since 6.3.
    pub(super) can: Option<Can>,
    pub(super) xdp: Option<Attached>,
    /// Those of [`MERGING`] that are on; none known where it has none to ask.
    pub(super) merges: Option<Vec<Offload>>,
    pub(super) queues: Option<Queues>,
}

/// The XDP program of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attached {
    pub(super) id: u32,
    pub(super) native: bool,
}

/// The interfaces by name, or why there is nothing to say of one.
pub(super) type Cards = Vec<(String, Result<Card, Finding>)>;

/// Looks at the interfaces that are named, else at those of the default routes.
pub(super) fn look(named: &[String]) -> Result<Cards, Finding> {
    let blind = |e: &dyn Display| {
        Finding::fail(
            format!("the kernel does not tell of its network: {e}"),
            "tcpcap does not start without",
            "netlink must not be blocked by a filter",
        )
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| blind(&e))?;
    runtime.block_on(async {
        let network = Watch::open().map_err(|e| blind(&e))?.ask().await.map_err(|e| blind(&e))?;
        let names = if named.is_empty() {
            interfaces::choose(named, &network)
                .map_err(|f| Finding::fail(f.cause, "tcpcap does not start without one", f.remedy))?
        } else {
            named.to_vec()
        };
        let (connection, handle, _) = rtnetlink::new_connection().map_err(|e| blind(&e))?;
        tokio::spawn(connection);
        let mut found = BTreeMap::new();
        let mut links = handle.link().get().execute();
        while let Some(link) = links.try_next().await.map_err(|e| blind(&e))? {
            let card = read(&link);
            found.insert(card.name.clone(), card);
        }
        let netdev = Netdev::open().ok();
        let one = |name: String| {
            let Some(card) = found.get(&name) else {
                let missing = interfaces::choose(std::slice::from_ref(&name), &network).err();
                let remedy = missing.map_or_else(String::new, |failure| failure.remedy);
                return (name, Err(Finding::fail("there is none", "tcpcap does not start", remedy)));
            };
            (name, Ok(asked(card.clone(), netdev.as_ref())))
        };
        Ok(names.into_iter().map(one).collect())
    })
}

fn read(link: &LinkMessage) -> Card {
    let layer = link.header.link_layer_type;
    let mut card = Card {
        index: link.header.index,
        up: link.header.flags.contains(LinkFlags::Up),
        carrier: link.header.flags.contains(LinkFlags::LowerUp),
        ethernet: matches!(layer, LinkLayerType::Ether | LinkLayerType::Loopback),
        kind: (layer == LinkLayerType::Loopback).then(|| "loopback".to_owned()),
        ..Card::default()
    };
    let mut queues = 0;
    for attribute in &link.attributes {
        match attribute {
            LinkAttribute::IfName(name) => card.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => card.mtu = *mtu,
            LinkAttribute::NumRxQueues(count) => queues = *count,
            LinkAttribute::LinkInfo(about) => {
                let kind = about.iter().find_map(|about| match about {
                    LinkInfo::Kind(kind) => Some(name_of(kind)),
                    _ => None,
                });
                card.kind = kind.or(card.kind);
            }
            LinkAttribute::Xdp(xdp) => card.xdp = attached(xdp),
            _ => {}
        }
    }
    card.queues = Some(Queues { now: queues, most: queues }).filter(|queues| queues.now > 0);
    card
}

fn name_of(kind: &InfoKind) -> String {
    // The library's names are the kernel's.
    kind.to_string()
}

fn attached(xdp: &[LinkXdp]) -> Option<Attached> {
    let (mut id, mut native) = (None, false);
    for attribute in xdp {
        match attribute {
            LinkXdp::DrvProgId(program) | LinkXdp::HwProgId(program) => (id, native) = (Some(*program), true),
            LinkXdp::SkbProgId(program) | LinkXdp::ProgId(program) => id = id.or(Some(*program)),
            _ => {}
        }
    }
    id.filter(|id| *id != 0).map(|id| Attached { id, native })
}

fn asked(card: Card, netdev: Option<&Netdev>) -> Card {
    let can = netdev.and_then(|netdev| netdev.can(card.index).ok());
    let Ok(ethtool) = Ethtool::open(&card.name) else { return Card { can, ..card } };
    let (driver, merges, queues) = (ethtool.driver(), ethtool.on(&MERGING).ok(), ethtool.queues());
    Card { can, driver, merges, queues: queues.or(card.queues), ..card }
}
