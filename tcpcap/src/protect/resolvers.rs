//! The name servers that this host asks, as its `resolv.conf` has them.

use std::{collections::BTreeSet, net::IpAddr};

use super::{address, files::Files, words};

/// What every program reads.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Whom a resolver on this host asks in its turn: systemd-resolved, and dnsmasq under `NetworkManager`.
const UPSTREAM: [&str; 2] = ["/run/systemd/resolve/resolv.conf", "/run/NetworkManager/no-stub-resolv.conf"];

/// More are not protected; the C library asks three.
const MOST: usize = 64;

/// The name servers on other hosts.
pub(super) fn read(files: &mut Files) -> BTreeSet<IpAddr> {
    let first = files.read(RESOLV_CONF).unwrap_or_default();
    let mut found: BTreeSet<IpAddr> = name_servers(&first).collect();
    if found.iter().any(IpAddr::is_loopback) {
        for path in UPSTREAM {
            found.extend(name_servers(&files.read(path).unwrap_or_default()));
        }
    }
    found.into_iter().filter(|ip| !ip.is_loopback()).take(MOST).collect()
}

fn name_servers(content: &[u8]) -> impl Iterator<Item = IpAddr> {
    content.split(|byte| *byte == b'\n').filter_map(|line| {
        let line = str::from_utf8(line).ok()?;
        let mut words = words(line);
        (words.next()? == "nameserver").then(|| address(words.next()?)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::{super::files::tests::root, *};
    use proptest::prelude::*;

    fn found(files: &[(&str, &[u8])]) -> Vec<String> {
        let (_dir, mut files) = root(files);
        read(&mut files).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn name_servers_are_read_whatever_else_stands_there() {
        let conf = b"# nameserver 192.0.2.1\nsearch example.org\n\n nameserver\t192.0.2.2 \nnameserver 2001:db8::53\r\n\
            nameserver fe80::1%eth0\nnameserver ::ffff:192.0.2.3\nnameserver example.org\nnameserver\nNameserver 192.0.2.4\n\
            nameserver 0.0.0.0\n\xff\xfe\noptions edns0";
        assert_eq!(found(&[(RESOLV_CONF, conf)]), ["192.0.2.2", "192.0.2.3", "2001:db8::53", "fe80::1"]);
    }

    #[test]
    fn behind_a_resolver_on_this_host_stand_those_that_it_asks() {
        let stub: (&str, &[u8]) = (RESOLV_CONF, b"nameserver 127.0.0.53\n");
        let behind: (&str, &[u8]) = (UPSTREAM[0], b"nameserver 192.0.2.53\n");
        assert_eq!(found(&[stub, behind]), ["192.0.2.53"]);
        assert!(found(&[stub]).is_empty());
        assert_eq!(found(&[(RESOLV_CONF, b"nameserver 192.0.2.1"), behind]), ["192.0.2.1"]);
    }

    #[test]
    fn there_may_be_none() {
        assert!(found(&[]).is_empty());
        assert!(found(&[(RESOLV_CONF, b"")]).is_empty());
    }

    proptest! {
        #[test]
        fn no_content_is_too_odd(bytes: Vec<u8>, text in "(nameserver [0-9a-f:.%]{0,20}[ \r\n]){0,5}") {
            name_servers(&bytes).for_each(drop);
            prop_assert!(name_servers(text.as_bytes()).count() <= 5);
        }
    }
}
