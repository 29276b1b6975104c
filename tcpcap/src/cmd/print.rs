//! Standard output.

use std::{
    io::{self, Write},
    ops::ControlFlow,
};

use serde::Serialize;

use crate::failure::Failure;

/// Prints a line.
pub(super) fn line(text: &str) -> Result<(), Failure> {
    written(writeln!(io::stdout().lock(), "{text}"))
}

/// Prints text that ends with its last line.
pub(super) fn text(text: &str) -> Result<(), Failure> {
    written(io::stdout().lock().write_all(text.as_bytes()))
}

/// Prints a line, at once; says whether to go on: whoever reads may have seen enough.
pub(super) fn line_while_read(text: &str) -> Result<ControlFlow<()>, Failure> {
    let mut out = io::stdout().lock();
    flow(writeln!(out, "{text}").and_then(|()| out.flush()))
}

/// Whether whoever reads has not gone yet, as far as can be told without writing.
pub(super) fn is_read() -> bool {
    let mut asked = libc::pollfd { fd: libc::STDOUT_FILENO, events: 0, revents: 0 };
    // SAFETY: one descriptor is asked about, in a place of ours, and nothing is waited for.
    let answered = unsafe { libc::poll(&raw mut asked, 1, 0) };
    answered <= 0 || asked.revents & libc::POLLERR == 0
}

/// Prints a JSON value on a line.
pub(super) fn json<T: Serialize>(value: &T) -> Result<(), Failure> {
    line(&encoded(value)?)
}

/// A JSON value as a line.
pub(super) fn encoded<T: Serialize>(value: &T) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|e| Failure::failed(format!("cannot be written as JSON: {e}"), "report this"))
}

fn written(result: io::Result<()>) -> Result<(), Failure> {
    flow(result).map(|_| ())
}

fn flow(result: io::Result<()>) -> Result<ControlFlow<()>, Failure> {
    match result {
        Ok(()) => Ok(ControlFlow::Continue(())),
        // Who reads has seen enough, `head` for example.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        Err(e) => Err(Failure::failed(format!("cannot write: {e}"), "is there room where the output goes?")),
    }
}
