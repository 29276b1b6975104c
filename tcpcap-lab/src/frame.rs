//! Frames made by hand: what no kernel here sends, VLAN tags and fragments first of all.

use std::net::{IpAddr, SocketAddr};

mod extension;

pub use extension::Extension;
pub use tcpcap_common::wire::flag;

const TPID_VLAN: u16 = 0x8100;
const TPID_QINQ: u16 = 0x88a8;
const TTL: u8 = 64;

/// IP protocol numbers.
pub mod protocol {
    #![allow(missing_docs, reason = "the names are the standard's")]
    pub const ICMP: u8 = 1;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const ICMPV6: u8 = 58;
}

/// A TCP segment in an Ethernet frame, with correct lengths and checksums.
#[derive(Clone, Debug)]
pub struct Frame {
    from: SocketAddr,
    to: SocketAddr,
    from_mac: [u8; 6],
    to_mac: [u8; 6],
    tags: Vec<(u16, u16)>,
    ttl: u8,
    ip_id: u16,
    ip_options: Vec<u8>,
    fragment: (u16, bool),
    held: Option<usize>,
    extensions: Vec<Extension>,
    protocol: u8,
    flags: u8,
    seq: u32,
    ack: u32,
    window: u16,
    options: Vec<u8>,
    payload: Vec<u8>,
}

impl Frame {
    /// A SYN between two ends such as `192.0.2.1:40000` and `[2001:db8::1]:80`, to and from no hardware address.
    ///
    /// # Panics
    /// When an end cannot be read, or the two are of different families.
    #[must_use]
    pub fn tcp(from: impl TryInto<End>, to: impl TryInto<End>) -> Self {
        let (Ok(End(from)), Ok(End(to))) = (from.try_into(), to.try_into()) else {
            panic!("an end is ADDRESS:PORT");
        };
        assert_eq!(from.is_ipv4(), to.is_ipv4(), "both ends are of one family");
        Self {
            from,
            to,
            from_mac: [0; 6],
            to_mac: [0; 6],
            tags: Vec::new(),
            ttl: TTL,
            ip_id: 1,
            ip_options: Vec::new(),
            fragment: (0, false),
            held: None,
            extensions: Vec::new(),
            protocol: protocol::TCP,
            flags: flag::SYN,
            seq: 1,
            ack: 0,
            window: 64240,
            options: Vec::new(),
            payload: Vec::new(),
        }
    }

    /// Sets the hardware addresses.
    #[must_use]
    pub fn macs(mut self, from: [u8; 6], to: [u8; 6]) -> Self {
        (self.from_mac, self.to_mac) = (from, to);
        self
    }

    /// Adds an 802.1Q tag behind those it has.
    #[must_use]
    pub fn vlan(mut self, id: u16) -> Self {
        self.tags.push((TPID_VLAN, id & 0xfff));
        self
    }

    /// Adds an 802.1ad service tag and an 802.1Q tag behind it.
    #[must_use]
    pub fn qinq(mut self, service: u16, customer: u16) -> Self {
        self.tags.push((TPID_QINQ, service & 0xfff));
        self.vlan(customer)
    }

    /// Sets time to live or hop limit.
    #[must_use]
    pub fn ttl(mut self, ttl: u8) -> Self {
        self.ttl = ttl;
        self
    }

    /// Sets the IPv4 identification; IPv6 has none.
    #[must_use]
    pub fn ip_id(mut self, id: u16) -> Self {
        self.ip_id = id;
        self
    }

    /// Sets the IPv4 options; padded to whole words, at most 40 bytes.
    ///
    /// # Panics
    /// When they are longer, or the frame is IPv6.
    #[must_use]
    pub fn ip_options(mut self, options: &[u8]) -> Self {
        assert!(self.from.is_ipv4(), "IPv6 has extension headers");
        self.ip_options = padded(options);
        self
    }

    /// Makes it a fragment: offset in units of eight bytes, and whether more follow. IPv6 gets an extension header
    /// behind those it has.
    #[must_use]
    pub fn fragment(mut self, offset: u16, more: bool) -> Self {
        if self.from.is_ipv6() {
            return self.extension(Extension::Fragment(offset, more));
        }
        self.fragment = (offset & 0x1fff, more);
        self
    }

    /// Makes it a first fragment that holds so many bytes of what follows the IP header.
    #[must_use]
    pub fn first_bytes(mut self, len: usize) -> Self {
        self.held = Some(len);
        self.fragment(0, true)
    }

