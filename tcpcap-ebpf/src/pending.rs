//! Pending handshakes: a SYN writes its flow's slot, our answer is noted in it, the ACK that fits clears it.

use tcpcap_common::{
    Addr,
    flow::flow_hash,
    record::{
        COMPLETION_WINDOW, PENDING_SLOTS, Pending, RETRANSMISSION_NS, Settings,
        pending::{ANSWERED, IN_VIEW, REFUSED, REPLY, REPORTED},
        setting,
    },
    tally::Note,
    wire::Segment,
};

use crate::{count, maps::PENDING};

/// A flow's slot, and the tag that says that the slot is the flow's.
pub struct Slot {
    pending: *mut Pending,
    tag: u32,
}

impl Slot {
    #[inline(always)]
    pub fn of(from: &Addr, to: &Addr, from_port: u16, to_port: u16, settings: &Settings) -> Option<Self> {
        Self::at(flow_hash(from, to, from_port, to_port, &settings.seed))
    }

    /// The slot of the flow with this hash.
    #[inline(always)]
    pub fn at(hash: u64) -> Option<Self> {
        #[allow(
            clippy::cast_possible_truncation,
            reason = "the lower half chooses the slot, the upper half tells flows apart"
        )]
        let (low, high) = (hash as u32, (hash >> 32) as u32);
        let pending = PENDING.get_ptr_mut(low & (PENDING_SLOTS - 1))?;
        Some(Self { pending, tag: high })
    }

    /// What the slot holds of this flow. Another CPU may be writing it: the worst that comes of it is a wrong guess
    /// about one handshake.
    #[inline(always)]
    fn held(&self) -> Option<Pending> {
        // SAFETY: a map value.
        let p = unsafe { *self.pending };
        if p.time != 0 && p.tag == self.tag { Some(p) } else { None }
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
    pub fn wait(&self, seq: u32, now: u64, reported: bool, settings: &Settings) {
        let in_view = settings.flags & setting::EGRESS_VIEW != 0;
        let state = if reported { REPORTED } else { 0 } | if in_view { IN_VIEW } else { 0 };
        // SAFETY: a map value.
        unsafe { *self.pending = Pending { time: now, tag: self.tag, seq, expected: 0, state } };
    }

    /// Notes that a SYN-ACK with these numbers has left. One that comes again may bring another sequence number: a SYN
    /// cookie changes with time.
    #[inline(always)]
    pub fn answer(&self, seq: u32, ack: u32) {
        let Some(p) = self.held() else {
            return;
        };
        if p.state & REPLY != 0 || !follows(ack, p.seq) {
            return;
        }
        // SAFETY: a map value.
        unsafe {
            (*self.pending).expected = seq.wrapping_add(1);
            (*self.pending).state = p.state | ANSWERED;
        }
        if p.state & ANSWERED == 0 {
            count::note(Note::Accepted);
        }
    }

    /// Notes that a SYN-ACK came in, unless an attempt waits here.
    #[inline(always)]
    pub fn reply(&self) {
        if self.held().is_some() {
            return;
        }
        // Long ago, so that no clock is needed: no SYN is taken for its retransmission.
        // SAFETY: a map value.
        unsafe { *self.pending = Pending { time: 1, tag: self.tag, seq: 0, expected: 0, state: REPLY } };
    }

    /// Notes that a RST has left, with this acknowledgement number if it has one.
    #[inline(always)]
    pub fn refuse(&self, ack: Option<u32>) -> Refusal {
        let Some(p) = self.held() else {
            return Refusal::OfNothing;
        };
        if p.state & (REFUSED | REPLY) != 0 || !ack.is_some_and(|ack| follows(ack, p.seq)) {
            return Refusal::Known;
        }
        // SAFETY: a map value.
        unsafe { (*self.pending).state = p.state | REFUSED };
        Refusal::OfAttempt { reported: p.state & REPORTED != 0 }
    }
}

/// What a RST of ours refuses.
pub enum Refusal {
    /// No attempt that is known.
    OfNothing,
    /// An attempt, for the first time.
    OfAttempt { reported: bool },
    /// A segment of a flow with an attempt that was refused before, or that it does not fit.
    Known,
}

/// Whether a number follows a SYN's: at once, behind data that the SYN carried, or behind data that came first because
/// the pure ACK was lost.
#[inline(always)]
fn follows(number: u32, syn: u32) -> bool {
    number.wrapping_sub(syn.wrapping_add(1)) <= COMPLETION_WINDOW
}

/// A completed handshake.
pub struct Completed {
    /// Its attempt was reported.
    pub reported: bool,
    /// Our answer would have been seen, and was not.
    pub unanswered: bool,
}

/// Whether a segment with ACK completes a handshake. Nearly all of a host's traffic comes by here, and leaves for the
/// price of one array read.
#[inline(always)]
pub fn complete(flow: u64, segment: &Segment, settings: &Settings) -> Option<Completed> {
    let slot = Slot::at(flow)?;
    let p = slot.held()?;
    if p.state & REPLY != 0 || !follows(segment.seq, p.seq) {
        return None;
    }
    let in_view = settings.flags & setting::EGRESS_VIEW != 0 && p.state & IN_VIEW != 0;
    let unanswered = in_view && p.state & ANSWERED == 0;
    if in_view {
        // Whoever has not seen our answer can only guess its number, and where we have refused there is none.
        let fits =
            if unanswered { p.state & REFUSED == 0 } else { segment.ack.wrapping_sub(p.expected) <= COMPLETION_WINDOW };
        if !fits {
            count::note(Note::MismatchedCompletion);
            return None;
        }
    }
    if unanswered {
        count::note(Note::UnansweredCompletion);
    }
    // SAFETY: a map value.
    unsafe { (*slot.pending).time = 0 };
    Some(Completed { reported: p.state & REPORTED != 0, unanswered })
}
