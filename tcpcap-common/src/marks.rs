//! What in a SYN gives away the tool that made it.

use crate::Addr;

/// A scanner that builds its packets itself, and is known by how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// The IPv4 identification is the lower half of destination ⊕ port ⊕ sequence number (masscan's source,
    /// `syn-cookie.c` and `templ-pkt.c`).
    Masscan,
    /// Identification 54321 (zmap's source, `packet.c`; Durumeric et al., USENIX Security 2013).
    Zmap,
    /// The sequence number is the destination address (Antonakakis et al., Understanding the Mirai Botnet, USENIX
    /// Security 2017).
    Mirai,
    /// A window of 1 to 4 KiB in whole KiB and a segment size as the only option (nmap's source, `tcpip.cc`).
    Nmap,
}

/// A source's attempts bear a tool's marks, and halve the port scan rule's thresholds: from so many pairs on …
pub const MARKED_PAIRS: usize = 3;
/// … of which this share is marked, in percent.
pub const MARKED_PERCENT: usize = 90;

/// Zmap's identification.
const ZMAP_ID: u16 = 54_321;

impl Tool {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Masscan, Self::Zmap, Self::Mirai, Self::Nmap];

    /// The name used in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Masscan => "masscan",
            Self::Zmap => "zmap",
            Self::Mirai => "mirai",
            Self::Nmap => "nmap",
        }
    }

    /// The tool whose marks a SYN bears: `seq` is its sequence number, `ip_id` its IPv4 identification (0 for IPv6),
    /// `window` unscaled; `only_mss` says whether a segment size is its only option.
    #[inline(always)]
    #[must_use]
    pub fn of(to: &Addr, port: u16, seq: u32, ip_id: u16, window: u16, only_mss: bool) -> Option<Self> {
        if to.is_v4() {
            let dst = u32::from_be(to.0[3]);
            #[allow(clippy::cast_possible_truncation, reason = "the lower half is what masscan takes")]
            let cookie = (dst ^ port as u32 ^ seq) as u16;
            if seq == dst {
                return Some(Self::Mirai);
            }
            if ip_id == ZMAP_ID {
                return Some(Self::Zmap);
            }
            // So has one honest SYN in 65,536: a single match proves nothing.
            if ip_id == cookie {
                return Some(Self::Masscan);
            }
        }
        let kib = window & 0x3ff == 0 && window != 0 && window <= 4096;
        if kib && only_mss { Some(Self::Nmap) } else { None }
    }
}
