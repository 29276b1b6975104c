//! The event ring as a stream of events.

use std::io;

use aya::maps::{MapData, RingBuf};
use tcpcap_common::record::{Event, map};
use tokio::io::{Interest, unix::AsyncFd};

use super::{Kernel, refused};
use crate::failure::Failure;

/// The event ring.
pub struct Ring {
    fd: AsyncFd<RingBuf<MapData>>,
    /// Records that were not of an event's size. Always 0 unless program and daemon differ.
    pub misshapen: u64,
}

impl Kernel {
    /// The event ring. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The map was taken before, or cannot be polled.
    pub fn ring(&mut self) -> Result<Ring, Failure> {
        let ring: RingBuf<MapData> = self.take(map::EVENTS)?;
        // SAFETY: the ring's descriptor is open for as long as the ring, which stays inside and never changes it.
        let fd = unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) }
            .map_err(|e| refused("the event ring cannot be polled", &e))?;
        Ok(Ring { fd, misshapen: 0 })
    }
}

impl Ring {
    /// Waits until there is something, then appends at most `limit` events to `events`.
    ///
    /// Cancel safe: nothing is taken out before the wait is over.
    ///
    /// # Errors
    /// The ring can no longer be polled.
    pub async fn read(&mut self, events: &mut Vec<Event>, limit: usize) -> io::Result<()> {
        let mut ready = self.fd.readable_mut().await?;
        if drain(ready.get_inner_mut(), events, limit, &mut self.misshapen) {
            ready.clear_ready();
        }
        Ok(())
    }

    /// Appends at most `limit` events to `events`, without waiting for any.
    pub fn take(&mut self, events: &mut Vec<Event>, limit: usize) {
        drain(self.fd.get_mut(), events, limit, &mut self.misshapen);
    }
}

/// Takes events out; says whether the ring is empty now.
fn drain(ring: &mut RingBuf<MapData>, events: &mut Vec<Event>, limit: usize, misshapen: &mut u64) -> bool {
    for _ in 0..limit {
        let Some(record) = ring.next() else {
            return true;
        };
        if record.len() == size_of::<Event>() {
            // SAFETY: the length is an event's, and an event has no forbidden bit patterns.
            events.push(unsafe { record.as_ptr().cast::<Event>().read_unaligned() });
        } else {
            *misshapen += 1;
        }
    }
    false
}
