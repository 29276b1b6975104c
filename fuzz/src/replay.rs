//! Replay: any bytes as a capture file, from opening it to the last line of output.

use std::{
    fs::File,
    io::{self, Write as _},
    os::fd::{AsRawFd as _, FromRawFd as _},
    path::{Path, PathBuf},
};

use tcpcap::{
    capture::{Capture, Origin, Packet},
    failure::Failure,
    replay::{Format, Inference, Output, Player},
};
use tcpcap_core::{Config, Own, Preset, Thresholds};
use tcpcap_lab::memory::peak_of;

use crate::seeds;

/// What a replay may hold at once, however long and whatever a file of the lengths tried here is: the largest buffer
/// and the one it grew out of, and the slots of handshakes.
const MAX_MEMORY: usize = 48 << 20;

/// The bytes are a file; it is replayed as `tcpcap replay` does, own addresses inferred.
pub fn run(input: &[u8]) {
    let Ok((path, _file)) = file(input) else { return };
    let peak = peak_of(|| replay(&path));
    assert!(peak <= MAX_MEMORY, "{peak} bytes were held");
}

fn replay(path: &Path) {
    let mut inference = Inference::default();
    let mut segments = 0;
    let Ok(origin) = Origin::named(path) else { return };
    let Ok(capture) = Capture::open(&origin) else { return };
    let first = capture.read(&mut |packet: Packet<'_>| {
        if let Ok((network, segment)) = packet.link.parse(packet.frame) {
            segments += 1;
            inference.see(&network, &segment);
        }
        Ok::<_, Failure>(())
    });
    let (addresses, _) = inference.finish();
    let config = Config { thresholds: thresholds(), ..Config::default() };
    let mut player = Player::new(Own { addresses, ..Own::default() }, Vec::new(), &config);
    let mut outputs = [Format::Text, Format::Json].map(|format| Output::new(format, io::sink()));
    let mut verdicts = Vec::new();
    let mut packets = 0;
    let Ok(capture) = Capture::open(&origin) else { panic!("it could be opened before") };
    let second = capture.read(&mut |packet: Packet<'_>| {
        packets += 1;
        player.play(&packet, &mut verdicts);
        for verdict in verdicts.drain(..) {
            outputs.iter_mut().for_each(|output| output.verdict(&verdict).unwrap_or_else(|e| panic!("{e}")));
        }
        Ok::<_, Failure>(())
    });
    let summary = player.finish(&mut verdicts);
    outputs.iter_mut().for_each(|output| output.summary(&summary).unwrap_or_else(|e| panic!("{e}")));
    assert_eq!(first.is_ok(), second.is_ok(), "a file reads the same twice");
    if let (Ok(first), Ok(second)) = (first, second) {
        assert_eq!(first, second, "a file reads the same twice");
    }
    assert_eq!(summary.packets, packets);
    assert!(summary.attempts + summary.probes <= segments, "{summary:?}");
    assert!(summary.sources as u64 <= segments, "{summary:?}");
    assert!(summary.findings <= segments, "{summary:?}");
}

/// What finds the most: strict, and the rules that are off unless switched on.
fn thresholds() -> Thresholds {
    let mut thresholds = Thresholds::of(Preset::Strict);
    thresholds.stray.unanswered_pairs = Some(3);
    thresholds.brute_force.attempts = Some(3);
    thresholds
}

/// A file of these bytes that is in memory, and gone when it is closed.
fn file(bytes: &[u8]) -> io::Result<(PathBuf, File)> {
    // SAFETY: a name that ends in a zero byte.
    let fd = unsafe { libc::memfd_create(c"capture".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just made, and nobody else's.
    let mut file = unsafe { File::from_raw_fd(fd) };
    file.write_all(bytes)?;
    Ok((PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd())), file))
}

/// A conversation in every form that a file has, and the repository's captures.
pub fn seeds() -> Vec<Vec<u8>> {
    let frames = seeds::conversation();
    let (scan, rest) = frames.split_at(8);
    let cooked = [&[0; 14][..], &[8, 0]].concat();
    let cooked2 = [&[8, 0][..], &[0; 18]].concat();
    // Time stamps in units of 2^-20 s, an hour off.
    let options = [&[9, 0, 1, 0, 0x94, 0, 0, 0, 14, 0, 8, 0][..], &3600u64.to_le_bytes(), &[0; 4]].concat();
    let plain = seeds::classic(0xa1b2_c3d4, false, 1, None, &frames);
    let pcapng = seeds::pcapng(&[], &frames);
    let mut seeds = vec![
        seeds::classic(0xa1b2_3c4d, false, 1, None, scan),
        seeds::classic(0xa1b2_c3d4, true, 1, None, rest),
        seeds::classic(0xa1b2_c3d4, false, 101, Some(&[]), scan),
        seeds::classic(0xa1b2_c3d4, false, 113, Some(&cooked), &scan[..4]),
        seeds::classic(0xa1b2_c3d4, false, 276, Some(&cooked2), &scan[..4]),
        seeds::pcapng(&options, &rest[..1]),
        seeds::gzip(&plain),
        seeds::gzip(&pcapng),
        seeds::gzip(&seeds::pcapng_start(1, &[])),
    ];
    seeds.extend([plain, pcapng]);
    seeds.extend(seeds::captures());
    seeds
}
