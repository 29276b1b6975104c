//! Reading headers, from `start..end` and from nothing else.
//!
//! The kernel program, `replay` and the tests share these functions. They come in three steps, so that the kernel can
//! look a source up before it cares for the rest: [`link`] (Ethernet, VLAN tags), [`network`] (addresses),
//! [`transport`] (extension headers, fragments, TCP). What cannot be read ends with its name, an [`End`].
//!
//! The verifier's rules show: offsets are plain numbers that are added to `start` and compared with `end` before each
//! read, loops have a fixed bound, nothing can panic.

mod segment;

pub use segment::{Kind, OptionsAt, Segment, flag};

use crate::{Addr, record::OPTIONS_LEN, tally::End};

/// VLAN tags that are read through: 802.1Q, and QinQ (802.1ad) over it.
pub const MAX_VLAN_TAGS: usize = 2;
/// IPv6 extension headers that are read through. RFC 8200 §4.1 lists six that may precede TCP; an honest packet has
/// two at most.
pub const MAX_EXTENSIONS: usize = 6;

mod ethertype {
    pub(super) const IPV4: u16 = 0x0800;
    pub(super) const IPV6: u16 = 0x86dd;
    pub(super) const VLAN: u16 = 0x8100;
    pub(super) const QINQ: u16 = 0x88a8;
    /// QinQ as some switches wrote it before 802.1ad.
    pub(super) const QINQ_OLD: u16 = 0x9100;
}

mod protocol {
    pub(super) const HOP_BY_HOP: u8 = 0;
    pub(super) const TCP: u8 = 6;
    pub(super) const ROUTING: u8 = 43;
    pub(super) const FRAGMENT: u8 = 44;
    pub(super) const AUTHENTICATION: u8 = 51;
    pub(super) const DESTINATION: u8 = 60;
    pub(super) const MOBILITY: u8 = 135;
}

const ETHERNET_LEN: usize = 14;
const TCP_LEN: usize = 20;

/// Where the network header begins, and of which protocol it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Offset of the network header from `start`.
    pub offset: usize,
    /// The last EtherType, host order.
    pub ethertype: u16,
}

/// A packet's addresses, and where its payload begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Where it comes from.
    pub from: Addr,
    /// Where it goes.
    pub to: Addr,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// IPv4 identification, host order; 0 for IPv6.
    pub ip_id: u16,
    /// Protocol of what follows; with IPv6 perhaps an extension header.
    protocol: u8,
    /// Offset of what follows from `start`.
    offset: usize,
    /// Its length as the IP header has it; the frame may hold less, or padding behind it.
    len: usize,
    fragment: Fragment,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fragment {
    Whole,
    First,
    Later,
}

/// Reads a `T` at `start + offset`, if it ends before `end`.
///
/// # Safety
/// `start..end` is readable memory, and every bit pattern is a valid `T`.
#[inline(always)]
unsafe fn read<T: Copy>(start: usize, end: usize, offset: usize) -> Option<T> {
    let at = start + offset;
    if at + size_of::<T>() > end {
        return None;
    }
    // SAFETY: `at..at + size_of::<T>()` lies within `start..end`; `offset` is a sum of bounded lengths, so nothing wraps.
    Some(unsafe { core::ptr::with_exposed_provenance::<T>(at).read_unaligned() })
}

#[inline(always)]
const fn be16(bytes: [u8; 2]) -> u16 {
    u16::from_be_bytes(bytes)
}

/// Reads the Ethernet header and VLAN tags.
///
/// # Errors
/// The [`End`] of a packet that has no network header to read.
///
/// # Safety
/// `start..end` is readable memory.
#[inline(always)]
pub unsafe fn link(start: usize, end: usize) -> Result<Link, End> {
    let mut offset = ETHERNET_LEN;
    let mut tags = 0;
    loop {
        // SAFETY: the caller vouches for `start..end`.
        let Some(bytes) = (unsafe { read::<[u8; 2]>(start, end, offset - 2) }) else {
            return Err(End::FrameTruncated);
        };
        let ethertype = be16(bytes);
        if !matches!(ethertype, ethertype::VLAN | ethertype::QINQ | ethertype::QINQ_OLD) {
            return Ok(Link { offset, ethertype });
        }
        if tags == MAX_VLAN_TAGS {
            return Err(End::VlanTooDeep);
        }
        tags += 1;
        offset += 4;
    }
}

