//! What we must know of the SSH server's configuration: where it listens, and how long it waits for a login.

use std::{collections::BTreeSet, time::Duration};

use super::{files::Files, words};

const SSHD_CONFIG: &str = "/etc/ssh/sshd_config";

/// The port where nothing else is configured.
const PORT: u16 = 22;

/// How long sshd waits for a login unless told otherwise.
pub(super) const GRACE: Duration = Duration::from_secs(120);

/// Files that include files that include files, as in sshd.
const MOST_DEPTH: u32 = 16;

/// More files are not read: each may include all others.
const MOST_FILES: u32 = 256;

/// What sshd is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sshd {
    /// The ports that it listens on.
    pub(super) ports: BTreeSet<u16>,
    /// How long it waits for a login; `None` for as long as the client likes.
    pub(super) grace: Option<Duration>,
}

/// Reads it; sshd's own defaults stand in for what is not said, or cannot be read.
pub(super) fn read(files: &mut Files) -> Sshd {
    let mut said = Said { files_left: MOST_FILES, ..Said::default() };
    said.read(files, SSHD_CONFIG, MOST_DEPTH);
    said.meant()
}

/// The lines that matter here.
#[derive(Debug, Default)]
struct Said {
    files_left: u32,
    ports: BTreeSet<u16>,
    /// Ports of the `ListenAddress` lines that name one.
    listen_ports: BTreeSet<u16>,
    /// There is a `ListenAddress` line that names none.
    listens_on_ports: bool,
    grace: Option<Duration>,
}

impl Said {
    fn read(&mut self, files: &mut Files, path: &str, depth: u32) {
        let (Some(depth), Some(left)) = (depth.checked_sub(1), self.files_left.checked_sub(1)) else { return };
        self.files_left = left;
        let content = files.read(path).unwrap_or_default();
        for line in String::from_utf8_lossy(&content).lines() {
            // `Keyword value`, `Keyword=value`, `Keyword "value"`.
            let line = line.replace(['=', '"'], " ");
            let mut words = words(&line);
            let Some(keyword) = words.next() else { continue };
            match (keyword.to_ascii_lowercase().as_str(), words.next()) {
                ("include", first) => {
                    for pattern in first.into_iter().chain(words) {
                        for path in matches(files, pattern) {
                            self.read(files, &path, depth);
                        }
                    }
                }
                // What follows holds for some connections only, and says nothing about ports and patience.
                ("match", _) => return,
                (keyword, Some(value)) => self.take(keyword, value),
                (_, None) => {}
            }
        }
    }

    fn take(&mut self, keyword: &str, value: &str) {
        match keyword {
            "port" => self.ports.extend(port(value)),
            "listenaddress" => match port_of(value) {
                Some(port) => drop(self.listen_ports.insert(port)),
                None => self.listens_on_ports = true,
            },
            // The first one counts.
            "logingracetime" if self.grace.is_none() => self.grace = span(value),
            _ => {}
        }
    }

    fn meant(mut self) -> Sshd {
        // `Port` holds for the addresses that name no port; for all of them where there are none.
        if self.listens_on_ports || self.listen_ports.is_empty() {
            if self.ports.is_empty() {
                self.ports.insert(PORT);
            }
            self.listen_ports.append(&mut self.ports);
        }
        let grace = self.grace.unwrap_or(GRACE);
        Sshd { ports: self.listen_ports, grace: (!grace.is_zero()).then_some(grace) }
    }
}

/// The files that an `Include` pattern means. Wildcards are understood in the last part, where everybody has them.
fn matches(files: &mut Files, pattern: &str) -> Vec<String> {
    let pattern = if pattern.starts_with('/') { pattern.to_owned() } else { format!("/etc/ssh/{pattern}") };
    let Some((directory, name)) = pattern.rsplit_once('/') else { return vec![] };
    if !name.contains(['*', '?']) {
        return vec![pattern];
    }
    let names =
        files.names(directory).into_iter().filter(|n| !n.starts_with('.') && fits(name.as_bytes(), n.as_bytes()));
    names.map(|n| format!("{directory}/{n}")).collect()
}

/// Whether a name fits a pattern of `*` and `?`: the last `*` takes up what it must, so that it costs no more than the
/// product of the lengths.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                p += 1;
                retry = Some((p, n));
            }
            Some(&byte) if byte == b'?' || byte == name[n] => (p, n) = (p + 1, n + 1),
            _ => {
                let Some((after, taken)) = retry else { return false };
                (p, n) = (after, taken + 1);
                retry = Some((after, taken + 1));
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port > 0)
}

/// `192.0.2.1:2222`, `[2001:db8::1]:2222`, `host:2222`; an IPv6 address without brackets has no port.
fn port_of(listen: &str) -> Option<u16> {
    let (host, number) = listen.rsplit_once(':')?;
    (host.ends_with(']') || !host.contains(':')).then(|| port(number)).flatten()
}

