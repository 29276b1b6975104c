//! Tables that fit the screen: a line a row, never wrapped; what is too long is shortened.

use super::{
    layout::harmless,
    screen::{Paint, Screen},
};

/// The least that is left of a cell that is shortened, in characters.
const LEAST: usize = 8;

/// What of the last column is worth more than a spare column, in characters.
const ENOUGH: usize = 12;

/// Between two columns.
const GAP: &str = "  ";

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    title: &'static str,
    is_number: bool,
    is_spare: bool,
}

impl Column {
    /// Of words, which lean to the left.
    pub(super) const fn words(title: &'static str) -> Self {
        Self { title, is_number: false, is_spare: false }
    }

    /// Of numbers, which lean to the right.
    pub(super) const fn numbers(title: &'static str) -> Self {
        Self { is_number: true, ..Self::words(title) }
    }

    /// One that is left out where there is no room.
    pub(super) const fn spare(self) -> Self {
        Self { is_spare: true, ..self }
    }
}

/// The lines of a table, its titles first. The first column is who it is about. Where the table is wider than the
/// screen, spare columns are left out from the right until all but the last fit; then the last column is shortened, then
/// the widest but the first, and the first only if nothing else is left.
pub(super) fn table<const N: usize>(columns: &[Column; N], rows: &[[String; N]], screen: Screen) -> String {
    let mut widths = columns.map(|column| Some(column.title.chars().count()));
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(|cell| harmless(cell))).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(Some(cell.chars().count()));
        }
    }
    fit(columns, &mut widths, screen.width);
    let line = |row: [&str; N]| {
        let cells = row.into_iter().zip(widths).zip(columns).filter_map(|((cell, width), column)| {
            let (cell, width) = (shorten(cell, width?), width?);
            Some(if column.is_number { format!("{cell:>width$}") } else { format!("{cell:<width$}") })
        });
        cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
    };
    let mut out = screen.paint(&line(columns.map(|column| column.title)), Paint::Bold) + "\n";
    rows.iter().for_each(|row| out += &(line(row.each_ref().map(String::as_str)) + "\n"));
    out
}

/// Makes the widths fit; none is that of a column that is left out.
fn fit(columns: &[Column], widths: &mut [Option<usize>], width: usize) {
    let excess = |widths: &[Option<usize>]| {
        let shown = widths.iter().flatten();
        (shown.clone().sum::<usize>() + GAP.len() * shown.count().saturating_sub(1)).saturating_sub(width)
    };
    let cut = widths.last().copied().flatten().unwrap_or(0).saturating_sub(ENOUGH);
    for (n, _) in columns.iter().enumerate().rev().filter(|(_, column)| column.is_spare) {
        if excess(widths) > cut {
            widths[n] = None;
        }
    }
    let is_too_wide = |widths: &[Option<usize>]| excess(widths) > 0;
    while is_too_wide(widths)
        && let Some(last) = widths.iter_mut().flatten().next_back().filter(|last| **last > LEAST)
    {
        *last -= 1;
    }
    for first in [1, 0] {
        while is_too_wide(widths)
            && let Some(widest) =
                widths.iter_mut().skip(first).flatten().filter(|width| **width > LEAST).max_by_key(|width| **width)
        {
            *widest -= 1;
        }
    }
}

/// Text of at most `width` characters; `…` stands for what is missing.
pub(super) fn shorten(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    const COLUMNS: [Column; 4] =
        [Column::words("WHO"), Column::numbers("HOW MANY"), Column::words("SINCE").spare(), Column::words("WHY")];

    fn shown(width: usize, colour: bool) -> String {
        let row = |who: &str, many: &str, why: &str| [who, many, "yesterday", why].map(str::to_owned);
        let rows = [
            row("192.0.2.1", "1,234", "port-scan"),
            row("2001:db8:1234:5678:9abc:def0:1234:5678", "7", "operator: who says \u{1b}[31mvery much about it"),
        ];
        table(&COLUMNS, &rows, Screen { width, colour })
    }

    #[test]
    fn a_table_is_as_wide_as_it_needs_to_be() {
        assert_snapshot!(shown(120, false), @"
        WHO                                     HOW MANY  SINCE      WHY
        192.0.2.1                                  1,234  yesterday  port-scan
        2001:db8:1234:5678:9abc:def0:1234:5678         7  yesterday  operator: who says �[31mvery much about it
        ");
    }

    #[test]
    fn what_is_too_long_is_shortened_from_the_last_column_on() {
        for width in [40, 60, 80] {
            assert!(shown(width, false).lines().all(|line| line.chars().count() <= width), "{width}");
        }
        assert_snapshot!(shown(80, false), @"
        WHO                                     HOW MANY  SINCE      WHY
        192.0.2.1                                  1,234  yesterday  port-scan
        2001:db8:1234:5678:9abc:def0:1234:5678         7  yesterday  operator: who says…
        ");
        assert_snapshot!(shown(40, false), @"
        WHO                   HOW MANY  WHY
        192.0.2.1                1,234  port-sc…
        2001:db8:1234:5678:…         7  operato…
        ");
    }

    #[test]
    fn titles_stand_out_on_a_terminal_and_columns_stay_aligned() {
        let plain = shown(80, true).replace("\u{1b}[1m", "").replace("\u{1b}[0m", "");
        assert_eq!(plain, shown(80, false));
        assert!(shown(80, true).starts_with("\u{1b}[1mWHO"));
    }

    #[test]
    fn a_shortened_text_says_so() {
        assert_eq!(["", "äöü", "äöüß"].map(|text| shorten(text, 3)), ["", "äöü", "äö…"]);
    }
}
