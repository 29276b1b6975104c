//! Rows that are sorted, filtered and moved through. What is selected stays selected, wherever its row goes.

use std::cmp::Ordering;

use ipnet::IpNet;

use super::filter::{Filter, Looks};

/// Where a cell's text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// How something stands out; never by this alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Good,
    Warn,
    Bad,
}

/// A column.
pub(super) struct Column<T: 'static> {
    pub(super) title: &'static str,
    /// The capital letter that sorts by it.
    pub(super) letter: char,
    pub(super) align: Align,
    /// The room it takes, in characters.
    pub(super) width: usize,
    /// Those with a lower figure get room first.
    pub(super) rank: u8,
    /// Sorted by it, the greatest come first.
    pub(super) greatest_first: bool,
    pub(super) cell: fn(&T) -> String,
    /// What stands there instead while there is no room for the column before it, where it fits.
    pub(super) alone: Option<fn(&T) -> String>,
    pub(super) compare: fn(&T, &T) -> Ordering,
    pub(super) tone: fn(&T) -> Tone,
}

impl<T> Column<T> {
    /// Words, sorted from A to Z.
    pub(super) const fn words(
        title: &'static str,
        letter: char,
        (width, rank): (usize, u8),
        cell: fn(&T) -> String,
        compare: fn(&T, &T) -> Ordering,
    ) -> Self {
        let tone = |_: &T| Tone::Plain;
        Self { title, letter, align: Align::Left, width, rank, greatest_first: false, cell, alone: None, compare, tone }
    }

    /// A figure, the greatest first.
    pub(super) const fn figure(
        title: &'static str,
        letter: char,
        room: (usize, u8),
        cell: fn(&T) -> String,
        compare: fn(&T, &T) -> Ordering,
    ) -> Self {
        Self { align: Align::Right, greatest_first: true, ..Self::words(title, letter, room, cell, compare) }
    }

    /// The smallest first.
    pub(super) const fn smallest_first(self) -> Self {
        Self { greatest_first: false, ..self }
    }

    /// From Z to A, so that those that have none come last.
    pub(super) const fn greatest_first(self) -> Self {
        Self { greatest_first: true, ..self }
    }

    pub(super) const fn toned(self, tone: fn(&T) -> Tone) -> Self {
        Self { tone, ..self }
    }

    pub(super) const fn alone(self, alone: fn(&T) -> String) -> Self {
        Self { alone: Some(alone), ..self }
    }
}

/// What a row is made from.
pub(super) trait Shown: Sized + 'static {
    /// What it is known by from one look to the next.
    type Key: Clone + Eq;

    /// The first one takes the room that its content needs, the last one what is left.
    const COLUMNS: &'static [Column<Self>];

    /// What it is sorted by at first.
    const SORTED_BY: char;

    fn key(&self) -> Self::Key;

    /// Whom it is about, if it can be blocked and explained.
    fn network(&self) -> Option<IpNet>;

    fn looks(&self) -> Looks;

    /// Characters of the first cell.
    fn name_width(&self) -> usize;
}

/// The rows of a kind.
pub(super) struct Table<T: Shown> {
    all: Vec<T>,
    /// Which of them are shown, and in which order.
    order: Vec<usize>,
    /// Index of the column.
    sorted_by: usize,
    reversed: bool,
    filter: Filter,
    /// None: whatever stands first.
    selected: Option<T::Key>,
    /// Where it stands in the order.
    at: usize,
    top: usize,
    page: usize,
    name_width: usize,
    told: bool,
}

/// What can be done with rows, of whatever kind.
pub(super) trait Rows {
    /// How many are shown, and how many there are.
    fn len(&self) -> (usize, usize);
    fn move_by(&mut self, rows: isize);
    /// To the first row, and to stay there whoever comes first.
    fn home(&mut self);
    fn end(&mut self);
    fn page(&self) -> usize;
    /// How many rows there is room for.
    fn set_page(&mut self, page: usize);
    fn sort_by_next(&mut self);
    fn reverse(&mut self);
    /// Whether a column has this letter. The one sorted by already is reversed.
    fn sort_by(&mut self, letter: char) -> bool;
    fn set_filter(&mut self, filter: &Filter);
    /// Whom the selected row is about.
    fn network(&self) -> Option<IpNet>;
    /// Title and direction of the sorting.
    fn sorting(&self) -> (&'static str, bool);
    /// What is to be drawn in so many characters.
    fn drawn(&self, width: usize) -> Drawn;
    /// Whether anything has been told at all, be it that there is nothing.
    fn is_told(&self) -> bool;
}

/// A heading with its width.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Heading {
    pub(super) title: &'static str,
    pub(super) letter: char,
    pub(super) align: Align,
    pub(super) width: usize,
    /// Sorted by this, upwards or downwards.
    pub(super) sorted: Option<Arrow>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrow {
    Up,
    Down,
}

/// The part of a table that is on the screen.
pub(super) struct Drawn {
    pub(super) headings: Vec<Heading>,
    pub(super) rows: Vec<Vec<(String, Tone)>>,
    /// Which of these rows is selected.
    pub(super) selected: Option<usize>,
}

impl<T: Shown> Default for Table<T> {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            order: Vec::new(),
            sorted_by: T::COLUMNS.iter().position(|column| column.letter == T::SORTED_BY).unwrap_or(0),
            reversed: false,
            filter: Filter::default(),
            selected: None,
            at: 0,
            top: 0,
            page: 1,
            name_width: 0,
            told: false,
        }
    }
}

impl<T: Shown> Table<T> {
    /// Shows these from now on.
    pub(super) fn set(&mut self, all: Vec<T>) {
        (self.all, self.told) = (all, true);
        self.name_width = self.all.iter().map(T::name_width).max().unwrap_or(0);
        self.arrange();
    }

