//! The same bytes as etherparse reads them, in two ways.
//!
//! [`headers`] has etherparse read each header, and goes from one to the next by our rules: its answer must be ours,
//! to the letter. [`packet`] lets etherparse go its own way: where both find TCP they must agree, and where only one
//! does, it must be for one of the reasons that stand there.

use std::net::{IpAddr, Ipv6Addr};

use etherparse::{
    EtherType, Ethernet2Slice, IpAuthHeaderSlice, IpNumber, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice,
    Ipv6RawExtHeaderSlice, LaxLinkExtSlice, LaxNetSlice, LaxSlicedPacket, SingleVlanSlice, TcpHeaderSlice,
    TransportSlice, err, ether_type, ip_number,
};
use tcpcap_common::tally::End;

use crate::fields::Fields;

const MOBILITY: IpNumber = IpNumber(135);

/// An IP header by etherparse, and what follows as long as the header says; what the frame lacks of it is zero.
struct Ip {
    from: IpAddr,
    to: IpAddr,
    ttl: u8,
    ip_id: u16,
    protocol: IpNumber,
    first: bool,
    later: bool,
    payload: Vec<u8>,
    /// How many bytes of the payload the frame holds; `None` when it ends before.
    held: Option<usize>,
}

/// What etherparse reads when it is led from header to header by our rules.
pub fn headers(frame: &[u8]) -> Result<Fields, End> {
    let mut link = Ethernet2Slice::from_slice_without_fcs(frame).map_err(|_| End::FrameTruncated)?.payload();
    for tags in 0.. {
        match link.ether_type {
            ether_type::VLAN_TAGGED_FRAME | ether_type::PROVIDER_BRIDGING | ether_type::VLAN_DOUBLE_TAGGED_FRAME => {}
            _ => break,
        }
        if tags == 2 {
            return Err(End::VlanTooDeep);
        }
        link = SingleVlanSlice::from_slice(link.payload).map_err(|_| End::FrameTruncated)?.payload();
    }
    let ip = match link.ether_type {
        ether_type::IPV4 => ipv4(link.payload)?,
        ether_type::IPV6 => ipv6(link.payload)?,
        _ => return Err(End::NotIp),
    };
    // What a header says of the packet counts before the question whether the frame holds all of it: a later
    // fragment is one though it be cut.
    if ip.later {
        return Err(End::LaterFragment);
    }
    if ip.protocol != ip_number::TCP {
        return Err(End::NotTcp);
    }
    if ip.payload.len() < 20 {
        return if ip.first { tiny(&ip) } else { Err(End::TcpTruncated) };
    }
    let held = ip.held.ok_or(End::IpTruncated)?;
    if held < 20 {
        return Err(End::TcpTruncated);
    }
    use err::tcp::{HeaderError, HeaderSliceError};
    let mut segment = ip.payload.clone();
    let tcp = match TcpHeaderSlice::from_slice(&ip.payload) {
        Err(HeaderSliceError::Len(_)) if ip.first => {
            // A first fragment may end among the options: of these we read whole words.
            segment[12] = u8::try_from(ip.payload.len() / 4).unwrap() << 4;
            TcpHeaderSlice::from_slice(&segment).unwrap()
        }
        Err(HeaderSliceError::Len(_) | HeaderSliceError::Content(HeaderError::DataOffsetTooSmall { .. })) => {
            return Err(End::TcpMalformed);
        }
        Ok(tcp) => tcp,
    };
    let in_frame = (held - 20).min(tcp.options().len()) & !3;
    Ok(fields((ip.from, ip.to, ip.ttl, ip.ip_id), &tcp, in_frame))
}

/// A first fragment that ends inside the TCP header: etherparse reads the eight bytes as the start of one.
fn tiny(ip: &Ip) -> Result<Fields, End> {
    if ip.payload.len() < 8 || ip.held.is_none_or(|held| held < 8) {
        return Err(End::TinyFragment);
    }
    let mut segment = [&ip.payload[..8], &[0; 12]].concat();
    segment[12] = 0x50;
    let tcp = TcpHeaderSlice::from_slice(&segment).unwrap();
    Ok(Fields { tiny: true, ..fields((ip.from, ip.to, ip.ttl, ip.ip_id), &tcp, 0) })
}

fn ipv4(bytes: &[u8]) -> Result<Ip, End> {
    // Addresses and lengths are there as soon as the fixed part is, so that is all we ask for; etherparse wants all.
    let mut fixed: [u8; 20] = bytes.get(..20).ok_or(End::IpTruncated)?.try_into().unwrap();
    let header_len = usize::from(fixed[0] & 15) * 4;
    fixed[0] = fixed[0] & 0xf0 | 5;
    let h = Ipv4HeaderSlice::from_slice(&fixed).map_err(|_| End::IpMalformed)?;
    let total_len = usize::from(h.total_len());
    if header_len < 20 || total_len < header_len {
        return Err(End::IpMalformed);
    }
    let (payload, held) = payload(bytes.get(header_len..), total_len - header_len);
    Ok(Ip {
        from: h.source_addr().into(),
        to: h.destination_addr().into(),
        ttl: h.ttl(),
        ip_id: h.identification(),
        protocol: h.protocol(),
        first: h.more_fragments(),
        later: h.fragments_offset().value() != 0,
        payload,
        held,
    })
}

