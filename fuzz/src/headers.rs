//! Headers: any bytes, behind any link header.

use std::cell::RefCell;

use tcpcap::capture::LinkType;
use tcpcap_common::{
    options::Options,
    record::OPTIONS_LEN,
    tally::End,
    wire::{self, Network, Segment},
};
use tcpcap_core::{Marks, Source, Syn};

use crate::{guard::GuardedMemory, seeds};

const LINKS: [LinkType; 6] =
    [LinkType::Ethernet, LinkType::Raw, LinkType::Ipv4, LinkType::Ipv6, LinkType::LinuxCooked, LinkType::LinuxCooked2];

/// What is longer is cut: no header that is read begins further behind.
const MAX_LEN: usize = 1 << 14;

thread_local! {
    static MEMORY: RefCell<GuardedMemory> = RefCell::new(GuardedMemory::new(MAX_LEN));
}

/// A byte that chooses the link header, and a frame; where it ends the memory ends, so that what reads on is killed.
pub fn run(input: &[u8]) {
    let Some((link, frame)) = input.split_first() else { return };
    let link = LINKS[usize::from(*link) % LINKS.len()];
    MEMORY.with_borrow_mut(|memory| check(link, memory.at_the_end(&frame[..frame.len().min(MAX_LEN)])));
}

fn check(link: LinkType, frame: &[u8]) {
    let read = link.parse(frame);
    if link == LinkType::Ethernet {
        assert_eq!(read, wire::parse(frame), "Ethernet reads the same in captures");
    }
    if let Ok((network, segment)) = &read {
        check_segment(frame, network, segment);
    }
    if let Some((_, shorter)) = frame.split_last() {
        check_cut(link, shorter, &read);
    }
}

/// A frame whose headers are all there reads the same however much follows.
fn check_cut(link: LinkType, shorter: &[u8], whole: &Result<(Network, Segment), End>) {
    let cut = link.parse(shorter);
    let too_short = matches!(cut, Err(End::FrameTruncated | End::IpTruncated | End::TcpTruncated | End::TinyFragment));
    assert!(too_short || cut == *whole, "{link:?}: {cut:?}, with one byte more {whole:?}");
}

fn check_segment(frame: &[u8], network: &Network, segment: &Segment) {
    assert_eq!(network.from.is_v4(), network.to.is_v4(), "both ends are of one family");
    let at = segment.options;
    assert!(at.offset <= frame.len(), "the header lies within the frame");
    assert!(at.len.is_multiple_of(4) && usize::from(at.len) <= OPTIONS_LEN, "{at:?}");
    let mut options = [0xff; OPTIONS_LEN];
    let (start, end) = wire::span(frame);
    // SAFETY: `start..end` is the slice.
    let len = usize::from(unsafe { wire::copy_options(start, end, at, &mut options) });
    assert!(len <= usize::from(at.len) && at.offset + len <= frame.len(), "no more options than are there");
    assert_eq!(options[..len], frame[at.offset..at.offset + len]);
    assert!(options[len..].iter().all(|b| *b == 0), "what is not theirs is zero");
    let layout = Options::read(&options[..len]);
    assert!(layout.layout().len() <= len, "an option is a byte at least");
    let marks = Marks::of(&Syn {
        to: (network.to, segment.to_port),
        seq: segment.seq,
        ip_id: network.ip_id,
        ttl: network.ttl,
        window: segment.window,
        options: &options[..len],
    });
    std::hint::black_box((marks, segment.kind()));
    let source = Source::of(network.from, network.to);
    assert!(source.network().contains(&network.from.to_ip()), "{source} stands for {:?}", network.from);
}

/// Frames of every shape, and two of them behind the other link headers.
pub fn seeds() -> Vec<Vec<u8>> {
    let frames = seeds::frames();
    let seed = |link: u8, header: &[u8], packet: &[u8]| [&[link], header, packet].concat();
    let mut seeds = Vec::new();
    for (frame, ethertype, raw) in [(&frames[0], [8, 0], 2), (&frames[1], [0x86, 0xdd], 3)] {
        let packet = &frame[14..];
        seeds.push(seed(1, &[], packet));
        seeds.push(seed(raw, &[], packet));
        seeds.push(seed(4, &[&[0; 14][..], &ethertype].concat(), packet));
        seeds.push(seed(5, &[&ethertype[..], &[0; 18]].concat(), packet));
    }
    seeds.extend(frames.iter().chain(&seeds::captured_frames()).map(|frame| seed(0, &[], frame)));
    seeds
}
