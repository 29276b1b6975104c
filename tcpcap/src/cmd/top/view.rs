//! What the screen looks like.

mod dialog;
mod head;
mod table;

use std::time::Instant;

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Color, Modifier, Style},
};

use super::{app::App, figures::cut, table::Tone};

/// Where everything stands, from top to bottom.
#[derive(Clone, Copy, Debug)]
struct Places {
    head: Rect,
    charts: Rect,
    tabs: Rect,
    body: Rect,
    said: Rect,
    keys: Rect,
}

impl Places {
    /// A story has more to say than charts have.
    fn of(area: Rect, story: bool) -> Self {
        // What is worth most keeps its place longest: the rows.
        let (head, charts) = match area.height {
            0..10 => (0, 0),
            10..18 => (2, 0),
            18..34 => (2, 3),
            _ if story => (2, 3),
            _ => (2, 6),
        };
        let mut y = area.y;
        let mut take = |height: u16| {
            let height = height.min(area.bottom().saturating_sub(y));
            let place = Rect { x: area.x, y, width: area.width, height };
            y += height;
            place
        };
        let (head, charts, tabs) = (take(head), take(charts), take(1));
        let rest = area.bottom() - tabs.bottom();
        let body = take(rest.saturating_sub(2));
        Self { head, charts, tabs, body, said: take(1), keys: take(1) }
    }
}

/// Where a table or a story stands.
pub(super) fn body(area: Rect, story: bool) -> Rect {
    Places::of(area, story).body
}

/// Paints all of it.
pub(super) fn draw(app: &App, now: Instant, area: Rect, buffer: &mut Buffer) {
    let places = Places::of(area, app.open.is_some());
    let mut paint = Paint { colour: app.colour, buffer };
    head::draw(app, now, places.head, &mut paint);
    match app.silence(now) {
        Some(silence) if places.charts.height > 0 => head::silence(&silence, places.charts, &mut paint),
        _ => head::charts(app, places.charts, &mut paint),
    }
    table::tabs(app, places.tabs, &mut paint);
    table::body(app, places.body, &mut paint);
    table::said(app, now, places.said, &mut paint);
    table::keys(app, places.keys, &mut paint);
    if let Some(asked) = &app.dialog {
        dialog::draw(app, asked, area, &mut paint);
    }
}

/// Text and how it stands out.
type Piece = (String, Style);

/// What is painted on.
struct Paint<'a> {
    colour: bool,
    buffer: &'a mut Buffer,
}

impl Paint<'_> {
    fn tone(&self, tone: Tone) -> Style {
        match tone {
            _ if !self.colour => Style::new(),
            Tone::Plain => Style::new(),
            Tone::Good => Style::new().fg(Color::Green),
            Tone::Warn => Style::new().fg(Color::Yellow),
            Tone::Bad => Style::new().fg(Color::Red),
        }
    }

    /// Text at the left end of a line, cut where there is no room. Returns how much room it took.
    fn left(&mut self, line: Rect, pieces: &[Piece]) -> u16 {
        let mut x = line.x;
        for (text, style) in pieces {
            let room = line.right().saturating_sub(x);
            if line.height == 0 || room == 0 {
                break;
            }
            (x, _) = self.buffer.set_stringn(x, line.y, cut(text, room.into()), room.into(), *style);
        }
        x - line.x
    }

    /// Text at the right end, if there is room beside what stands at the left.
    fn right(&mut self, line: Rect, taken: u16, pieces: &[Piece]) {
        let needed: usize = pieces.iter().map(|(text, _)| text.chars().count()).sum();
        let Ok(needed) = u16::try_from(needed) else { return };
        if taken + needed < line.width || (taken == 0 && needed <= line.width) {
            self.left(Rect { x: line.right() - needed, width: needed, ..line }, pieces);
        }
    }
}

const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const DIM: Style = Style::new().add_modifier(Modifier::DIM);
const REVERSED: Style = Style::new().add_modifier(Modifier::REVERSED);

fn plain(text: impl Into<String>) -> Piece {
    (text.into(), Style::new())
}

/// The n-th line of an area.
fn line(area: Rect, n: u16) -> Rect {
    let height = u16::from(n < area.height);
    Rect { y: area.y + n.min(area.height), height, ..area }
}
