//! The header parser, held against etherparse on the same bytes, and against the end of the packet.

mod fields;
mod guard;
mod shape;
mod theirs;

use std::collections::HashSet;

use fields::{Fields, ours};
use guard::GuardedMemory;
use proptest::{collection::vec, prelude::*, sample::Index};
use shape::{Net, Payload, any_shape, every_shape};
use tcpcap_common::{
    tally::End,
    wire::{
        Kind, OptionsAt, Segment,
        flag::{ACK, FIN, PSH, RST, SYN, URG},
    },
};

/// What we read, once both of etherparse's readings agree with it.
fn agreed(frame: &[u8]) -> Result<Fields, End> {
    let ours = ours(frame);
    assert_eq!(ours, theirs::headers(frame), "{frame:02x?}");
    theirs::packet(frame, &ours);
    ours
}

/// What noise is put behind, so that it is read as something.
const BEGINNINGS: &[&[u8]] = &[&[], &[0x08, 0x00], &[0x86, 0xdd], &[0x81, 0x00, 0, 1, 0x86, 0xdd]];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4000) })]

    #[test]
    fn a_well_formed_packet_is_read_as_it_was_meant(shape in any_shape()) {
        prop_assert_eq!(agreed(&shape.bytes()), shape.expected());
    }

    #[test]
    fn a_damaged_packet_is_read_alike(
        shape in any_shape(),
        damage in vec((any::<Index>(), any::<u8>()), 1..6),
        cut in prop::option::weighted(0.3, any::<Index>()),
    ) {
        let mut frame = shape.bytes();
        for (at, byte) in damage {
            *at.get_mut(&mut frame) = byte;
        }
        if let Some(cut) = cut {
            frame.truncate(cut.index(frame.len()));
        }
        // Both say something, and the same; what it is, is the damage's business.
        agreed(GuardedMemory::new(frame.len()).at_the_end(&frame)).ok();
    }

    #[test]
    fn a_packet_whose_lengths_lie_is_read_alike(shape in any_shape(), at in 12..80usize, by in -9..10i8) {
        let mut frame = shape.bytes();
        if let Some(byte) = frame.get_mut(at) {
            *byte = byte.wrapping_add_signed(by);
        }
        agreed(GuardedMemory::new(frame.len()).at_the_end(&frame)).ok();
    }

    #[test]
    fn noise_is_read_alike(
        start in prop::sample::select(BEGINNINGS),
        version in prop::option::of(prop::sample::select(&[0x45, 0x46, 0x4f, 0x60][..])),
        mut noise in vec(any::<u8>(), 0..150),
    ) {
        if let (Some(first), Some(version)) = (noise.first_mut(), version) {
            *first = version;
        }
        let frame = [&[2; 12][..], start, &noise].concat();
        agreed(&frame).ok();
        agreed(&noise).ok();
    }
}

#[test]
fn every_shape_is_read_alike_at_every_length() {
    // A frame that is cut may end for these reasons, the later ones the longer it is; whole, it ends as it was meant.
    let rank = |reading: &Result<Fields, End>| match reading {
        Err(End::FrameTruncated) => 0,
        Err(End::IpTruncated) => 1,
        Err(End::TcpTruncated) => 2,
        _ => 3,
    };
    let mut seen = HashSet::new();
    for shape in every_shape() {
        let frame = shape.bytes();
        let mut before = 0;
        for len in 0..=frame.len() {
            let reading = agreed(&frame[..len]);
            let now = rank(&reading);
            assert!(now >= before, "{reading:?} comes too late at {len} of {shape:?}");
            if now == 3 {
                // Only options may still be missing.
                let end = |r: Result<Fields, End>| r.map(|f| Fields { options: vec![], ..f });
                assert_eq!(end(reading.clone()), end(shape.expected()), "{len} of {shape:?}");
            }
            before = now;
            seen.extend(reading.err().map(End::index));
        }
        assert_eq!(agreed(&frame), shape.expected(), "{shape:?}");
    }
    // The shapes are as various as they claim to be.
    for end in [
        End::FrameTruncated,
        End::VlanTooDeep,
        End::NotIp,
        End::IpTruncated,
        End::ExtensionsTooDeep,
        End::NotTcp,
        End::LaterFragment,
        End::TcpTruncated,
    ] {
        assert!(seen.contains(&end.index()), "no shape ends with {end:?}");
    }
}

#[test]
fn every_length_that_lies_is_read_alike() {
    for shape in every_shape().iter().filter(|shape| shape.tags.is_empty()) {
        let frame = shape.bytes();
        let (at, tcp) = match &shape.net {
            Net::Arp => continue,
            Net::V4 { options, .. } => (16, Some(34 + options.len())),
            Net::V6 { extensions, .. } => (18, extensions.is_empty().then_some(54)),
        };
        let len = u16::from_be_bytes([frame[at], frame[at + 1]]);
        for lie in (0..len + 4).filter(|lie| *lie < 120 || lie.abs_diff(len) < 100) {
            let mut frame = frame.clone();
            frame[at..at + 2].copy_from_slice(&lie.to_be_bytes());
            agreed(&frame).ok();
            for words in 0..16 {
                if let Some(tcp) = tcp.filter(|_| matches!(shape.payload, Payload::Tcp(_))) {
                    frame[tcp + 12] = words << 4;
                    agreed(&frame).ok();
                }
            }
        }
        for version_and_length in (0..=0xff).step_by(3).chain(0x40..=0x4f) {
            let mut frame = frame.clone();
            frame[14] = version_and_length;
            agreed(&frame).ok();
        }
    }
}