    /// Adds an IPv6 extension header behind those it has.
    ///
    /// # Panics
    /// When the frame is IPv4.
    #[must_use]
    pub fn extension(mut self, extension: Extension) -> Self {
        assert!(self.from.is_ipv6(), "IPv4 has no extension headers");
        self.extensions.push(extension);
        self
    }

    /// Makes it a packet of another protocol: UDP with its header, of any other the payload alone.
    #[must_use]
    pub fn protocol(mut self, number: u8) -> Self {
        self.protocol = number;
        self
    }

    /// Sets the flags, as in [`flag`].
    #[must_use]
    pub fn flags(mut self, flags: u8) -> Self {
        self.flags = flags;
        self
    }

    /// Sets sequence and acknowledgement number.
    #[must_use]
    pub fn seq(mut self, seq: u32, ack: u32) -> Self {
        (self.seq, self.ack) = (seq, ack);
        self
    }

    /// Sets the window.
    #[must_use]
    pub fn window(mut self, window: u16) -> Self {
        self.window = window;
        self
    }

    /// Sets the TCP options; padded to whole words, at most 40 bytes.
    ///
    /// # Panics
    /// When they are longer.
    #[must_use]
    pub fn options(mut self, options: &[u8]) -> Self {
        self.options = padded(options);
        self
    }

    /// Sets the data.
    #[must_use]
    pub fn payload(mut self, payload: &[u8]) -> Self {
        self.payload = payload.to_vec();
        self
    }

    /// The bytes.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let mut payload = self.transport();
        payload.truncate(self.held.unwrap_or(payload.len()));
        let mut out = [self.to_mac, self.from_mac].concat();
        for (tpid, id) in &self.tags {
            out.extend(tpid.to_be_bytes());
            out.extend(id.to_be_bytes());
        }
        match (self.from.ip(), self.to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                out.extend([0x08, 0x00]);
                let words = 5 + self.ip_options.len() / 4;
                let (offset, more) = self.fragment;
                let mut header = vec![be16(0x40 | words)[1], 0];
                header.extend(be16(payload.len() + words * 4));
                header.extend(self.ip_id.to_be_bytes());
                header.extend((offset | u16::from(more) << 13).to_be_bytes());
                header.extend([self.ttl, self.protocol, 0, 0]);
                header.extend(from.octets());
                header.extend(to.octets());
                header.extend(&self.ip_options);
                let sum = checksum(&[&header]);
                header[10..12].copy_from_slice(&sum);
                out.extend(header);
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let next = |i: usize| self.extensions.get(i).map_or(self.protocol, |e| e.number());
                let chain: Vec<u8> =
                    self.extensions.iter().enumerate().flat_map(|(i, e)| e.bytes(next(i + 1))).collect();
                out.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
                out.extend(be16(chain.len() + payload.len()));
                out.extend([next(0), self.ttl]);
                out.extend(from.octets());
                out.extend(to.octets());
                out.extend(chain);
            }
            // The constructor lets no mixture in.
            _ => {}
        }
        out.extend(payload);
        out
    }

    /// What follows the IP header.
    fn transport(&self) -> Vec<u8> {
        match self.protocol {
            protocol::TCP => self.segment(),
            protocol::UDP => {
                let mut out = [self.from.port().to_be_bytes(), self.to.port().to_be_bytes()].concat();
                out.extend(be16(8 + self.payload.len()));
                out.extend([0, 0]);
                out.extend(&self.payload);
                let sum = self.checksum_of(&out);
                out[6..8].copy_from_slice(&sum);
                out
            }
            _ => self.payload.clone(),
        }
    }

    fn segment(&self) -> Vec<u8> {
        let words = 5 + self.options.len() / 4;
        let mut out = Vec::with_capacity(words * 4 + self.payload.len());
        out.extend(self.from.port().to_be_bytes());
        out.extend(self.to.port().to_be_bytes());
        out.extend(self.seq.to_be_bytes());
        out.extend(self.ack.to_be_bytes());
        out.extend([be16(words << 4)[1], self.flags]);
        out.extend(self.window.to_be_bytes());
        out.extend([0; 4]);
        out.extend(&self.options);
        out.extend(&self.payload);
        let sum = self.checksum_of(&out);
        out[16..18].copy_from_slice(&sum);
        out
    }

    /// The checksum over the pseudo-header and what is sent.
    fn checksum_of(&self, sent: &[u8]) -> [u8; 2] {
        let addresses = [self.from.ip(), self.to.ip()].map(|ip| match ip {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        });
        checksum(&[&addresses.concat(), &[0, self.protocol], &be16(sent.len()), sent])
    }
}

