//! Packets out of a capture file, one after the other.

use std::{cell::Cell, fmt, rc::Rc};

use pcap_parser::{
    Block, InterfaceDescriptionBlock, LegacyPcapReader, Linktype, PcapBlockOwned, PcapError, PcapNGReader,
    traits::{PcapNGPacketBlock as _, PcapReaderIterator},
};
use tcpcap_core::Time;

use super::{
    LinkType, Origin,
    input::{Input, Problem},
    origin::unreadable,
};
use crate::failure::Failure;

/// What is held of a file at first.
const BUFFER: usize = 1 << 18;
/// And at most: no tool writes a packet of more than 256 KiB, but pcapng has other blocks. The library lists a block's
/// options, which takes up to fourteen times as much as they do.
const MAX_BUFFER: usize = 1 << 21;
/// Interfaces of one section: all of them are kept. Far more than any host has.
const MAX_INTERFACES: usize = 1 << 16;
/// The year 2262. Behind it time needs room to go on: what waits for a second to pass must see it pass.
const LAST: u64 = u64::MAX / 2;
/// A classic packet record that claims more is no packet; libpcap draws the line here too.
const MAX_PACKET: u32 = 1 << 18;
/// The block type that came before pcapng's Enhanced Packet Block.
const OBSOLETE_PACKET: u32 = 2;

const REMEDY: &str = "replay reads pcap and pcapng, gzip-compressed or not";

/// A captured packet.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// When, since the Unix epoch; the time of the packet before where the file has none.
    pub time: Time,
    /// What the frame begins with.
    pub link: LinkType,
    /// As much as was captured of it.
    pub frame: &'a [u8],
}

/// Where a file stops making sense. Everything before has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file's name.
    pub name: String,
    /// Byte offset, after decompression.
    pub offset: usize,
    /// What is wrong there.
    pub what: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: byte {}: {}", self.name, self.offset, self.what)
    }
}

/// An open capture file.
pub struct Capture {
    name: String,
    blocks: Box<dyn PcapReaderIterator>,
    problem: Problem,
    taken: Rc<Cell<u64>>,
    decoder: Decoder,
}

impl Capture {
    /// Begins with a file: reads its header.
    ///
    /// # Errors
    /// It cannot be read, or is no capture.
    pub fn open(origin: &Origin) -> Result<Self, Failure> {
        let name = &origin.name;
        let mut input = origin.open().and_then(Input::of).map_err(|e| unreadable(name, &e))?;
        let (problem, taken) = (input.problem.clone(), Rc::clone(&input.taken));
        let magic = input.peek::<4>();
        let blocks: Result<Box<dyn PcapReaderIterator>, _> = match magic[..] {
            [] => return Err(Failure::failed(format!("{name} is empty"), REMEDY)),
            [0x0a, 0x0d, 0x0d, 0x0a] => PcapNGReader::new(BUFFER, input).map(|r| Box::new(r) as _),
            _ => LegacyPcapReader::new(BUFFER, input).map(|r| Box::new(r) as _),
        };
        match blocks {
            Ok(blocks) => Ok(Self { name: name.clone(), blocks, problem, taken, decoder: Decoder::default() }),
            Err(PcapError::HeaderNotRecognized) => {
                let magic: Vec<_> = magic.iter().map(|b| format!("{b:02x}")).collect();
                Err(Failure::failed(format!("{name} is no capture: it begins with {}", magic.join(" ")), REMEDY))
            }
            Err(_) => Err(Failure::failed(format!("{name} is no capture: its header is cut short or damaged"), REMEDY)),
        }
    }

    /// How many bytes have been taken from the file, before decompression, now and later.
    #[must_use]
    pub fn taken(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.taken)
    }

    /// Hands every packet to `take`, until it fails or the file ends; returns where the file is damaged, if it is.
    ///
    /// # Errors
    /// Those of `take`, and a link type that is not known.
    pub fn read<E: From<Failure>>(
        mut self,
        take: &mut impl FnMut(Packet<'_>) -> Result<(), E>,
    ) -> Result<Option<Damage>, E> {
        loop {
            let what = match self.blocks.next() {
                Ok((len, block)) => match self.decoder.take(&block, take) {
                    Ok(()) => {
                        self.blocks.consume(len);
                        continue;
                    }
                    Err(Stop::Failed(e)) => return Err(e),
                    Err(Stop::Unreadable(cause)) => {
                        let cause = format!("{}: {cause}", self.name);
                        return Err(Failure::failed(cause, UNREADABLE_REMEDY).into());
                    }
                    Err(Stop::Damaged(what)) => what,
                },
                Err(PcapError::Eof) => match self.problem.take() {
                    None => return Ok(None),
                    Some(e) => format!("cannot be read on: {e}"),
                },
                Err(PcapError::Incomplete(_) | PcapError::BufferTooSmall) => {
                    if self.more() {
                        continue;
                    }
                    format!("a packet or block of more than {} MiB", MAX_BUFFER >> 20)
                }
                Err(PcapError::UnexpectedEof) => match self.problem.take() {
                    None => "ends in the middle of a packet or block".to_owned(),
                    Some(e) => format!("cannot be read on: {e}"),
                },
                Err(_) => "a block that contradicts itself".to_owned(),
            };
            return Ok(Some(Damage { offset: self.blocks.consumed(), what, name: self.name }));
        }
    }

    /// Gets more of the file into the buffer, which grows for it as far as it may. Whether there is any use in trying
    /// again.
    fn more(&mut self) -> bool {
        let held = self.blocks.data().len();
        // Errors end the input, see `Input`.
        let refilled = self.blocks.refill().is_ok();
        if refilled && (self.blocks.data().len() > held || self.blocks.reader_exhausted()) {
            return true;
        }
        // It is as full as it gets; its size is a power of two.
        let size = held.next_power_of_two().max(BUFFER) * 2;
        size <= MAX_BUFFER && self.blocks.grow(size)
    }
}