#[test]
fn nothing_behind_the_end_is_read() {
    let shapes: Vec<Vec<u8>> = every_shape().iter().map(shape::Shape::bytes).collect();
    let mut memory = GuardedMemory::new(shapes.iter().map(Vec::len).max().unwrap());
    for frame in &shapes {
        for len in 0..=frame.len() {
            // A read of one byte too many kills this process.
            let guarded = memory.at_the_end(&frame[..len]);
            assert_eq!(ours(guarded), ours(&frame[..len]));
        }
    }
}

#[test]
fn options_that_a_first_fragment_breaks_off_are_whole_words() {
    // Ethernet, then IPv4: a first fragment that holds 27 of the 32 bytes of a TCP header.
    let mut frame = [&[2; 12][..], &[0x08, 0x00, 0x45, 0, 0, 47, 0, 1, 0x20, 0, 64, 6, 0, 0]].concat();
    frame.extend([
        192, 0, 2, 7, 198, 51, 100, 1, 0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x80, SYN, 1, 0, 0, 0, 0, 0,
    ]);
    frame.extend([2, 4, 5, 180, 4, 2, 8]);
    for padding in 0..6 {
        // What a card pads the frame with is not the packet's.
        let padded = [&frame[..], &[0xff; 6][..padding]].concat();
        assert_eq!(agreed(&padded).unwrap().options, [2, 4, 5, 180]);
    }
}

#[test]
fn a_tiny_first_fragment_is_read_up_to_its_sequence_number_and_no_further() {
    let (v4, v6) = ([0x08, 0x00, 0x45, 0, 0, 0, 0, 9, 0x20, 0, 64, 6, 0, 0], [0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, 44, 64]);
    let v4 = [&[2; 12][..], &v4, &[192, 0, 2, 7, 198, 51, 100, 1]].concat();
    let v6 = [&[2; 12][..], &v6, &[0x20; 32], &[6, 0, 0, 1, 0, 0, 0, 9]].concat();
    for (ip, length_at, beside) in [(v4, 16, 20), (v6, 18, 8)] {
        for len in 0..20u8 {
            let mut packet = ip.clone();
            packet[length_at + 1] = beside + len;
            packet.extend([0x9c, 0x40, 0, 80, 1, 2, 3, 4]);
            // An answer to the question what follows would be taken from here.
            packet.extend([0xff; 12]);
            packet.truncate(ip.len() + usize::from(len));
            for padding in [0, 12] {
                let frame = [&packet[..], &[0xff; 12][..padding]].concat();
                let reading = agreed(GuardedMemory::new(frame.len()).at_the_end(&frame));
                if len < 8 {
                    assert_eq!(reading, Err(End::TinyFragment), "{len}");
                    continue;
                }
                let f = reading.unwrap();
                assert_eq!((f.ports, f.seq, f.tiny), ([40_000, 80], 0x0102_0304, true), "{len}");
                assert_eq!((f.ack, f.flags, f.window, f.options.len()), (0, 0, 0, 0), "{len}");
            }
            // The frame may end before the fragment does.
            for held in 0..len.min(8) {
                assert_eq!(agreed(&packet[..ip.len() + usize::from(held)]), Err(End::TinyFragment), "{held} of {len}");
            }
        }
    }
}

#[test]
fn a_tiny_fragment_is_nothing_else_whatever_its_flags_would_say() {
    let options = OptionsAt { offset: 0, len: 0 };
    let segment = Segment { from_port: 1, to_port: 2, seq: 3, ack: 0, flags: SYN, window: 0, options, tiny: true };
    assert_eq!(segment.kind(), Kind::TinyFragment);
}

#[test]
fn the_flags_say_what_a_segment_is() {
    // Every combination of the four that matter; PSH and URG, and the two for congestion, change nothing.
    let table = [
        (0, Kind::Probe),
        (FIN, Kind::Probe),
        (SYN, Kind::Attempt),
        (SYN | FIN, Kind::Probe),
        (RST, Kind::Reply),
        (RST | FIN, Kind::Reply),
        (RST | SYN, Kind::Probe),
        (RST | SYN | FIN, Kind::Probe),
        (ACK, Kind::Segment),
        (ACK | FIN, Kind::Segment),
        (ACK | SYN, Kind::Reply),
        (ACK | SYN | FIN, Kind::Probe),
        (ACK | RST, Kind::Reply),
        (ACK | RST | FIN, Kind::Reply),
        (ACK | RST | SYN, Kind::Probe),
        (ACK | RST | SYN | FIN, Kind::Probe),
    ];
    let mut covered = HashSet::new();
    for (flags, kind) in table {
        for others in [0, PSH, URG, PSH | URG] {
            for congestion in [0, 0x40, 0x80, 0xc0] {
                let flags = flags | others | congestion;
                let options = OptionsAt { offset: 0, len: 0 };
                let segment =
                    Segment { from_port: 1, to_port: 2, seq: 3, ack: 4, flags, window: 5, options, tiny: false };
                assert_eq!(segment.kind(), kind, "{flags:08b}");
                covered.insert(flags);
            }
        }
    }
    assert_eq!(covered.len(), 256);
}
