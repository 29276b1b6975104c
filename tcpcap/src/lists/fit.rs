//! What no list may name: so much of the world that it must be a mistake, and what is nobody's address.

use std::fmt;

use ipnet::IpNet;

use super::{Entry, entry::mask};

/// The shortest prefix of a list's IPv4 network: a 256th of all addresses.
pub const MIN_IPV4_PREFIX_LEN: u8 = 8;
/// The shortest prefix of a list's IPv6 network: registries hand out /12 to a continent and /20 to the largest providers.
pub const MIN_IPV6_PREFIX_LEN: u8 = 16;

/// Why a network has no place in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It is that share of its family's addresses: one in 2 to the power of this.
    TooBroad {
        /// IPv4 or IPv6.
        is_v4: bool,
        /// The length of its prefix.
        len: u8,
    },
    /// It holds addresses that are nobody's, or that the host cannot do without; what they are.
    Reserved(&'static str),
}

/// Whether a list may name this network.
///
/// # Errors
/// Why it may not.
pub fn check(network: &IpNet) -> Result<(), Unfit> {
    check_entry(&Entry::new(*network))
}

pub(super) fn check_entry(entry: &Entry) -> Result<(), Unfit> {
    let (first, len) = entry.place();
    let (is_v4, len, least) =
        if entry.is_v4() { (true, len - 96, MIN_IPV4_PREFIX_LEN) } else { (false, len, MIN_IPV6_PREFIX_LEN) };
    if len < least {
        return Err(Unfit::TooBroad { is_v4, len });
    }
    check_reserved(first, entry.last(), is_v4)
}

/// The same for all from the first to the last address.
pub(super) fn check_range(first: u128, last: u128, is_v4: bool) -> Result<(), Unfit> {
    let (bits, least) = if is_v4 { (32, MIN_IPV4_PREFIX_LEN) } else { (128, MIN_IPV6_PREFIX_LEN) };
    // One less than the number of addresses: all of IPv6 would not fit.
    let span = last - first;
    if span > !mask(128 - (bits - least)) {
        return Err(Unfit::TooBroad { is_v4, len: bits - (128 - u8::try_from(span.leading_zeros()).unwrap_or(0)) });
    }
    check_reserved(first, last, is_v4)
}

fn check_reserved(first: u128, last: u128, is_v4: bool) -> Result<(), Unfit> {
    let reserved: &[Reserved] = if is_v4 { &RESERVED_V4 } else { &RESERVED_V6 };
    match reserved.iter().find(|r| first <= r.last && r.first <= last) {
        Some(r) => Err(Unfit::Reserved(r.what)),
        None => Ok(()),
    }
}

struct Reserved {
    first: u128,
    last: u128,
    what: &'static str,
}

const fn v4(word: u32, len: u8, what: &'static str) -> Reserved {
    v6(0xffff << 32 | word as u128, 96 + len, what)
}

const fn v6(first: u128, len: u8, what: &'static str) -> Reserved {
    Reserved { first, last: first | !mask(len), what }
}

// Link-local is among them: neighbours and routers speak from there, and a cloud's name service and metadata.
static RESERVED_V4: [Reserved; 5] = [
    v4(0, 8, "0.0.0.0/8, which is unspecified"),
    v4(0x7f00_0000, 8, "127.0.0.0/8, which is loopback"),
    v4(0xa9fe_0000, 16, "169.254.0.0/16, which is link-local"),
    v4(0xe000_0000, 4, "224.0.0.0/4, which is multicast"),
    v4(u32::MAX, 32, "255.255.255.255, which is broadcast"),
];
static RESERVED_V6: [Reserved; 5] = [
    v6(0, 128, "::, which is unspecified"),
    v6(1, 128, "::1, which is loopback"),
    // Whoever holds it would drop all of IPv4: that is how the kernel program sees IPv4.
    v6(0xffff << 32, 96, "::ffff:0:0/96, which stands for all of IPv4"),
    v6(0xfe80 << 112, 10, "fe80::/10, which is link-local"),
    v6(0xff << 120, 8, "ff00::/8, which is multicast"),
];

