//! Frames and captures to begin with: made by hand, and the repository's own captures where they lie.

use std::{
    fs::{self, File},
    io::{BufReader, Read as _, Write as _},
    path::PathBuf,
};

use flate2::{Compression, bufread::MultiGzDecoder, write::GzEncoder};
use tcpcap::{
    capture::{Capture, Origin},
    failure::Failure,
};
use tcpcap_lab::frame::{Extension, Frame, flag, protocol};

/// How much of a capture is taken. In a short file a change of one byte is likely to hit one that matters.
const CAPTURE_LEN: u64 = 2048;
/// How many frames of a capture are taken.
const CAPTURE_FRAMES: usize = 4;

const V4: (&str, &str) = ("192.0.2.7:40000", "198.51.100.1:443");
const V6: (&str, &str) = ("[2001:db8:1::7]:40000", "[2001:db8:2::1]:443");
const SYN_OPTIONS: [u8; 20] = [2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 1, 2, 0, 0, 0, 0, 1, 3, 3, 7];

/// Ethernet frames of every shape that the parser tells apart; an IPv4 and an IPv6 SYN first.
pub fn frames() -> Vec<Vec<u8>> {
    let v4 = Frame::tcp(V4.0, V4.1).options(&SYN_OPTIONS);
    let v6 = Frame::tcp(V6.0, V6.1).options(&SYN_OPTIONS);
    let chain = [
        Extension::HopByHop,
        Extension::Destination,
        Extension::Routing,
        Extension::Authentication,
        Extension::Mobility,
        Extension::Fragment(0, true),
    ];
    let chained = chain.iter().fold(v6.clone(), |frame, e| frame.extension(*e));
    let mut frames = vec![
        v4.clone(),
        v6.clone(),
        v4.clone().vlan(5),
        v6.clone().qinq(5, 6),
        v4.clone().ip_options(&[7; 40]),
        v4.clone().fragment(0, true),
        v4.clone().fragment(3, false),
        v4.clone().protocol(protocol::UDP),
        v6.clone().protocol(protocol::ICMPV6),
        v6.clone().fragment(9, true),
        chained.clone(),
        chained.extension(Extension::Destination),
        v4.clone().options(&[]).payload(&[0; 6]),
    ];
    frames.extend(chain.iter().map(|e| v6.clone().extension(*e)));
    for flags in [0, flag::FIN, flag::SYN | flag::ACK, flag::RST, flag::ACK, flag::FIN | flag::PSH | flag::URG] {
        frames.push(v4.clone().flags(flags));
    }
    frames.iter().map(Frame::build).collect()
}

/// A short scan, an honest client and a probe, as captured.
pub fn conversation() -> Vec<Vec<u8>> {
    let host = ("198.51.100.1", "2001:db8:2::1");
    let mut frames = Vec::new();
    for port in 1..5u32 {
        let v4 = (format!("192.0.2.7:{}", 40_000 + port), format!("{}:{port}", host.0));
        frames.push(Frame::tcp(&*v4.0, &*v4.1).seq(port, 0));
        frames.push(Frame::tcp(&*v4.1, &*v4.0).flags(flag::RST | flag::ACK).seq(0, port + 1));
    }
    {
        let port = 443;
        let v6 = (format!("[2001:db8:1::7]:{}", 50_000 + port), format!("[{}]:{port}", host.1));
        frames.push(Frame::tcp(&*v6.0, &*v6.1).seq(10, 0));
        frames.push(Frame::tcp(&*v6.1, &*v6.0).flags(flag::SYN | flag::ACK).seq(90, 11));
        frames.push(Frame::tcp(&*v6.0, &*v6.1).flags(flag::ACK).seq(11, 91));
        frames.push(Frame::tcp("[2001:db8:3::9]:1", &*v6.1).flags(flag::FIN | flag::PSH | flag::URG));
    }
    frames.iter().map(Frame::build).collect()
}

/// The frames as a classic capture: its magic number, a byte order, its link type, and what takes the place of the
/// Ethernet header.
pub fn classic(magic: u32, big_endian: bool, link: u32, header: Option<&[u8]>, frames: &[Vec<u8>]) -> Vec<u8> {
    let word = |w: u32| if big_endian { w.to_be_bytes() } else { w.to_le_bytes() };
    let version = if big_endian { [0, 2, 0, 4] } else { [2, 0, 4, 0] };
    let mut file = [word(magic), version].concat();
    file.extend([0, 0, 65_535, link].into_iter().flat_map(word));
    for (n, frame) in (0u32..).zip(frames) {
        let frame = header.map_or_else(|| frame.clone(), |header| [header, &frame[14..]].concat());
        file.extend([1_767_323_045 + n / 50, n * 1000, length(&frame), length(&frame)].into_iter().flat_map(word));
        file.extend(frame);
    }
    file
}

/// A pcapng block, little-endian.
pub fn block(kind: u32, content: &[u8]) -> Vec<u8> {
    let padding = content.len().next_multiple_of(4) - content.len();
    let len = length(content) + u32::try_from(padding).unwrap_or(0) + 12;
    [&words(&[kind, len])[..], content, &[0; 3][..padding], &words(&[len])].concat()
}

/// The blocks that a pcapng file begins with: a section, and an interface of this link type with these options.
pub fn pcapng_start(link: u32, options: &[u8]) -> Vec<u8> {
    let section = block(0x0a0d_0d0a, &words(&[0x1a2b_3c4d, 1, u32::MAX, u32::MAX]));
    [section, block(1, &[&words(&[link, 0]), options].concat())].concat()
}

/// The frames as pcapng.
pub fn pcapng(options: &[u8], frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = pcapng_start(1, options);
    for (n, frame) in (0u32..).zip(frames) {
        let head = words(&[0, 0x0006_4772, n * 1000, length(frame), length(frame)]);
        file.extend(block(6, &[&head, &frame[..]].concat()));
    }
    if let Some(frame) = frames.first() {
        file.extend(block(3, &[&words(&[length(frame)]), &frame[..]].concat()));
    }
    file
}

/// The bytes, compressed.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    // Memory takes all that is written.
    let _infallible = gz.write_all(bytes);
    gz.finish().unwrap_or_default()
}

/// The beginnings of the repository's captures, decompressed: a change of a compressed one would seldom be a change of a
/// packet.
pub fn captures() -> Vec<Vec<u8>> {
    let read = |path: PathBuf| {
        let mut start = Vec::new();
        let packed = BufReader::new(File::open(path).ok()?);
        MultiGzDecoder::new(packed).take(CAPTURE_LEN).read_to_end(&mut start).ok()?;
        Some(start)
    };
    captured().into_iter().filter_map(read).collect()
}

/// Some of the frames in them.
pub fn captured_frames() -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for path in captured() {
        let mut wanted = CAPTURE_FRAMES;
        let Ok(capture) = Origin::named(&path).and_then(|origin| Capture::open(&origin)) else { continue };
        // An error says that there are enough of them, or no more to be had.
        let _enough = capture.read(&mut |packet| {
            frames.push(packet.frame.to_vec());
            wanted -= 1;
            if wanted == 0 { Err(Failure::failed("enough", "")) } else { Ok(()) }
        });
    }
    frames
}

/// The captures of the repository, in order; none where there are none.
fn captured() -> Vec<PathBuf> {
    let dir = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../captures"));
    let mut paths: Vec<_> = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.is_file() && path.to_string_lossy().ends_with(".pcap.gz"));
    paths.sort();
    paths
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
