//! The targets on their seeds, on every beginning of those, and on random changes: what runs everywhere, without a
//! search. The changes are the same each time.

use tcpcap_fuzz::{ENGINE, HEADERS, REPLAY, Target};

/// Tries what is left of a seed when it is cut, and `changes` random changes of it.
fn try_all(target: Target, cuts: usize, changes: u64) {
    let seeds = (target.seeds)();
    assert!(seeds.len() > 10, "{}: {} seeds", target.name, seeds.len());
    let mut random = Random(1);
    for seed in &seeds {
        (target.run)(seed);
        (0..seed.len()).step_by((seed.len() / cuts).max(1)).for_each(|len| (target.run)(&seed[..len]));
        for _ in 0..changes {
            (target.run)(&changed(seed, &mut random));
        }
    }
    (target.run)(&[]);
}

/// The seed with up to four bytes changed.
fn changed(seed: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        bytes[at] = match random.below(4) {
            0 => bytes[at] ^ 1 << random.below(8),
            1 => bytes[at].wrapping_add(1),
            2 => [0, 0xff, 0x7f, 0x80][random.below(4)],
            _ => random.next().to_le_bytes()[0],
        };
    }
    bytes
}

/// xorshift: any sequence will do, as long as it is the same tomorrow.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() >> 16).unwrap() % n
    }
}

#[test]
fn no_frame_breaks_the_parser() {
    try_all(HEADERS, 1000, 5000);
}

#[test]
fn no_file_breaks_a_replay() {
    try_all(REPLAY, 10, 20);
}

#[test]
fn no_stream_of_sightings_breaks_the_engine() {
    try_all(ENGINE, 20, 200);
}
