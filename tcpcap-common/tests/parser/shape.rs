//! Packets made by plan: the bytes, and what a parser must say of them, both from the same plan.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::{collection::vec, prelude::*};
use tcpcap_common::tally::End;

use crate::fields::Fields;

pub const VLAN: u16 = 0x8100;
pub const QINQ: u16 = 0x88a8;
pub const QINQ_OLD: u16 = 0x9100;

const TCP: u8 = 6;
const UDP: u8 = 17;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;

/// The extension headers that share one layout: hop by hop, routing, destination options, mobility.
pub const PLAIN_EXTENSIONS: [u8; 4] = [0, 43, 60, 135];

/// A well-formed Ethernet frame.
#[derive(Clone, Debug)]
pub struct Shape {
    /// TPIDs of the VLAN tags.
    pub tags: Vec<u16>,
    pub net: Net,
    pub payload: Payload,
    /// Bytes behind the packet, as a card pads short frames with.
    pub padding: usize,
}

#[derive(Clone, Debug)]
pub enum Net {
    Arp,
    V4 { from: Ipv4Addr, to: Ipv4Addr, ttl: u8, id: u16, options: Vec<u8>, part: Part },
    V6 { from: Ipv6Addr, to: Ipv6Addr, ttl: u8, extensions: Vec<Extension> },
}

/// Which part of a datagram a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Whole,
    First,
    /// With this offset, in units of eight bytes.
    Later(u16),
}

#[derive(Clone, Debug)]
pub enum Extension {
    /// Kind, and units of eight bytes beyond the first.
    Plain(u8, u8),
    /// Words of four bytes beyond the first two; a valid one has at least one.
    Authentication(u8),
    Fragment(Part),
}

#[derive(Clone, Debug)]
pub enum Payload {
    Tcp(Tcp),
    /// Another protocol than TCP, and how many bytes of it.
    Other(u8, usize),
}

#[derive(Clone, Debug)]
pub struct Tcp {
    pub ports: [u16; 2],
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
    pub window: u16,
    pub options: Vec<u8>,
    pub data: usize,
}

impl Part {
    /// The bits behind the reserved ones: offset and "more fragments", as IPv4 has them.
    fn v4(self) -> u16 {
        match self {
            Self::Whole => 0,
            Self::First => 0x2000,
            Self::Later(offset) => offset & 0x1fff,
        }
    }

    fn v6(self) -> u16 {
        match self {
            Self::Whole => 0,
            Self::First => 1,
            Self::Later(offset) => offset << 3,
        }
    }
}

impl Extension {
    fn number(&self) -> u8 {
        match self {
            Self::Plain(kind, _) => *kind,
            Self::Authentication(_) => AUTHENTICATION,
            Self::Fragment(_) => FRAGMENT,
        }
    }

    fn bytes(&self, next: u8) -> Vec<u8> {
        match self {
            Self::Plain(_, units) => padded(&[next, *units], (usize::from(*units) + 1) * 8),
            Self::Authentication(words) => padded(&[next, *words], (usize::from(*words) + 2) * 4),
            Self::Fragment(part) => padded(&[&[next, 0][..], &part.v6().to_be_bytes()].concat(), 8),
        }
    }
}

/// Filled up with what would be noticed if it were taken for a length, a number or a flag.
fn padded(head: &[u8], len: usize) -> Vec<u8> {
    let mut out = head.to_vec();
    out.resize(len, 0xa5);
    out
}

