//! What the daemon switches on and off. All other groups have everything on that is on unless an operator says
//! otherwise.

use tcpcap::{failure::Failure, kernel::Wish};
use tcpcap_common::tally::End;

use crate::{
    bed::{Bed, Lists, USUAL},
    line::{About, Kind, Line},
    packets::{Family, Packet, Packets},
};

const SETTINGS: [(&str, &str, Wish); 4] = [
    ("established ACK, all off", "dropped, all off", Wish::DEFAULT),
    ("established ACK, answers in view", "dropped, answers in view", Wish { strays: false, ..USUAL }),
    ("established ACK, strays told as well", "dropped, strays told as well", USUAL),
    ("established ACK, scope syn", "dropped, scope syn", Wish { syn_only: true, ..USUAL }),
];

/// # Errors
/// The kernel refuses something.
pub fn lines() -> Result<Vec<Line>, Failure> {
    let (family, mut lines) = (Family::V4, Vec::new());
    for (passing, dropped, wish) in SETTINGS {
        let bed = Bed::new(&Lists { blocks: 1, ..Lists::none(family) }, &wish)?;
        for kind in [
            Kind { what: passing, packet: Packet::Ack, packets: Packets::One, end: End::Segment },
            Kind { what: dropped, packet: Packet::Syn, packets: Packets::OneListed, end: End::Blocked },
        ] {
            lines.push(Line::new(&bed, About::of("settings", family, &kind, 1), &kind)?);
        }
    }
    Ok(lines)
}
