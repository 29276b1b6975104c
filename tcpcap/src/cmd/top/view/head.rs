//! How it is going, in the lines at the top.

use std::time::Instant;

use indicatif::HumanCount;
use ratatui::{
    layout::Rect,
    style::{Modifier, Style},
    widgets::{Sparkline, Widget as _},
};

use super::{BOLD, DIM, Paint, Piece, line, plain};
use crate::{
    cmd::{
        layout::fold,
        top::{
            app::{App, Silence},
            chart::{Chart, chart},
            figures::{count, cut, rate},
            table::Tone,
        },
    },
    control::{Sample, Status, readable},
};

pub(super) fn draw(app: &App, now: Instant, area: Rect, paint: &mut Paint<'_>) {
    let Status { version, mode, scope, uptime_s, .. } = &app.status;
    let first = line(area, 0);
    let Some(second) = (!version.is_empty()).then(|| line(area, 1)) else {
        paint.left(first, &[("tcpcap".to_owned(), BOLD), plain("  asking …")]);
        return;
    };
    let tone = if mode == "enforce" { Tone::Good } else { Tone::Warn };
    let scope = if scope == "all" { String::new() } else { format!(" scope {scope}") };
    let mut pieces = vec![
        (format!("tcpcap {version}  "), BOLD),
        (mode.clone(), paint.tone(tone).add_modifier(Modifier::BOLD)),
        plain(scope + "  "),
    ];
    let live = match (app.silence(now), app.paused) {
        (Some(silence), _) => (format!("no answer for {} s", silence.seconds), paint.tone(Tone::Bad)),
        (None, true) => ("PAUSED".to_owned(), paint.tone(Tone::Warn).add_modifier(Modifier::BOLD)),
        (None, false) => plain(format!("up {}  live", readable(*uptime_s))),
    };
    // How fresh it all is has its place in any case.
    let length = |pieces: &[Piece]| pieces.iter().map(|(text, _)| text.chars().count()).sum::<usize>();
    let room = usize::from(area.width).saturating_sub(length(&pieces) + live.0.chars().count() + 2);
    pieces.push(plain(cut(&interfaces(&app.status), room)));
    let taken = paint.left(first, &pieces);
    paint.right(first, taken, &[live]);
    paint.left(second, &health(&app.status, paint));
}

fn interfaces(status: &Status) -> String {
    let names: Vec<_> = status.interfaces.iter().map(|shown| format!("{} {}", shown.name, shown.mode)).collect();
    if names.is_empty() { "no interface".to_owned() } else { names.join(", ") }
}

/// What is blocked, and what is not as it should be.
fn health(status: &Status, paint: &Paint<'_>) -> Vec<Piece> {
    let blocks = &status.blocks;
    let mut pieces = vec![
        plain("blocks "),
        (HumanCount(blocks.automatic as u64).to_string(), BOLD),
        plain(" automatic, "),
        (HumanCount(blocks.operator as u64).to_string(), BOLD),
        plain(" operator, "),
        (count(blocks.feed as u64), BOLD),
        plain(" feed"),
    ];
    if blocks.owed > 0 {
        pieces.push((format!(", {} owed", HumanCount(blocks.owed as u64)), paint.tone(Tone::Warn)));
    }
    pieces.push(match status.breaker_open {
        false => plain("  breaker closed"),
        true => ("  BREAKER OPEN".to_owned(), paint.tone(Tone::Bad).add_modifier(Modifier::BOLD)),
    });
    let parts = [("pins", &status.pins), ("history", &status.history), ("mirror", &status.mirror)];
    let degraded: Vec<_> = parts.iter().filter(|(_, part)| part.state == "degraded").map(|(name, _)| *name).collect();
    if !degraded.is_empty() {
        pieces.push((format!("  degraded: {}", degraded.join(" ")), paint.tone(Tone::Warn)));
    }
    pieces
}

/// Attempts and drops over the last minutes, side by side.
pub(super) fn charts(app: &App, area: Rect, paint: &mut Paint<'_>) {
    const GAP: u16 = 2;
    let half = area.width.saturating_sub(GAP) / 2;
    let left = Rect { width: half, ..area };
    let right = Rect { x: area.right() - half, width: half, ..area };
    let observes = app.status.mode == "observe";
    let drops: (_, fn(&Sample) -> u64) = match observes {
        false => ("drops/s", |sample| sample.dropped_packets),
        true => ("would-drops/s", |sample| sample.would_drop_packets),
    };
    one(app, ("attempts/s", |sample| sample.attempts), Tone::Warn, left, paint);
    one(app, drops, if observes { Tone::Warn } else { Tone::Bad }, right, paint);
}

fn one(app: &App, (name, of): (&str, fn(&Sample) -> u64), tone: Tone, area: Rect, paint: &mut Paint<'_>) {
    if area.height < 2 || area.width < 20 {
        return;
    }
    let Chart { bars, now, most, span_s } = chart(&app.seconds, area.width.into(), of);
    let most_said = format!("at most {} in {} min", rate(most), (span_s + 30) / 60);
    let taken = paint.left(line(area, 0), &[(rate(now), BOLD), plain(format!(" {name}"))]);
    paint.right(line(area, 0), taken, &[(most_said, DIM)]);
    let columns = u16::try_from(bars.len()).unwrap_or(area.width).min(area.width);
    let bars_area = Rect { x: area.right() - columns, y: area.y + 1, width: columns, height: area.height - 1 };
    let highest = bars.iter().flatten().copied().max().unwrap_or(0).max(1);
    Sparkline::default().data(bars).max(highest).style(paint.tone(tone)).render(bars_area, paint.buffer);
}

/// Why nothing new comes, in the place of what would be out of date.
pub(super) fn silence(silence: &Silence<'_>, area: Rect, paint: &mut Paint<'_>) {
    let bad = paint.tone(Tone::Bad).add_modifier(Modifier::BOLD);
    let (cause, remedy) = match silence.failure {
        Some(failure) => (failure.cause.as_str(), failure.remedy.as_str()),
        None => ("tcpcap takes its time", "what is shown below is what it said last"),
    };
    let lines = fold(cause, area.width.into(), 0, 2).into_iter().map(|text| (text, bad));
    let help = fold(&format!("help: {remedy}"), area.width.into(), 1, 2).into_iter().map(|text| (text, Style::new()));
    for (n, piece) in (0..area.height).zip(lines.chain(help)) {
        paint.left(line(area, n), &[piece]);
    }
}
