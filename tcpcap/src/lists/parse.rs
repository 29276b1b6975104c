//! The text of a feed. What is no entry is reported with its line and skipped: a list that is mostly right must not be
//! lost for a line, and must not be misread either.
//!
//! One entry a line: an address, a network, or a range `first - last` of addresses, which becomes the networks it is made
//! of. `#` and `;` start a comment anywhere. Blank lines, white space, CRLF and a byte order mark do not matter. Host bits
//! are cleared.

use std::{borrow::Cow, fmt, net::IpAddr};

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};

use super::{Entry, MAX_ENTRIES, Unfit, entry::to_bits, fit};

/// Longest line. The longest entry takes 90 bytes; the rest is room for comments.
pub const MAX_LINE_BYTES: usize = 4 << 10;

/// How many of the lines skipped for the same kind of reason are kept.
pub const SHOWN: usize = 10;

/// Most characters of a line that are shown.
const SHOWN_CHARS: usize = 80;

/// What stood in a feed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines, of any kind.
    pub lines: u64,
    /// Networks taken.
    pub entries: u64,
    /// Networks that stood there before.
    pub duplicates: u64,
    /// Ranges among the entries.
    pub ranges: u64,
    /// Entries whose host bits were cleared.
    pub host_bits: u64,
    /// Entries left out since there were [`MAX_ENTRIES`] before them.
    pub beyond: u64,
    /// Lines that are no entry.
    pub bad: Skipped,
    /// Networks that would shut out too much of the world.
    pub too_broad: Skipped,
    /// Networks that touch what is nobody's address.
    pub reserved: Skipped,
}

/// Lines skipped for one kind of reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// How many.
    pub count: u64,
    /// The first [`SHOWN`].
    pub first: Vec<Complaint>,
}

/// A line that was skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// Its number, from 1.
    pub line: u64,
    /// Its text, in printable ASCII, cut short.
    pub text: String,
    /// What is wrong with it.
    pub reason: Cow<'static, str>,
}

/// `line 7: "10.0.0.0/33": the prefix length is not within 0 to 32`
impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: \"{}\": {}", self.line, self.text, self.reason)
    }
}

impl Report {
    /// Lines skipped, for whatever reason.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.bad.count + self.too_broad.count + self.reserved.count
    }

    /// The first lines skipped of each kind.
    pub fn complaints(&self) -> impl Iterator<Item = &Complaint> {
        [&self.bad, &self.too_broad, &self.reserved].into_iter().flat_map(|kind| &kind.first)
    }
}

/// What is not as it should be, to be said after something else: `; 2 lines skipped, line 7: "x": it is neither …`
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.beyond > 0 {
            write!(f, "; {} more than the {MAX_ENTRIES} that are taken", self.beyond)?;
        }
        match (self.skipped(), self.complaints().min_by_key(|c| c.line)) {
            (1, Some(first)) => write!(f, "; skipped {first}"),
            (skipped, Some(first)) => write!(f, "; {skipped} lines skipped, the first is {first}"),
            (_, None) => Ok(()),
        }
    }
}

impl Skipped {
    fn add(&mut self, line: u64, text: &[u8], reason: impl Into<Cow<'static, str>>) {
        self.count += 1;
        if self.first.len() < SHOWN {
            self.first.push(Complaint { line, text: shown(text), reason: reason.into() });
        }
    }
}

fn shown(text: &[u8]) -> String {
    let mut escaped = text.escape_ascii();
    let mut shown: String = escaped.by_ref().take(SHOWN_CHARS).map(char::from).collect();
    if escaped.next().is_some() {
        shown.push_str("...");
    }
    shown
}

/// Reads a feed in pieces of any size.
///
/// Memory: 24 bytes an entry, and a line.
#[derive(Debug, Default)]
pub struct Parser {
    entries: Vec<Entry>,
    report: Report,
    /// The beginning of a line whose end is to come.
    rest: Vec<u8>,
}

impl Parser {
    /// Takes the next piece.
    pub fn push(&mut self, piece: &[u8]) {
        let mut lines = piece.split(|b| *b == b'\n');
        // What split gives last has no end yet.
        let Some(last) = lines.next_back() else { return };
        for line in lines {
            if self.rest.is_empty() {
                self.line(line);
            } else {
                self.keep(line);
                let whole = std::mem::take(&mut self.rest);
                self.line(&whole);
                self.rest = whole;
                self.rest.clear();
            }
        }
        self.keep(last);
    }

    /// One byte more than a line may have says that it is too long.
    fn keep(&mut self, part: &[u8]) {
        let room = (MAX_LINE_BYTES + 1).saturating_sub(self.rest.len());
        self.rest.extend_from_slice(&part[..part.len().min(room)]);
    }

