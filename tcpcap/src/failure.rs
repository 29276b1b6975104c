//! How the program fails: one line of cause, one of remedy, and an exit code that scripts may rely on.

use std::fmt;

/// Exit code of a run that failed.
pub const EXIT_FAILED: u8 = 1;
/// Exit code of a command line or configuration that is wrong.
pub const EXIT_USAGE: u8 = 2;

/// A failure that ends the program.
#[derive(Debug)]
pub struct Failure {
    /// What went wrong, and where.
    pub cause: String,
    /// What else did: a line each.
    pub also: Vec<String>,
    /// What the user can do about it.
    pub remedy: String,
    /// [`EXIT_FAILED`] or [`EXIT_USAGE`].
    pub exit_code: u8,
}

impl Failure {
    /// The program did what it was told, and it did not work.
    pub fn failed(cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { cause: cause.into(), remedy: remedy.into(), also: Vec::new(), exit_code: EXIT_FAILED }
    }

    /// What the program was told makes no sense.
    pub fn usage(cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { cause: cause.into(), remedy: remedy.into(), also: Vec::new(), exit_code: EXIT_USAGE }
    }

    /// Much of what the program was told makes no sense: a line each, with one remedy.
    pub fn usage_all(causes: Vec<String>, remedy: impl Into<String>) -> Self {
        let mut causes = causes.into_iter();
        Self { cause: causes.next().unwrap_or_default(), also: causes.collect(), ..Self::usage("", remedy) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One line each, whatever a library put into its message.
        let one_line = |s: &str| s.split_whitespace().collect::<Vec<_>>().join(" ");
        for cause in std::iter::once(&self.cause).chain(&self.also) {
            writeln!(f, "error: {}", one_line(cause))?;
        }
        write!(f, " help: {}", one_line(&self.remedy))
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_of_cause_and_one_of_remedy() {
        let f = Failure::usage("no such\n  thing", "try\nanother");
        assert_eq!(f.to_string(), "error: no such thing\n help: try another");
        assert_eq!(f.exit_code, 2);
    }

    #[test]
    fn several_failures_share_one_remedy() {
        let f = Failure::usage_all(vec!["this".to_owned(), "that\nbreaks".to_owned()], "correct both");
        assert_eq!(f.to_string(), "error: this\nerror: that breaks\n help: correct both");
        assert_eq!(f.exit_code, 2);
    }
}