/// Reads the IP header: the addresses, and where the rest begins.
///
/// # Errors
/// The [`End`] of a packet whose addresses cannot be read.
///
/// # Safety
/// `start..end` is readable memory.
#[inline(always)]
pub unsafe fn network(start: usize, end: usize, link: Link) -> Result<Network, End> {
    match link.ethertype {
        // SAFETY: the caller vouches for `start..end`.
        ethertype::IPV4 => unsafe { ipv4(start, end, link.offset) },
        // SAFETY: as above.
        ethertype::IPV6 => unsafe { ipv6(start, end, link.offset) },
        _ => Err(End::NotIp),
    }
}

/// IPv4 without its options (RFC 791 §3.1).
#[repr(C)]
#[derive(Clone, Copy)]
struct Ipv4 {
    version_ihl: u8,
    tos: u8,
    total_len: [u8; 2],
    id: [u8; 2],
    fragment: [u8; 2],
    ttl: u8,
    protocol: u8,
    checksum: [u8; 2],
    from: [u8; 4],
    to: [u8; 4],
}

#[inline(always)]
unsafe fn ipv4(start: usize, end: usize, offset: usize) -> Result<Network, End> {
    // SAFETY: the caller vouches for `start..end`; `Ipv4` is bytes.
    let Some(h) = (unsafe { read::<Ipv4>(start, end, offset) }) else {
        return Err(End::IpTruncated);
    };
    let header_len = ((h.version_ihl & 15) as usize) * 4;
    let total_len = be16(h.total_len) as usize;
    if h.version_ihl >> 4 != 4 || header_len < size_of::<Ipv4>() || total_len < header_len {
        return Err(End::IpMalformed);
    }
    const MORE: u16 = 0x2000;
    const OFFSET: u16 = 0x1fff;
    let fragment = match be16(h.fragment) {
        f if f & OFFSET != 0 => Fragment::Later,
        f if f & MORE != 0 => Fragment::First,
        _ => Fragment::Whole,
    };
    Ok(Network {
        from: Addr::from_v4_word(u32::from_ne_bytes(h.from)),
        to: Addr::from_v4_word(u32::from_ne_bytes(h.to)),
        ttl: h.ttl,
        ip_id: be16(h.id),
        protocol: h.protocol,
        offset: offset + header_len,
        len: total_len - header_len,
        fragment,
    })
}

/// The fixed IPv6 header (RFC 8200 §3).
#[repr(C)]
#[derive(Clone, Copy)]
struct Ipv6 {
    version_class_flow: [u8; 4],
    payload_len: [u8; 2],
    next_header: u8,
    hop_limit: u8,
    from: [[u8; 4]; 4],
    to: [[u8; 4]; 4],
}

#[inline(always)]
const fn words(a: [[u8; 4]; 4]) -> Addr {
    Addr([u32::from_ne_bytes(a[0]), u32::from_ne_bytes(a[1]), u32::from_ne_bytes(a[2]), u32::from_ne_bytes(a[3])])
}

#[inline(always)]
unsafe fn ipv6(start: usize, end: usize, offset: usize) -> Result<Network, End> {
    // SAFETY: the caller vouches for `start..end`; `Ipv6` is bytes.
    let Some(h) = (unsafe { read::<Ipv6>(start, end, offset) }) else {
        return Err(End::IpTruncated);
    };
    if h.version_class_flow[0] >> 4 != 6 {
        return Err(End::IpMalformed);
    }
    let (from, to) = (words(h.from), words(h.to));
    // It would count for the IPv4 address, which never sent it, or for ours, which never gets it. Nothing may carry such
    // an address over a wire (RFC 4291 §2.5.5.2 has them for sockets only).
    if from.is_v4() || to.is_v4() {
        return Err(End::IpMalformed);
    }
    Ok(Network {
        from,
        to,
        ttl: h.hop_limit,
        ip_id: 0,
        protocol: h.next_header,
        offset: offset + size_of::<Ipv6>(),
        len: be16(h.payload_len) as usize,
        fragment: Fragment::Whole,
    })
}

