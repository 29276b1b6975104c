//! One key for both families: 16 bytes in network order, IPv4 as `::ffff:a.b.c.d` (RFC 4291 §2.5.5.2).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address as it stands in map keys and events.
///
/// Four words as they lie in the packet, so that the kernel program copies them without a byte swap
/// (and without the `memset` and `memcpy` calls that a byte array would cost there).
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Addr(pub [u32; 4]);

/// Third word of an IPv4-mapped address.
const V4_MAPPED: u32 = 0xffff_u32.to_be();

impl Addr {
    /// An IPv4 address from the word as it lies in the packet.
    #[inline(always)]
    #[must_use]
    pub const fn from_v4_word(word: u32) -> Self {
        Self([0, 0, V4_MAPPED, word])
    }

    /// Whether this is an IPv4 address.
    #[inline(always)]
    #[must_use]
    pub const fn is_v4(&self) -> bool {
        self.0[0] == 0 && self.0[1] == 0 && self.0[2] == V4_MAPPED
    }

    /// The sixteen bytes in network order.
    #[must_use]
    pub const fn octets(&self) -> [u8; 16] {
        let mut out = [0; 16];
        let mut i = 0;
        while i < 16 {
            out[i] = self.0[i / 4].to_ne_bytes()[i % 4];
            i += 1;
        }
        out
    }

    /// From sixteen bytes in network order.
    #[must_use]
    pub const fn from_octets(o: [u8; 16]) -> Self {
        let mut words = [0; 4];
        let mut i = 0;
        while i < 4 {
            words[i] = u32::from_ne_bytes([o[4 * i], o[4 * i + 1], o[4 * i + 2], o[4 * i + 3]]);
            i += 1;
        }
        Self(words)
    }

    /// The address as the standard library knows it.
    #[must_use]
    pub const fn to_ip(&self) -> IpAddr {
        let o = self.octets();
        if self.is_v4() {
            IpAddr::V4(Ipv4Addr::new(o[12], o[13], o[14], o[15]))
        } else {
            IpAddr::V6(Ipv6Addr::from_octets(o))
        }
    }
}

impl From<IpAddr> for Addr {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(v4) => Self::from_v4_word(u32::from_ne_bytes(v4.octets())),
            IpAddr::V6(v6) => Self::from_octets(v6.octets()),
        }
    }
}

impl core::fmt::Debug for Addr {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Display::fmt(&self.to_ip(), f)
    }
}

/// The words of an IPv6 prefix mask. `len` above 128 counts as 128.
#[must_use]
pub const fn ipv6_mask(len: u32) -> [u32; 4] {
    let len = if len > 128 { 128 } else { len };
    let bits = if len == 0 { 0 } else { u128::MAX << (128 - len) };
    Addr::from_octets(bits.to_be_bytes()).0
}

/// The source that a packet is counted for and blocked as: an IPv4 address itself, an IPv6 address cut to its prefix.
///
/// A neighbour that shares the destination's prefix is one host among those we trust to share our
/// link, our router perhaps among them, so it keeps its whole address.
#[inline(always)]
#[must_use]
pub fn source_of(from: Addr, to: Addr, ipv6_mask: &[u32; 4]) -> Addr {
    if from.is_v4() {
        return from;
    }
    let mut prefix = from;
    let mut neighbour = true;
    let mut i = 0;
    while i < 4 {
        prefix.0[i] = from.0[i] & ipv6_mask[i];
        neighbour &= prefix.0[i] == to.0[i] & ipv6_mask[i];
        i += 1;
    }
    if neighbour { from } else { prefix }
}

const _: () = assert!(size_of::<Addr>() == 16 && align_of::<Addr>() == 4);

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(s: &str) -> Addr {
        s.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn addresses_survive_the_round_trip() {
        for s in ["0.0.0.0", "192.0.2.7", "255.255.255.255", "::", "::1", "2001:db8:1:2:3:4:5:6"] {
            assert_eq!(addr(s).to_ip().to_string(), s);
            assert_eq!(Addr::from_octets(addr(s).octets()), addr(s));
        }
        assert!(addr("192.0.2.7").is_v4() && !addr("::1").is_v4());
    }

    #[test]
    fn a_source_is_an_ipv4_address_or_an_ipv6_prefix() {
        let mask = ipv6_mask(64);
        let own6 = addr("2001:db8:1:2::1");
        assert_eq!(source_of(addr("192.0.2.7"), addr("198.51.100.1"), &mask), addr("192.0.2.7"));
        assert_eq!(source_of(addr("2001:db8:9:9:1:2:3:4"), own6, &mask), addr("2001:db8:9:9::"));
        assert_eq!(source_of(addr("2001:db8:9:9:1:2:3:4"), own6, &ipv6_mask(128)), addr("2001:db8:9:9:1:2:3:4"));
        assert_eq!(source_of(addr("2001:db8:9:9:1:2:3:4"), own6, &ipv6_mask(0)), addr("2001:db8:9:9:1:2:3:4"));
    }

    #[test]
    fn a_neighbour_in_the_own_prefix_is_one_address() {
        let own6 = addr("2001:db8:1:2::1");
        assert_eq!(source_of(addr("2001:db8:1:2::99"), own6, &ipv6_mask(64)), addr("2001:db8:1:2::99"));
    }
}
