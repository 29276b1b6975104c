//! What is shown, and what becomes of it when the daemon tells something. No terminal, no clock.

use std::{
    net::IpAddr,
    time::{Duration, Instant, SystemTime},
};

use ipnet::IpNet;
use ratatui::layout::Rect;

use super::{
    columns::Found,
    dialog::Dialog,
    feed::{News, Seen, View, Want},
    filter::Filter,
    table::{Rows, Table},
    view,
};
use crate::{
    cmd::story,
    control::{BlockShown, Command, Sample, SourceShown, Status, Story},
    failure::Failure,
};

/// A look that takes longer is told of.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long a sentence is shown.
const SHOWN: Duration = Duration::from_secs(15);

/// The tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    Sources,
    Blocks,
    Findings,
}

impl Tab {
    pub(super) const ALL: [Self; 3] = [Self::Sources, Self::Blocks, Self::Findings];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Sources => "sources",
            Self::Blocks => "blocks",
            Self::Findings => "findings",
        }
    }
}

/// What a key asks of others.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Do {
    Quit,
    Act(Command),
}

/// An address whose story is open.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) address: IpAddr,
    pub(super) source: IpNet,
    story: Option<Box<Story>>,
    /// As it is laid out for the screen's width.
    pub(super) lines: Vec<String>,
    width: usize,
    pub(super) top: usize,
    pub(super) page: usize,
}

/// All that is shown.
pub(super) struct App {
    pub(super) colour: bool,
    pub(super) tab: Tab,
    pub(super) sources: Table<SourceShown>,
    pub(super) blocks: Table<BlockShown>,
    pub(super) findings: Table<Found>,
    pub(super) status: Status,
    pub(super) seconds: Vec<Sample>,
    pub(super) open: Option<Open>,
    pub(super) dialog: Option<Dialog>,
    /// What is looked for, and whether it is being typed.
    pub(super) filter: String,
    pub(super) typing: bool,
    /// What came since the pause began is shown when it ends.
    pub(super) paused: bool,
    held: Option<Box<Seen>>,
    said: Option<(String, Instant)>,
    answered: Instant,
    asking_since: Option<Instant>,
    trouble: Option<Failure>,
}

/// Why nothing new is shown.
pub(super) struct Silence<'a> {
    pub(super) seconds: u64,
    /// What is known about it, and what can be done.
    pub(super) failure: Option<&'a Failure>,
}

impl App {
    /// Nothing is known yet.
    pub(super) fn new(colour: bool, now: Instant) -> Self {
        Self {
            colour,
            tab: Tab::Sources,
            sources: Table::default(),
            blocks: Table::default(),
            findings: Table::default(),
            status: Status::default(),
            seconds: Vec::new(),
            open: None,
            dialog: None,
            filter: String::new(),
            typing: false,
            paused: false,
            held: None,
            said: None,
            answered: now,
            asking_since: None,
            trouble: None,
        }
    }

    /// What is to be looked at.
    pub(super) fn want(&self) -> Want {
        match (&self.open, self.tab) {
            (Some(open), _) => Want::Story { address: open.address, source: open.source },
            (None, Tab::Sources) => Want::Sources,
            (None, Tab::Blocks) => Want::Blocks,
            (None, Tab::Findings) => Want::Findings,
        }
    }

    /// Takes what a thread tells.
    pub(super) fn hear(&mut self, news: News, now: Instant) {
        match news {
            News::Asking => {
                self.asking_since.get_or_insert(now);
            }
            News::Seen(Ok(seen)) => {
                (self.answered, self.asking_since, self.trouble) = (now, None, None);
                match self.paused && self.is_told(&seen.what) {
                    true => self.held = Some(seen),
                    false if self.paused => self.show_what(seen.what, seen.at),
                    false => self.show(*seen),
                }
            }
            News::Seen(Err(failure)) => (self.asking_since, self.trouble) = (None, Some(failure)),
            News::Done { command: _, result: Ok(done) } => self.say(done, now),
            News::Done { command, result: Err(failure) } => {
                self.said = None;
                self.dialog = Some(Dialog::refused(&command, failure));
            }
        }
    }

    fn show(&mut self, seen: Seen) {
        let Seen { at, status, timeline, what } = seen;
        (self.status, self.seconds) = (status, timeline.seconds);
        self.show_what(what, at);
    }

