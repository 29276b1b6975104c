//! The tables, a story in their place, and the lines around them.

use std::time::Instant;

use ratatui::{
    layout::Rect,
    style::{Modifier, Style},
};

use super::{BOLD, DIM, Paint, Piece, REVERSED, line, plain};
use crate::{
    cmd::top::{
        app::{App, Open, Tab},
        figures::{count, cut},
        table::{Align, Arrow, Drawn, Heading, Tone},
    },
    control::Named,
};

/// Room for the mark before the selected row.
const MARK: u16 = 2;

pub(super) fn tabs(app: &App, area: Rect, paint: &mut Paint<'_>) {
    if let Some(open) = &app.open {
        let last = (open.top + open.page).min(open.lines.len());
        let taken = paint.left(area, &[(format!("[the story of {}]", Named(&open.source)), REVERSED)]);
        paint.right(area, taken, &[plain(format!("lines {}-{last} of {}", open.top + 1, open.lines.len()))]);
        return;
    }
    let mut pieces = Vec::new();
    for tab in Tab::ALL {
        let number = match tab {
            Tab::Sources => Some(app.sources_known()),
            Tab::Blocks => Some(app.status.blocks.automatic + app.status.blocks.operator),
            Tab::Findings => None,
        };
        let number = number.map_or_else(String::new, |number| format!(" {}", count(number as u64)));
        let text = format!("{}{number}", tab.name());
        pieces.push(match tab == app.tab {
            true => (format!("[{text}]"), REVERSED),
            false => plain(format!(" {text} ")),
        });
        pieces.push(plain(" "));
    }
    let taken = paint.left(area, &pieces);
    let rows = app.rows();
    let (title, descending) = rows.sorting();
    let mut shown = Vec::new();
    if !app.filter.is_empty() {
        let (some, all) = rows.len();
        shown.push((format!("{}: {some} of {all}  ", cut(&app.filter, 20)), paint.tone(Tone::Warn)));
    }
    shown.push(plain(format!("by {title} {}", if descending { "▼" } else { "▲" })));
    paint.right(area, taken, &shown);
}

pub(super) fn body(app: &App, area: Rect, paint: &mut Paint<'_>) {
    if let Some(open) = &app.open {
        return story(open, area, paint);
    }
    let rows = app.rows();
    let drawn = rows.drawn(area.width.saturating_sub(MARK).into());
    headings(&drawn.headings, line(area, 0), paint);
    if drawn.rows.is_empty() {
        let why = match (app.tab, rows.is_told(), rows.len().1) {
            (_, false, _) => "asking …",
            (_, true, 1..) => "the filter lets nobody pass; Esc shows all",
            (Tab::Sources, ..) => "nobody has tried to connect in the last 10 minutes",
            (Tab::Blocks, ..) => "nobody is blocked",
            (Tab::Findings, ..) => "no rule has found anything since the start",
        };
        paint.left(line(area, 1), &[plain("  "), plain(why)]);
    }
    for (n, y) in (0..drawn.rows.len()).zip(1..area.height) {
        row(&drawn, n, line(area, y), paint);
    }
}

fn story(open: &Open, area: Rect, paint: &mut Paint<'_>) {
    for (n, text) in (0..area.height).zip(open.lines.iter().skip(open.top)) {
        let style = if text.starts_with(' ') { Style::new() } else { BOLD };
        paint.left(line(area, n), &[(text.clone(), style)]);
    }
}

fn headings(headings: &[Heading], area: Rect, paint: &mut Paint<'_>) {
    let mut x = area.x + MARK;
    for Heading { title, letter, align, width, sorted } in headings {
        let width = u16::try_from(*width).unwrap_or(u16::MAX);
        let length = u16::try_from(title.len()).unwrap_or(u16::MAX);
        let start = if *align == Align::Right { x + width.saturating_sub(length) } else { x };
        let (before, after) = title.split_once(*letter).unwrap_or((title, ""));
        let underlined = (letter.to_string(), BOLD.add_modifier(Modifier::UNDERLINED));
        let arrow = match sorted {
            Some(Arrow::Down) => "▼",
            Some(Arrow::Up) => "▲",
            None => "",
        };
        let pieces = [(before.to_owned(), BOLD), underlined, (after.to_owned(), BOLD), plain(arrow)];
        let room = area.right().saturating_sub(start);
        paint.left(Rect { x: start.min(area.right()), width: room, ..area }, &pieces);
        x = x.saturating_add(width + 1);
    }
}

fn row(drawn: &Drawn, n: usize, area: Rect, paint: &mut Paint<'_>) {
    let selected = drawn.selected == Some(n);
    let mut pieces: Vec<Piece> = vec![plain(if selected { "> " } else { "  " })];
    for (Heading { align, width, .. }, (text, tone)) in drawn.headings.iter().zip(&drawn.rows[n]) {
        let text = cut(text, *width);
        let text = match align {
            Align::Left => format!("{text:<width$}"),
            Align::Right => format!("{text:>width$}"),
        };
        // Reversed, a colour would be that of the ground.
        let style = if selected { Style::new() } else { paint.tone(*tone) };
        pieces.extend([(text, style), plain(" ")]);
    }
    paint.left(area, &pieces);
    if selected {
        paint.buffer.set_style(area, REVERSED);
    }
}

/// What the operator types, or what came of it.
pub(super) fn said(app: &App, now: Instant, area: Rect, paint: &mut Paint<'_>) {
    if app.typing {
        let hint = (" (address, network or words; Enter: keep, Esc: show all)".to_owned(), DIM);
        paint.left(area, &[plain("show only: "), (app.filter.clone(), BOLD), plain("_"), hint]);
    } else if let Some(said) = app.said(now) {
        paint.left(area, &[plain(said)]);
    }
}

/// The keys that there is room for, those first that get somebody out or further.
pub(super) fn keys(app: &App, area: Rect, paint: &mut Paint<'_>) {
    const TABLE: [(&str, &str); 11] = [
        ("Enter", "story"),
        ("Tab", "view"),
        ("b", "block"),
        ("u", "unblock"),
        ("a", "allow"),
        ("/", "filter"),
        ("s", "sort"),
        ("p", "pause"),
        ("d", "disallow"),
        ("S", "reverse"),
        ("arrows", "move"),
    ];
    const STORY: [(&str, &str); 6] =
        [("Esc", "back"), ("arrows", "scroll"), ("b", "block"), ("u", "unblock"), ("a", "allow"), ("d", "disallow")];
    let (keys, ends): (&[_], &[_]) = match app.open {
        None => (&TABLE, &[("?", "help"), ("q", "quit")]),
        Some(_) => (&STORY, &[("?", "help"), ("^C", "quit")]),
    };
    let length = |(key, does): &(&str, &str)| key.len() + does.len() + 3;
    let mut room = usize::from(area.width).saturating_sub(ends.iter().map(length).sum::<usize>());
    let fitting = keys.iter().take_while(|key| {
        let fits = length(key) <= room;
        room = room.saturating_sub(length(key));
        fits
    });
    let mut pieces = Vec::new();
    for (key, does) in fitting.chain(ends) {
        pieces.extend([((*key).to_owned(), BOLD), plain(format!(" {does}  "))]);
    }
    paint.left(area, &pieces);
}
