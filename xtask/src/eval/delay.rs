//! A capture as it would be if the remote side were further away.
//!
//! In a lab the ACK of a handshake comes at once, and whoever counts what is incomplete looks better than on the
//! Internet. Here everything of a remote source but its SYNs comes later: ACKs, data, FINs, RSTs. Their order stays, and
//! nothing else moves.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use pcap_parser::{LegacyPcapBlock, Linktype, PcapHeader, parse_pcap_frame, parse_pcap_frame_be, parse_pcap_header};
use tcpcap_common::wire::{self, flag};
use tcpcap_core::Own;

/// Classic pcap, little-endian, in nanoseconds.
const MAGIC: u32 = 0xa1b2_3c4d;
const NANOS: u64 = 1_000_000_000;

/// A packet of a classic capture.
struct Packet<'a> {
    /// Nanoseconds since the epoch.
    time: u64,
    /// Its length on the wire.
    len: u32,
    frame: &'a [u8],
}

/// The same capture with what remote sources send to own addresses `delay` later, but for their SYNs.
///
/// # Errors
/// It is no classic capture of Ethernet, or damaged.
pub(super) fn delayed(capture: &[u8], own: &Own, delay: Duration) -> anyhow::Result<Vec<u8>> {
    let delay = u64::try_from(delay.as_nanos()).context("the delay is too long")?;
    let (rest, header) = parse_pcap_header(capture).ok().context("only classic captures can be delayed")?;
    ensure!(header.network == Linktype::ETHERNET, "only captures of Ethernet can be delayed");
    let mut packets = packets(rest, &header)?;
    for packet in &mut packets {
        if is_late(packet.frame, own) {
            packet.time += delay;
        }
    }
    // Stable: what came at the same time stays in order.
    packets.sort_by_key(|packet| packet.time);
    write(&packets, header.snaplen)
}

/// Whether it comes later: a segment of a remote source to an own address that opens no connection.
fn is_late(frame: &[u8], own: &Own) -> bool {
    wire::parse(frame).is_ok_and(|(network, segment)| {
        segment.flags & flag::SYN == 0 && own.holds(network.to) && !own.holds(network.from)
    })
}

fn packets<'a>(mut rest: &'a [u8], header: &PcapHeader) -> anyhow::Result<Vec<Packet<'a>>> {
    let unit = if header.is_nanosecond_precision() { 1 } else { 1000 };
    let mut packets = Vec::new();
    while !rest.is_empty() {
        let parsed = if header.is_bigendian() { parse_pcap_frame_be(rest) } else { parse_pcap_frame(rest) };
        let Ok((after, LegacyPcapBlock { ts_sec, ts_usec, origlen, data, .. })) = parsed else {
            bail!("damaged behind packet {}", packets.len());
        };
        let time = u64::from(ts_sec) * NANOS + u64::from(ts_usec) * unit;
        packets.push(Packet { time, len: origlen, frame: data });
        rest = after;
    }
    Ok(packets)
}