    /// Whether something of this kind is shown already; in a pause, that stays.
    fn is_told(&self, what: &View) -> bool {
        match what {
            View::Sources(_) => self.sources.is_told(),
            View::Blocks(_) => self.blocks.is_told(),
            View::Findings(_) => self.findings.is_told(),
            View::Story(_) => self.open.as_ref().is_none_or(|open| open.story.is_some()),
        }
    }

    fn show_what(&mut self, what: View, at: SystemTime) {
        match what {
            View::Sources(sources) => self.sources.set(sources),
            View::Blocks(blocks) => self.blocks.set(blocks),
            View::Findings(all) => {
                self.findings.set(all.into_iter().filter_map(|happened| Found::new(happened, at)).collect());
            }
            View::Story(story) => {
                // Of another address, if the operator was quicker than the daemon.
                if let Some(open) = &mut self.open
                    && open.address == story.address
                {
                    open.tell(story);
                }
            }
        }
    }

    /// Shows things as they are at this moment, or goes on.
    pub(super) fn pause(&mut self) {
        self.paused = !self.paused;
        if let Some(seen) = self.held.take() {
            self.show(*seen);
        }
    }

    pub(super) fn say(&mut self, sentence: String, now: Instant) {
        self.said = Some((sentence, now));
    }

    /// The latest sentence, while it is fresh.
    pub(super) fn said(&self, now: Instant) -> Option<&str> {
        self.said.as_ref().filter(|(_, at)| now.duration_since(*at) < SHOWN).map(|(said, _)| said.as_str())
    }

    /// Whether the daemon does not answer.
    pub(super) fn silence(&self, now: Instant) -> Option<Silence<'_>> {
        let waits = self.asking_since.is_some_and(|since| now.duration_since(since) >= PATIENCE);
        (waits || self.trouble.is_some())
            .then(|| Silence { seconds: now.duration_since(self.answered).as_secs(), failure: self.trouble.as_ref() })
    }

    pub(super) fn rows(&self) -> &dyn Rows {
        match self.tab {
            Tab::Sources => &self.sources,
            Tab::Blocks => &self.blocks,
            Tab::Findings => &self.findings,
        }
    }

    pub(super) fn rows_mut(&mut self) -> &mut dyn Rows {
        match self.tab {
            Tab::Sources => &mut self.sources,
            Tab::Blocks => &mut self.blocks,
            Tab::Findings => &mut self.findings,
        }
    }

    /// How many sources are live.
    pub(super) fn sources_known(&self) -> usize {
        self.sources.len().1
    }

    pub(super) fn set_filter(&mut self, text: String) {
        let filter = Filter::new(&text);
        self.filter = text;
        self.sources.set_filter(&filter);
        self.blocks.set_filter(&filter);
        self.findings.set_filter(&filter);
    }

    /// Whom a command would be about: whose story is open, or whose row is selected.
    pub(super) fn subject(&self) -> Option<IpNet> {
        self.open.as_ref().map_or_else(|| self.rows().network(), |open| Some(open.source))
    }

    /// Opens the story of the selected row's address.
    pub(super) fn open(&mut self, now: Instant) {
        let Some(source) = self.rows().network() else {
            return self.say("there is no address to open".to_owned(), now);
        };
        self.open = Some(Open {
            address: source.addr(),
            source,
            story: None,
            lines: vec!["asking …".to_owned()],
            width: 0,
            top: 0,
            page: 1,
        });
    }

    /// Takes the screen's size.
    pub(super) fn fit(&mut self, area: Rect) {
        let body = view::body(area, self.open.is_some());
        let page = usize::from(body.height.saturating_sub(1));
        let tables: [&mut dyn Rows; 3] = [&mut self.sources, &mut self.blocks, &mut self.findings];
        tables.into_iter().for_each(|table| table.set_page(page));
        if let Some(open) = &mut self.open {
            open.fit(usize::from(body.width), usize::from(body.height));
        }
    }
}

impl Open {
    fn tell(&mut self, story: Box<Story>) {
        self.lines = story::lines(&story, self.width);
        self.story = Some(story);
    }

    fn fit(&mut self, width: usize, page: usize) {
        if self.width != width {
            self.width = width;
            if let Some(story) = self.story.take() {
                self.tell(story);
            }
        }
        self.page = page.max(1);
        self.scroll_to(self.top);
    }

    pub(super) fn scroll_to(&mut self, top: usize) {
        self.top = top.min(self.lines.len().saturating_sub(self.page));
    }
}
