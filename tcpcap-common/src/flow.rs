//! Keyed hashes: of a TCP 4-tuple, for the slots of pending handshakes and of known flows, and of a pair of address and
//! port, for sketches.

use crate::Addr;

/// Odd constants with well-spread bits (the golden ratio's, and xxHash's second prime).
const K: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xc2b2_ae3d_27d4_eb4f];

#[inline(always)]
fn mix(state: u64, word: u64, k: u64) -> u64 {
    let h = (state ^ word).wrapping_mul(k);
    h ^ (h >> 29)
}

#[inline(always)]
fn pair(high: u32, low: u32) -> u64 {
    ((high as u64) << 32) | low as u64
}

/// Hash of a flow's ends under a secret `seed`.
///
/// Two multiply-xorshift rounds for IPv4, five for IPv6: a few nanoseconds in the kernel program. It is no
/// cryptographic hash; its output never leaves the host, and the worst that a collision does is that one handshake
/// looks incomplete.
#[inline(always)]
#[must_use]
pub fn flow_hash(from: &Addr, to: &Addr, from_port: u16, to_port: u16, seed: &[u64; 2]) -> u64 {
    let mut h = seed[0];
    if !from.is_v4() {
        h = mix(h, pair(from.0[0], from.0[1]), K[0]);
        h = mix(h, pair(to.0[0], to.0[1]), K[1]);
        h = mix(h, pair(from.0[2], to.0[2]), K[0]);
    }
    h = mix(h, pair(from.0[3], to.0[3]), K[1]);
    h = mix(h ^ seed[1], pair(from_port as u32, to_port as u32), K[0]);
    h ^ (h >> 32)
}

/// Hash of an own address and port under a secret `seed`, as [`flow_hash`].
#[inline(always)]
#[must_use]
pub fn pair_hash(to: &Addr, port: u16, seed: &[u64; 2]) -> u64 {
    let mut h = seed[1];
    if !to.is_v4() {
        h = mix(h, pair(to.0[0], to.0[1]), K[0]);
        h = mix(h, to.0[2] as u64, K[1]);
    }
    h = mix(h, pair(to.0[3], port as u32), K[1]);
    h = mix(h, seed[0], K[0]);
    h ^ (h >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::IpAddr;
    use std::collections::HashSet;

    fn addr(s: &str) -> Addr {
        s.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn neighbouring_flows_fall_into_different_slots() {
        let seed = [0x1234_5678_9abc_def0, 0x0fed_cba9_8765_4321];
        for (from, to) in [("192.0.2.7", "198.51.100.1"), ("2001:db8::7", "2001:db8:1::1")] {
            let (from, to) = (addr(from), addr(to));
            let slots: HashSet<u64> =
                (0..50_000u16).map(|p| flow_hash(&from, &to, 40_000, p, &seed) & 0x3_ffff).collect();
            // 50,000 balls into 2^18 bins: 45,467 distinct bins expected.
            assert!(slots.len() > 45_000, "{}", slots.len());
        }
    }

    #[test]
    fn pairs_spread_over_the_bits_of_a_sketch() {
        let seed = [0x1234_5678_9abc_def0, 0x0fed_cba9_8765_4321];
        for to in [addr("198.51.100.1"), addr("2001:db8:1::1")] {
            let mut ports = [0u32; 128];
            (1..=12_800u16).for_each(|port| ports[(pair_hash(&to, port, &seed) & 127) as usize] += 1);
            // 100 a bit, give or take three standard deviations and some.
            assert!(ports.iter().all(|&n| (60..140).contains(&n)), "{ports:?}");
        }
    }

    #[test]
    fn address_port_and_seed_matter_to_a_pair() {
        let (a, b) = (addr("2001:db8::7"), addr("2001:db8:1::1"));
        let base = pair_hash(&a, 1, &[1, 2]);
        for other in
            [pair_hash(&b, 1, &[1, 2]), pair_hash(&a, 2, &[1, 2]), pair_hash(&a, 1, &[2, 2]), pair_hash(&a, 1, &[1, 3])]
        {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn every_part_of_the_tuple_and_the_seed_matter() {
        let (a, b) = (addr("2001:db8::7"), addr("2001:db8:1::1"));
        let base = flow_hash(&a, &b, 1, 2, &[1, 2]);
        for other in [
            flow_hash(&b, &a, 1, 2, &[1, 2]),
            flow_hash(&a, &b, 2, 1, &[1, 2]),
            flow_hash(&a, &b, 1, 2, &[2, 2]),
            flow_hash(&a, &b, 1, 2, &[1, 3]),
            flow_hash(&addr("2001:db8:0:1::7"), &b, 1, 2, &[1, 2]),
        ] {
            assert_ne!(base, other);
        }
    }
}
