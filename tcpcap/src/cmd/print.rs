//! Standard output.

use std::io::{self, Write};

use serde::Serialize;

use crate::failure::Failure;

/// The width that text keeps to where it can, in characters.
pub(super) const WIDTH: usize = 80;

/// Prints a line.
pub(super) fn line(text: &str) -> Result<(), Failure> {
    written(writeln!(io::stdout().lock(), "{text}"))
}

/// Prints text that ends with its last line.
pub(super) fn text(text: &str) -> Result<(), Failure> {
    written(io::stdout().lock().write_all(text.as_bytes()))
}

/// Prints a JSON value on a line.
pub(super) fn json<T: Serialize>(value: &T) -> Result<(), Failure> {
    let text = serde_json::to_string(value)
        .map_err(|e| Failure::failed(format!("cannot be written as JSON: {e}"), "report this"))?;
    line(&text)
}

fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Ok(()) => Ok(()),
        // Who reads has seen enough, `head` for example.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(e) => Err(Failure::failed(format!("cannot write: {e}"), "is there room where the output goes?")),
    }
}

/// Words in lines of at most [`WIDTH`], each behind an indent; the first line's indent is somebody else's.
pub(super) fn wrapped(words: &[String], indent: usize) -> String {
    let mut out = String::new();
    let mut column = indent;
    for (n, word) in words.iter().enumerate() {
        let comma = if n + 1 < words.len() { "," } else { "" };
        let length = word.chars().count() + comma.len();
        if n > 0 {
            if column + 1 + length > WIDTH {
                out += "\n";
                out += &" ".repeat(indent);
                column = indent;
            } else {
                out += " ";
                column += 1;
            }
        }
        out += word;
        out += comma;
        column += length;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_words_are_wrapped_and_indented() {
        let words: Vec<_> = (0..30).map(|n| format!("10.0.{n}.0/24")).collect();
        let text = format!("{:>13}{}", "", wrapped(&words, 13));
        assert!(text.lines().count() > 1);
        for line in text.lines() {
            assert!(line.len() <= WIDTH && line.starts_with(&" ".repeat(13)), "{text}");
        }
        assert_eq!(text.split_whitespace().collect::<Vec<_>>().join(" "), words.join(", "));
        assert_eq!(wrapped(&[], 4), "");
    }
}
