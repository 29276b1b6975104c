//! `tcpcap top`: who is knocking, live, and what can be done about it.

mod alarm;
mod app;
mod chart;
mod columns;
mod dialog;
mod feed;
mod figures;
mod filter;
mod keys;
mod table;
pub mod terminal;
#[cfg(test)]
mod tests;
mod view;

use std::{
    env,
    io::{self, IsTerminal},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::{Duration, Instant},
};

use ratatui::crossterm::event;
use tokio::signal::unix::{SignalKind, signal};

use super::screen::Screen;
use crate::{failure::Failure, settings::SocketArgs};
use alarm::Alarm;
use app::{App, Do};
use feed::{Feed, News};
use terminal::FullScreen;

/// What wakes the loop.
#[derive(Debug)]
enum Event {
    /// The operator typed something, or changed the size; or the terminal is gone.
    Typed(io::Result<event::Event>),
    /// From the daemon.
    News(News),
    /// A signal to stop.
    Stop,
    /// A thread panicked.
    Died,
}

/// How many events wait. While the terminal takes nothing, the threads wait as well.
const WAITING: usize = 16;

/// How long nothing happens before what depends on the time is drawn anew.
const TICK: Duration = Duration::from_secs(1);

/// Shows it, until the operator has seen enough.
///
/// # Errors
/// No terminal, no daemon to be reached, or the terminal goes away.
pub fn run(args: &SocketArgs) -> Result<(), Failure> {
    let draws = env::var_os("TERM").is_some_and(|kind| !kind.is_empty() && kind != "dumb");
    if !draws || !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(Failure::usage(
            "`tcpcap top` needs a terminal that it can draw on, and this is none",
            "use `tcpcap sources`, which prints the same once",
        ));
    }
    let client = args.client()?;
    // Before the screen is touched: whoever cannot be reached is told of like by any other verb.
    client.status()?;
    let (sender, events) = sync_channel(WAITING);
    let unstartable = |e: io::Error| Failure::failed(format!("cannot start a thread: {e}"), "raise its limits");
    let feed = Feed::start(&client, &sender).map_err(unstartable)?;
    signals(&sender).map_err(unstartable)?;
    let mut screen = FullScreen::take().map_err(|e| gone(&e))?;
    typed(&sender).map_err(unstartable)?;
    drop(sender);
    show(&mut screen, &events, &feed)
}

fn gone(e: &io::Error) -> Failure {
    Failure::failed(format!("the terminal cannot be used: {e}"), "use `tcpcap sources`, which only prints")
}

fn show(screen: &mut FullScreen, events: &Receiver<Event>, feed: &Feed) -> Result<(), Failure> {
    let mut app = App::new(Screen::here().colour, Instant::now());
    let mut wanted = None;
    loop {
        let want = app.want();
        if wanted != Some(want) {
            feed.want(want);
            wanted = Some(want);
        }
        let now = Instant::now();
        screen
            .draw(|area, buffer| {
                app.fit(area);
                view::draw(&app, now, area, buffer);
            })
            .map_err(|e| gone(&e))?;
        let event = match events.recv_timeout(TICK) {
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => Event::Died,
        };
        let now = Instant::now();
        match event {
            Event::Typed(Ok(event::Event::Key(key))) => match app.key(key, now) {
                Some(Do::Quit) => return Ok(()),
                Some(Do::Act(command)) => feed.act(command),
                None => {}
            },
            // A new size is seen when it is drawn; nothing else was asked for.
            Event::Typed(Ok(_)) => {}
            Event::Typed(Err(e)) => return Err(gone(&e)),
            Event::News(news) => {
                // What was done is looked at without delay.
                if matches!(news, News::Done { .. }) {
                    wanted = None;
                }
                app.hear(news, now);
            }
            Event::Stop => return Ok(()),
            Event::Died => {
                return Err(Failure::failed("a part of `tcpcap top` failed; see above", "start it again; report this"));
            }
        }
    }
}

/// Reads what is typed, on a thread that may wait for it.
fn typed(events: &SyncSender<Event>) -> io::Result<()> {
    let alarm = Alarm::new(events);
    thread::Builder::new().name("top-keys".to_owned()).spawn(move || {
        loop {
            let typed = event::read();
            let over = typed.is_err();
            if !alarm.send(Event::Typed(typed)) || over {
                return;
            }
        }
    })?;
    Ok(())
}

/// Ends with the terminal given back, whichever of the usual signals comes.
fn signals(events: &SyncSender<Event>) -> io::Result<()> {
    let alarm = Alarm::new(events);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut terminate, mut hang_up, mut interrupt) = {
        let _inside = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?, signal(SignalKind::interrupt())?)
    };
    thread::Builder::new().name("top-signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = hang_up.recv() => {}
                _ = interrupt.recv() => {}
            }
        });
        alarm.send(Event::Stop);
    })?;
    Ok(())
}
