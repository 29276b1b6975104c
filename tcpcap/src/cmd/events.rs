//! `tcpcap events`: what happens, as it happens.

use std::{
    io::{self, IsTerminal as _},
    ops::ControlFlow,
};

use clap::Args;

use super::{happened, history::Wanted, print, screen::Screen, unattended::StateArgs};
use crate::{
    control::stream::{Happened, Passing, Told},
    failure::Failure,
    history::Question,
    settings::{ShowArgs, ShowFormat},
};

/// Events that are shown of what is past.
const LATEST: usize = 20;

/// What was typed after `tcpcap events`.
#[derive(Args, Debug)]
pub struct EventsArgs {
    /// Go on with what happens from now on, until Ctrl-C or the end of the daemon
    #[arg(short, long)]
    pub follow: bool,

    /// Each new connection, too
    #[arg(long, requires = "follow")]
    pub connections: bool,

    /// Where to look if no daemon runs.
    #[command(flatten)]
    pub state: StateArgs,

    /// How it is shown, and whom to ask.
    #[command(flatten)]
    pub show: ShowArgs,
}

/// Prints the latest, or whatever happens from now on.
///
/// # Errors
/// No daemon to be reached, or it stops.
pub fn run(args: &EventsArgs) -> Result<(), Failure> {
    let format = args.show.output;
    let header = || match format {
        ShowFormat::Text => print::line(&happened::header(Screen::here())),
        ShowFormat::Json => Ok(()),
    };
    if !args.follow {
        let wanted = Wanted { question: Question { limit: LATEST, ..Question::default() }, kinds: &[], limit: LATEST };
        let rows = wanted.of_either(&args.show, &args.state)?;
        header()?;
        return rows.into_iter().try_for_each(|row| {
            let happened = Happened { time: row.time, what: Told::Kept(row.what) };
            show(&happened, format).map(|_| ())
        });
    }
    let mut began = false;
    args.show.socket.client()?.follow(args.connections, |happened| {
        // Not before there is somebody to listen to; the first is heard of within a second.
        if !std::mem::replace(&mut began, true) {
            if io::stdout().is_terminal() {
                eprintln!("what happens from now on; Ctrl-C ends it");
            }
            header()?;
        }
        match happened.what {
            // A second is over: time to see whether anybody still reads.
            Told::Passing(Passing::Pulse(_)) => {
                Ok(if print::is_read() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
            }
            _ => show(&happened, format),
        }
    })
}

fn show(happened: &Happened, format: ShowFormat) -> Result<ControlFlow<()>, Failure> {
    let text = match format {
        ShowFormat::Json => print::encoded(happened)?,
        ShowFormat::Text => happened::line(happened.time, &happened.what, Screen::here()),
    };
    print::line_while_read(&text)
}
