//! Sending frames as they are.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
};

use anyhow::Context;

use crate::{namespace::Namespace, packet::open};

/// A card to send frames from.
#[derive(Debug)]
pub struct Injector {
    socket: OwnedFd,
}

impl Injector {
    /// Opens a card.
    ///
    /// # Errors
    /// When it is not there.
    pub fn open(namespace: &Namespace, card: &str) -> anyhow::Result<Self> {
        let socket = open(namespace, card).with_context(|| format!("cannot send on {card} of {namespace}"))?;
        Ok(Self { socket })
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// When the card refuses it.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        // SAFETY: the kernel reads as many bytes as it is told.
        let sent = unsafe { libc::send(self.socket.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}
