//! Pending handshakes: a SYN writes its flow's slot, the ACK that fits clears it.

use tcpcap_common::{
    Addr,
    flow::flow_hash,
    record::{COMPLETION_WINDOW, PENDING_REPORTED, PENDING_SLOTS, Pending, RETRANSMISSION_NS, Settings},
    wire::{Network, Segment},
};

use crate::maps::PENDING;

/// A flow's slot, and the tag that says that the slot is the flow's.
pub struct Slot {
    pending: *mut Pending,
    tag: u32,
}

impl Slot {
    #[inline(always)]
    pub fn of(from: &Addr, to: &Addr, from_port: u16, to_port: u16, settings: &Settings) -> Option<Self> {
        let hash = flow_hash(from, to, from_port, to_port, &settings.seed);
        #[allow(
            clippy::cast_possible_truncation,
            reason = "the lower half chooses the slot, the upper half tells flows apart"
        )]
        let (low, high) = (hash as u32, (hash >> 32) as u32);
        let pending = PENDING.get_ptr_mut(low & (PENDING_SLOTS - 1))?;
        Some(Self { pending, tag: high & !PENDING_REPORTED })
    }

    /// What the slot holds of this flow. Another CPU may be writing it: the worst that comes of it is a wrong guess
    /// about one handshake.
    #[inline(always)]
    fn held(&self) -> Option<Pending> {
        // SAFETY: a map value.
        let p = unsafe { *self.pending };
        if p.time != 0 && p.tag & !PENDING_REPORTED == self.tag { Some(p) } else { None }
    }

    /// Whether this SYN was here before; renews its time if so.
    #[inline(always)]
    pub fn is_retransmission(&self, seq: u32, now: u64) -> bool {
        let Some(p) = self.held() else {
            return false;
        };
        if p.seq != seq || now.saturating_sub(p.time) >= RETRANSMISSION_NS {
            return false;
        }
        // SAFETY: a map value.
        unsafe { (*self.pending).time = now };
        true
    }

    /// Waits for the handshake's completion from now on.
    #[inline(always)]
    pub fn wait(&self, seq: u32, now: u64, reported: bool) {
        let tag = self.tag | if reported { PENDING_REPORTED } else { 0 };
        // SAFETY: a map value.
        unsafe { *self.pending = Pending { time: now, tag, seq } };
    }
}

/// Whether a segment with ACK completes a handshake, and if so whether its attempt was reported. Nearly all of a
/// host's traffic comes by here, and leaves for the price of one array read.
#[inline(always)]
pub fn complete(network: &Network, segment: &Segment, settings: &Settings) -> Option<bool> {
    let slot = Slot::of(&network.from, &network.to, segment.from_port, segment.to_port, settings)?;
    let p = slot.held()?;
    if segment.seq.wrapping_sub(p.seq.wrapping_add(1)) > COMPLETION_WINDOW {
        return None;
    }
    // SAFETY: a map value.
    unsafe { (*slot.pending).time = 0 };
    Some(p.tag & PENDING_REPORTED != 0)
}
