//! `tcpcap block`: block a source or network, for some time or for ever.

use super::print;
use crate::{
    control::Command,
    failure::Failure,
    settings::{BlockArgs, TargetArgs},
};

/// Has it done, and prints the daemon's sentence.
///
/// # Errors
/// No daemon to be reached, or it refuses: who would lock the operator out is not blocked.
pub fn run(args: BlockArgs) -> Result<(), Failure> {
    let BlockArgs { target: TargetArgs { network, socket }, lasts, reason } = args;
    let done = socket.client()?.act(&Command::Block { network, lasts, note: reason })?;
    print::line(&done)
}
