//! `tcpcap explain`: the whole story of an address.

use std::net::IpAddr;

use clap::Args;

use super::{
    print,
    screen::{Paint, Screen},
    story,
    unattended::{self, StateArgs},
};
use crate::{
    control::Story,
    failure::Failure,
    settings::{ShowArgs, ShowFormat},
};

/// What was typed after `tcpcap explain`.
#[derive(Args, Debug)]
pub struct ExplainArgs {
    /// Whose story
    #[arg(value_name = "ADDR")]
    pub address: IpAddr,

    /// Where to look if no daemon runs.
    #[command(flatten)]
    pub state: StateArgs,

    /// How it is shown, and whom to ask.
    #[command(flatten)]
    pub show: ShowArgs,
}

/// Prints it: as the daemon knows it, or as kernel and history do if there is none.
///
/// # Errors
/// The daemon cannot be asked, and neither can the kernel.
pub fn run(args: &ExplainArgs) -> Result<(), Failure> {
    let client = args.show.socket.client()?;
    let told = match client.if_running(|client| client.explain(args.address))? {
        Some(told) => told,
        None => {
            let left = unattended::left()?;
            let instead = "this is what the kernel goes on doing, and what the history holds";
            eprintln!("{}", unattended::warning(client.path(), left.as_ref(), instead));
            unattended::story(left.as_ref(), &args.state.history(&args.show.socket)?, args.address)
        }
    };
    match args.show.output {
        ShowFormat::Text => print::text(&text(&told, Screen::here())),
        ShowFormat::Json => print::json(&told),
    }
}

fn text(told: &Story, screen: Screen) -> String {
    let is_heading = |line: &str| !line.starts_with(' ');
    story::lines(told, screen.width)
        .into_iter()
        .map(|line| if is_heading(&line) { screen.paint(&line, Paint::Bold) } else { line } + "\n")
        .collect()
}
