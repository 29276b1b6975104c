//! What there is to read in a TCP segment, and our own parser's reading of it.

use std::net::IpAddr;

use tcpcap_common::{record::OPTIONS_LEN, tally::End, wire};

/// Everything that a parser reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    pub from: IpAddr,
    pub to: IpAddr,
    pub ttl: u8,
    pub ip_id: u16,
    pub ports: [u16; 2],
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
    pub window: u16,
    /// As far as the frame holds them.
    pub options: Vec<u8>,
    /// Only ports and sequence number are there.
    pub tiny: bool,
}

/// What our parser reads.
pub fn ours(frame: &[u8]) -> Result<Fields, End> {
    let (network, segment) = wire::parse(frame)?;
    let (start, end) = wire::span(frame);
    // Not zero before, so that what is left as it was would be seen.
    let mut options = [0xee; OPTIONS_LEN];
    // SAFETY: `start..end` is the slice.
    let len = unsafe { wire::copy_options(start, end, segment.options, &mut options) };
    let (valid, rest) = options.split_at(usize::from(len));
    assert!(rest.iter().all(|&b| b == 0), "behind {len} bytes of options stands {rest:?}: {frame:02x?}");
    Ok(Fields {
        from: network.from.to_ip(),
        to: network.to.to_ip(),
        ttl: network.ttl,
        ip_id: network.ip_id,
        ports: [segment.from_port, segment.to_port],
        seq: segment.seq,
        ack: segment.ack,
        flags: segment.flags,
        window: segment.window,
        options: valid.to_vec(),
        tiny: segment.tiny,
    })
}
