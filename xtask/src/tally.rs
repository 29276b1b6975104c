//! Counts what test programs say of themselves.

use std::time::Duration;

/// What a suite did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
    /// The names of the tests that failed, and whatever else went wrong.
    pub(crate) failures: Vec<String>,
    pub(crate) building: Duration,
    pub(crate) running: Duration,
}

impl Tally {
    /// Takes one line of a test program's output.
    pub(crate) fn read(&mut self, line: &str) {
        let line = without_colour(line);
        let line = line.trim();
        if let Some(counts) = line.strip_prefix("test result:") {
            for part in counts.split([';', '.']) {
                let mut words = part.split_whitespace();
                let (Some(Ok(n)), Some(what)) = (words.next().map(str::parse::<u64>), words.next()) else { continue };
                match what {
                    "passed" => self.passed += n,
                    "failed" => self.failed += n,
                    "ignored" => self.skipped += n,
                    _ => {}
                }
            }
        } else if let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED")) {
            self.failures.push(name.to_owned());
        }
    }

    /// Something other than a test failed: it counts as one, so that the sum never looks better than the truth.
    pub(crate) fn fail(&mut self, what: impl Into<String>) {
        self.failed += 1;
        self.failures.push(what.into());
    }

    /// How many tests ran to their end.
    pub(crate) fn ran(&self) -> u64 {
        self.passed + self.failed
    }

    /// Adds another suite's counts and times.
    pub(crate) fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.failures.extend(other.failures.iter().cloned());
        self.building += other.building;
        self.running += other.running;
    }

    /// The closing line that scripts read.
    pub(crate) fn closing_line(&self) -> String {
        let skipped = if self.skipped > 0 { format!(", {} skipped", self.skipped) } else { String::new() };
        format!("{} passed, {} failed{skipped}", self.passed, self.failed)
    }
}

impl AsMut<Self> for Tally {
    fn as_mut(&mut self) -> &mut Self {
        self
    }
}

/// The line without terminal escapes of the form `ESC [ … letter`, or with the charset switch `ESC ( B` before.
fn without_colour(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c != '\x1b' {
            plain.push(c);
        } else if chars.next() == Some('(') {
            chars.next();
        } else {
            chars.by_ref().find(char::is_ascii_alphabetic);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::Tally;

    fn read(lines: &[&str]) -> Tally {
        let mut tally = Tally::default();
        lines.iter().for_each(|line| tally.read(line));
        tally
    }

    #[test]
    fn results_of_several_programs_add_up() {
        let tally = read(&[
            "test a ... ok",
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.05s",
            "test result: FAILED. 5 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s",
        ]);
        assert_eq!((tally.passed, tally.failed, tally.skipped), (17, 2, 1));
        assert_eq!(tally.closing_line(), "17 passed, 2 failed, 1 skipped");
    }

    #[test]
    fn colour_does_not_hide_a_result() {
        let tally = read(&[
            "test kernel::drops ... \x1b[31mFAILED\x1b(B\x1b[m",
            "test result: \x1b[31mFAILED\x1b(B\x1b[m. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out",
        ]);
        assert_eq!((tally.failed, tally.failures), (1, vec!["kernel::drops".to_owned()]));
    }

    #[test]
    fn other_lines_count_nothing() {
        assert_eq!(read(&["running 3 tests", "1 passed; so it said", ""]), Tally::default());
        assert_eq!(Tally::default().closing_line(), "0 passed, 0 failed");
    }

    #[test]
    fn a_suite_that_ends_without_a_result_is_a_failure() {
        let mut tally = read(&["running 3 tests"]);
        tally.fail("e2e: ended with signal 11");
        assert_eq!(tally.closing_line(), "0 passed, 1 failed");
    }
}