/// Options, filled up to whole words.
fn padded(options: &[u8]) -> Vec<u8> {
    assert!(options.len() <= 40, "IPv4 and TCP have room for 40 bytes of options");
    let mut out = options.to_vec();
    out.resize(options.len().next_multiple_of(4), 0);
    out
}

/// An end of a connection, as [`Frame::tcp`] takes it.
#[derive(Clone, Copy, Debug)]
pub struct End(SocketAddr);

impl TryFrom<&str> for End {
    type Error = std::net::AddrParseError;
    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

impl<A: Into<IpAddr>> From<(A, u16)> for End {
    fn from((address, port): (A, u16)) -> Self {
        Self((address.into(), port).into())
    }
}

impl From<SocketAddr> for End {
    fn from(address: SocketAddr) -> Self {
        Self(address)
    }
}

/// The lower sixteen bits, in network order.
fn be16(n: usize) -> [u8; 2] {
    let bytes = n.to_be_bytes();
    [bytes[bytes.len() - 2], bytes[bytes.len() - 1]]
}

/// The Internet checksum (RFC 1071) over parts of which all but the last are of even length.
fn checksum(parts: &[&[u8]]) -> [u8; 2] {
    let mut sum = 0u32;
    for pair in parts.iter().flat_map(|part| part.chunks(2)) {
        sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    be16(!sum as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tcpcap_common::{tally, wire};

    #[test]
    fn what_is_built_is_what_is_read() {
        for (from, to) in [("192.0.2.1:40000", "198.51.100.1:80"), ("[2001:db8:1::1]:40000", "[2001:db8:2::1]:80")] {
            for tags in 0..3 {
                let mut frame =
                    Frame::tcp(from, to).flags(flag::SYN | flag::FIN).seq(7, 8).window(9).options(&[2, 4, 5, 6]);
                frame = match tags {
                    0 => frame,
                    1 => frame.vlan(5),
                    _ => frame.qinq(5, 6),
                };
                let (network, segment) = wire::parse(&frame.build()).unwrap();
                let [from, to] = [from, to].map(|a| a.parse::<SocketAddr>().unwrap());
                assert_eq!((network.from.to_ip(), segment.from_port), (from.ip(), from.port()));
                assert_eq!((network.to.to_ip(), segment.to_port), (to.ip(), to.port()));
                assert_eq!((segment.flags, segment.seq, segment.ack, segment.window), (3, 7, 8, 9));
            }
        }
    }

    #[test]
    fn checksums_over_what_holds_them_are_zero() {
        let frame = Frame::tcp("192.0.2.1:1", "198.51.100.1:2").payload(b"odd");
        for (number, frame) in [(protocol::TCP, frame.clone()), (protocol::UDP, frame.protocol(protocol::UDP))] {
            let frame = frame.ip_options(&[1, 1, 1]).build();
            assert_eq!(checksum(&[&frame[14..38]]), [0, 0]);
            let segment = &frame[38..];
            assert_eq!(checksum(&[&frame[26..34], &[0, number], &be16(segment.len()), segment]), [0, 0]);
        }
    }

    #[test]
    fn what_stands_between_ip_and_tcp_is_read_through() {
        let v4 = Frame::tcp("192.0.2.1:40000", "198.51.100.1:80").ttl(7).ip_id(0x1234);
        let v6 = Frame::tcp("[2001:db8:1::1]:40000", "[2001:db8:2::1]:80").ttl(7);
        let chain = [Extension::HopByHop, Extension::Destination, Extension::Routing, Extension::Authentication];
        let all = chain.iter().fold(v6.clone(), |frame, &e| frame.extension(e)).extension(Extension::Mobility);
        for (frame, id) in [
            (v4.clone().ip_options(&[7; 40]), 0x1234),
            (v4.clone().ip_options(&[1]).fragment(0, true), 0x1234),
            (all.clone(), 0),
            (all.fragment(0, true), 0),
        ] {
            let (network, segment) = wire::parse(&frame.build()).unwrap();
            assert_eq!((network.ttl, network.ip_id, segment.to_port), (7, id, 80), "{frame:?}");
        }
        for frame in [v4, v6] {
            let end = |frame: &Frame| wire::parse(&frame.build()).unwrap_err();
            assert_eq!(end(&frame.clone().fragment(1, false)), tally::End::LaterFragment);
            assert_eq!(end(&frame.clone().fragment(0x1fff, true)), tally::End::LaterFragment);
            assert_eq!(end(&frame.protocol(protocol::UDP)), tally::End::NotTcp);
        }
    }
}
