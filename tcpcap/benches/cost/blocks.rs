//! Blocked sources in the hash.

use tcpcap::failure::Failure;
use tcpcap_common::tally::End;

use crate::{
    bed::{Bed, Lists, USUAL},
    line::{self, Kind, Line},
    packets::{Family, Packet, Packets},
};

const LENGTHS: [u32; 4] = [0, 1000, 100_000, 1_000_000];

const KINDS: [Kind; 7] = [
    Kind { what: "established ACK", packet: Packet::Ack, packets: Packets::One, end: End::Segment },
    Kind { what: "established ACK", packet: Packet::Ack, packets: Packets::ManySources, end: End::Segment },
    Kind { what: "UDP", packet: Packet::Udp, packets: Packets::One, end: End::NotTcp },
    Kind { what: "SYN, sent again", packet: Packet::Syn, packets: Packets::One, end: End::Retransmission },
    Kind { what: "SYN", packet: Packet::Syn, packets: Packets::NewFlows, end: End::Attempt },
    Kind { what: "dropped", packet: Packet::Syn, packets: Packets::OneListed, end: End::Blocked },
    Kind { what: "dropped", packet: Packet::Syn, packets: Packets::WholeList, end: End::Blocked },
];

/// # Errors
/// The kernel refuses something.
pub fn lines() -> Result<Vec<Line>, Failure> {
    let mut lines = Vec::new();
    for family in Family::BOTH {
        let beds = LENGTHS.map(|n| Ok((n, Bed::new(&Lists { blocks: n, ..Lists::none(family) }, &USUAL)?)));
        let beds = beds.into_iter().collect::<Result<Vec<_>, Failure>>()?;
        lines.extend(line::lines("blocked sources", family, &beds, &KINDS)?);
    }
    Ok(lines)
}
