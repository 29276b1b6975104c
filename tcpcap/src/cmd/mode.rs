//! `tcpcap mode`: drop or observe, everything or new connections alone.

use super::print;
use crate::{
    control::Command,
    failure::Failure,
    settings::{ModeArgs, ScopeChoice},
};

/// Has it changed, and prints the daemon's sentence.
///
/// # Errors
/// No daemon to be reached, or it refuses.
pub fn run(args: &ModeArgs) -> Result<(), Failure> {
    let observe = (args.observe || args.enforce).then_some(args.observe);
    let syn_only = args.scope.map(|scope| scope == ScopeChoice::Syn);
    let done = args.socket.client()?.act(&Command::Mode { observe, syn_only })?;
    print::line(&done)
}
