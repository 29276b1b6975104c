//! Where text is shown: how wide it is, and whether it has colours.

use std::{
    env,
    io::{self, IsTerminal as _},
};

use super::layout::NARROWEST;

/// The width where there is no terminal to ask, in characters.
const USUAL: usize = 80;

/// Where text is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Screen {
    /// Characters in a line.
    pub(super) width: usize,
    /// Whether text may be painted.
    pub(super) colour: bool,
}

/// How text is painted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    /// Headings.
    Bold,
    /// What somebody should look at.
    Red,
}

impl Screen {
    /// Standard output, and what the environment says about it.
    pub(super) fn here() -> Self {
        let terminal = io::stdout().is_terminal();
        let asked = || terminal_size::terminal_size().map(|(terminal_size::Width(width), _)| usize::from(width));
        Self::of(|name| env::var(name).ok(), terminal, if terminal { asked() } else { None })
    }

    fn of(var: impl Fn(&str) -> Option<String>, terminal: bool, asked: Option<usize>) -> Self {
        let is_set = |name: &str| var(name).is_some_and(|value| !value.is_empty() && value != "0");
        let columns = var("COLUMNS").and_then(|text| text.parse().ok()).filter(|columns| *columns > 0);
        let colour = if var("NO_COLOR").is_some_and(|value| !value.is_empty()) {
            false
        } else {
            is_set("CLICOLOR_FORCE") || (terminal && var("TERM").as_deref() != Some("dumb"))
        };
        Self { width: columns.or(asked).unwrap_or(USUAL).max(NARROWEST), colour }
    }

    /// Text as it is painted here.
    pub(super) fn paint(&self, text: &str, paint: Paint) -> String {
        if !self.colour || text.trim().is_empty() {
            return text.to_owned();
        }
        let code = match paint {
            Paint::Bold => 1,
            Paint::Red => 31,
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(vars: &[(&str, &str)], terminal: bool, asked: Option<usize>) -> Screen {
        let var = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        Screen::of(var, terminal, asked)
    }

    #[test]
    fn the_width_is_what_columns_says_then_the_terminals_then_80() {
        assert_eq!(screen(&[("COLUMNS", "120")], true, Some(90)).width, 120);
        assert_eq!(screen(&[], true, Some(90)).width, 90);
        assert_eq!(screen(&[], false, None).width, 80);
        for nonsense in ["", "0", "wide", "-3"] {
            assert_eq!(screen(&[("COLUMNS", nonsense)], false, None).width, 80, "{nonsense}");
        }
        assert_eq!(screen(&[("COLUMNS", "3")], false, None).width, NARROWEST);
    }

    #[test]
    fn there_is_colour_on_a_terminal_alone_unless_somebody_says_otherwise() {
        for (vars, terminal, colour) in [
            (&[][..], true, true),
            (&[], false, false),
            (&[("TERM", "dumb")], true, false),
            (&[("NO_COLOR", "1")], true, false),
            (&[("NO_COLOR", "")], true, true),
            (&[("CLICOLOR_FORCE", "1")], false, true),
            (&[("CLICOLOR_FORCE", "0")], false, false),
            (&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], true, false),
        ] {
            assert_eq!(screen(vars, terminal, None).colour, colour, "{vars:?}");
        }
    }

    #[test]
    fn painted_text_ends_its_paint() {
        let screen = Screen { width: 80, colour: true };
        assert_eq!(screen.paint("no", Paint::Bold), "\u{1b}[1mno\u{1b}[0m");
        assert_eq!(screen.paint("  ", Paint::Bold), "  ");
        assert_eq!(Screen { colour: false, ..screen }.paint("no", Paint::Bold), "no");
    }
}
