//! IPv6 extension headers (RFC 8200 §4, RFC 4302 §2, RFC 6275 §6.1).

/// An IPv6 extension header, as short as its kind can be, but for the authentication header's usual check value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    /// Hop-by-hop options: padding.
    HopByHop,
    /// A routing header with nothing left to visit.
    Routing,
    /// A fragment header: offset in units of eight bytes, and whether more follow.
    Fragment(u16, bool),
    /// An authentication header with a check value of twelve bytes.
    Authentication,
    /// Destination options: padding.
    Destination,
    /// A mobility header.
    Mobility,
}

impl Extension {
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::HopByHop => 0,
            Self::Routing => 43,
            Self::Fragment(..) => 44,
            Self::Authentication => 51,
            Self::Destination => 60,
            Self::Mobility => 135,
        }
    }

    /// The header, as it stands before one of the kind `next`.
    pub(super) fn bytes(self, next: u8) -> Vec<u8> {
        match self {
            // One option that pads six bytes.
            Self::HopByHop | Self::Destination => vec![next, 0, 1, 4, 0, 0, 0, 0],
            Self::Routing | Self::Mobility => vec![next, 0, 0, 0, 0, 0, 0, 0],
            Self::Fragment(offset, more) => {
                let [high, low] = (offset << 3 | u16::from(more)).to_be_bytes();
                vec![next, 0, high, low, 0, 0, 0, 1]
            }
            // Its length counts words, less two.
            Self::Authentication => [&[next, 4][..], &[0; 22]].concat(),
        }
    }
}
