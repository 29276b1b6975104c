//! Files that are small and become large: a replay holds no more for them.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use tcpcap_fuzz::REPLAY;

const SIZE: usize = 64 << 20;

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

fn section() -> Vec<u8> {
    words(&[0x0a0d_0d0a, 28, 0x1a2b_3c4d, 1, u32::MAX, u32::MAX, 28])
}

/// The start, then the rest as often as makes [`SIZE`], compressed.
fn bomb(start: &[u8], repeated: &[u8]) -> Vec<u8> {
    let chunk = repeated.repeat((1 << 20) / repeated.len() + 1);
    let mut gz = GzEncoder::new(Vec::new(), Compression::best());
    gz.write_all(start).unwrap();
    (0..SIZE / chunk.len()).for_each(|_| gz.write_all(&chunk).unwrap());
    gz.finish().unwrap()
}

#[test]
fn zeros_without_end_are_no_capture() {
    let start = words(&[0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 1]);
    (REPLAY.run)(&bomb(&start, &[0]));
    (REPLAY.run)(&bomb(&section(), &[0]));
}

#[test]
fn interfaces_without_end_take_no_memory_without_end() {
    (REPLAY.run)(&bomb(&section(), &words(&[1, 20, 1, 0, 20])));
}

#[test]
fn a_block_of_nothing_but_options_takes_no_memory_without_end() {
    // One interface that is options of no length: as many as are read, and far more.
    for len in [2_000_000, 15 << 20] {
        let start = [section(), words(&[1, len, 1, 0])].concat();
        (REPLAY.run)(&bomb(&start, &words(&[2])));
    }
}
