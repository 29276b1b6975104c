use std::time::Duration;

use tcpcap_common::wire::{
    self,
    flag::{ACK, FIN, PSH, RST, SYN},
};

use super::*;

/// An Ethernet frame with a TCP header of 20 bytes in it.
fn frame((from, from_port): ([u8; 4], u16), (to, to_port): ([u8; 4], u16), flags: u8, seq: u32, ack: u32) -> Vec<u8> {
    let mut frame = vec![0; 12];
    frame.extend([8, 0, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0]);
    frame.extend(from.into_iter().chain(to));
    frame.extend(from_port.to_be_bytes().into_iter().chain(to_port.to_be_bytes()));
    frame.extend(seq.to_be_bytes().into_iter().chain(ack.to_be_bytes()));
    frame.extend([0x50, flags, 255, 255, 0, 0, 0, 0]);
    frame
}

const SOURCE: [u8; 4] = [192, 0, 2, 1];
const HOST: [u8; 4] = [10, 0, 0, 1];
const OTHER_HOST: [u8; 4] = [10, 0, 0, 2];

fn sensor() -> Sensor {
    Sensor::new(Own { networks: vec!["10.0.0.0/24".parse().unwrap()], ..Own::default() }, false)
}

fn see(sensor: &mut Sensor, from: ([u8; 4], u16), to: ([u8; 4], u16), flags: u8, seq: u32) -> (End, Option<Sighting>) {
    acknowledge(sensor, from, to, flags, seq, 0)
}

fn acknowledge(
    sensor: &mut Sensor,
    from: ([u8; 4], u16),
    to: ([u8; 4], u16),
    flags: u8,
    seq: u32,
    ack: u32,
) -> (End, Option<Sighting>) {
    let (network, segment) = wire::parse(&frame(from, to, flags, seq, ack)).unwrap();
    sensor.see(&network, &segment, &[])
}

/// What both sides say of one connection, and what is sighted. `true` is the source's.
fn talk(strays: bool, segments: &[(bool, u8, u32, u32)]) -> Vec<SightingKind> {
    let own = Own { networks: vec!["10.0.0.0/24".parse().unwrap()], ..Own::default() };
    let mut sensor = Sensor::new(own, strays);
    let (source, host) = ((SOURCE, 1000), (HOST, 80));
    let said = segments.iter().filter_map(|&(theirs, flags, seq, ack)| {
        let (from, to) = if theirs { (source, host) } else { (host, source) };
        let sighting = acknowledge(&mut sensor, from, to, flags, seq, ack).1?;
        let (at, by) = (Addr::from(IpAddr::from(HOST)), Addr::from(IpAddr::from(SOURCE)));
        assert_eq!((sighting.from, sighting.to, sighting.to_port), (by, at, 80), "whoever sends it");
        Some(match sighting.kind {
            SightingKind::Attempt(_) => SightingKind::Attempt(Marks::default()),
            kind => kind,
        })
    });
    said.collect()
}

/// Plays (second, flags, sequence number) from the source's port 1000 to the host's port 80; returns the ends.
fn ends(segments: &[(u64, u8, u32)]) -> Vec<End> {
    let mut sensor = sensor();
    segments
        .iter()
        .map(|&(second, flags, seq)| {
            sensor.tick(Time::from_secs(second));
            see(&mut sensor, (SOURCE, 1000), (HOST, 80), flags, seq).0
        })
        .collect()
}

#[test]
fn a_segment_is_what_its_flags_and_the_handshake_before_it_make_of_it() {
    use End::{Attempt, Completion, Probe, Reply, Retransmission, Segment};
    const MAX: u32 = u32::MAX;
    for (what, segments, expected) in [
        ("a handshake", &[(0, SYN, 7), (0, ACK, 8), (1, ACK | PSH, 8)][..], &[Attempt, Completion, Segment][..]),
        ("its ACK lost", &[(0, SYN, 7), (0, ACK | PSH, 1000)], &[Attempt, Completion]),
        ("wrapping around", &[(0, SYN, MAX), (0, ACK, 0)], &[Attempt, Completion]),
        ("the last number that fits", &[(0, SYN, 7), (0, ACK, 8 + 0xffff)], &[Attempt, Completion]),
        ("one past it", &[(0, SYN, 7), (0, ACK, 9 + 0xffff)], &[Attempt, Segment]),
        ("one before the first", &[(0, SYN, 7), (0, ACK, 7)], &[Attempt, Segment]),
        ("an ACK of nothing", &[(0, ACK, 8)], &[Segment]),
        ("a FIN completes too", &[(0, SYN, 7), (0, ACK | FIN, 8)], &[Attempt, Completion]),
        ("a RST does not", &[(0, SYN, 7), (0, ACK | RST, 8), (1, RST, 8)], &[Attempt, Reply, Reply]),
        (
            "the same SYN within 65 s of its last",
            &[(0, SYN, 7), (64, SYN, 7), (128, SYN, 7)],
            &[Attempt, Retransmission, Retransmission],
        ),
        ("the same SYN after 65 s", &[(0, SYN, 7), (65, SYN, 7)], &[Attempt, Attempt]),
        ("another SYN", &[(0, SYN, 7), (1, SYN, 8), (1, ACK, 9)], &[Attempt, Attempt, Completion]),
        (
            "a retransmission can be completed",
            &[(0, SYN, 7), (1, SYN, 7), (2, ACK, 8)],
            &[Attempt, Retransmission, Completion],
        ),
        (
            "after its completion a SYN is new",
            &[(0, SYN, 7), (0, ACK, 8), (1, SYN, 7)],
            &[Attempt, Completion, Attempt],
        ),
        ("probes", &[(0, 0, 7), (0, FIN, 7), (0, SYN | FIN, 7), (0, SYN | RST, 7)], &[Probe; 4]),
        ("a SYN-ACK", &[(0, SYN | ACK, 7)], &[Reply]),
    ] {
        assert_eq!(ends(segments), expected, "{what}");
    }
}

