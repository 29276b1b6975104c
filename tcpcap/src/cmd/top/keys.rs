//! What the keys do.

use std::time::Instant;

use ipnet::IpNet;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::{
    app::{App, Do, Open, Tab},
    dialog::{Dialog, LENGTHS, wish},
};
use crate::control::{Command, Named};

/// The keys of the tables, for the help.
pub(super) const KEYS: [(&str, &str); 14] = [
    ("arrows j k PgUp PgDn Home End", "move; Home stays with whoever comes first"),
    ("Tab, 1 2 3", "sources, blocks, findings"),
    ("Enter", "the story of the address: what it did, why it is blocked, what comes next"),
    ("b", "block it: asks for how long, and whether"),
    ("u", "unblock it"),
    ("a", "allow it: never block it"),
    ("d", "take an allow back"),
    ("/", "show only some: the beginning of an address, a network, words"),
    ("Esc", "show all again; back from a story"),
    ("s S", "sort by the next column; the other way round"),
    ("capital letters", "sort by the column in which it is underlined"),
    ("p, Space", "pause, and go on"),
    ("?", "these keys"),
    ("q, Ctrl-C", "quit"),
];

/// The longest filter, in characters.
const LONGEST_FILTER: usize = 60;

impl App {
    /// Takes a key.
    pub(super) fn key(&mut self, key: KeyEvent, now: Instant) -> Option<Do> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if control => return Some(Do::Quit),
            // Nothing else is asked for with these held.
            _ if control || key.modifiers.contains(KeyModifiers::ALT) => return None,
            _ => {}
        }
        if let Some(dialog) = self.dialog.take() {
            return self.answer(dialog, key.code, now);
        }
        if self.typing {
            self.type_filter(key.code);
            return None;
        }
        match key.code {
            KeyCode::Char('?') => self.dialog = Some(Dialog::Help),
            KeyCode::Char('p' | ' ') => self.pause(),
            KeyCode::Char('b') => self.about(now, |network, _| Ok(Dialog::HowLong { network, choice: 0 })),
            KeyCode::Char('u') => self.about(now, |network, _| Ok(confirm(Command::Unblock { network }))),
            KeyCode::Char('a') => self.about(now, |network, _| Ok(confirm(Command::Allow { network }))),
            KeyCode::Char('d') => self.about(now, |network, app| match app.allowed(network) {
                Some(network) => Ok(confirm(Command::Disallow { network })),
                None => Err(format!("{} is not among what is allowed", Named(&network))),
            }),
            code => return if self.open.is_some() { self.in_story(code) } else { self.in_table(code, now) },
        }
        None
    }

    fn in_table(&mut self, code: KeyCode, now: Instant) -> Option<Do> {
        let page = isize::try_from(self.rows().page()).unwrap_or(isize::MAX);
        match code {
            KeyCode::Char('q') => return Some(Do::Quit),
            KeyCode::Up | KeyCode::Char('k') => self.rows_mut().move_by(-1),
            KeyCode::Down | KeyCode::Char('j') => self.rows_mut().move_by(1),
            KeyCode::PageUp => self.rows_mut().move_by(-page),
            KeyCode::PageDown => self.rows_mut().move_by(page),
            KeyCode::Home | KeyCode::Char('g') => self.rows_mut().home(),
            KeyCode::End => self.rows_mut().end(),
            KeyCode::Enter => self.open(now),
            KeyCode::Tab => self.next_tab(1),
            KeyCode::BackTab => self.next_tab(Tab::ALL.len() - 1),
            KeyCode::Char('1') => self.tab = Tab::Sources,
            KeyCode::Char('2') => self.tab = Tab::Blocks,
            KeyCode::Char('3') => self.tab = Tab::Findings,
            KeyCode::Char('/') => self.typing = true,
            KeyCode::Esc => self.set_filter(String::new()),
            KeyCode::Char('s') => self.rows_mut().sort_by_next(),
            KeyCode::Char('S') => self.rows_mut().reverse(),
            KeyCode::Char(letter) if letter.is_ascii_uppercase() => self.sort_by(letter, now),
            _ => {}
        }
        None
    }

    fn sort_by(&mut self, letter: char, now: Instant) {
        if !self.rows_mut().sort_by(letter) {
            self.say(format!("no column is sorted by {letter}; ? shows the keys"), now);
        }
    }

    fn next_tab(&mut self, steps: usize) {
        let here = Tab::ALL.iter().position(|tab| *tab == self.tab).unwrap_or(0);
        self.tab = Tab::ALL[(here + steps) % Tab::ALL.len()];
    }

    fn in_story(&mut self, code: KeyCode) -> Option<Do> {
        let Some(open) = &mut self.open else { return None };
        let Open { top, page, .. } = *open;
        match code {
            KeyCode::Esc | KeyCode::Enter | KeyCode::Backspace | KeyCode::Left | KeyCode::Char('q') => self.open = None,
            KeyCode::Up | KeyCode::Char('k') => open.scroll_to(top.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => open.scroll_to(top + 1),
            KeyCode::PageUp => open.scroll_to(top.saturating_sub(page)),
            KeyCode::PageDown => open.scroll_to(top + page),
            KeyCode::Home | KeyCode::Char('g') => open.scroll_to(0),
            KeyCode::End => open.scroll_to(usize::MAX),
            _ => {}
        }
        None
    }

    fn type_filter(&mut self, code: KeyCode) {
        let mut text = self.filter.clone();
        match code {
            KeyCode::Enter => self.typing = false,
            KeyCode::Esc => {
                self.typing = false;
                text.clear();
            }
            KeyCode::Backspace => {
                text.pop();
            }
            KeyCode::Char(c) if text.chars().count() < LONGEST_FILTER => text.push(c),
            _ => {}
        }
        if text != self.filter {
            self.set_filter(text);
        }
    }

    /// Asks about whom a command would be about.
    fn about(&mut self, now: Instant, ask: impl FnOnce(IpNet, &Self) -> Result<Dialog, String>) {
        let asked = match self.subject() {
            Some(network) => ask(network, self),
            None => Err("nobody is selected".to_owned()),
        };
        match asked {
            Ok(dialog) => self.dialog = Some(dialog),
            Err(why) => self.say(why, now),
        }
    }

    /// The smallest allowed network that holds this one.
    fn allowed(&self, network: IpNet) -> Option<IpNet> {
        let holding = self.status.allowed.iter().filter(|allowed| allowed.contains(&network));
        holding.max_by_key(|allowed| allowed.prefix_len()).copied()
    }

    fn answer(&mut self, dialog: Dialog, code: KeyCode, now: Instant) -> Option<Do> {
        match dialog {
            Dialog::Help | Dialog::Refused { .. } => None,
            Dialog::HowLong { network, choice } => {
                self.dialog = how_long(network, choice, code);
                None
            }
            Dialog::Confirm { command } => match code {
                KeyCode::Char('y' | 'Y') => {
                    self.say(format!("{} …", wish(&command)), now);
                    Some(Do::Act(command))
                }
                KeyCode::Char('n' | 'N' | 'q') | KeyCode::Esc => {
                    self.say("nothing was done".to_owned(), now);
                    None
                }
                // A slip of the finger neither does it nor takes the question away.
                _ => {
                    self.dialog = Some(Dialog::Confirm { command });
                    None
                }
            },
        }
    }
}

const fn confirm(command: Command) -> Dialog {
    Dialog::Confirm { command }
}

fn how_long(network: IpNet, choice: usize, code: KeyCode) -> Option<Dialog> {
    let last = LENGTHS.len() - 1;
    let choice = match code {
        KeyCode::Up | KeyCode::Char('k') => choice.saturating_sub(1),
        KeyCode::Down | KeyCode::Char('j') => (choice + 1).min(last),
        KeyCode::Enter => return Some(confirm(Command::Block { network, lasts: LENGTHS[choice].lasts, note: None })),
        KeyCode::Esc | KeyCode::Char('q' | 'n') => return None,
        KeyCode::Char(c) => LENGTHS.iter().position(|length| length.key == c).unwrap_or(choice),
        _ => choice,
    };
    Some(Dialog::HowLong { network, choice })
}
