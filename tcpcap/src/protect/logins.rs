//! Where people are logged in from, as the host keeps record of it: `utmp`, and logind's session files.

use std::{collections::BTreeSet, mem::offset_of, net::IpAddr};

use super::{address, files::Files};

const UTMP: &str = "/run/utmp";
const LOGIND: &str = "/run/systemd/sessions";

const RECORD: usize = size_of::<libc::utmpx>();
const KIND: usize = offset_of!(libc::utmpx, ut_type);
const HOST: usize = offset_of!(libc::utmpx, ut_host);
const HOST_LEN: usize = 256;
const ADDRESS: usize = offset_of!(libc::utmpx, ut_addr_v6);

/// The addresses of everybody who is logged in from elsewhere.
pub(super) fn read(files: &mut Files) -> BTreeSet<IpAddr> {
    let mut found: BTreeSet<IpAddr> = utmp(&files.read(UTMP).unwrap_or_default()).collect();
    // Beside each session lies a pipe, named after it and `.ref`.
    for name in files.names(LOGIND).into_iter().filter(|name| !name.contains('.')) {
        found.extend(files.read(&format!("{LOGIND}/{name}")).and_then(|content| session(&content)));
    }
    found
}

fn utmp(content: &[u8]) -> impl Iterator<Item = IpAddr> {
    content.chunks_exact(RECORD).filter_map(|record| {
        let kind = i16::from_ne_bytes(*record.get(KIND..)?.first_chunk()?);
        if kind != libc::USER_PROCESS {
            return None;
        }
        let octets: [u8; 16] = *record.get(ADDRESS..)?.first_chunk()?;
        let [a, b, c, d, rest @ ..] = octets;
        match (u128::from_ne_bytes(octets), rest) {
            (0, _) => {
                let host = record.get(HOST..HOST + HOST_LEN)?.split(|byte| *byte == 0).next()?;
                address(str::from_utf8(host).ok()?)
            }
            (_, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]) => Some(IpAddr::from([a, b, c, d])),
            _ => Some(IpAddr::from(octets).to_canonical()),
        }
    })
}

/// `KEY=value` a line.
fn session(content: &[u8]) -> Option<IpAddr> {
    let text = String::from_utf8_lossy(content);
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    if value("STATE") == Some("closing") {
        return None;
    }
    address(value("REMOTE_HOST")?)
}

#[cfg(test)]
mod tests {
    use super::{super::files::tests::root, *};
    use proptest::prelude::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn record(kind: i16, host: &str, octets: &[u8]) -> Vec<u8> {
        let mut record = vec![0; RECORD];
        record[KIND..KIND + 2].copy_from_slice(&kind.to_ne_bytes());
        record[HOST..HOST + host.len()].copy_from_slice(host.as_bytes());
        record[ADDRESS..ADDRESS + octets.len()].copy_from_slice(octets);
        record
    }

    #[test]
    fn utmp_has_an_address_or_a_host_that_is_one() {
        let v6: std::net::Ipv6Addr = "2001:db8::7".parse().unwrap();
        let content = [
            record(libc::USER_PROCESS, "name.example", &[192, 0, 2, 7]),
            record(libc::USER_PROCESS, "", &v6.octets()),
            record(libc::USER_PROCESS, "192.0.2.8", &[]),
            record(libc::USER_PROCESS, "fe80::9%eth0", &[]),
            record(libc::USER_PROCESS, "name.example", &[]),
            record(libc::USER_PROCESS, ":0", &[]),
            record(libc::DEAD_PROCESS, "", &[192, 0, 2, 99]),
            record(libc::BOOT_TIME, "6.1.0", &[]),
            vec![7; RECORD / 2],
        ];
        let found: Vec<IpAddr> = utmp(&content.concat()).collect();
        assert_eq!(found, ["192.0.2.7", "2001:db8::7", "192.0.2.8", "fe80::9"].map(ip));
    }

    #[test]
    fn logind_has_a_file_for_each_session() {
        let (_dir, mut files) = root(&[
            ("/run/systemd/sessions/7", b"UID=0\nREMOTE=1\nREMOTE_HOST=192.0.2.7\nSTATE=active\n"),
            ("/run/systemd/sessions/c8", b"REMOTE=0\nSTATE=active\nDISPLAY=:0\n"),
            ("/run/systemd/sessions/9", b"REMOTE_HOST=192.0.2.9\nSTATE=closing\n"),
            ("/run/systemd/sessions/10", b"REMOTE_HOST=host.example\nSTATE=active\n"),
            ("/run/systemd/sessions/11", b"\xff\xfe\nREMOTE_HOST=2001:db8::11\nSTATE=online"),
            ("/run/systemd/sessions/7.ref", b"REMOTE_HOST=192.0.2.99\n"),
            ("/run/utmp", &record(libc::USER_PROCESS, "192.0.2.8", &[])),
        ]);
        assert_eq!(read(&mut files), ["192.0.2.7", "192.0.2.8", "2001:db8::11"].map(ip).into());
    }

    #[test]
    fn a_host_may_keep_no_record() {
        let (_dir, mut files) = root(&[]);
        assert!(read(&mut files).is_empty());
    }

    proptest! {
        #[test]
        fn no_content_is_too_odd(mut bytes in prop::collection::vec(any::<u8>(), 0..3 * RECORD), text in "\\PC*") {
            utmp(&bytes).for_each(drop);
            if bytes.len() >= RECORD {
                bytes[KIND..KIND + 2].copy_from_slice(&libc::USER_PROCESS.to_ne_bytes());
                utmp(&bytes).for_each(drop);
            }
            session(&bytes);
            session(format!("REMOTE_HOST={text}").as_bytes());
        }
    }
}
