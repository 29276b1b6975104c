//! Known flows: what completes a handshake and what answers one of ours makes its flow known; a segment of another flow
//! is a stray.

use tcpcap_common::record::{FLOW_SLOTS, Flows};

use crate::maps::FLOWS;

/// Makes the flow with this hash known. Says whether it was not.
#[inline(always)]
pub fn learn(hash: u64) -> bool {
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the lower half chooses the slot, the upper half tells flows apart"
    )]
    // 0 is nobody's tag.
    let (low, tag) = (hash as u32, (hash >> 32) as u32 | 1);
    let Some(slot) = FLOWS.get_ptr_mut(low & (FLOW_SLOTS - 1)) else {
        return false;
    };
    // SAFETY: a map value. Another CPU may be writing it: the worst that comes of it is a flow that is told of once more.
    let [first, second] = unsafe { (*slot).tags };
    if first == tag || second == tag {
        return false;
    }
    // SAFETY: as above.
    unsafe { *slot = Flows { tags: [tag, first] } };
    true
}
