//! How text is laid out: words into lines of a width.

/// The narrowest that anything is laid out for, in characters.
pub(crate) const NARROWEST: usize = 40;

/// Joins what must not be torn apart at the end of a line; becomes a space.
pub(crate) const GLUE: char = '\u{a0}';

/// Words in lines of at most `width` characters, the first behind one indent and the others behind another. What is
/// longer than a line is cut into pieces; control characters are never passed on to a terminal.
pub(crate) fn fold(text: &str, width: usize, first: usize, rest: usize) -> Vec<String> {
    let mut lines = vec![" ".repeat(first)];
    let mut empty = true;
    let words = |c: char| c.is_whitespace() && c != GLUE;
    for word in harmless(text).split(words).filter(|word| !word.is_empty()) {
        let mut word: Vec<char> = word.chars().map(|c| if c == GLUE { ' ' } else { c }).collect();
        loop {
            let Some(line) = lines.last_mut() else { return lines };
            let used = line.chars().count() + usize::from(!empty);
            if used + word.len() <= width || (empty && width <= used) {
                line.extend((!empty).then_some(' ').into_iter().chain(word));
                empty = false;
                break;
            }
            if empty {
                let left = word.split_off(width - used);
                line.extend(word);
                word = left;
            }
            lines.push(" ".repeat(rest));
            empty = true;
        }
    }
    lines
}

/// Text that cannot tell a terminal what to do.
pub(crate) fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && !c.is_whitespace() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_folded_and_indented() {
        assert_eq!(fold("one two  three\nfour", 11, 0, 2), ["one two", "  three", "  four"]);
        assert_eq!(fold("", 10, 2, 2), ["  "]);
        assert_eq!(fold("within 10\u{a0}min", 11, 0, 0), ["within", "10 min"]);
    }

    #[test]
    fn a_word_longer_than_the_line_is_cut_and_none_of_it_is_lost() {
        assert_eq!(fold("ab 0123456789ab c", 6, 2, 2), ["  ab", "  0123", "  4567", "  89ab", "  c"]);
        assert_eq!(fold("äöüß", 2, 0, 0), ["äö", "üß"]);
    }

    #[test]
    fn nothing_reaches_the_terminal_as_a_command() {
        assert_eq!(fold("red \u{1b}[31m\u{7}", 40, 0, 0), ["red \u{fffd}[31m\u{fffd}"]);
    }
}
