//! Link layers: where the IP header of a captured frame begins.
//!
//! From there on the parser is the kernel program's, [`tcpcap_common::wire`]. It reads lengths from the headers, so a
//! frame cut short by a snap length is as good as a whole one, as long as the TCP header's first 20 bytes are in it.

use tcpcap_common::{
    tally::End,
    wire::{self, Link, MAX_VLAN_TAGS, Network, Segment},
};

/// A link layer that frames are captured with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkType {
    /// Ethernet.
    Ethernet,
    /// No link header: IPv4 or IPv6, as the version says.
    Raw,
    /// No link header: IPv4.
    Ipv4,
    /// No link header: IPv6.
    Ipv6,
    /// Linux "cooked", version 1: what `tcpdump -i any` used to write.
    LinuxCooked,
    /// Linux "cooked", version 2: what it writes today.
    LinuxCooked2,
}

/// The network protocols and VLAN tags that count here.
mod ethertype {
    pub(super) const IPV4: u16 = 0x0800;
    pub(super) const IPV6: u16 = 0x86dd;
    pub(super) const TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];
}

impl LinkType {
    /// From the number in a capture file (<https://www.tcpdump.org/linktypes.html>). 12 and 14 are what raw IP was
    /// called on systems that wrote their own numbers.
    #[must_use]
    pub const fn of(number: i32) -> Option<Self> {
        Some(match number {
            1 => Self::Ethernet,
            12 | 14 | 101 => Self::Raw,
            113 => Self::LinuxCooked,
            228 => Self::Ipv4,
            229 => Self::Ipv6,
            276 => Self::LinuxCooked2,
            _ => return None,
        })
    }

    /// What a link type that cannot be read is called: the ones that capture tools write by themselves.
    #[must_use]
    pub const fn name(number: i32) -> &'static str {
        match number {
            0 | 108 => "BSD loopback",
            9 | 50 => "PPP",
            105 => "Wi-Fi",
            127 => "Wi-Fi with radiotap",
            147..=162 => "reserved for private use",
            187 | 201 => "Bluetooth",
            189 | 220 | 249 => "USB",
            239 => "Linux netfilter log",
            253 => "Linux netlink",
            _ => "see tcpdump.org/linktypes.html",
        }
    }

    /// Where the network header of a frame begins.
    ///
    /// # Errors
    /// The [`End`] of a frame that has none to read.
    pub fn link(self, frame: &[u8]) -> Result<Link, End> {
        let raw = |ethertype| Ok(Link { offset: 0, ethertype });
        match self {
            Self::Ethernet => untag(frame, 12),
            Self::Ipv4 => raw(ethertype::IPV4),
            Self::Ipv6 => raw(ethertype::IPV6),
            Self::Raw => match frame.first().ok_or(End::FrameTruncated)? >> 4 {
                4 => raw(ethertype::IPV4),
                6 => raw(ethertype::IPV6),
                _ => Err(End::NotIp),
            },
            Self::LinuxCooked => untag(frame, 14),
            // The protocol comes first, the tags behind the other 18 bytes of the header.
            Self::LinuxCooked2 => match ethertype_at(frame, 0)? {
                tag if ethertype::TAGS.contains(&tag) => untag_after(frame, 20, tag),
                ethertype => Ok(Link { offset: 20, ethertype }),
            },
        }
    }

    /// Reads a frame as far as its TCP header.
    ///
    /// # Errors
    /// The [`End`] of a frame that is no TCP segment.
    pub fn parse(self, frame: &[u8]) -> Result<(Network, Segment), End> {
        let link = self.link(frame)?;
        let (start, end) = wire::span(frame);
        // SAFETY: `start..end` is the slice.
        unsafe {
            let network = wire::network(start, end, link)?;
            let segment = wire::transport(start, end, &network)?;
            Ok((network, segment))
        }
    }
}

/// Reads the EtherType at `at`, and through the VLAN tags that follow it.
fn untag(frame: &[u8], at: usize) -> Result<Link, End> {
    untag_after(frame, at + 2, ethertype_at(frame, at)?)
}

