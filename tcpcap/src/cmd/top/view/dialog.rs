//! What stands in front.

use ratatui::{
    layout::Rect,
    widgets::{Block, Clear, Widget as _},
};

use super::{BOLD, DIM, Paint, Piece, REVERSED, line, plain};
use crate::cmd::{
    layout::fold,
    top::{
        app::App,
        dialog::{Dialog, LENGTHS, consequence},
        keys::KEYS,
    },
};

/// The widest it is, borders included.
const WIDEST: u16 = 78;

/// Room for the keys in the help.
const KEY: usize = 30;

pub(super) fn draw(app: &App, asked: &Dialog, area: Rect, paint: &mut Paint<'_>) {
    let widest = if *asked == Dialog::Help { WIDEST } else { 64 };
    let width = area.width.min(widest);
    let room = usize::from(width.saturating_sub(4));
    let mut lines = told(app, asked, room);
    lines.extend([plain(""), (asked.keys().to_owned(), DIM)]);
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX).min(area.height);
    let place = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    Clear.render(place, paint.buffer);
    Block::bordered().title(format!(" {} ", asked.title())).title_style(BOLD).render(place, paint.buffer);
    let inside = Rect {
        x: place.x + 2.min(width),
        y: place.y + 1.min(height),
        width: width.saturating_sub(4),
        height: height.saturating_sub(2),
    };
    for (n, piece) in (0..inside.height).zip(lines) {
        paint.left(line(inside, n), &[piece]);
    }
}

fn told(app: &App, asked: &Dialog, room: usize) -> Vec<Piece> {
    let folded = |text: &str| fold(text, room, 0, 0).into_iter().map(plain).collect::<Vec<_>>();
    match asked {
        Dialog::HowLong { choice, .. } => LENGTHS
            .iter()
            .enumerate()
            .map(|(n, length)| match n == *choice {
                true => (format!("> {}  {}", length.key, length.said), REVERSED),
                false => plain(format!("  {}  {}", length.key, length.said)),
            })
            .collect(),
        Dialog::Confirm { command } => folded(consequence(command, &app.status)),
        Dialog::Refused { cause, remedy, .. } => [folded(cause), folded(&format!("help: {remedy}"))].concat(),
        Dialog::Help => KEYS.iter().flat_map(|(key, does)| help(key, does, room)).collect(),
    }
}

fn help(key: &str, does: &str, room: usize) -> Vec<Piece> {
    let mut lines = fold(does, room, KEY, KEY);
    if let Some(first) = lines.first_mut() {
        first.replace_range(..key.len().min(KEY), key);
    }
    lines.into_iter().map(plain).collect()
}