impl Shape {
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = vec![0x02; 12];
        for tpid in &self.tags {
            out.extend(tpid.to_be_bytes());
            out.extend([0x60, 0x07]);
        }
        let (protocol, payload) = self.payload.bytes();
        match &self.net {
            Net::Arp => {
                out.extend([0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1]);
                out.extend([0; 20]);
            }
            Net::V4 { from, to, ttl, id, options, part } => {
                let words = 5 + u8::try_from(options.len() / 4).unwrap();
                let total = u16::try_from(usize::from(words) * 4 + payload.len()).unwrap();
                out.extend([0x08, 0x00, 0x40 | words, 0]);
                out.extend(total.to_be_bytes());
                out.extend(id.to_be_bytes());
                out.extend(part.v4().to_be_bytes());
                out.extend([*ttl, protocol, 0, 0]);
                out.extend(from.octets());
                out.extend(to.octets());
                out.extend(options);
                out.extend(payload);
            }
            Net::V6 { from, to, ttl, extensions } => {
                let next = |i: usize| extensions.get(i).map_or(protocol, Extension::number);
                let chain: Vec<u8> = extensions.iter().enumerate().flat_map(|(i, e)| e.bytes(next(i + 1))).collect();
                out.extend([0x86, 0xdd, 0x61, 0x23, 0x45, 0x67]);
                out.extend(u16::try_from(chain.len() + payload.len()).unwrap().to_be_bytes());
                out.extend([next(0), *ttl]);
                out.extend(from.octets());
                out.extend(to.octets());
                out.extend(chain);
                out.extend(payload);
            }
        }
        out.extend(vec![0x5a; self.padding]);
        out
    }

    /// What a parser must say.
    pub fn expected(&self) -> Result<Fields, End> {
        if self.tags.len() > 2 {
            return Err(End::VlanTooDeep);
        }
        let (from, to, ttl, ip_id) = match &self.net {
            Net::Arp => return Err(End::NotIp),
            Net::V4 { part: Part::Later(_), .. } => return Err(End::LaterFragment),
            Net::V4 { from, to, ttl, id, .. } => (IpAddr::from(*from), IpAddr::from(*to), *ttl, *id),
            Net::V6 { from, to, .. } if from.to_ipv4_mapped().or(to.to_ipv4_mapped()).is_some() => {
                return Err(End::IpMalformed);
            }
            Net::V6 { from, to, ttl, extensions } => {
                let later = |e: &Extension| matches!(e, Extension::Fragment(Part::Later(_)));
                if extensions.iter().take(6).any(later) {
                    return Err(End::LaterFragment);
                }
                if extensions.len() > 6 {
                    return Err(End::ExtensionsTooDeep);
                }
                (IpAddr::from(*from), IpAddr::from(*to), *ttl, 0)
            }
        };
        let Payload::Tcp(tcp) = &self.payload else {
            return Err(End::NotTcp);
        };
        Ok(Fields {
            from,
            to,
            ttl,
            ip_id,
            ports: tcp.ports,
            seq: tcp.seq,
            ack: tcp.ack,
            flags: tcp.flags,
            window: tcp.window,
            options: tcp.options.clone(),
            tiny: false,
        })
    }
}

impl Payload {
    fn bytes(&self) -> (u8, Vec<u8>) {
        let tcp = match self {
            Self::Other(protocol, len) => return (*protocol, vec![0x11; *len]),
            Self::Tcp(tcp) => tcp,
        };
        let mut out = Vec::new();
        tcp.ports.iter().for_each(|port| out.extend(port.to_be_bytes()));
        out.extend(tcp.seq.to_be_bytes());
        out.extend(tcp.ack.to_be_bytes());
        // The four reserved bits behind the length are somebody's future, not ours.
        out.extend([u8::try_from(5 + tcp.options.len() / 4).unwrap() << 4 | 0x0e, tcp.flags]);
        out.extend(tcp.window.to_be_bytes());
        out.extend([0xc5, 0xc5, 0, 0]);
        out.extend(&tcp.options);
        out.resize(out.len() + tcp.data, 0xdd);
        (TCP, out)
    }
}

/// Well-formed frames of every shape.
pub fn any_shape() -> impl Strategy<Value = Shape> {
    let tags = vec(prop::sample::select(&[VLAN, QINQ, QINQ_OLD][..]), 0..=3);
    (tags, any_net(), any_payload(), 0..8usize).prop_map(|(tags, net, payload, padding)| Shape {
        tags,
        net,
        payload,
        padding,
    })
}

fn words(most: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<[u8; 4]>(), 0..=most).prop_map(|words| words.concat())
}

fn any_part() -> impl Strategy<Value = Part> {
    // One bit alone, so that none of them can be overlooked.
    let offset = prop_oneof![(0..13u32).prop_map(|bit| 1 << bit), 1..0x2000u16];
    prop_oneof![4 => Just(Part::Whole), 2 => Just(Part::First), 1 => offset.prop_map(Part::Later)]
}

