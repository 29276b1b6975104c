use std::{
    fs,
    io::Write as _,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

use super::*;

/// The packets of a file, and where it is damaged.
type Read = (Vec<(Time, Vec<u8>)>, Option<Damage>);

/// A file that goes away with it.
struct Temporary(PathBuf);

impl Temporary {
    fn with(bytes: &[u8]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tcpcap-reader-{}-{n}", std::process::id()));
        fs::write(&path, bytes).unwrap();
        Self(path)
    }

    fn read(&self) -> Result<Read, Failure> {
        let mut packets = Vec::new();
        let damage = Capture::open(&Origin::named(&self.0)?)?.read(&mut |packet: Packet<'_>| {
            packets.push((packet.time, packet.frame.to_vec()));
            Ok::<_, Failure>(())
        })?;
        Ok((packets, damage))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        fs::remove_file(&self.0).unwrap();
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

/// A classic capture of Ethernet, little-endian, in microseconds.
fn classic(packets: &[(u32, u32, &[u8])]) -> Vec<u8> {
    let mut file = words(&[0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 1]);
    for (s, us, frame) in packets {
        let len = u32::try_from(frame.len()).unwrap();
        file.extend(words(&[*s, *us, len, len]));
        file.extend(*frame);
    }
    file
}

/// A pcapng block.
fn block(kind: u32, content: &[u8]) -> Vec<u8> {
    let len = u32::try_from(content.len() + 12).unwrap();
    [words(&[kind, len]), content.to_vec(), words(&[len])].concat()
}

fn section() -> Vec<u8> {
    block(0x0a0d_0d0a, &words(&[0x1a2b_3c4d, 1, u32::MAX, u32::MAX]))
}

/// An interface with options for resolution and offset.
fn interface(link: u32, resolution: u8, offset: i64) -> Vec<u8> {
    let mut content = words(&[link, 0]);
    content.extend([9, 0, 1, 0, resolution, 0, 0, 0, 14, 0, 8, 0]);
    content.extend(offset.to_le_bytes());
    content.extend([0; 4]);
    block(1, &content)
}

fn packet(interface: u32, stamp: u64, frame: &[u8; 4]) -> Vec<u8> {
    let (high, low) = (u32::try_from(stamp >> 32).unwrap(), u32::try_from(stamp & 0xffff_ffff).unwrap());
    block(6, &[words(&[interface, high, low, 4, 4]), frame.to_vec()].concat())
}

#[test]
fn stamps_are_read_in_each_interfaces_own_units() {
    let file = [
        section(),
        interface(1, 6, 0),
        interface(1, 9, 10),
        interface(1, 0x80 | 10, -1),
        packet(0, 5_000_001, b"micr"),
        packet(1, 5_000_000_001, b"nano"),
        packet(2, 5 * 1024 + 512, b"bina"),
        block(3, &[words(&[4]), b"simp".to_vec()].concat()),
        block(0x0bad_0bad, b"what"),
        section(),
        interface(1, 0, 0),
        packet(0, 7, b"next"),
        packet(0, u64::MAX, b"last"),
    ]
    .concat();
    let (packets, damage) = Temporary::with(&file).read().unwrap();
    assert_eq!(damage, None);
    let packets: Vec<_> = packets.iter().map(|(t, frame)| (t.as_nanos(), &frame[..])).collect();
    assert_eq!(
        packets,
        [
            (5_000_001_000, &b"micr"[..]),
            (15_000_000_001, b"nano"),
            (4_500_000_000, b"bina"),
            (4_500_000_000, b"simp"),
            (7_000_000_000, b"next"),
            (LAST, b"last"),
        ]
    );
}

#[test]
fn a_section_may_have_the_other_byte_order() {
    let big = |words: &[u32]| words.iter().flat_map(|w| w.to_be_bytes()).collect::<Vec<_>>();
    let offset = [&[0, 14, 0, 8][..], &3i64.to_be_bytes(), &[0; 4]].concat();
    let file = [
        section(),
        interface(1, 6, 0),
        packet(0, 1_000_000, b"litt"),
        big(&[0x0a0d_0d0a, 28, 0x1a2b_3c4d, 0x0001_0000, u32::MAX, u32::MAX, 28]),
        [big(&[1, 36, 0x0001_0000, 0]), offset, big(&[36])].concat(),
        [big(&[6, 36, 0, 0, 2_000_000, 4, 4]), b"bigg".to_vec(), big(&[36])].concat(),
    ]
    .concat();
    let (packets, damage) = Temporary::with(&file).read().unwrap();
    assert_eq!(damage, None);
    assert_eq!(packets, [(Time::from_secs(1), b"litt".to_vec()), (Time::from_secs(5), b"bigg".to_vec())]);
}

#[test]
fn a_file_cut_anywhere_yields_what_is_whole_and_tells_where_it_ends() {
    let ng = [section(), interface(1, 6, 0), packet(0, 1, b"abcd"), packet(0, 2, b"efgh")].concat();
    for (file, header, record) in [(classic(&[(1, 2, b"abcd"), (3, 4, b"efgh")]), 24, 20), (ng, 72, 36)] {
        assert_eq!(file.len(), header + 2 * record);
        for len in header..file.len() {
            let (packets, damage) = Temporary::with(&file[..len]).read().unwrap();
            let whole = (len - header) / record;
            assert_eq!(packets.len(), whole, "{len}");
            let end = header + whole * record;
            assert_eq!(damage.map(|d| d.offset), (len != end).then_some(end), "{len}");
        }
        for len in 1..24 {
            let f = Temporary::with(&file[..len]).read().unwrap_err();
            assert!(f.cause.contains("is no capture"), "{}", f.cause);
        }
    }
}

#[test]
fn a_compressed_file_cut_short_is_damaged_where_it_ends() {
    let frame = [7; 500];
    let file = gzip(&classic(&vec![(1, 2, &frame[..]); 100]));
    let (packets, damage) = Temporary::with(&file).read().unwrap();
    assert_eq!((packets.len(), damage), (100, None));
    let (packets, damage) = Temporary::with(&file[..file.len() - 9]).read().unwrap();
    let damage = damage.unwrap();
    assert!(packets.len() <= 100 && damage.offset == 24 + packets.len() * 516, "{damage}");
    assert!(damage.what.contains("cannot be read on"), "{damage}");
}

#[test]
fn a_length_that_cannot_be_is_damage() {
    for (len, what) in [(MAX_PACKET + 1, "a packet of 262145 bytes"), (u32::MAX, "ends in the middle")] {
        let mut file = classic(&[(1, 2, b"abcd")]);
        file.extend(words(&[1, 2, len, len]));
        file.resize(file.len() + 400_000, 0);
        let (packets, damage) = Temporary::with(&file).read().unwrap();
        let damage = damage.unwrap();
        assert_eq!((packets.len(), damage.offset), (1, 44), "{damage}");
        assert!(damage.what.contains(what), "{damage}");
    }
}

#[test]
fn a_block_larger_than_the_buffer_is_read() {
    let file = [section(), block(0x0bad_0bad, &vec![1; 2_000_000]), interface(1, 6, 0), packet(0, 1, b"abcd")].concat();
    let (packets, damage) = Temporary::with(&file).read().unwrap();
    assert_eq!((packets.len(), damage), (1, None));
}

#[test]
fn more_than_is_held_at_once_is_damage_and_named() {
    let large = [section(), block(0x0bad_0bad, &vec![1; MAX_BUFFER])].concat();
    let many = [section(), interface(1, 6, 0).repeat(MAX_INTERFACES + 1)].concat();
    for (file, what) in
        [(large, "a packet or block of more than 2 MiB"), (many, "a section of more than 65536 interfaces")]
    {
        assert_eq!(Temporary::with(&file).read().unwrap().1.unwrap().what, what);
    }
}

#[test]
fn a_packet_of_an_interface_that_is_not_described_is_damage() {
    let file = [section(), interface(1, 6, 0), packet(1, 1, b"abcd")].concat();
    let (packets, damage) = Temporary::with(&file).read().unwrap();
    assert_eq!((packets.len(), damage.unwrap().offset), (0, 72));
}

#[test]
fn obsolete_blocks_and_strange_links_are_refused_by_name() {
    let file = [section(), interface(1, 6, 0), block(2, &[0; 24])].concat();
    let f = Temporary::with(&file).read().unwrap_err();
    assert!(f.cause.contains("obsolete"), "{}", f.cause);
    let file = [section(), interface(127, 6, 0), packet(0, 1, b"abcd")].concat();
    let f = Temporary::with(&file).read().unwrap_err();
    assert!(f.cause.contains("link type 127 (Wi-Fi with radiotap)"), "{}", f.cause);
    assert!(f.remedy.contains("Ethernet"));
}

#[test]
fn damage_anywhere_never_panics_and_never_hangs() {
    let ng = [section(), interface(1, 6, 0), packet(0, 1, b"abcd"), packet(0, 2, b"efgh")].concat();
    for file in [classic(&[(1, 2, b"abcd"), (3, 4, b"efgh")]), gzip(&ng), ng] {
        for at in 0..file.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff, file[at] ^ 4] {
                let mut damaged = file.clone();
                damaged[at] = value;
                let (Ok(_) | Err(_)) = Temporary::with(&damaged).read();
            }
        }
    }
}
