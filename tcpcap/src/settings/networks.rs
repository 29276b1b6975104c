//! Networks, and who may stand in which list.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;
use toml::Value;

use super::{problem::Wrong, raw::Raw, types::Type};
use crate::lists;

/// `192.0.2.7`, `192.0.2.0/24` or their IPv6 likes. Bits behind the prefix are cleared.
pub(crate) fn parse_network(text: &str) -> Result<IpNet, String> {
    let network = match text.parse::<IpAddr>() {
        Ok(ip) => IpNet::from(ip),
        Err(_) => text
            .parse::<IpNet>()
            .map_err(|_| format!("`{text}` is neither an address nor a network such as 192.0.2.0/24"))?,
    };
    Ok(network.trunc())
}

/// Whether somebody may be allowed: not all of IPv4 by way of IPv6.
///
/// # Errors
/// Why not, to be said after the network.
pub(crate) fn check_allowed(network: &IpNet) -> Result<(), &'static str> {
    // That is how the kernel program sees IPv4.
    let all_of_ipv4 = Ipv6Addr::from([0, 0, 0, 0, 0, 0xffff, 0, 0]);
    match network {
        IpNet::V6(net) if net.contains(&all_of_ipv4) => Err("holds the IPv4 addresses too"),
        _ => Ok(()),
    }
}

/// What is to be done about what [`check_allowed`] refuses.
pub(crate) const NARROWER: &str = "name what is meant: 2000::/3 are the public IPv6 addresses";

/// What a list of networks is for.
#[derive(Clone, Copy)]
pub(super) enum Network {
    Own,
    Allowed,
    Denied,
}

impl Type for Network {
    type Out = IpNet;

    fn rule(&self) -> String {
        match self {
            Self::Own | Self::Allowed => "an address or a network such as \"192.0.2.0/24\"".to_owned(),
            Self::Denied => format!(
                "an address or a network of /{} (IPv4), /{} (IPv6) or longer",
                lists::MIN_IPV4_PREFIX_LEN,
                lists::MIN_IPV6_PREFIX_LEN
            ),
        }
    }

    fn read(&self, raw: &Raw) -> Result<IpNet, Vec<Wrong>> {
        let read = raw.text().and_then(|text| parse_network(text).ok());
        let network = read.ok_or_else(|| vec![Wrong::of(raw)])?;
        let because = |why: String| vec![Wrong::because(raw, why)];
        match self {
            Self::Own => {}
            Self::Allowed => check_allowed(&network).map_err(|why| because(format!("it {why}; {NARROWER}")))?,
            Self::Denied => lists::check(&network).map_err(|unfit| because(format!("it {unfit}")))?,
        }
        Ok(network)
    }

    fn show(&self, out: &IpNet) -> Value {
        Value::String(out.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_may_be_addresses_and_lose_their_host_bits() {
        assert_eq!(parse_network("192.0.2.7").unwrap().to_string(), "192.0.2.7/32");
        assert_eq!(parse_network("192.0.2.7/24").unwrap().to_string(), "192.0.2.0/24");
        assert_eq!(parse_network("2001:db8::1").unwrap().to_string(), "2001:db8::1/128");
        for bad in ["", "192.0.2", "192.0.2.0/33", "example.org"] {
            assert!(parse_network(bad).unwrap_err().contains(bad));
        }
    }

    #[test]
    fn whoever_allows_all_of_ipv6_would_allow_ipv4_and_is_told_so() {
        for bad in ["::/0", "::ffff:0:0/96", "::/64"] {
            assert!(check_allowed(&bad.parse().unwrap()).is_err(), "{bad}");
        }
        for good in ["2000::/3", "0.0.0.0/0", "fe80::/10"] {
            check_allowed(&good.parse().unwrap()).unwrap();
        }
    }
}