#[test]
fn only_what_goes_from_outside_to_an_own_address_counts() {
    let mut own = sensor();
    own.own.except = vec!["10.0.0.2/32".parse().unwrap()];
    for (from, to, end) in [
        (SOURCE, HOST, End::Attempt),
        (SOURCE, OTHER_HOST, End::NotOwn),
        (OTHER_HOST, HOST, End::Attempt),
        (HOST, SOURCE, End::NotOwn),
        (HOST, [10, 0, 0, 3], End::NotOwn),
        (SOURCE, SOURCE, End::NotOwn),
    ] {
        for flags in [SYN, FIN] {
            let (seen, sighting) = see(&mut own, (from, 1000), (to, 80), flags, 1);
            let end = if flags == FIN && end == End::Attempt { End::Probe } else { end };
            assert_eq!((seen, sighting.is_some()), (end, end != End::NotOwn), "{from:?} {to:?}");
        }
    }
    let ours = see(&mut own, (HOST, 1000), (SOURCE, 80), ACK, 2);
    assert_eq!(ours, (End::Segment, None), "a SYN that does not count waits for nothing");
}

#[test]
fn a_sighting_tells_who_tried_what_and_when() {
    let mut sensor = sensor();
    sensor.tick(Time::from_secs(9));
    let expected = |kind, from_port| {
        let addr = |ip: [u8; 4]| Addr::from(IpAddr::from(ip));
        Some(Sighting::new(Time::from_secs(9), kind, (addr(SOURCE), from_port), (addr(HOST), 80)))
    };
    let mut sighted = |flags, seq, port| see(&mut sensor, (SOURCE, port), (HOST, 80), flags, seq).1;
    let Some(SightingKind::Attempt(marks)) = sighted(SYN, 7, 1000).map(|s| s.kind) else { panic!("no attempt") };
    assert_eq!((marks.tool, marks.stack != 0), (None, true));
    assert_eq!(sighted(SYN, 7, 1000), None);
    assert_eq!(sighted(ACK, 8, 1001), None);
    assert_eq!(sighted(ACK, 8, 1000), expected(SightingKind::Completion { unanswered: false }, 1000));
    assert_eq!(sighted(FIN | PSH, 8, 1000), expected(SightingKind::Probe { flags: FIN | PSH }, 1000));
}

#[test]
fn a_clock_that_runs_backwards_stands_still() {
    let mut sensor = sensor();
    for (at, counts) in [(5000, 5000), (4000, 5000), (3999, 5000), (0, 5000), (5001, 5001)] {
        let ms = |n| Time::ZERO + Duration::from_millis(n);
        assert_eq!(sensor.tick(ms(at)), ms(counts));
        let (_, sighting) = see(&mut sensor, (SOURCE, 1000), (HOST, 80), FIN, 0);
        assert_eq!(sighting.unwrap().time, ms(counts));
    }
    assert_eq!(sensor.backwards(), 2, "a second is jitter");
}

#[test]
fn handshakes_that_give_way_are_counted() {
    let mut sensor = sensor();
    sensor.tick(Time::from_secs(1));
    for flow in 0..300_000u32 {
        let [_, a, b, c] = flow.to_be_bytes();
        see(&mut sensor, ([192, a, b, c], 1000), (HOST, 80), SYN, 1);
    }
    // 300,000 balls into 2^18 bins fill 178,700 of them.
    assert!((118_000..125_000).contains(&sensor.displaced()), "{}", sensor.displaced());
    let before = sensor.displaced();
    sensor.tick(Time::from_secs(100));
    see(&mut sensor, (SOURCE, 1000), (HOST, 80), SYN, 1);
    assert_eq!(sensor.displaced(), before, "nobody waits that long");
}