fn untag_after(frame: &[u8], mut offset: usize, mut ethertype: u16) -> Result<Link, End> {
    let mut tags = 0;
    while ethertype::TAGS.contains(&ethertype) {
        if tags == MAX_VLAN_TAGS {
            return Err(End::VlanTooDeep);
        }
        tags += 1;
        ethertype = ethertype_at(frame, offset + 2)?;
        offset += 4;
    }
    Ok(Link { offset, ethertype })
}

fn ethertype_at(frame: &[u8], at: usize) -> Result<u16, End> {
    match frame.get(at..at + 2) {
        Some(&[a, b]) => Ok(u16::from_be_bytes([a, b])),
        _ => Err(End::FrameTruncated),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tcpcap_lab::frame::Frame;

    fn ethernet() -> Vec<u8> {
        Frame::tcp("192.0.2.1:40000", "198.51.100.1:80").seq(7, 0).build()
    }

    /// The same packet behind another link header.
    fn behind(header: &[u8]) -> Vec<u8> {
        [header, &ethernet()[14..]].concat()
    }

    #[test]
    fn the_same_packet_reads_the_same_behind_every_link_header() {
        let cooked = [&[0; 14][..], &[8, 0]].concat();
        let cooked_vlan = [&[0; 14][..], &[0x81, 0, 0, 5, 8, 0]].concat();
        let cooked2 = [&[8, 0][..], &[0; 18]].concat();
        let cooked2_qinq = [&[0x88, 0xa8][..], &[0; 18], &[0, 5, 0x81, 0, 0, 6, 8, 0]].concat();
        let (network, segment) = wire::parse(&ethernet()).unwrap();
        for (number, header) in [
            (1, &ethernet()[..14]),
            (12, &[]),
            (14, &[]),
            (101, &[]),
            (228, &[]),
            (113, &cooked),
            (113, &cooked_vlan),
            (276, &cooked2),
            (276, &cooked2_qinq),
        ] {
            let read = LinkType::of(number).unwrap().parse(&behind(header));
            let (n, s) = read.unwrap_or_else(|end| panic!("{number}: {end:?}"));
            assert_eq!(
                (n.from, n.to, s.from_port, s.seq),
                (network.from, network.to, segment.from_port, 7),
                "{number}"
            );
        }
    }

    #[test]
    fn ethernet_is_read_as_the_kernel_program_reads_it() {
        let vlan = Frame::tcp("192.0.2.1:40000", "198.51.100.1:80").vlan(5).build();
        let qinq = Frame::tcp("[2001:db8::1]:40000", "[2001:db8:1::1]:80").qinq(5, 6).build();
        let deep = [&vlan[..12], &[0x81, 0, 0, 1].repeat(3), &vlan[16..]].concat();
        for frame in [ethernet(), vlan, qinq, deep, vec![0xff; 60]] {
            for len in 0..=frame.len() {
                assert_eq!(
                    LinkType::Ethernet.parse(&frame[..len]),
                    wire::parse(&frame[..len]),
                    "{len} of {frame:02x?}"
                );
            }
        }
    }

    #[test]
    fn a_frame_cut_short_ends_with_its_name() {
        for (link, frame, end) in [
            (LinkType::Raw, &[][..], End::FrameTruncated),
            (LinkType::Raw, &[0x50; 40], End::NotIp),
            (LinkType::Raw, &[0x45; 19], End::IpTruncated),
            (LinkType::Ipv4, &[], End::IpTruncated),
            (LinkType::Ipv6, &[0x45; 60], End::IpMalformed),
            (LinkType::LinuxCooked, &[0; 15], End::FrameTruncated),
            (LinkType::LinuxCooked, &[0; 16], End::NotIp),
            (LinkType::LinuxCooked2, &[8], End::FrameTruncated),
            (LinkType::LinuxCooked2, &[8, 0], End::IpTruncated),
            (LinkType::LinuxCooked2, &[0x81, 0], End::FrameTruncated),
        ] {
            assert_eq!(link.parse(frame).unwrap_err(), end, "{link:?} {frame:?}");
        }
    }

    #[test]
    fn other_link_types_are_not_guessed_at() {
        for number in [-1, 0, 105, 127, 249, 65_536] {
            assert_eq!(LinkType::of(number), None);
        }
    }
}