fn write(packets: &[Packet<'_>], snaplen: u32) -> anyhow::Result<Vec<u8>> {
    const VERSION: u32 = 0x0004_0002;
    let mut file: Vec<u8> = [MAGIC, VERSION, 0, 0, snaplen, 1].into_iter().flat_map(u32::to_le_bytes).collect();
    for packet in packets {
        let seconds = u32::try_from(packet.time / NANOS).context("the delay leads out of the calendar")?;
        let nanos = u32::try_from(packet.time % NANOS)?;
        let caught = u32::try_from(packet.frame.len())?;
        file.extend([seconds, nanos, caught, packet.len].into_iter().flat_map(u32::to_le_bytes));
        file.extend(packet.frame);
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tcpcap_lab::frame::Frame;

    const CLIENT: &str = "192.0.2.1:40000";
    const HOST: &str = "10.0.0.1:80";
    const SYN_ACK: u8 = flag::SYN | flag::ACK;

    fn own() -> Own {
        Own { networks: vec!["10.0.0.0/24".parse().unwrap()], ..Own::default() }
    }

    fn capture(packets: &[(u64, Vec<u8>)]) -> Vec<u8> {
        let packets: Vec<_> =
            packets.iter().map(|(ms, frame)| Packet { time: ms * 1_000_000, len: 1500, frame }).collect();
        write(&packets, 96).unwrap()
    }

    /// Milliseconds and sequence number of each packet.
    fn read(capture: &[u8]) -> Vec<(u64, u32)> {
        let (rest, header) = parse_pcap_header(capture).unwrap();
        assert_eq!((header.network, header.snaplen), (Linktype::ETHERNET, 96));
        let packets = packets(rest, &header).unwrap();
        assert!(packets.iter().all(|p| p.len == 1500));
        packets.iter().map(|p| (p.time / 1_000_000, wire::parse(p.frame).unwrap().1.seq)).collect()
    }

    fn tcp(from: &str, to: &str, flags: u8, seq: u32) -> Vec<u8> {
        Frame::tcp(from, to).flags(flags).seq(seq, 0).build()
    }

    #[test]
    fn the_far_side_answers_later_and_everything_else_stays() {
        let before = capture(&[
            (0, tcp(CLIENT, HOST, flag::SYN, 1)),
            (1, tcp(HOST, CLIENT, SYN_ACK, 2)),
            (2, tcp(CLIENT, HOST, flag::ACK, 3)),
            (2, tcp(CLIENT, HOST, flag::ACK | flag::PSH, 4)),
            (3, tcp(HOST, CLIENT, flag::ACK, 5)),
            (4, tcp(CLIENT, HOST, flag::RST, 6)),
            (90, tcp(CLIENT, HOST, flag::SYN, 7)),
            // Of a connection that the host opened: the server's answer is a SYN, too.
            (91, tcp(CLIENT, HOST, SYN_ACK, 8)),
            // Neither end is ours, or both are.
            (92, tcp(CLIENT, "192.0.2.2:80", flag::ACK, 9)),
            (93, tcp("10.0.0.2:1", HOST, flag::ACK, 10)),
        ]);
        let after = read(&delayed(&before, &own(), Duration::from_millis(150)).unwrap());
        let expected = [(0, 1), (1, 2), (3, 5), (90, 7), (91, 8), (92, 9), (93, 10), (152, 3), (152, 4), (154, 6)];
        assert_eq!(after, expected);
    }

    #[test]
    fn no_delay_changes_nothing() {
        let before = capture(&[(0, tcp(CLIENT, HOST, flag::SYN, 1)), (5, tcp(CLIENT, HOST, flag::ACK, 2))]);
        assert_eq!(delayed(&before, &own(), Duration::ZERO).unwrap(), before);
    }

    #[test]
    fn microseconds_and_the_other_byte_order_are_read_too() {
        let frame = tcp(CLIENT, HOST, flag::ACK, 9);
        let len = u32::try_from(frame.len()).unwrap();
        for (magic, sub) in [(0xa1b2_c3d4, 7000), (MAGIC, 7_000_000)] {
            let header = [magic, 0x0002_0004, 0, 0, 96, 1, 3, sub, len, 1500];
            let file = [header.into_iter().flat_map(u32::to_be_bytes).collect(), frame.clone()].concat();
            assert_eq!(read(&delayed(&file, &own(), Duration::from_millis(10)).unwrap()), [(3017, 9)]);
        }
    }

    #[test]
    fn what_cannot_be_delayed_is_refused() {
        let whole = capture(&[(0, tcp(CLIENT, HOST, flag::ACK, 1))]);
        let mut raw = whole.clone();
        raw[20] = 101;
        for (file, problem) in [
            (&b"hello, this is text of more than a header"[..], "classic"),
            (&raw, "Ethernet"),
            (&whole[..whole.len() - 1], "damaged behind packet 0"),
        ] {
            let said = delayed(file, &own(), Duration::ZERO).unwrap_err().to_string();
            assert!(said.contains(problem), "{said}");
        }
    }
}