    fn column(&self) -> &'static Column<T> {
        &T::COLUMNS[self.sorted_by]
    }

    fn is_descending(&self) -> bool {
        self.column().greatest_first != self.reversed
    }

    /// Filters and sorts anew, and finds the selected row again.
    fn arrange(&mut self) {
        let Self { all, filter, .. } = self;
        let mut order: Vec<usize> =
            (0..all.len()).filter(|n| filter.is_empty() || filter.lets(&all[*n].looks())).collect();
        let (compare, descending) = (self.column().compare, self.is_descending());
        order.sort_by(|a, b| {
            let ordering = compare(&self.all[*a], &self.all[*b]);
            if descending { ordering.reverse() } else { ordering }
        });
        self.order = order;
        let found = match &self.selected {
            None => Some(0),
            Some(key) => self.order.iter().position(|n| self.all[*n].key() == *key),
        };
        match found {
            Some(at) => self.at = at,
            // It is gone; who stands where it stood is selected now.
            None => self.select(self.at),
        }
        self.scroll();
    }

    fn select(&mut self, at: usize) {
        self.at = at.min(self.order.len().saturating_sub(1));
        self.selected = self.row(self.at).map(T::key);
        self.scroll();
    }

    fn row(&self, at: usize) -> Option<&T> {
        self.order.get(at).map(|n| &self.all[*n])
    }

    /// Keeps the selected row on the screen, and the screen full.
    fn scroll(&mut self) {
        let least = (self.at + 1).saturating_sub(self.page);
        let most = self.at.min(self.order.len().saturating_sub(self.page));
        self.top = self.top.clamp(least, most.max(least));
    }

    /// Which columns there is room for, with their widths.
    fn widths(&self, width: usize) -> Vec<(usize, usize)> {
        const GAP: usize = 1;
        let last = T::COLUMNS.len() - 1;
        let needs = |n: usize| match n {
            0 => T::COLUMNS[0].width.max(self.name_width),
            n => T::COLUMNS[n].width,
        };
        let mut by_rank: Vec<usize> = (0..=last).collect();
        by_rank.sort_by_key(|n| T::COLUMNS[*n].rank);
        let (mut taken, mut shown) = (0, Vec::new());
        for n in by_rank {
            let more = needs(n) + if shown.is_empty() { 0 } else { GAP };
            // What is too wide keeps all of a lower rank out, so that columns come and go in one order.
            if taken + more > width && !shown.is_empty() {
                break;
            }
            taken += more;
            shown.push(n);
        }
        shown.sort_unstable();
        let spare = width.saturating_sub(taken);
        shown.into_iter().map(|n| (n, (needs(n) + if n == last { spare } else { 0 }).min(width))).collect()
    }
}

impl<T: Shown> Rows for Table<T> {
    fn len(&self) -> (usize, usize) {
        (self.order.len(), self.all.len())
    }

    fn move_by(&mut self, rows: isize) {
        self.select(self.at.saturating_add_signed(rows));
    }

    fn home(&mut self) {
        (self.selected, self.at) = (None, 0);
        self.scroll();
    }

    fn end(&mut self) {
        self.select(usize::MAX);
    }

    fn page(&self) -> usize {
        self.page
    }

    fn set_page(&mut self, page: usize) {
        self.page = page.max(1);
        self.scroll();
    }

    fn sort_by_next(&mut self) {
        (self.sorted_by, self.reversed) = ((self.sorted_by + 1) % T::COLUMNS.len(), false);
        self.arrange();
    }

    fn reverse(&mut self) {
        self.reversed = !self.reversed;
        self.arrange();
    }

    fn sort_by(&mut self, letter: char) -> bool {
        let Some(column) = T::COLUMNS.iter().position(|column| column.letter == letter) else { return false };
        (self.reversed, self.sorted_by) = (column == self.sorted_by && !self.reversed, column);
        self.arrange();
        true
    }

    fn set_filter(&mut self, filter: &Filter) {
        self.filter = filter.clone();
        self.arrange();
    }

    fn network(&self) -> Option<IpNet> {
        self.row(self.at).and_then(T::network)
    }

    fn sorting(&self) -> (&'static str, bool) {
        (self.column().title, self.is_descending())
    }

    fn drawn(&self, width: usize) -> Drawn {
        let widths = self.widths(width);
        let arrow = if self.is_descending() { Arrow::Down } else { Arrow::Up };
        let heading = |&(n, width): &(usize, usize)| {
            let Column { title, letter, align, .. } = T::COLUMNS[n];
            Heading { title, letter, align, width, sorted: (n == self.sorted_by).then_some(arrow) }
        };
        let before = |i: usize| i.checked_sub(1).map(|before| widths[before].0 + 1);
        let cell = |i: usize, row: &T| {
            let n = widths[i].0;
            let column = &T::COLUMNS[n];
            let alone = column.alone.filter(|_| before(i) != Some(n)).map(|alone| alone(row));
            let fitting = alone.filter(|text| text.chars().count() <= widths[i].1);
            (fitting.unwrap_or_else(|| (column.cell)(row)), (column.tone)(row))
        };
        let cells = |row: &T| (0..widths.len()).map(|i| cell(i, row)).collect();
        let rows: Vec<_> = (self.top..self.top + self.page).map_while(|at| self.row(at)).map(cells).collect();
        let selected = (self.at - self.top < rows.len()).then(|| self.at - self.top);
        Drawn { headings: widths.iter().map(heading).collect(), rows, selected }
    }

    fn is_told(&self) -> bool {
        self.told
    }
}
