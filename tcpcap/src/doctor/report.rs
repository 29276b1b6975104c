//! What all checks said, for people and for machines.

use serde::Serialize;

use super::{Finding, Group, Level};

/// The width that text keeps to, in characters.
const WIDTH: usize = 80;
/// Where what was found begins: behind the level and the check's name.
const INDENT: usize = 24;

/// What a check said.
#[derive(Debug, Serialize)]
pub struct Line {
    /// The check's name.
    pub check: &'static str,
    /// What it is about.
    pub group: Group,
    /// Which interface, in the group of interfaces.
    pub interface: Option<String>,
    /// What it found.
    #[serde(flatten)]
    pub finding: Finding,
}

/// What all of them said.
#[derive(Debug, Serialize)]
pub struct Report {
    /// In the order of the checks.
    #[serde(rename = "checks")]
    pub lines: Vec<Line>,
}

impl Report {
    /// How many are of that level.
    #[must_use]
    pub fn count(&self, level: Level) -> usize {
        self.lines.iter().filter(|line| line.finding.level == level).count()
    }

    /// For people: 80 columns, coloured if `colour`.
    #[must_use]
    pub fn text(&self, colour: bool) -> String {
        let mut out = String::new();
        let mut heading = String::new();
        for line in &self.lines {
            let next = match &line.interface {
                Some(interface) => format!("{} {interface}", line.group.heading()),
                None => line.group.heading().to_owned(),
            };
            if next != heading {
                if !heading.is_empty() {
                    out += "\n";
                }
                out += &next;
                out += "\n";
                heading = next;
            }
            line.write(&mut out, colour);
        }
        out += "\n";
        out += &self.summary();
        out += "\n";
        out
    }

    fn summary(&self) -> String {
        let (warnings, failures) = (self.count(Level::Warn), self.count(Level::Fail));
        let some = |n: usize, word: &str| match n {
            0 => format!("no {word}s"),
            1 => format!("1 {word}"),
            n => format!("{n} {word}s"),
        };
        match (warnings, failures) {
            (0, 0) => "all is well: no warnings, no failures".to_owned(),
            _ => format!("{}, {}", some(warnings, "warning"), some(failures, "failure")),
        }
    }

    /// For machines: an object of the checks and how many there are of each level.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn json(&self) -> serde_json::Result<serde_json::Value> {
        let mut value = serde_json::to_value(self)?;
        for level in Level::ALL {
            value[level.name()] = self.count(level).into();
        }
        Ok(value)
    }
}

impl Line {
    fn write(&self, out: &mut String, colour: bool) {
        let Finding { level, found, means, remedy } = &self.finding;
        let word = format!("{:<6}", level.name());
        match (colour, paint(*level)) {
            (true, Some(code)) => *out += &format!("\x1b[{code}m{word}\x1b[0m"),
            _ => *out += &word,
        }
        *out += &format!("{:<18}", self.check);
        *out += &wrapped(found, INDENT);
        *out += "\n";
        if !means.is_empty() {
            *out += &format!("{:INDENT$}{}\n", "", wrapped(means, INDENT));
        }
        if !remedy.is_empty() {
            *out += &format!("{:INDENT$}→ {}\n", "", wrapped(remedy, INDENT + 2));
        }
    }
}

/// Green, yellow, red; what is skipped recedes.
const fn paint(level: Level) -> Option<u8> {
    match level {
        Level::Ok => Some(32),
        Level::Warn => Some(33),
        Level::Fail => Some(31),
        Level::Skip => None,
    }
}

/// Words in lines behind an indent; the first line's is somebody else's. Whatever a library put into its message is in
/// one line before. A word that is longer than a line is not broken: it may be a command.
fn wrapped(text: &str, indent: usize) -> String {
    let mut out = String::new();
    let mut column = indent;
    for word in text.split_whitespace() {
        // What came from outside must not reach the terminal as anything but letters.
        let word: String = word.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        let length = word.chars().count();
        if column > indent && column + 1 + length > WIDTH {
            out += "\n";
            out += &" ".repeat(indent);
            column = indent;
        } else if column > indent {
            out += " ";
            column += 1;
        }
        out += &word;
        column += length;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let line = |check, group, interface: Option<&str>, finding| Line {
            check,
            group,
            interface: interface.map(str::to_owned),
            finding,
        };
        Report {
            lines: vec![
                line("version", Group::Kernel, None, Finding::ok("6.18.5: ring buffer")),
                line("lockdown", Group::Kernel, None, Finding::skip("not shown here")),
                line("link", Group::Interface, Some("eth0"), Finding::ok("driver ice, up")),
                line(
                    "mode",
                    Group::Interface,
                    Some("br0"),
                    Finding::warn(
                        "generic: a bridge has no\n queue",
                        "all works, but the kernel has made a socket buffer of a packet",
                        "watch its ports",
                    ),
                ),
                line(
                    "port",
                    Group::Service,
                    None,
                    Finding::fail("127.0.0.1:2112: taken", "tcpcap does not start", "ss -ltnp"),
                ),
            ],
        }
    }

    #[test]
    fn the_text_is_grouped_aligned_wrapped_and_ends_with_a_summary() {
        insta::assert_snapshot!(report().text(false), @r"
        Kernel
        ok    version           6.18.5: ring buffer
        skip  lockdown          not shown here

        Interface eth0
        ok    link              driver ice, up

        Interface br0
        warn  mode              generic: a bridge has no queue
                                all works, but the kernel has made a socket buffer of a
                                packet
                                → watch its ports

        Service
        fail  port              127.0.0.1:2112: taken
                                tcpcap does not start
                                → ss -ltnp

        1 warning, 1 failure
        ");
    }

    #[test]
    fn colour_is_on_the_level_alone() {
        let plain = report().text(false);
        let coloured = report().text(true);
        assert!(!plain.contains('\x1b'));
        assert!(coloured.contains("\x1b[31mfail  \x1b[0mport"), "{coloured}");
        let mut stripped = coloured;
        for code in ["\x1b[0m", "\x1b[31m", "\x1b[32m", "\x1b[33m"] {
            stripped = stripped.replace(code, "");
        }
        assert_eq!(stripped, plain);
    }

    #[test]
    fn machines_get_every_check_and_the_counts() {
        let json = report().json().unwrap();
        assert_eq!(
            (&json["ok"], &json["warn"], &json["fail"], &json["skip"]),
            (&2.into(), &1.into(), &1.into(), &1.into())
        );
        let line = serde_json::json!({
            "check": "port", "group": "service", "interface": null, "level": "fail",
            "found": "127.0.0.1:2112: taken", "means": "tcpcap does not start", "remedy": "ss -ltnp",
        });
        assert_eq!(json["checks"][4], line);
    }

    #[test]
    fn what_comes_from_outside_moves_no_cursor() {
        assert_eq!(wrapped("a \x1b[2Jb", 4), "a \u{fffd}[2Jb");
    }

    #[test]
    fn nothing_to_complain_about_is_said_too() {
        let report = Report { lines: Vec::new() };
        assert_eq!(report.text(false), "\nall is well: no warnings, no failures\n");
    }
}