const THEIRS: bool = true;
const OURS: bool = false;
const TRIED: SightingKind = SightingKind::Attempt(Marks { tool: None, stack: 0 });
const STRAY: SightingKind = SightingKind::Stray { refused: true };

#[test]
fn our_own_answers_say_what_became_of_an_attempt() {
    let completed = |unanswered| SightingKind::Completion { unanswered };
    for (what, segments, sighted) in [
        (
            "a handshake",
            &[(THEIRS, SYN, 7, 0), (OURS, SYN | ACK, 90, 8), (THEIRS, ACK, 8, 91)][..],
            &[TRIED, completed(false)][..],
        ),
        (
            "an ACK that does not fit the answer",
            &[(THEIRS, SYN, 7, 0), (OURS, SYN | ACK, 90, 8), (THEIRS, ACK, 8, 17)],
            &[TRIED],
        ),
        (
            "refused, once",
            &[(THEIRS, SYN, 7, 0), (OURS, RST | ACK, 0, 8), (OURS, RST | ACK, 0, 8)],
            &[TRIED, SightingKind::Refusal],
        ),
        (
            "refused, then acknowledged",
            &[(THEIRS, SYN, 7, 0), (OURS, RST | ACK, 0, 8), (THEIRS, ACK, 8, 1)],
            &[TRIED, SightingKind::Refusal],
        ),
        ("a RST of something else", &[(THEIRS, SYN, 7, 0), (OURS, RST | ACK, 0, 800_000)], &[TRIED]),
        (
            "answered and given up",
            &[(THEIRS, SYN, 7, 0), (OURS, SYN | ACK, 90, 8), (OURS, RST | ACK, 91, 8)],
            &[TRIED, SightingKind::Refusal],
        ),
        (
            "another answer to the same SYN",
            &[(THEIRS, SYN, 7, 0), (OURS, SYN | ACK, 90, 8), (OURS, SYN | ACK, 5000, 8), (THEIRS, ACK, 8, 5001)],
            &[TRIED, completed(false)],
        ),
        ("an ACK of nothing, refused", &[(THEIRS, ACK, 8, 7), (OURS, RST, 7, 0)], &[STRAY]),
        ("backscatter, refused", &[(THEIRS, SYN | ACK, 8, 7), (OURS, RST, 7, 0)], &[]),
        ("a connection of ours, given up", &[(OURS, SYN, 6, 0), (THEIRS, SYN | ACK, 8, 7), (OURS, RST, 7, 0)], &[]),
    ] {
        assert_eq!(talk(false, segments), sighted, "{what}");
    }
}

#[test]
fn an_attempt_that_went_unanswered_while_others_were_answered_is_told_so() {
    let mut sensor = sensor();
    see(&mut sensor, (SOURCE, 1), (HOST, 80), SYN, 7);
    assert_eq!(
        see(&mut sensor, (SOURCE, 1), (HOST, 80), ACK, 8).1.unwrap().kind,
        SightingKind::Completion { unanswered: false }
    );
    assert!(!sensor.sees_answers());
    acknowledge(&mut sensor, (HOST, 80), (SOURCE, 2), RST | ACK, 0, 0);
    assert!(sensor.sees_answers());
    see(&mut sensor, (SOURCE, 3), (HOST, 80), SYN, 7);
    assert_eq!(
        see(&mut sensor, (SOURCE, 3), (HOST, 80), ACK, 8).1.unwrap().kind,
        SightingKind::Completion { unanswered: true }
    );
}

#[test]
fn a_stray_is_told_of_once_and_only_where_strays_are_looked_for() {
    let stray = SightingKind::Stray { refused: false };
    let segments = &[(THEIRS, ACK, 8, 7), (THEIRS, ACK, 8, 7), (THEIRS, ACK | FIN, 8, 7)];
    assert_eq!(talk(true, segments), [stray]);
    assert_eq!(talk(false, segments), []);
    // Connections that were seen to begin, on either side, and those that we take part in.
    for known in [
        &[(THEIRS, SYN, 7, 0), (OURS, SYN | ACK, 90, 8), (THEIRS, ACK, 8, 91), (THEIRS, ACK, 9, 91)][..],
        &[(OURS, SYN, 6, 0), (THEIRS, SYN | ACK, 8, 7), (OURS, ACK, 7, 9), (THEIRS, ACK, 9, 8)],
        &[(OURS, ACK, 7, 9), (THEIRS, ACK, 9, 8)],
    ] {
        assert!(!talk(true, known).contains(&stray), "{known:?}");
    }
}

#[test]
fn a_storm_of_retransmissions_is_one_attempt() {
    let mut sensor = sensor();
    let seen = (0..10_000u64).filter(|i| {
        sensor.tick(Time::ZERO + Duration::from_millis(10 * i));
        see(&mut sensor, (SOURCE, 1000), (HOST, 80), SYN, 7).1.is_some()
    });
    assert_eq!(seen.count(), 1);
}
