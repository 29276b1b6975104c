//! The never-block set, which packets of listed sources are held against.

use tcpcap::failure::Failure;
use tcpcap_common::tally::End;

use crate::{
    bed::{Bed, Lists, NEVER_BLOCK, USUAL},
    line::{self, Kind, Line},
    packets::{Family, Packet, Packets},
};

const LENGTHS: [u32; 3] = [0, NEVER_BLOCK, 1000];

/// # Errors
/// The kernel refuses something.
pub fn lines() -> Result<Vec<Line>, Failure> {
    let mut lines = Vec::new();
    for family in Family::BOTH {
        let beds = LENGTHS.map(|n| Ok((n, Bed::new(&Lists { blocks: 1, allowed: n, ..Lists::none(family) }, &USUAL)?)));
        let beds = beds.into_iter().collect::<Result<Vec<_>, Failure>>()?;
        for (listed, bed) in beds {
            // Somebody is blocked, however long the list of those who are allowed.
            let dropped = Kind { what: "dropped", packet: Packet::Syn, packets: Packets::OneListed, end: End::Blocked };
            lines.push(Line::new(&bed, line::About::of("allowed addresses", family, &dropped, listed), &dropped)?);
        }
    }
    Ok(lines)
}