fn holds_ipv4(from: Ipv6Addr, to: Ipv6Addr) -> bool {
    from.to_ipv4_mapped().or(to.to_ipv4_mapped()).is_some()
}

fn ipv6(bytes: &[u8]) -> Result<Ip, End> {
    let h = Ipv6HeaderSlice::from_slice(bytes).map_err(|e| match e {
        err::ipv6::HeaderSliceError::Len(_) => End::IpTruncated,
        err::ipv6::HeaderSliceError::Content(_) => End::IpMalformed,
    })?;
    if holds_ipv4(h.source_addr(), h.destination_addr()) {
        return Err(End::IpMalformed);
    }
    let (payload, held) = payload(bytes.get(40..), h.payload_length().into());
    let mut ip = Ip {
        from: h.source_addr().into(),
        to: IpAddr::from(h.destination_addr()).to_canonical(),
        ttl: h.hop_limit(),
        ip_id: 0,
        protocol: h.next_header(),
        first: false,
        later: false,
        payload,
        held,
    };
    for extensions in 0.. {
        let known = [ip_number::IPV6_FRAG, ip_number::AUTH, MOBILITY];
        let plain = [ip_number::IPV6_HOP_BY_HOP, ip_number::IPV6_ROUTE, ip_number::IPV6_DEST_OPTIONS];
        if !known.contains(&ip.protocol) && !plain.contains(&ip.protocol) {
            return Ok(ip);
        }
        if extensions == 6 {
            return Err(End::ExtensionsTooDeep);
        }
        if ip.held.is_none_or(|held| held < 8) {
            return Err(End::IpTruncated);
        }
        let (next, len) = extension(&mut ip).ok_or(End::IpTruncated)?;
        if ip.later {
            return Ok(ip);
        }
        ip.payload.drain(..len);
        ip.held = ip.held.and_then(|held| held.checked_sub(len));
        ip.protocol = next;
    }
    unreachable!("the loop ends by itself")
}

/// The extension header that the payload begins with: its next header and length.
fn extension(ip: &mut Ip) -> Option<(IpNumber, usize)> {
    match ip.protocol {
        ip_number::IPV6_FRAG => {
            let h = Ipv6FragmentHeaderSlice::from_slice(&ip.payload).ok()?;
            ip.later = h.fragment_offset().value() != 0;
            ip.first |= h.more_fragments();
            Some((h.next_header(), 8))
        }
        ip_number::AUTH => match IpAuthHeaderSlice::from_slice(&ip.payload) {
            Ok(h) => Some((h.next_header(), h.slice().len())),
            Err(err::ip_auth::HeaderSliceError::Len(_)) if ip.payload.get(1) != Some(&0) => None,
            // A length of zero is no authentication header's; like Linux we step over it all the same.
            Err(_) => (ip.payload.len() >= 8).then(|| (IpNumber(ip.payload[0]), 8)),
        },
        _ => {
            let h = Ipv6RawExtHeaderSlice::from_slice(&ip.payload).ok()?;
            Some((h.next_header(), h.slice().len()))
        }
    }
}

fn payload(bytes: Option<&[u8]>, len: usize) -> (Vec<u8>, Option<usize>) {
    let mut payload = bytes.unwrap_or_default().to_vec();
    let held = bytes.map(|b| b.len().min(len));
    payload.resize(len, 0);
    (payload, held)
}

fn fields((from, to, ttl, ip_id): (IpAddr, IpAddr, u8, u16), tcp: &TcpHeaderSlice<'_>, options: usize) -> Fields {
    let flags = [tcp.fin(), tcp.syn(), tcp.rst(), tcp.psh(), tcp.ack(), tcp.urg(), tcp.ece(), tcp.cwr()];
    Fields {
        from,
        to,
        ttl,
        ip_id,
        ports: [tcp.source_port(), tcp.destination_port()],
        seq: tcp.sequence_number(),
        ack: tcp.acknowledgment_number(),
        flags: flags.iter().enumerate().map(|(bit, &set)| u8::from(set) << bit).sum(),
        window: tcp.window_size(),
        options: tcp.options()[..options].to_vec(),
        tiny: false,
    }
}

