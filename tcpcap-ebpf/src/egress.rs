//! The program on the way out. It sees what this host answers: the SYN-ACK that a handshake's ACK must fit, and the RST
//! that refuses an attempt or a segment of no connection.
//!
//! It never drops and never changes anything, and it leaves the packet to whatever comes next. All but SYN-ACK and RST
//! costs a parse: no map is looked at, no clock is read.

use aya_ebpf::{
    bindings::TC_ACT_UNSPEC, helpers::generated::bpf_skb_pull_data, macros::classifier, programs::TcContext,
};
use tcpcap_common::{
    addr::source_of,
    record::kind,
    tally::End,
    wire::{
        self, Kind, Network, Segment,
        flag::{ACK, SYN},
    },
};

use crate::{
    account::{self, Seen},
    maps::SETTINGS,
    pending::{Refusal, Slot},
};

/// As much of a packet as is made linear when its headers are not: link header with two tags, IPv6 header, some extension
/// headers, TCP header. An answer with longer headers goes unseen.
const HEADERS_LEN: u32 = 256;

/// The entry.
#[classifier]
pub fn tcpcap_egress(ctx: TcContext) -> i32 {
    if let Some((network, segment)) = answer(&ctx) {
        // SAFETY: the context is the kernel's and lives as long as this call.
        take(network, segment, unsafe { (*ctx.skb.skb).ifindex });
    }
    TC_ACT_UNSPEC
}

/// Reads a SYN-ACK or RST, and nothing else.
#[inline(always)]
fn answer(ctx: &TcContext) -> Option<(Network, Segment)> {
    // SAFETY: the kernel vouches for `data..data_end`, the verifier for the checks.
    let mut headers = unsafe { wire::headers(ctx.data(), ctx.data_end()) };
    // What this host makes itself has its headers in front; what it forwards may have them elsewhere.
    if matches!(headers, Err(End::FrameTruncated | End::IpTruncated | End::TcpTruncated))
        && ctx.data_end() - ctx.data() < ctx.len() as usize
    {
        let len = if ctx.len() < HEADERS_LEN { ctx.len() } else { HEADERS_LEN };
        // SAFETY: the helper takes the context that the kernel gave us. The bounds are read anew behind it.
        if unsafe { bpf_skb_pull_data(ctx.skb.skb, len) } != 0 {
            return None;
        }
        // SAFETY: as above.
        headers = unsafe { wire::headers(ctx.data(), ctx.data_end()) };
    }
    headers.ok().filter(|(_, segment)| matches!(segment.kind(), Kind::Reply))
}

#[inline(always)]
fn take(mut network: Network, mut segment: Segment, interface: u32) {
    let Some(settings) = SETTINGS.get(0) else {
        return;
    };
    // From here on the ends are those of the segment that is answered.
    (network.from, network.to) = (network.to, network.from);
    (segment.from_port, segment.to_port) = (segment.to_port, segment.from_port);
    let Some(slot) = Slot::of(&network.from, &network.to, segment.from_port, segment.to_port, settings) else {
        return;
    };
    if segment.flags & SYN != 0 {
        return slot.answer(segment.seq, segment.ack);
    }
    let ack = if segment.flags & ACK != 0 { Some(segment.ack) } else { None };
    let seen = match slot.refuse(ack) {
        Refusal::OfAttempt { reported } => Seen { kind: kind::REFUSAL, attempt_reported: reported },
        // It takes its number from the acknowledgement that it answers (RFC 9293 §3.10.7.1).
        Refusal::OfNothing if ack.is_none() => Seen { kind: kind::STRAY_REFUSED, attempt_reported: false },
        Refusal::OfNothing | Refusal::Known => return,
    };
    let source = source_of(network.from, network.to, &settings.ipv6_mask);
    if let Some(cpu) = account::note_down(interface, &network, &segment, source, seen) {
        account::account_answer(cpu, settings);
    }
}
