//! The XDP program: parse → lookup → account → verdict, and one exit that tallies. Beside it, [`egress`] looks at what
//! leaves.
//!
//! Mechanism, no policy: no threshold stands here. It fails open: what it cannot read passes, under a name. Only a
//! source that userspace has listed is ever dropped, and an allowed one not even then.

#![cfg_attr(target_arch = "bpf", no_std, no_main, feature(asm_experimental_arch))]
#![allow(missing_docs, clippy::needless_pass_by_value, reason = "as the entry points' macro makes them")]

mod account;
mod blocked;
mod budget;
mod clock;
mod count;
mod egress;
mod flows;
mod maps;
mod pending;
mod reflex;

use account::Seen;
use aya_ebpf::{
    bindings::xdp_action::{XDP_DROP, XDP_PASS},
    helpers::generated::bpf_xdp_get_buff_len,
    macros::xdp,
    programs::XdpContext,
};
use blocked::Standing;
use maps::SETTINGS;
use tcpcap_common::{
    addr::source_of,
    flow::flow_hash,
    record::{Settings, kind, setting},
    tally::{End, Verdict},
    wire::{self, Kind, Network, Segment, flag},
};

/// A packet's linear part, where the headers are, its whole length, and where it came in or leaves.
struct Packet {
    start: usize,
    end: usize,
    len: u64,
    interface: u32,
}

/// The entry for kernels from 5.18 on: takes packets of several buffers too, so that large MTUs keep native mode.
#[xdp(frags)]
pub fn tcpcap_frags(ctx: XdpContext) -> u32 {
    // SAFETY: the helper takes the context that the kernel gave us.
    let len = unsafe { bpf_xdp_get_buff_len(ctx.ctx) };
    judge(&packet(&ctx, len))
}

/// The entry for older kernels.
#[xdp]
pub fn tcpcap(ctx: XdpContext) -> u32 {
    judge(&packet(&ctx, (ctx.data_end() - ctx.data()) as u64))
}

#[inline(always)]
fn packet(ctx: &XdpContext, len: u64) -> Packet {
    // SAFETY: the context is the kernel's and lives as long as this call.
    let interface = unsafe { (*ctx.ctx).ingress_ifindex };
    Packet { start: ctx.data(), end: ctx.data_end(), len, interface }
}

/// The one exit: every packet is counted under exactly one end.
#[inline(always)]
fn judge(packet: &Packet) -> u32 {
    let end = inspect(packet);
    count::end(end);
    match end.verdict() {
        Verdict::Pass => XDP_PASS,
        Verdict::Drop => XDP_DROP,
    }
}

#[inline(always)]
fn inspect(packet: &Packet) -> End {
    let (start, end) = (packet.start, packet.end);
    // SAFETY: the kernel vouches for `data..data_end`, the verifier for the checks.
    let network = match unsafe { wire::link(start, end).and_then(|link| wire::network(start, end, link)) } {
        Ok(network) => network,
        Err(end) => return end,
    };
    // An array of one: always there. Without settings nobody has said which addresses are our own.
    let Some(settings) = SETTINGS.get(0) else {
        return End::NotOwn;
    };
    let source = source_of(network.from, network.to, &settings.ipv6_mask);
    let standing = blocked::standing(source, network.from, settings, packet.len);
    if standing == Standing::Refused {
        return End::Blocked;
    }
    // SAFETY: the kernel vouches for `data..data_end`, the verifier for the checks.
    let segment = match unsafe { wire::transport(start, end, &network) } {
        Ok(segment) => segment,
        Err(end) => return end,
    };
    let kind = segment.kind();
    if standing == Standing::FreeUnlessOpening
        && matches!(kind, Kind::Attempt | Kind::Probe | Kind::TinyFragment)
        && blocked::is_refused(source, network.from, settings, packet.len)
    {
        return End::Blocked;
    }
    let strays = settings.flags & setting::STRAYS != 0;
    let seen = match kind {
        Kind::Reply => {
            // A connection of our own begins, or somebody else's forgery comes back.
            if segment.flags & flag::SYN != 0 {
                let flow = flow_of(&network, &segment, settings);
                if strays {
                    flows::learn(flow);
                }
                if settings.flags & setting::EGRESS_VIEW != 0
                    && let Some(slot) = pending::Slot::at(flow)
                {
                    slot.reply();
                }
            }
            return End::Reply;
        }
        Kind::Segment => {
            let flow = flow_of(&network, &segment, settings);
            match pending::complete(flow, &segment, settings) {
                Some(done) => {
                    if strays {
                        flows::learn(flow);
                    }
                    let kind = if done.unanswered { kind::UNANSWERED_COMPLETION } else { kind::COMPLETION };
                    Seen { kind, attempt_reported: done.reported }
                }
                None if strays && flows::learn(flow) => Seen { kind: kind::STRAY, attempt_reported: false },
                None => return End::Segment,
            }
        }
        Kind::Attempt => Seen { kind: kind::ATTEMPT, attempt_reported: false },
        Kind::Probe => Seen { kind: kind::PROBE, attempt_reported: false },
        Kind::TinyFragment => Seen { kind: kind::FRAGMENT, attempt_reported: false },
    };
    match account::note_down(packet.interface, &network, &segment, source, seen) {
        Some(cpu) => account::account(packet, cpu, settings),
        // An array of one: always there.
        None => End::NotOwn,
    }
}

#[inline(always)]
fn flow_of(network: &Network, segment: &Segment, settings: &Settings) -> u64 {
    flow_hash(&network.from, &network.to, segment.from_port, segment.to_port, &settings.seed)
}

/// The kernel lends its helpers to programs under a licence compatible with the GPL.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// A loop, so that the verifier refuses a program that could get here.
#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Nothing: on the host this crate is only checked, never run.
#[cfg(not(target_arch = "bpf"))]
fn main() {}