/// What is wrong with it, to be said after the network.
impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooBroad { is_v4, len } => {
                let (family, least) = if is_v4 { (4, MIN_IPV4_PREFIX_LEN) } else { (6, MIN_IPV6_PREFIX_LEN) };
                if len == 0 {
                    write!(f, "would shut out all of IPv{family}; /{least} is the broadest that is taken")
                } else {
                    let share = 1u32 << len.min(31);
                    write!(
                        f,
                        "would shut out 1 in {share} of all IPv{family} addresses; /{least} is the broadest that is taken"
                    )
                }
            }
            Self::Reserved(what) => write!(f, "touches {what}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::entry::to_bits;
    use std::net::IpAddr;

    fn reason(text: &str) -> Option<String> {
        check(&text.parse().unwrap()).err().map(|e| e.to_string())
    }

    #[test]
    fn a_network_that_shuts_out_much_of_the_world_is_refused_with_its_share() {
        for (text, share) in [
            ("0.0.0.0/0", "all of IPv4"),
            ("16.0.0.0/4", "1 in 16 of all IPv4 addresses; /8 "),
            ("10.0.0.0/7", "1 in 128 of all IPv4"),
            ("::/0", "all of IPv6"),
            ("2000::/3", "1 in 8 of all IPv6 addresses; /16 "),
            ("2a00::/15", "1 in 32768 of"),
        ] {
            let reason = reason(text).unwrap();
            assert!(reason.contains(share), "{text}: {reason}");
        }
        for fine in ["10.0.0.0/8", "192.168.0.0/16", "2a00::/16", "2001:db8::/32", "198.51.100.7/32", "240.0.0.0/8"] {
            assert_eq!(reason(fine), None, "{fine}");
        }
    }

    #[test]
    fn what_is_nobodys_address_is_refused_by_name() {
        for (text, what) in [
            ("0.0.0.0/32", "unspecified"),
            ("0.1.0.0/16", "unspecified"),
            ("127.0.0.1/32", "loopback"),
            ("169.254.169.254/32", "link-local"),
            ("224.0.0.0/8", "multicast"),
            ("239.1.2.3/32", "multicast"),
            ("255.0.0.0/8", "broadcast"),
            ("::/128", "unspecified"),
            ("::1/128", "loopback"),
            ("fe80::/64", "link-local"),
            ("ff02::1/128", "multicast"),
        ] {
            let reason = reason(text).unwrap();
            assert!(reason.contains(what), "{text}: {reason}");
        }
    }

    #[test]
    fn an_ipv6_network_that_holds_all_of_v4_mapped_is_refused() {
        for text in ["::/16", "::/80", "::8000:0:0/81", "::fffe:0:0/95", "::ffff:0:0/96"] {
            reason(text).unwrap();
        }
        assert!(reason("::fffe:0:0/95").unwrap().contains("all of IPv4"));
        assert!(reason("::ffff:0:0/96").unwrap().contains("all of IPv4"));
        assert_eq!(reason("::ffff:192.0.2.0/120"), None);
    }

    #[test]
    fn a_range_is_held_to_the_same_rules() {
        let check = |first: &str, last: &str| {
            let (first, last): (IpAddr, IpAddr) = (first.parse().unwrap(), last.parse().unwrap());
            check_range(to_bits(first), to_bits(last), first.is_ipv4())
        };
        assert_eq!(check("10.0.0.0", "10.255.255.255"), Ok(()));
        assert_eq!(check("10.0.0.1", "11.0.0.0"), Ok(()));
        assert_eq!(check("10.0.0.0", "11.0.0.0"), Err(Unfit::TooBroad { is_v4: true, len: 7 }));
        assert_eq!(check("0.0.0.0", "255.255.255.255"), Err(Unfit::TooBroad { is_v4: true, len: 0 }));
        assert_eq!(
            check("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            Err(Unfit::TooBroad { is_v4: false, len: 0 })
        );
        assert_eq!(check("2a00::", "2a00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), Ok(()));
        assert!(matches!(check("126.255.0.0", "127.0.0.0"), Err(Unfit::Reserved(_))));
    }
}