/// Holds our reading against etherparse's own of the whole packet.
///
/// # Panics
/// When they contradict each other.
pub fn packet(frame: &[u8], ours: &Result<Fields, End>) {
    let Ok(lax) = LaxSlicedPacket::from_ethernet(frame) else {
        assert_eq!(*ours, Err(End::FrameTruncated));
        return;
    };
    match (&lax.net, &lax.transport, ours) {
        (Some(net), Some(TransportSlice::Tcp(tcp)), Ok(ours)) => {
            let ip = match net {
                LaxNetSlice::Ipv4(ip) => {
                    let h = ip.header();
                    (h.source_addr().into(), h.destination_addr().into(), h.ttl(), h.identification())
                }
                LaxNetSlice::Ipv6(ip) => {
                    let h = ip.header();
                    (h.source_addr().into(), IpAddr::from(h.destination_addr()).to_canonical(), h.hop_limit(), 0)
                }
                LaxNetSlice::Arp(_) => panic!("TCP over ARP: {frame:02x?}"),
            };
            let tcp = TcpHeaderSlice::from_slice(tcp.slice()).unwrap();
            assert_eq!(*ours, fields(ip, &tcp, tcp.options().len()), "{frame:02x?}");
        }
        (Some(net), Some(TransportSlice::Tcp(_)), Err(end)) => {
            assert!(we_are_stricter(&lax, net, *end), "etherparse reads TCP, we say {end:?}: {frame:02x?}");
        }
        (_, _, Ok(_)) => assert!(we_are_laxer(&lax), "we read TCP, etherparse {:?}: {frame:02x?}", lax.stop_err),
        (_, _, Err(_)) => {}
    }
}

/// Where etherparse reads a TCP header and we refuse.
fn we_are_stricter(lax: &LaxSlicedPacket<'_>, net: &LaxNetSlice<'_>, end: End) -> bool {
    let macsec = |e: &LaxLinkExtSlice<'_>| matches!(e, LaxLinkExtSlice::Macsec(_));
    match (end, net) {
        // It reads through three tags.
        (End::VlanTooDeep, _) => lax.link_exts.len() == 3,
        // It reads on behind MACsec, which is not for us.
        (End::NotIp, _) => lax.link_exts.iter().any(macsec),
        // It goes by the version and not by the EtherType, and takes the frame's length for an impossible one.
        (End::IpMalformed, LaxNetSlice::Ipv4(ip)) => {
            last_ether_type(lax) != ether_type::IPV4 || usize::from(ip.header().total_len()) < ip.header().slice().len()
        }
        (End::IpMalformed | End::IpTruncated, LaxNetSlice::Ipv6(_)) if last_ether_type(lax) == ether_type::IPV4 => true,
        // It does not mind an IPv4 address at either end of an IPv6 packet.
        (End::IpMalformed, LaxNetSlice::Ipv6(ip)) => {
            holds_ipv4(ip.header().source_addr(), ip.header().destination_addr())
        }
        (End::IpTruncated, LaxNetSlice::Ipv4(_)) => last_ether_type(lax) == ether_type::IPV6,
        // It takes a length of zero for a jumbogram, which no Ethernet carries.
        (End::IpTruncated | End::TcpTruncated | End::TcpMalformed | End::TinyFragment, LaxNetSlice::Ipv6(ip)) => {
            ip.header().payload_length() == 0
        }
        // It looks behind an authentication header in IPv4 too; IPsec is not for us.
        (End::NotTcp, LaxNetSlice::Ipv4(ip)) => ip.extensions().auth.is_some(),
        // It sets no limit.
        (End::ExtensionsTooDeep, LaxNetSlice::Ipv6(ip)) => ip.extensions().clone().into_iter().count() > 6,
        _ => false,
    }
}

/// Where we read a TCP header and etherparse does not.
fn we_are_laxer(lax: &LaxSlicedPacket<'_>) -> bool {
    use err::{ipv6_exts::HeaderError, packet::SliceError};
    let payload = lax.net.as_ref().and_then(LaxNetSlice::ip_payload_ref);
    match &lax.stop_err {
        // It wants hop-by-hop options in front, and a length in an authentication header.
        Some((SliceError::Ipv6Exts(HeaderError::HopByHopNotAtStart | HeaderError::IpAuth(_)), _)) => true,
        // The frame ends among the TCP options: we want the fixed part alone.
        Some((SliceError::Len(_), err::Layer::TcpHeader)) => payload.is_some_and(|p| p.incomplete),
        Some(_) => false,
        // It leaves fragments alone, where the first holds the whole header; and it does not know mobility headers.
        None => payload.is_some_and(|p| p.fragmented || p.ip_number == MOBILITY),
    }
}

fn last_ether_type(lax: &LaxSlicedPacket<'_>) -> EtherType {
    match lax.link_exts.last() {
        Some(ext) => ext.payload().map_or(EtherType(0), |p| p.ether_type),
        None => lax.link.as_ref().and_then(|l| l.ether_payload()).map_or(EtherType(0), |p| p.ether_type),
    }
}
