//! Figures in as little room as a column has.

use std::fmt::{self, Write};

/// At most five characters: `9,999` is `9999`, then `12.3k`, `123k`, `1.2M` and so on.
pub(super) fn count(n: u64) -> String {
    const UNITS: [&str; 6] = ["k", "M", "G", "T", "P", "E"];
    if n < 10_000 {
        return n.to_string();
    }
    let (mut whole, mut tenth, mut unit) = (n / 1000, n % 1000 / 100, 0);
    while whole >= 1000 {
        (whole, tenth, unit) = (whole / 1000, whole % 1000 / 100, unit + 1);
    }
    let unit = UNITS.get(unit).unwrap_or(&"?");
    if whole < 100 { format!("{whole}.{tenth}{unit}") } else { format!("{whole}{unit}") }
}

/// A rate, with a decimal while it is small.
pub(super) fn rate(per_second: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    match per_second {
        r if r.is_nan() || r <= 0.0 => "0".to_owned(),
        r if r < 99.95 => format!("{r:.1}"),
        r => count(r.round() as u64),
    }
}

/// Seconds in at most four characters: `59s`, `59m`, `47h`, `99d`.
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", (seconds / 86_400).min(999)),
    }
}

/// How many characters something takes.
pub(super) fn width(shown: &impl fmt::Display) -> usize {
    struct Counter(usize);
    impl Write for Counter {
        fn write_str(&mut self, s: &str) -> fmt::Result {
            self.0 += s.chars().count();
            Ok(())
        }
    }
    let mut counter = Counter(0);
    // Nothing here fails, and what is counted does not either.
    write!(counter, "{shown}").map_or(0, |()| counter.0)
}

/// What there is room for, with a mark where something is missing.
pub(super) fn cut(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(room.saturating_sub(1)).collect();
    if room > 0 {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_takes_five_characters_at_most() {
        for (n, shown) in [
            (0, "0"),
            (9_999, "9999"),
            (10_000, "10.0k"),
            (99_999, "99.9k"),
            (123_456, "123k"),
            (999_999, "999k"),
            (1_000_000, "1.0M"),
            (12_345_678_901, "12.3G"),
            (u64::MAX, "18.4E"),
        ] {
            assert_eq!(count(n), shown);
            assert!(count(n).len() <= 5);
        }
    }

    #[test]
    fn a_small_rate_has_a_decimal() {
        let shown = [0.0, -1.0, f64::NAN, 0.04, 3.24, 99.94, 99.96, 12_345.0].map(rate);
        assert_eq!(shown, ["0", "0", "0", "0.0", "3.2", "99.9", "100", "12.3k"]);
    }

    #[test]
    fn a_span_takes_four_characters_at_most() {
        let shown = [0, 59, 60, 3599, 3600, 172_799, 172_800, u64::MAX].map(span);
        assert_eq!(shown, ["0s", "59s", "1m", "59m", "1h", "47h", "2d", "999d"]);
    }

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!(["port-scan", "port-scan", "x", "xy"].map(|text| cut(text, 6)), ["port-…", "port-…", "x", "xy"]);
        assert_eq!((cut("xy", 1), cut("xy", 0)), ("…".to_owned(), String::new()));
        assert_eq!(width(&"größer"), 6);
    }
}