/// Walks what lies between the IP header and TCP, and reads the TCP header.
///
/// # Errors
/// The [`End`] of a packet that has no TCP header to read.
///
/// # Safety
/// `start..end` is readable memory.
#[inline(always)]
pub unsafe fn transport(start: usize, end: usize, network: &Network) -> Result<Segment, End> {
    let mut at = *network;
    if !network.from.is_v4() {
        // SAFETY: the caller vouches for `start..end`.
        unsafe { extensions(start, end, &mut at)? };
    }
    if at.fragment == Fragment::Later {
        return Err(End::LaterFragment);
    }
    if at.protocol != protocol::TCP {
        return Err(End::NotTcp);
    }
    // SAFETY: as above.
    unsafe { tcp(start, end, &at) }
}

/// Moves `at` past the extension headers (RFC 8200 §4, RFC 4302 §2.2 for the authentication header's length).
#[inline(always)]
unsafe fn extensions(start: usize, end: usize, at: &mut Network) -> Result<(), End> {
    for _ in 0..MAX_EXTENSIONS {
        if !is_extension(at.protocol) {
            return Ok(());
        }
        // Every extension header is at least eight bytes long.
        // SAFETY: the caller vouches for `start..end`.
        let Some(h) = (unsafe { read::<[u8; 8]>(start, end, at.offset) }) else {
            return Err(End::IpTruncated);
        };
        let len = match at.protocol {
            protocol::FRAGMENT => 8,
            protocol::AUTHENTICATION => (h[1] as usize + 2) * 4,
            _ => (h[1] as usize + 1) * 8,
        };
        if len > at.len {
            return Err(End::IpTruncated);
        }
        if at.protocol == protocol::FRAGMENT {
            let field = be16([h[2], h[3]]);
            if field & 0xfff8 != 0 {
                return Err(End::LaterFragment);
            }
            if field & 1 != 0 {
                at.fragment = Fragment::First;
            }
        }
        at.protocol = h[0];
        at.offset = forget(at.offset + len);
        at.len -= len;
    }
    if is_extension(at.protocol) { Err(End::ExtensionsTooDeep) } else { Ok(()) }
}

/// No header begins behind this: link header, IPv6 header, [`MAX_EXTENSIONS`] of at most 2,048 bytes.
const OFFSET_MASK: usize = 0x3fff;

/// Changes nothing, but makes the verifier forget how an offset came about: it knows a range for each chain of
/// extension headers, walks everything behind once for each range, and gives up after a million instructions. Behind
/// the mask all of them are one range. The black box keeps the compiler from seeing that the mask is needless.
#[inline(always)]
fn forget(offset: usize) -> usize {
    core::hint::black_box(offset) & OFFSET_MASK
}

#[inline(always)]
const fn is_extension(protocol: u8) -> bool {
    matches!(
        protocol,
        protocol::HOP_BY_HOP
            | protocol::ROUTING
            | protocol::FRAGMENT
            | protocol::AUTHENTICATION
            | protocol::DESTINATION
            | protocol::MOBILITY
    )
}

/// TCP without its options (RFC 9293 §3.1).
#[repr(C)]
#[derive(Clone, Copy)]
struct Tcp {
    from_port: [u8; 2],
    to_port: [u8; 2],
    seq: [u8; 4],
    ack: [u8; 4],
    data_offset: u8,
    flags: u8,
    window: [u8; 2],
    checksum: [u8; 2],
    urgent: [u8; 2],
}

