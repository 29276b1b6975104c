//! Blocked networks in the trie: /24s scattered over all of IPv4, /56s over a /32.

use tcpcap::failure::Failure;
use tcpcap_common::tally::End;

use crate::{
    bed::{Bed, Lists, USUAL},
    line::{self, Kind, Line},
    packets::{Family, Packet, Packets},
};

const LENGTHS: [u32; 3] = [0, 1000, 100_000];

const KINDS: [Kind; 5] = [
    Kind { what: "established ACK", packet: Packet::Ack, packets: Packets::One, end: End::Segment },
    Kind { what: "established ACK", packet: Packet::Ack, packets: Packets::ManySources, end: End::Segment },
    Kind { what: "UDP", packet: Packet::Udp, packets: Packets::One, end: End::NotTcp },
    Kind { what: "dropped", packet: Packet::Syn, packets: Packets::OneListed, end: End::Blocked },
    Kind { what: "dropped", packet: Packet::Syn, packets: Packets::WholeList, end: End::Blocked },
];

/// # Errors
/// The kernel refuses something.
pub fn lines() -> Result<Vec<Line>, Failure> {
    let mut lines = Vec::new();
    for family in Family::BOTH {
        let beds = LENGTHS.map(|n| Ok((n, Bed::new(&Lists { networks: n, ..Lists::none(family) }, &USUAL)?)));
        let beds = beds.into_iter().collect::<Result<Vec<_>, Failure>>()?;
        lines.extend(line::lines("blocked networks", family, &beds, &KINDS)?);
    }
    Ok(lines)
}
