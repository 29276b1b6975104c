//! `tcpcap reload`: read configuration and feeds anew.

use super::print;
use crate::{control::Command, failure::Failure, settings::SocketArgs};

/// Has it done, and prints the daemon's sentence.
///
/// # Errors
/// No daemon to be reached, or what it reads is wrong; then it goes on as before.
pub fn run(args: &SocketArgs) -> Result<(), Failure> {
    let done = args.client()?.act(&Command::Reload)?;
    print::line(&done)
}