const UNREADABLE_REMEDY: &str =
    "convert it with editcap or tcpdump; what can be read is Ethernet, raw IP and Linux cooked";

/// Why a block ends the reading.
enum Stop<E> {
    /// Who takes the packets wants no more.
    Failed(E),
    /// It is right, but beyond us.
    Unreadable(String),
    Damaged(String),
}

/// What the blocks so far say about those to come.
#[derive(Default)]
struct Decoder {
    /// A classic file has one interface.
    interfaces: Vec<Interface>,
    last: Time,
    /// The section is written in network order.
    big_endian: bool,
}

#[derive(Clone, Copy)]
struct Interface {
    link: Linktype,
    /// Of the time stamps, per second.
    units: u64,
    offset_s: i64,
}

impl Interface {
    fn of(block: &InterfaceDescriptionBlock<'_>, big_endian: bool) -> Option<Self> {
        let resolution = block.if_tsresol;
        // Bit 7 says that the other bits are a power of two, not of ten.
        let units = if resolution & 0x80 == 0 {
            10u64.checked_pow(u32::from(resolution))
        } else {
            1u64.checked_shl(u32::from(resolution & 0x7f))
        };
        // The library reads this one option in little-endian whatever the section is in.
        let offset_s = if big_endian { block.if_tsoffset.swap_bytes() } else { block.if_tsoffset };
        Some(Self { link: block.linktype, units: units?, offset_s })
    }

    /// A time stamp of this interface in nanoseconds since the epoch. What lies before it, or past [`LAST`], becomes the
    /// nearest that does not.
    fn time(&self, stamp: u64) -> Time {
        const NANOS: u128 = 1_000_000_000;
        // Nearly every file there is, at a small part of the cost.
        match (self.units, self.offset_s) {
            (1_000_000, 0) => return Time::from_nanos(stamp.saturating_mul(1000).min(LAST)),
            (1_000_000_000, 0) => return Time::from_nanos(stamp.min(LAST)),
            _ => {}
        }
        let stamp = u128::from(stamp) * NANOS / u128::from(self.units);
        let offset = u128::from(self.offset_s.unsigned_abs()) * NANOS;
        let nanos = if self.offset_s < 0 { stamp.saturating_sub(offset) } else { stamp.saturating_add(offset) };
        Time::from_nanos(u64::try_from(nanos).map_or(LAST, |nanos| nanos.min(LAST)))
    }
}

impl Decoder {
    fn take<E>(
        &mut self,
        block: &PcapBlockOwned<'_>,
        take: &mut impl FnMut(Packet<'_>) -> Result<(), E>,
    ) -> Result<(), Stop<E>> {
        let (interface, stamp, frame) = match block {
            PcapBlockOwned::LegacyHeader(header) => {
                let units = if header.is_nanosecond_precision() { 1_000_000_000 } else { 1_000_000 };
                // The upper bits say whether frames end with a checksum.
                let link = Linktype(header.network.0 & 0xffff);
                self.interfaces = vec![Interface { link, units, offset_s: 0 }];
                return Ok(());
            }
            PcapBlockOwned::Legacy(packet) if packet.caplen > MAX_PACKET => {
                return Err(Stop::Damaged(format!("a packet of {} bytes", packet.caplen)));
            }
            PcapBlockOwned::Legacy(packet) => {
                let units = self.interfaces.first().map_or(1, |i| i.units);
                let stamp = u64::from(packet.ts_sec) * units + u64::from(packet.ts_usec);
                (0, Some(stamp), packet.data)
            }
            PcapBlockOwned::NG(Block::SectionHeader(section)) => {
                self.big_endian = section.big_endian();
                self.interfaces.clear();
                return Ok(());
            }
            PcapBlockOwned::NG(Block::InterfaceDescription(_)) if self.interfaces.len() == MAX_INTERFACES => {
                return Err(Stop::Damaged(format!("a section of more than {MAX_INTERFACES} interfaces")));
            }
            PcapBlockOwned::NG(Block::InterfaceDescription(block)) => {
                let impossible = || Stop::Damaged("time stamps of an impossible resolution".to_owned());
                self.interfaces.push(Interface::of(block, self.big_endian).ok_or_else(impossible)?);
                return Ok(());
            }
            PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                let stamp = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
                (packet.if_id as usize, Some(stamp), packet.packet_data())
            }
            PcapBlockOwned::NG(Block::SimplePacket(packet)) => (0, None, packet.packet_data()),
            PcapBlockOwned::NG(Block::Unknown(block))
                if [OBSOLETE_PACKET, OBSOLETE_PACKET.swap_bytes()].contains(&block.block_type) =>
            {
                return Err(Stop::Unreadable("written in an obsolete form of pcapng".to_owned()));
            }
            PcapBlockOwned::NG(_) => return Ok(()),
        };
        let Some(interface) = self.interfaces.get(interface) else {
            return Err(Stop::Damaged("a packet of an interface that is not described".to_owned()));
        };
        let Some(link) = LinkType::of(interface.link.0) else {
            let Linktype(number) = interface.link;
            return Err(Stop::Unreadable(format!("link type {number} ({}) cannot be read", LinkType::name(number))));
        };
        self.last = stamp.map_or(self.last, |stamp| interface.time(stamp));
        take(Packet { time: self.last, link, frame }).map_err(Stop::Failed)
    }
}

#[cfg(test)]
mod tests;
