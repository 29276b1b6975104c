//! What a SYN tells about the stack or the tool that made it.

pub use tcpcap_common::marks::Tool;
use tcpcap_common::{Addr, options::Options};

/// A SYN as it came, as far as it tells stacks apart.
#[derive(Clone, Copy, Debug)]
pub struct Syn<'a> {
    /// Where it went.
    pub to: (Addr, u16),
    /// Sequence number.
    pub seq: u32,
    /// IPv4 identification; 0 for IPv6.
    pub ip_id: u16,
    /// IPv4 time to live or IPv6 hop limit.
    pub ttl: u8,
    /// Window, unscaled.
    pub window: u16,
    /// TCP options.
    pub options: &'a [u8],
}

/// What is kept of a [`Syn`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// The tool whose marks it bears.
    pub tool: Option<Tool>,
    /// What all SYNs of one stack have in common on one way here: time to live, window, and the options but for time
    /// stamps, as a hash. Two stacks share it by chance once in four billion times, or by intent.
    pub stack: u32,
}

impl Marks {
    /// Reads the marks of a SYN.
    #[must_use]
    pub fn of(syn: &Syn<'_>) -> Self {
        let options = Options::read(syn.options);
        Self { tool: tool(syn, &options), stack: stack(syn, &options) }
    }
}

fn tool(syn: &Syn<'_>, options: &Options) -> Option<Tool> {
    let (to, port) = syn.to;
    let only_mss = options.mss.is_some() && options.layout() == [2];
    Tool::of(&to, port, syn.seq, syn.ip_id, syn.window, only_mss)
}

/// FNV-1a: short inputs, no need for secrecy.
fn stack(syn: &Syn<'_>, options: &Options) -> u32 {
    let [w0, w1] = syn.window.to_be_bytes();
    let [m0, m1] = options.mss.unwrap_or(0).to_be_bytes();
    let fixed = [syn.ttl, w0, w1, m0, m1, options.window_scale.unwrap_or(u8::MAX)];
    fixed.iter().chain(options.layout()).fold(0x811c_9dc5, |h, &b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    const LINUX: [u8; 20] = [2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 1, 2, 0, 0, 0, 0, 1, 3, 3, 7];

    fn syn<'a>() -> Syn<'a> {
        let to = "198.51.100.7".parse::<IpAddr>().unwrap().into();
        Syn { to: (to, 443), seq: 0x1234_5678, ip_id: 7, ttl: 50, window: 64_240, options: &LINUX }
    }

    #[test]
    fn each_tool_is_known_by_its_marks() {
        let dst = u32::from(std::net::Ipv4Addr::new(198, 51, 100, 7));
        let masscan = ((dst ^ 443 ^ 0x1234_5678) & 0xffff) as u16;
        for (syn, tool) in [
            (syn(), None),
            (Syn { ip_id: masscan, ..syn() }, Some(Tool::Masscan)),
            (Syn { ip_id: 54_321, ..syn() }, Some(Tool::Zmap)),
            (Syn { seq: dst, ..syn() }, Some(Tool::Mirai)),
            (Syn { window: 1024, options: &[2, 4, 5, 180], ..syn() }, Some(Tool::Nmap)),
            (Syn { window: 1024, ..syn() }, None),
            (Syn { window: 1500, options: &[2, 4, 5, 180], ..syn() }, None),
        ] {
            assert_eq!(Marks::of(&syn).tool, tool, "{syn:?}");
        }
    }

    #[test]
    fn identifications_mean_nothing_over_ipv6() {
        let to = "2001:db8::1".parse::<IpAddr>().unwrap().into();
        assert_eq!(Marks::of(&Syn { to: (to, 443), ip_id: 54_321, ..syn() }).tool, None);
        let nmap = Syn { to: (to, 443), window: 1024, options: &[2, 4, 5, 180], ..syn() };
        assert_eq!(Marks::of(&nmap).tool, Some(Tool::Nmap));
    }

    #[test]
    fn a_stack_is_told_by_ttl_window_and_options_and_not_by_what_changes_with_each_syn() {
        let base = Marks::of(&syn()).stack;
        let mut later = LINUX;
        later[11] = 99;
        assert_eq!(Marks::of(&Syn { seq: 1, ip_id: 2, options: &later, ..syn() }).stack, base, "time stamps differ");
        for other in [Syn { ttl: 51, ..syn() }, Syn { window: 65_535, ..syn() }, Syn { options: &LINUX[..4], ..syn() }]
        {
            assert_ne!(Marks::of(&other).stack, base, "{other:?}");
        }
    }
}
