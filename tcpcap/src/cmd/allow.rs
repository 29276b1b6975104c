//! `tcpcap allow`: never block a network.

use super::print;
use crate::{control::Command, failure::Failure, settings::TargetArgs};

/// Has it done, and prints the daemon's sentence.
///
/// # Errors
/// No daemon to be reached, or it refuses.
pub fn run(args: &TargetArgs) -> Result<(), Failure> {
    let done = args.socket.client()?.act(&Command::Allow { network: args.network })?;
    print::line(&done)
}