    /// All entries, in order and each once, and what else there was.
    #[must_use]
    pub fn finish(mut self) -> (Vec<Entry>, Report) {
        if !self.rest.is_empty() {
            let last = std::mem::take(&mut self.rest);
            self.line(&last);
        }
        self.entries.sort_unstable();
        let all = self.entries.len();
        self.entries.dedup();
        self.entries.shrink_to_fit();
        self.report.entries = self.entries.len() as u64;
        self.report.duplicates = (all - self.entries.len()) as u64;
        (self.entries, self.report)
    }

    fn line(&mut self, line: &[u8]) {
        self.report.lines += 1;
        let line = &line[..line.len().min(MAX_LINE_BYTES + 1)];
        let text = if self.report.lines == 1 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
        let comment = text.iter().position(|b| matches!(b, b'#' | b';'));
        let text = text[..comment.unwrap_or(text.len())].trim_ascii();
        // Of a line that is too long the end is unknown, and so what it means; but a comment is a comment.
        if text.is_empty() && (comment.is_some() || line.len() <= MAX_LINE_BYTES) {
            return;
        }
        if let Err(wrong) = self.take(text, line.len()) {
            let line_number = self.report.lines;
            match wrong {
                Wrong::Bad(reason) => self.report.bad.add(line_number, line.trim_ascii(), reason),
                Wrong::Unfit(unfit) => {
                    let kind = match unfit {
                        Unfit::TooBroad { .. } => &mut self.report.too_broad,
                        Unfit::Reserved(_) => &mut self.report.reserved,
                    };
                    let reason = if kind.first.len() < SHOWN { unfit.to_string() } else { String::new() };
                    kind.add(line_number, line.trim_ascii(), reason);
                }
            }
        }
    }

    fn take(&mut self, text: &[u8], line_len: usize) -> Result<(), Wrong> {
        if line_len > MAX_LINE_BYTES {
            return Err(Wrong::Bad("the line is longer than 4096 bytes"));
        }
        let text = str::from_utf8(text).map_err(|_| Wrong::Bad("it is not UTF-8"))?;
        if let Some((first, last)) = text.split_once('-') {
            return self.take_range(address(first.trim_ascii())?, address(last.trim_ascii())?);
        }
        let network = match text.split_once('/') {
            None => IpNet::from(address(text)?),
            Some((ip, len)) => network(address(ip)?, len)?,
        };
        let entry = Entry::new(network);
        fit::check_entry(&entry).map_err(Wrong::Unfit)?;
        if to_bits(network.addr()) != entry.first() {
            self.report.host_bits += 1;
        }
        self.add(entry);
        Ok(())
    }

    fn take_range(&mut self, first: IpAddr, last: IpAddr) -> Result<(), Wrong> {
        let (first, last) = (first.to_canonical(), last.to_canonical());
        let (first_bits, last_bits) = (to_bits(first), to_bits(last));
        if first_bits > last_bits || first.is_ipv4() != last.is_ipv4() {
            return Err(Wrong::Bad("a range goes from a lower address to a higher one of the same family"));
        }
        fit::check_range(first_bits, last_bits, first.is_ipv4()).map_err(Wrong::Unfit)?;
        self.report.ranges += 1;
        match (first, last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => {
                Ipv4Subnets::new(first, last, 0).for_each(|net| self.add(Entry::new(net.into())));
            }
            (IpAddr::V6(first), IpAddr::V6(last)) => {
                Ipv6Subnets::new(first, last, 0).for_each(|net| self.add(Entry::new(net.into())));
            }
            _ => {}
        }
        Ok(())
    }

    fn add(&mut self, entry: Entry) {
        if self.entries.len() < MAX_ENTRIES {
            self.entries.push(entry);
        } else {
            self.report.beyond += 1;
        }
    }
}

enum Wrong {
    Bad(&'static str),
    Unfit(Unfit),
}

fn address(text: &str) -> Result<IpAddr, Wrong> {
    text.parse::<IpAddr>().map_err(|_| {
        Wrong::Bad(if text.contains(|c: char| c.is_ascii_whitespace()) {
            "more than an address, a network or a range before the comment"
        } else {
            "it is neither an address, nor a network such as 192.0.2.0/24, nor a range"
        })
    })
}

fn network(ip: IpAddr, len: &str) -> Result<IpNet, Wrong> {
    let wrong = || {
        Wrong::Bad(if ip.is_ipv4() {
            "the prefix length is not within 0 to 32"
        } else {
            "the prefix length is not within 0 to 128"
        })
    };
    // `parse` would take a sign.
    if !len.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(wrong());
    }
    IpNet::new(ip, len.parse().map_err(|_| wrong())?).map_err(|_| wrong())
}

#[cfg(test)]
mod tests;
