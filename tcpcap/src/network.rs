//! The host's own network, by netlink: which addresses are ours, who our gateways are, which interfaces face the world.

pub mod clsact;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, TryStreamExt as _};
use netlink_packet_route::{
    address::AddressAttribute,
    link::{LinkAttribute, LinkLayerType},
    route::{RouteAddress, RouteAttribute, RouteMessage, RouteType, RouteVia},
};
use rtnetlink::{Handle, MulticastGroup, RouteMessageBuilder, new_multicast_connection};

/// What the host's network looked like when it was last asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Interface index → name.
    pub interfaces: BTreeMap<u32, String>,
    /// Those whose packets have no Ethernet header as they leave, tunnels for example.
    pub without_ethernet: BTreeSet<u32>,
    /// Addresses of all interfaces: Linux answers for each of them, whatever interface a packet comes in by.
    pub addresses: BTreeSet<IpAddr>,
    /// Next hops of the default routes.
    pub gateways: BTreeSet<IpAddr>,
    /// Names of the default routes' interfaces.
    pub default_interfaces: BTreeSet<String>,
}

/// A netlink connection that answers questions and tells of changes.
pub struct Watch {
    handle: Handle,
    changes: Box<dyn futures_util::Stream<Item = ()> + Send + Unpin>,
    /// Something has changed since the last [`Watch::ask`].
    stale: bool,
    asked: Instant,
    took: Duration,
}

/// How often the whole picture is asked for although no change was told of: the kernel drops messages that are not read
/// in time.
const REFRESH: Duration = Duration::from_secs(60);

/// Asking takes at most this part of the daemon's time: a router has a million routes, and they change all day.
const SHARE: u32 = 20;

impl Watch {
    /// Opens the connection in the network namespace of this thread. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The kernel refuses a netlink socket.
    pub fn open() -> io::Result<Self> {
        let (connection, handle, messages) = new_multicast_connection(&[
            MulticastGroup::Link,
            MulticastGroup::Ipv4Ifaddr,
            MulticastGroup::Ipv6Ifaddr,
            MulticastGroup::Ipv4Route,
            MulticastGroup::Ipv6Route,
        ])?;
        tokio::spawn(connection);
        Ok(Self {
            handle,
            changes: Box::new(messages.map(|_| ())),
            stale: true,
            asked: Instant::now(),
            took: Duration::ZERO,
        })
    }

    /// Waits until something changed; what, [`Watch::ask`] tells. Changes that came together are one.
    pub async fn changed(&mut self) {
        if self.changes.next().await.is_none() {
            // The connection ended; the poll asks anyway.
            std::future::pending::<()>().await;
        }
        self.stale = true;
        // Everything that is already there belongs to the same change.
        while futures_util::FutureExt::now_or_never(self.changes.next()).flatten().is_some() {}
    }

    /// Whether it is time to ask: after a change, now and then without one, or because the caller `wants` to know; but
    /// not so often that asking is all we do.
    #[must_use]
    pub fn is_due(&self, wants: bool) -> bool {
        let since = self.asked.elapsed();
        (self.stale || wants || since >= REFRESH) && since >= self.took * SHARE
    }

    /// Asks the kernel for the whole picture.
    ///
    /// # Errors
    /// The kernel refuses to answer.
    pub async fn ask(&mut self) -> Result<Network, rtnetlink::Error> {
        self.asked = Instant::now();
        // Before the questions: what changes while they are answered is a change.
        self.stale = false;
        let network = self.ask_all().await;
        self.stale |= network.is_err();
        self.took = self.asked.elapsed();
        network
    }

    async fn ask_all(&self) -> Result<Network, rtnetlink::Error> {
        let mut network = Network::default();
        let mut links = self.handle.link().get().execute();
        while let Some(link) = links.try_next().await? {
            if !matches!(link.header.link_layer_type, LinkLayerType::Ether | LinkLayerType::Loopback) {
                network.without_ethernet.insert(link.header.index);
            }
            for attribute in link.attributes {
                if let LinkAttribute::IfName(name) = attribute {
                    network.interfaces.insert(link.header.index, name);
                }
            }
        }
        let mut addresses = std::pin::pin!(self.handle.address().get().execute());
        while let Some(address) = addresses.try_next().await? {
            // On a point-to-point link `Address` is the peer's and `Local` ours; elsewhere they are the same, and
            // IPv6 often has no `Local`.
            let (mut local, mut any) = (None, None);
            for attribute in address.attributes {
                match attribute {
                    AddressAttribute::Local(ip) => local = Some(ip),
                    AddressAttribute::Address(ip) => any = Some(ip),
                    _ => {}
                }
            }
            network.addresses.extend(local.or(any));
        }
        for request in [RouteMessageBuilder::<Ipv4Addr>::new().build(), RouteMessageBuilder::<Ipv6Addr>::new().build()]
        {
            let mut routes = std::pin::pin!(self.handle.route().get(request).execute());
            while let Some(route) = routes.try_next().await? {
                network.take_route(&route);
            }
        }
        Ok(network)
    }
}

impl Network {
    /// Notes the gateway and interface of a default route, one hop or several.
    fn take_route(&mut self, route: &RouteMessage) {
        if route.header.destination_prefix_length != 0 || route.header.kind != RouteType::Unicast {
            return;
        }
        self.take_hop(&route.attributes, None);
        for attribute in &route.attributes {
            if let RouteAttribute::MultiPath(hops) = attribute {
                for hop in hops {
                    self.take_hop(&hop.attributes, Some(hop.interface_index));
                }
            }
        }
    }

    fn take_hop(&mut self, attributes: &[RouteAttribute], interface: Option<u32>) {
        let mut interface = interface;
        for attribute in attributes {
            match attribute {
                RouteAttribute::Gateway(RouteAddress::Inet(ip)) => drop(self.gateways.insert((*ip).into())),
                RouteAttribute::Gateway(RouteAddress::Inet6(ip)) => drop(self.gateways.insert((*ip).into())),
                RouteAttribute::Via(RouteVia::Inet(ip)) => drop(self.gateways.insert((*ip).into())),
                RouteAttribute::Via(RouteVia::Inet6(ip)) => drop(self.gateways.insert((*ip).into())),
                RouteAttribute::Oif(index) => interface = Some(*index),
                _ => {}
            }
        }
        if let Some(name) = interface.and_then(|index| self.interfaces.get(&index)) {
            self.default_interfaces.insert(name.clone());
        }
    }

    /// The index of the interface of that name.
    #[must_use]
    pub fn index_of(&self, name: &str) -> Option<u32> {
        self.interfaces.iter().find(|(_, n)| *n == name).map(|(index, _)| *index)
    }
}