fn any_net() -> impl Strategy<Value = Net> {
    let v4 = (any::<[Ipv4Addr; 2]>(), any::<u8>(), any::<u16>(), words(10), any_part());
    let v4 = v4.prop_map(|([from, to], ttl, id, options, part)| Net::V4 { from, to, ttl, id, options, part });
    let v6 = ([any_v6(), any_v6()], any::<u8>(), vec(any_extension(), 0..=7));
    let v6 = v6.prop_map(|([from, to], ttl, extensions)| Net::V6 { from, to, ttl, extensions });
    prop_oneof![1 => Just(Net::Arp), 8 => v4, 12 => v6]
}

fn any_v6() -> impl Strategy<Value = Ipv6Addr> {
    let mapped = any::<Ipv4Addr>().prop_map(|v4| v4.to_ipv6_mapped());
    prop_oneof![15 => any::<u128>().prop_map(Ipv6Addr::from), 1 => mapped]
}

fn any_extension() -> impl Strategy<Value = Extension> {
    prop_oneof![
        6 => (prop::sample::select(&PLAIN_EXTENSIONS[..]), 0..4u8).prop_map(|(kind, units)| Extension::Plain(kind, units)),
        2 => (1..6u8).prop_map(Extension::Authentication),
        1 => any_part().prop_map(Extension::Fragment),
    ]
}

fn any_payload() -> impl Strategy<Value = Payload> {
    let numbers = (any::<[u16; 2]>(), any::<u32>(), any::<u32>(), any::<u8>(), any::<u16>());
    let tcp = (numbers, words(10), 0..20usize).prop_map(|((ports, seq, ack, flags, window), options, data)| {
        Payload::Tcp(Tcp { ports, seq, ack, flags, window, options, data })
    });
    let other = (prop::sample::select(&[1, 2, UDP, 47, 50, 58, 59, 132][..]), 0..40usize);
    prop_oneof![8 => tcp, 1 => other.prop_map(|(protocol, len)| Payload::Other(protocol, len))]
}

/// One frame of each shape there is, for what is done to every one of them at every length.
pub fn every_shape() -> Vec<Shape> {
    let tags = [vec![], vec![VLAN], vec![QINQ, VLAN], vec![QINQ_OLD, VLAN], vec![QINQ, VLAN, VLAN]];
    let parts = [Part::Whole, Part::First, Part::Later(3)];
    let mut nets = vec![Net::Arp];
    for part in parts {
        for options in [0, 4, 40] {
            let (from, to) = (Ipv4Addr::new(192, 0, 2, 7), Ipv4Addr::new(198, 51, 100, 1));
            nets.push(Net::V4 { from, to, ttl: 64, id: 1, options: vec![1; options], part });
        }
    }
    let plain = |kind| Extension::Plain(kind, 0);
    let mut chains = vec![vec![], vec![Extension::Authentication(4)], vec![Extension::Plain(60, 255)]];
    chains.extend(PLAIN_EXTENSIONS.map(|kind| vec![plain(kind)]));
    chains.extend(parts.map(|part| vec![Extension::Fragment(part)]));
    chains.push(vec![plain(0), plain(60), plain(43), Extension::Fragment(Part::First), plain(60), plain(135)]);
    chains.push(vec![plain(60); 7]);
    for extensions in chains {
        let (from, to) = ("2001:db8:9:9::7".parse().unwrap(), "2001:db8:1:2::1".parse().unwrap());
        nets.push(Net::V6 { from, to, ttl: 64, extensions });
    }
    let tcp = |options| Tcp {
        ports: [40_000, 80],
        seq: 0x1234_5678,
        ack: 0x9abc_def0,
        flags: 2,
        window: 64_240,
        options: vec![1; options],
        data: 3,
    };
    let payloads = [Payload::Tcp(tcp(0)), Payload::Tcp(tcp(4)), Payload::Tcp(tcp(40)), Payload::Other(UDP, 12)];
    let mut out = Vec::new();
    for tags in &tags {
        for net in &nets {
            for payload in &payloads {
                out.push(Shape { tags: tags.clone(), net: net.clone(), payload: payload.clone(), padding: 2 });
            }
        }
    }
    out
}
