//! The ready-made networks.
//!
//! [`Internet`]: everybody reaches the sensor's one card through a router, as on the real Internet, so that a scanner
//! and an honest client are different sources to the sensor, and none of them is its neighbour.
//!
//! ```text
//! scanner 203.0.113.1 ──┐
//!   2001:db8:cb00:N::/64│
//!                       ├── internet ── card0 sensor 198.51.100.1
//! client  192.0.2.2   ──┘                     2001:db8:51::1
//!   2001:db8:c0::/64
//! ```
//!
//! [`Direct`]: the sensor has two cards; a neighbour hangs on each.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::atomic::{AtomicU16, Ordering},
};

use anyhow::{Context, bail};

use crate::{
    lab::{End, Lab, Veth},
    namespace::Namespace,
};

/// The sensor's card in every layout, and the only card of the scanner and of the client.
pub const CARD: &str = "card0";
/// The sensor's second card in [`Direct`].
pub const CARD1: &str = "card1";

/// The sensor.
pub const SENSOR_V4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// The sensor.
pub const SENSOR_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x51, 0, 0, 0, 0, 1);
/// The sensor's way out: the router of [`Internet`], the first neighbour of [`Direct`].
pub const GATEWAY_V4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 254);
/// The sensor's way out.
pub const GATEWAY_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x51, 0, 0, 0, 0, 0xfe);
/// The honest client of [`Internet`].
pub const CLIENT_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// The honest client of [`Internet`].
pub const CLIENT_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xc0, 0, 0, 0, 0, 2);
/// The sensor's second card in [`Direct`].
pub const SENSOR1_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The sensor's second card in [`Direct`].
pub const SENSOR1_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xc0, 0, 0, 0, 0, 1);

const CLIENT_GATEWAY_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 254);
const CLIENT_GATEWAY_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xc0, 0, 0, 0, 0, 0xfe);
const SCANNER_GATEWAY_V4: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 254);
const SCANNER_GATEWAY_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xcb00, 0, 0, 0, 0, 0xfe);

/// How many [`Source`]s there are.
const SOURCES: u16 = 250;

/// Addresses that the sensor takes for one new source each: an IPv4 address, and an IPv6 address in a /64 of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// IPv4.
    pub v4: Ipv4Addr,
    /// IPv6.
    pub v6: Ipv6Addr,
}

impl Source {
    const fn numbered(n: u16) -> Self {
        // `n` stays below SOURCES.
        Self {
            v4: Ipv4Addr::new(203, 0, 113, n.to_be_bytes()[1]),
            v6: Ipv6Addr::new(0x2001, 0xdb8, 0xcb00, n, 0, 0, 0, 1),
        }
    }
}

/// Sensor, router, scanner and honest client; see the module's drawing.
#[derive(Debug)]
pub struct Internet {
    /// Runs tcpcap, and the services it protects.
    pub sensor: Namespace,
    /// Forwards.
    pub internet: Namespace,
    /// Scans.
    pub scanner: Namespace,
    /// Behaves.
    pub client: Namespace,
    next_source: AtomicU16,
    /// Last, so that the namespaces go when everything else has gone.
    pub lab: Lab,
}

const fn v4(address: Ipv4Addr) -> (IpAddr, u8) {
    (IpAddr::V4(address), 24)
}

const fn v6(address: Ipv6Addr) -> (IpAddr, u8) {
    (IpAddr::V6(address), 64)
}

impl Internet {
    /// Builds it, with cards of one queue.
    ///
    /// # Errors
    /// When this is not root, or the kernel refuses.
    pub fn build() -> anyhow::Result<Self> {
        Self::with_queues(1)
    }

    /// Builds it; the cable to the sensor has this many queues.
    ///
    /// # Errors
    /// As [`Internet::build`].
    pub fn with_queues(queues: u32) -> anyhow::Result<Self> {
        let lab = Lab::new()?;
        let [sensor, internet, scanner, client] =
            ["sensor", "internet", "scanner", "client"].map(|role| lab.namespace(role));
        let (sensor, internet, scanner, client) = (sensor?, internet?, scanner?, client?);
        internet.sysctl(&[("ipv4/ip_forward", "1"), ("ipv6/conf/all/forwarding", "1")])?;

        let first = Source::numbered(1);
        let cables: [(&Namespace, u32, &str, [_; 2], [_; 2]); 3] = [
            (&sensor, queues, "tosensor", [v4(SENSOR_V4), v6(SENSOR_V6)], [v4(GATEWAY_V4), v6(GATEWAY_V6)]),
            (&scanner, 1, "toscanner", [v4(first.v4), v6(first.v6)], [v4(SCANNER_GATEWAY_V4), v6(SCANNER_GATEWAY_V6)]),
            (&client, 1, "toclient", [v4(CLIENT_V4), v6(CLIENT_V6)], [v4(CLIENT_GATEWAY_V4), v6(CLIENT_GATEWAY_V6)]),
        ];
        for (namespace, queues, port, near, far) in &cables {
            let ends = [
                End { namespace, card: CARD, addresses: near },
                End { namespace: &internet, card: port, addresses: far },
            ];
            lab.connect(&Veth { ends, queues: *queues })?;
            let [(gateway_v4, _), (gateway_v6, _)] = far;
            namespace.ip(&format!(
                "route add default via {gateway_v4}\nroute add default via {gateway_v6} dev {CARD} onlink\n"
            ))?;
        }
        // All the scanner's /64s.
        internet.ip(&format!("route add 2001:db8:cb00::/48 via {} dev toscanner onlink\n", first.v6))?;
        Ok(Self { sensor, internet, scanner, client, next_source: AtomicU16::new(2), lab })
    }

