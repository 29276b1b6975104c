//! The narrator: headings, sentences and tables for a terminal of 80 columns and up.

use std::{
    env,
    io::{IsTerminal, Write, stdout},
    time::Duration,
};

use console::Term;

/// Every table fits into this.
const MIN_WIDTH: usize = 80;
/// Where there is no terminal to ask: room for a new IPv6 connection on one line.
const WIDTH: usize = 90;
/// Longer lines are hard to read.
const MAX_WIDTH: usize = 100;
const INDENT: &str = "   ";
/// Stands before what tcpcap itself says.
const MARGIN: &str = "sensor | ";

/// How something is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Heading,
    Aside,
    Notice,
    Good,
    Bad,
}

/// Speaks on standard output.
#[derive(Clone, Copy, Debug)]
pub(super) struct Narrator {
    colour: bool,
    width: usize,
}

impl Narrator {
    /// In colour on a terminal, unless `NO_COLOR` is set.
    pub(super) fn new() -> Self {
        let terminal = stdout().is_terminal();
        let colour = terminal && env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        let width = if terminal { Term::stdout().size().1.into() } else { WIDTH };
        Self { colour, width: width.clamp(MIN_WIDTH, MAX_WIDTH) }
    }

    /// Begins a part.
    pub(super) fn heading(self, text: &str) {
        self.print(&format!("\n{}\n", self.paint(text, Tone::Heading)));
    }

    /// Says a sentence or two.
    pub(super) fn say(self, text: &str) {
        let lines = wrap(text, self.width - INDENT.len(), "");
        self.show(&lines);
    }

    /// Shows something as it is.
    pub(super) fn show(self, lines: &[String]) {
        self.print(&lines.iter().map(|line| format!("{INDENT}{line}\n")).collect::<String>());
    }

    /// Shows a command, and says who runs it.
    pub(super) fn command(self, who: &str, command: &str) {
        self.print(&format!("{}{}\n", self.paint(&format!("{who} $ "), Tone::Aside), command));
    }

    /// Shows what tcpcap says.
    pub(super) fn sensor(self, time: &str, text: &str, tone: Tone) {
        let behind_time = " ".repeat(time.len() + 1);
        let mut out = String::new();
        for (i, line) in wrap(text, self.width - MARGIN.len() - behind_time.len(), "  ").iter().enumerate() {
            let time = if i == 0 { format!("{time} ") } else { behind_time.clone() };
            out += &format!(
                "{}{}{}\n",
                self.paint(MARGIN, Tone::Aside),
                self.paint(&time, Tone::Aside),
                self.paint(line, tone)
            );
        }
        self.print(&out);
    }

    /// The text in its tone.
    pub(super) fn paint(self, text: &str, tone: Tone) -> String {
        let code = match tone {
            Tone::Plain => "",
            Tone::Heading => "1",
            Tone::Aside => "2",
            Tone::Notice => "33",
            Tone::Good => "32",
            Tone::Bad => "1;31",
        };
        if self.colour && !code.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn print(self, text: &str) {
        let mut out = stdout().lock();
        // Whoever no longer listens, such as `head`, does not keep the sandbox from its end.
        drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
    }
}

/// Breaks a text behind blanks, and a long list behind its commas; lines after the first are indented.
pub(super) fn wrap(text: &str, width: usize, indent: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let length = |text: &str| text.trim_end().chars().count();
    for word in text.split_inclusive(' ') {
        // A number such as 10,000 is no list.
        let parts: Vec<&str> = if length(word) > width / 2 { word.split_inclusive(',').collect() } else { vec![word] };
        for part in parts {
            if line.chars().count() + length(part) > width && line.len() > indent.len() {
                lines.push(line.trim_end().to_owned());
                line = indent.to_owned();
            }
            line += part;
        }
    }
    lines.push(line.trim_end().to_owned());
    lines
}

/// Columns, as wide as their widest cell: the first to the left, the others to the right.
pub(super) fn table(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| rows.iter().filter_map(|row| row.get(c)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(|(c, (cell, &w))| if c == 0 { format!("{cell:<w$}") } else { format!("{cell:>w$}") });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// A number with its thousands apart: `65,535`.
pub(super) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A short time: `0.4 ms`, `120 ms`, `2.1 s`.
pub(super) fn short(time: Duration) -> String {
    match time.as_micros() {
        0..10_000 => format!("{:.1} ms", time.as_secs_f64() * 1e3),
        10_000..1_000_000 => format!("{:.0} ms", time.as_secs_f64() * 1e3),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_breaks_behind_blanks_and_a_list_behind_commas() {
        assert_eq!(wrap("a bb ccc", 20, "  "), ["a bb ccc"]);
        assert_eq!(wrap("all of the 10,086", 14, ""), ["all of the", "10,086"]);
        assert_eq!(wrap("on ports 21,22,23,80,443", 12, "  "), ["on ports 21,", "  22,23,80,", "  443"]);
        assert_eq!(wrap("unbreakable", 4, "  "), ["unbreakable"]);
        assert_eq!(wrap("", 4, "  "), [""]);
    }

    #[test]
    fn columns_stand_below_each_other() {
        let cells = |row: &[&str]| row.iter().map(|&c| c.to_owned()).collect::<Vec<_>>();
        let rows =
            [cells(&["scanner", "seen", "aim"]), cells(&["nmap", "33"]), cells(&["masscan 100k", "1,000", "met"])];
        assert_eq!(table(&rows), ["scanner        seen  aim", "nmap             33", "masscan 100k  1,000  met"]);
    }

    #[test]
    fn numbers_and_times_are_readable() {
        assert_eq!([0, 999, 1_000, 65_535, 1_234_567].map(number), ["0", "999", "1,000", "65,535", "1,234,567"]);
        assert_eq!(
            [400, 9_940, 120_400, 2_149_000].map(|us| short(Duration::from_micros(us))),
            ["0.4 ms", "9.9 ms", "120 ms", "2.1 s"]
        );
    }

    #[test]
    fn without_colour_there_are_no_escapes() {
        let plain = Narrator { colour: false, width: WIDTH };
        assert_eq!(plain.paint("x", Tone::Bad), "x");
        assert!(Narrator { colour: true, ..plain }.paint("x", Tone::Bad).starts_with('\x1b'));
    }
}
