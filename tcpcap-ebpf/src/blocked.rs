//! Whether a packet's sender is blocked: by an entry of its own, or by that of a network that holds it.

use aya_ebpf::{helpers::generated::bpf_map_lookup_elem, maps::lpm_trie::Key};
use tcpcap_common::{
    Addr,
    record::{Block, Settings, scope, setting},
    tally::Note,
};

use crate::{
    clock, count,
    maps::{ALLOWED, BLOCKS, NETWORKS},
};

/// What the block lists say of a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing.
    Free,
    /// It passes if it opens nothing: ask [`is_refused`] once it is known that it does.
    FreeUnlessOpening,
    /// It is to be dropped.
    Refused,
}

/// What holds for a packet of which only the network header is known. No clock is read for a source that is not listed.
#[inline(always)]
pub fn standing(source: Addr, from: Addr, settings: &Settings, len: u64) -> Standing {
    let mut standing = Standing::Free;
    if let Some(block) = BLOCKS.get_ptr_mut(source) {
        if is_for_opening(block, settings) {
            standing = Standing::FreeUnlessOpening;
        } else if applies(block, from, settings, len) {
            return Standing::Refused;
        }
    }
    if let Some(block) = network_of(from, settings) {
        if is_for_opening(block, settings) {
            standing = Standing::FreeUnlessOpening;
        } else if applies(block, from, settings, len) {
            return Standing::Refused;
        }
    }
    standing
}

/// Whether a packet that opens something is to be dropped. The entries are looked up again: it has been a long way since
/// [`standing`], and the verifier would have to carry them along.
#[inline(always)]
pub fn is_refused(source: Addr, from: Addr, settings: &Settings, len: u64) -> bool {
    if let Some(block) = BLOCKS.get_ptr_mut(source)
        && is_for_opening(block, settings)
        && applies(block, from, settings, len)
    {
        return true;
    }
    if let Some(block) = network_of(from, settings) {
        return is_for_opening(block, settings) && applies(block, from, settings, len);
    }
    false
}

#[inline(always)]
fn is_for_opening(block: *mut Block, settings: &Settings) -> bool {
    // SAFETY: a map value; userspace writes the scope with its entry.
    settings.flags & setting::SYN_ONLY != 0 || unsafe { (*block).scope == scope::SYN }
}

/// The entry of the smallest blocked network that holds the address.
#[inline(always)]
fn network_of(from: Addr, settings: &Settings) -> Option<*mut Block> {
    if settings.flags & setting::HAS_NETWORKS == 0 {
        return None;
    }
    let key = Key::new(128, from);
    // SAFETY: the map and the key are what the helper takes. The library hands out shared references only.
    let block = unsafe { bpf_map_lookup_elem((&raw const NETWORKS).cast_mut().cast(), (&raw const key).cast()) };
    if block.is_null() { None } else { Some(block.cast()) }
}

/// Whether an entry holds, and nothing speaks for its source: not the expiry, not the allow list, not observe mode.
#[inline(always)]
fn applies(block: *mut Block, from: Addr, settings: &Settings, len: u64) -> bool {
    let now = clock::now();
    // SAFETY: a map value. Userspace replaces it whole, so its expiry is never half written.
    let (until, reason) = unsafe { ((*block).until, (*block).reason) };
    if until != 0 && until <= now {
        count::note(Note::BlockExpired);
        return false;
    }
    if settings.flags & setting::HAS_ALLOWED != 0 && ALLOWED.get(Key::new(128, from)).is_some() {
        count::note(Note::AllowedOverBlock);
        return false;
    }
    // SAFETY: a map value; counters are added to atomically.
    unsafe {
        count::add(&raw mut (*block).packets, 1);
        count::add(&raw mut (*block).bytes, len);
        (*block).last_drop = now;
    }
    if settings.flags & setting::OBSERVE != 0 {
        count::would_drop(reason);
        return false;
    }
    count::dropped(reason);
    count::note_by(Note::DroppedBytes, len);
    true
}