    /// The source that the scanner scans from unless told otherwise.
    #[must_use]
    #[allow(clippy::unused_self, reason = "reads like `fresh_source`, its neighbour")]
    pub fn first_scanner(&self) -> Source {
        Source::numbered(1)
    }

    /// Gives the scanner addresses that it never used, so that the sensor takes it for somebody new.
    ///
    /// # Errors
    /// When there is no address left.
    pub fn fresh_source(&self) -> anyhow::Result<Source> {
        let n = self.next_source.fetch_add(1, Ordering::Relaxed);
        if n >= SOURCES {
            bail!("the scanner has used all its {SOURCES} addresses\n  build another lab");
        }
        let source = Source::numbered(n);
        self.scanner
            .ip(&format!("address add {}/24 dev {CARD}\naddress add {}/64 dev {CARD} nodad\n", source.v4, source.v6))?;
        // The router knows the first address's hardware address only; the others have the same.
        let mac = self.scanner.card(CARD)?.mac.map(|b| format!("{b:02x}")).join(":");
        self.internet
            .ip(&format!("neighbour replace {} lladdr {mac} dev toscanner nud permanent\n", source.v4))
            .with_context(|| format!("cannot introduce {}", source.v4))?;
        Ok(source)
    }

    /// The hardware address that the scanner's packets for the sensor go to; masscan wants it as `--router-mac`.
    ///
    /// # Errors
    /// When the router is gone.
    pub fn scanner_gateway_mac(&self) -> anyhow::Result<[u8; 6]> {
        Ok(self.internet.card("toscanner")?.mac)
    }
}

/// A sensor with two cards and a neighbour at each: the scanner at `card0`, the client at `card1`.
#[derive(Debug)]
pub struct Direct {
    /// Runs tcpcap; [`SENSOR_V4`] at [`CARD`], [`SENSOR1_V4`] at [`CARD1`].
    pub sensor: Namespace,
    /// At the first card, as [`GATEWAY_V4`] and [`GATEWAY_V6`].
    pub scanner: Namespace,
    /// At the second card, as [`CLIENT_V4`] and [`CLIENT_V6`].
    pub client: Namespace,
    /// Last, so that the namespaces go when everything else has gone.
    pub lab: Lab,
}

impl Direct {
    /// Builds it. There is no default route: neither neighbour is anybody's gateway.
    ///
    /// # Errors
    /// When this is not root, or the kernel refuses.
    pub fn build(queues: u32) -> anyhow::Result<Self> {
        let lab = Lab::new()?;
        let [sensor, scanner, client] = ["sensor", "scanner", "client"].map(|role| lab.namespace(role));
        let (sensor, scanner, client) = (sensor?, scanner?, client?);
        let cables = [
            (CARD, [v4(SENSOR_V4), v6(SENSOR_V6)], &scanner, [v4(GATEWAY_V4), v6(GATEWAY_V6)]),
            (CARD1, [v4(SENSOR1_V4), v6(SENSOR1_V6)], &client, [v4(CLIENT_V4), v6(CLIENT_V6)]),
        ];
        for (card, near, namespace, far) in &cables {
            let ends =
                [End { namespace: &sensor, card, addresses: near }, End { namespace, card: CARD, addresses: far }];
            lab.connect(&Veth { ends, queues })?;
        }
        Ok(Self { sensor, scanner, client, lab })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_source_is_new_to_a_sensor_that_cuts_ipv6_at_64() {
        let sources: Vec<Source> = (1..SOURCES).map(Source::numbered).collect();
        let v4: HashSet<_> = sources.iter().map(|s| s.v4).collect();
        let v6: HashSet<_> = sources.iter().map(|s| s.v6.to_bits() >> 64).collect();
        assert_eq!((v4.len(), v6.len()), (sources.len(), sources.len()));
        assert!(!v4.contains(&SCANNER_GATEWAY_V4));
        for other in [SENSOR_V6, CLIENT_V6, SCANNER_GATEWAY_V6] {
            assert!(!v6.contains(&(other.to_bits() >> 64)));
        }
    }
}
