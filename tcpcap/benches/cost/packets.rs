//! The packets that are sent, and where they come from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use tcpcap_common::wire::flag;
use tcpcap_lab::{Frame, frame::protocol};

use crate::sweep::{Sweep, word};

/// No list holds sources from this number on.
pub const UNLISTED: u32 = 1 << 23;

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

/// Sources of connections that exist, where they vary: as many as are known at once without crowding each other out.
const HONEST: u32 = 10_000;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet {
    /// A segment of a connection that exists.
    Ack,
    /// No TCP.
    Udp,
    /// A SYN.
    Syn,
}

impl Family {
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];

    pub const fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    /// Source number `n`: scattered over all of IPv4, or one /64 each, scattered over a /32.
    pub fn source(self, n: u32) -> IpAddr {
        let [a, b, c, d] = word(n);
        match self {
            Self::V4 => Ipv4Addr::new(a, b, c, d).into(),
            Self::V6 => {
                Ipv6Addr::new(0x2001, 0xdb8, u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]), 0, 0, 0, 1).into()
            }
        }
    }

    /// The key that the program counts and blocks a source under.
    pub fn key(self, n: u32) -> IpAddr {
        self.network_of(n, 32, 64).network()
    }

    /// Network number `n`, a /24 or a /56: the one that source number `n` is in, and no other source below
    /// [`UNLISTED`] times two.
    pub fn network(self, n: u32) -> IpNet {
        self.network_of(n, 24, 56)
    }

    fn network_of(self, n: u32, v4: u8, v6: u8) -> IpNet {
        let len = if self == Self::V4 { v4 } else { v6 };
        IpNet::new_assert(self.source(n), len).trunc()
    }

    /// An address of our own.
    pub fn own(self) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::new(198, 51, 100, 1).into(),
            Self::V6 => Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 1).into(),
        }
    }

    /// A packet of source number `n`.
    pub fn frame(self, packet: Packet, n: u32) -> Vec<u8> {
        let frame = Frame::tcp((self.source(n), 40_000), (self.own(), 443));
        match packet {
            Packet::Ack => frame.flags(flag::ACK),
            Packet::Udp => frame.protocol(protocol::UDP),
            Packet::Syn => frame,
        }
        .build()
    }
}

/// Which packets are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packets {
    /// One, again and again, of a source that is not listed.
    One,
    /// Of many sources that are not listed, in random order.
    ManySources,
    /// Of one source that is not listed, from ever new ports to ever new ports.
    NewFlows,
    /// One, again and again, of a source that is listed.
    OneListed,
    /// Of every source that is listed, in random order.
    WholeList,
}

impl Packets {
    pub const fn name(self) -> &'static str {
        match self {
            Self::One | Self::OneListed => "one",
            Self::ManySources => "10k sources",
            Self::NewFlows => "new flows",
            Self::WholeList => "whole list",
        }
    }

    /// Whether somebody must be listed.
    pub const fn are_listed(self) -> bool {
        matches!(self, Self::OneListed | Self::WholeList)
    }

    /// The number of the source of the first.
    pub const fn source(self) -> u32 {
        if self.are_listed() { 1 } else { UNLISTED }
    }

    /// How the others differ from it.
    pub fn sweep(self, family: Family, listed: u32) -> Option<Sweep> {
        // An IPv4 address, or the lower half of an IPv6 address's /64: at the same place.
        let sources = |count| Some(Sweep { offset: 26, first: self.source(), count });
        match self {
            Self::One | Self::OneListed => None,
            Self::ManySources => sources(HONEST),
            Self::WholeList => sources(listed),
            Self::NewFlows => {
                let offset = if matches!(family, Family::V4) { 34 } else { 54 };
                Some(Sweep { offset, first: 0, count: u32::MAX })
            }
        }
    }
}