#[inline(always)]
unsafe fn tcp(start: usize, end: usize, at: &Network) -> Result<Segment, End> {
    if at.len < TCP_LEN {
        // SAFETY: as below.
        return if at.fragment == Fragment::First { unsafe { tiny(start, end, at) } } else { Err(End::TcpTruncated) };
    }
    // SAFETY: the caller vouches for `start..end`; `Tcp` is bytes.
    let Some(h) = (unsafe { read::<Tcp>(start, end, at.offset) }) else {
        // It may have ended before, among the IP header's options or inside the last extension header.
        return Err(if start + at.offset > end { End::IpTruncated } else { End::TcpTruncated });
    };
    let header_len = ((h.data_offset >> 4) as usize) * 4;
    if header_len < TCP_LEN {
        return Err(End::TcpMalformed);
    }
    // A first fragment may end among the options: the whole words that are there of them are read.
    let held = if header_len <= at.len {
        header_len
    } else if at.fragment == Fragment::First {
        at.len & !3
    } else {
        return Err(End::TcpMalformed);
    };
    Ok(Segment {
        from_port: be16(h.from_port),
        to_port: be16(h.to_port),
        seq: u32::from_be_bytes(h.seq),
        ack: u32::from_be_bytes(h.ack),
        flags: h.flags,
        window: be16(h.window),
        #[allow(clippy::cast_possible_truncation, reason = "at most 40")]
        options: OptionsAt { offset: at.offset + TCP_LEN, len: (held - TCP_LEN) as u8 },
        tiny: false,
    })
}

/// The first eight bytes of a TCP header. Every fragment but the last carries a multiple of eight (RFC 791 §3.2, RFC 8200
/// §4.5), so they are there unless somebody has made this fragment by hand.
#[repr(C)]
#[derive(Clone, Copy)]
struct TcpStart {
    from_port: [u8; 2],
    to_port: [u8; 2],
    seq: [u8; 4],
}

#[inline(always)]
unsafe fn tiny(start: usize, end: usize, at: &Network) -> Result<Segment, End> {
    if at.len < size_of::<TcpStart>() {
        return Err(End::TinyFragment);
    }
    // SAFETY: the caller vouches for `start..end`; `TcpStart` is bytes.
    let Some(h) = (unsafe { read::<TcpStart>(start, end, at.offset) }) else {
        return Err(End::TinyFragment);
    };
    Ok(Segment {
        from_port: be16(h.from_port),
        to_port: be16(h.to_port),
        seq: u32::from_be_bytes(h.seq),
        ack: 0,
        flags: 0,
        window: 0,
        options: OptionsAt { offset: at.offset, len: 0 },
        tiny: true,
    })
}

/// Copies TCP options, in whole words; returns how many of the bytes are theirs. The rest of `out` is zeroed.
///
/// # Safety
/// `start..end` is readable memory.
#[inline(always)]
pub unsafe fn copy_options(start: usize, end: usize, options: OptionsAt, out: &mut [u8; OPTIONS_LEN]) -> u8 {
    *out = [0; OPTIONS_LEN];
    let words = out.as_mut_ptr().cast::<[u8; 4]>();
    for i in 0..OPTIONS_LEN / 4 {
        #[allow(clippy::cast_possible_truncation, reason = "below 40")]
        let before = (i * 4) as u8;
        if before >= options.len {
            return options.len;
        }
        // SAFETY: the caller vouches for `start..end`.
        let Some(word) = (unsafe { read::<[u8; 4]>(start, end, (options.offset & OFFSET_MASK) + i * 4) }) else {
            return before;
        };
        // SAFETY: `i` stays below a quarter of the array's length.
        unsafe { words.add(i).write(word) };
    }
    options.len
}

/// A whole Ethernet frame at once.
///
/// # Errors
/// The [`End`] of a frame that is no TCP segment.
///
/// # Safety
/// `start..end` is readable memory.
#[inline(always)]
pub unsafe fn headers(start: usize, end: usize) -> Result<(Network, Segment), End> {
    // SAFETY: the caller vouches for `start..end`.
    unsafe {
        let link = link(start, end)?;
        let network = network(start, end, link)?;
        let segment = transport(start, end, &network)?;
        Ok((network, segment))
    }
}

/// A whole Ethernet frame at once, for userspace.
///
/// # Errors
/// The [`End`] of a frame that is no TCP segment.
pub fn parse(frame: &[u8]) -> Result<(Network, Segment), End> {
    let (start, end) = span(frame);
    // SAFETY: `start..end` is the slice.
    unsafe { headers(start, end) }
}

/// The addresses of a slice's ends, as the functions here take them.
#[must_use]
pub fn span(bytes: &[u8]) -> (usize, usize) {
    let range = bytes.as_ptr_range();
    (range.start.expose_provenance(), range.end.expose_provenance())
}
