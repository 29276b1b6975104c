//! What a command may say. The command line and the socket check it alike, so the daemon need not.

use std::time::Duration;

/// The longest that an operator's block lasts, unless it is for ever.
pub const LONGEST: Duration = Duration::from_secs(3650 * 24 * 3600);

/// The longest note, in characters: it stands in one line of the log and of `tcpcap list`.
pub const LONGEST_NOTE: usize = 200;

/// Whether a block may last so long.
///
/// # Errors
/// What is wrong with it.
pub fn check_lasts(lasts: Duration) -> Result<(), String> {
    if (Duration::from_secs(1)..=LONGEST).contains(&lasts) {
        return Ok(());
    }
    Err("a block lasts between 1 s and 3650 days, or for ever".to_owned())
}

/// Whether a note may be so.
///
/// # Errors
/// What is wrong with it.
pub fn check_note(note: &str) -> Result<(), String> {
    if note.chars().count() > LONGEST_NOTE {
        return Err(format!("the reason is longer than {LONGEST_NOTE} characters"));
    }
    // It is shown on terminals and written to the log.
    match note.chars().any(char::is_control) {
        true => Err("the reason is more than one line, or holds control characters".to_owned()),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_lasts_at_least_a_second_and_at_most_ten_years() {
        for good in [1, 3600, LONGEST.as_secs()] {
            check_lasts(Duration::from_secs(good)).unwrap();
        }
        for bad in [Duration::ZERO, Duration::from_millis(999), LONGEST + Duration::from_secs(1), Duration::MAX] {
            check_lasts(bad).unwrap_err();
        }
    }

    #[test]
    fn a_note_is_one_short_line_of_text() {
        check_note("").unwrap();
        check_note(&"ü".repeat(LONGEST_NOTE)).unwrap();
        for bad in ["two\nlines", "\u{1b}[31mred", "tab\tbed", &"x".repeat(LONGEST_NOTE + 1)] {
            check_note(bad).unwrap_err();
        }
    }
}