/// `120`, `2m`, `1h30m`.
fn span(text: &str) -> Option<Duration> {
    let (mut total, mut number) = (0u64, None);
    for c in text.chars() {
        if let Some(digit) = c.to_digit(10) {
            number = Some(number.unwrap_or(0u64).saturating_mul(10).saturating_add(u64::from(digit)));
            continue;
        }
        let unit = match c.to_ascii_lowercase() {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        total = total.saturating_add(number.take()?.saturating_mul(unit));
    }
    (!text.is_empty()).then(|| Duration::from_secs(total.saturating_add(number.unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::{super::files::tests::root, *};
    use proptest::prelude::*;

    const SECS: fn(u64) -> Option<Duration> = |secs| Some(Duration::from_secs(secs));

    fn sshd(files: &[(&str, &str)]) -> (Vec<u16>, Option<Duration>) {
        let files: Vec<_> = files.iter().map(|(path, content)| (*path, content.as_bytes())).collect();
        let (_dir, mut files) = root(&files);
        let Sshd { ports, grace } = read(&mut files);
        (ports.into_iter().collect(), grace)
    }

    #[test]
    fn ports_are_those_that_sshd_would_listen_on() {
        for (config, ports) in [
            ("", &[22][..]),
            ("#Port 2222\nPermitRootLogin no", &[22]),
            ("Port 2222", &[2222]),
            ("port=22\nPORT \"2222\" # both", &[22, 2222]),
            ("Port 0\nPort 65536\nPort x\nPort\nPort -1", &[22]),
            ("ListenAddress 192.0.2.1", &[22]),
            ("ListenAddress 192.0.2.1:2222", &[2222]),
            ("Port 22\nListenAddress [2001:db8::1]:2222\nListenAddress host:2223", &[2222, 2223]),
            ("Port 2022\nListenAddress 2001:db8::2222\nListenAddress 192.0.2.1:2223 rdomain x", &[2022, 2223]),
            ("Port 2222\nMatch User root\nPort 2223\nLoginGraceTime 7", &[2222]),
        ] {
            assert_eq!(sshd(&[("/etc/ssh/sshd_config", config)]), (ports.to_vec(), SECS(120)), "{config}");
        }
    }

    #[test]
    fn a_host_without_a_readable_configuration_has_the_defaults() {
        assert_eq!(sshd(&[]), (vec![22], SECS(120)));
    }

    #[test]
    fn patience_is_read_as_sshd_reads_it_and_none_is_endless() {
        for (value, grace) in [
            ("30", SECS(30)),
            ("2m", SECS(120)),
            ("1h30m", SECS(5400)),
            ("1M5", SECS(65)),
            ("0", None),
            ("0s", None),
            ("x", SECS(120)),
            ("m", SECS(120)),
            ("99999999999999999999999w", SECS(u64::MAX)),
        ] {
            let config = format!("LoginGraceTime {value}\nLoginGraceTime 5");
            let expected = if matches!(value, "x" | "m") { SECS(5) } else { grace };
            assert_eq!(sshd(&[("/etc/ssh/sshd_config", &config)]).1, expected, "{value}");
        }
    }

    #[test]
    fn included_files_are_read_in_their_place() {
        let found = sshd(&[
            ("/etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf other\nPort 1\nLoginGraceTime 60"),
            ("/etc/ssh/sshd_config.d/a.conf", "Port 2\nMatch User x\nPort 99"),
            ("/etc/ssh/sshd_config.d/b.conf", "LoginGraceTime 10\nInclude sshd_config.d/deep-?"),
            ("/etc/ssh/sshd_config.d/c.txt", "Port 98"),
            ("/etc/ssh/sshd_config.d/.d.conf", "Port 97"),
            ("/etc/ssh/sshd_config.d/deep-1", "Port 3"),
            ("/etc/ssh/other", "Port 4"),
        ]);
        assert_eq!(found, (vec![1, 2, 3, 4], SECS(10)));
    }

    #[test]
    fn files_that_include_each_other_end() {
        let all = "Include /etc/ssh/*\nPort 2222";
        assert_eq!(sshd(&[("/etc/ssh/sshd_config", all), ("/etc/ssh/b", all), ("/etc/ssh/c", all)]).0, [2222]);
    }

    proptest! {
        #[test]
        fn no_content_is_too_odd(bytes: Vec<u8>, text in "((Port|ListenAddress|LoginGraceTime|Include)[ =]\\PC{0,12}\n){0,4}") {
            for content in [&bytes[..], text.as_bytes()] {
                let (_dir, mut files) = root(&[(SSHD_CONFIG, content)]);
                prop_assert!(!read(&mut files).ports.is_empty());
            }
        }

        #[test]
        fn a_pattern_fits_what_is_made_from_it(parts in prop::collection::vec("[a-c]{0,3}", 1..5), filler in "[a-c]{0,3}") {
            prop_assert!(fits(parts.join("*").as_bytes(), parts.join(&filler).as_bytes()));
            prop_assert!(!fits(parts.join("*").as_bytes(), b"x") || parts.iter().all(String::is_empty));
        }
    }
}
