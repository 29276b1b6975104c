//! The sensor that replay uses, held against the program that it stands in for: random short streams of frames over a few
//! flows, and every one must end alike.

use std::{cell::RefCell, collections::BTreeSet};

use aya::maps::{Array, MapData};
use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};
use tcpcap_common::{
    record::{COMPLETION_WINDOW, Pending, map},
    tally::End,
    wire::{
        self,
        flag::{ACK, FIN, PSH, RST, SYN},
    },
};
use tcpcap_core::{Own, Sensor as Stand, Time};
use tcpcap_lab::{Frame, frame::protocol};

use crate::sensor::{OWN_V4, OWN_V6, Sensor, cpus, now, stay_on, syn};

/// The flows that frames are of: own addresses and one that is not, each from two ports.
fn flows() -> Vec<Frame> {
    let of = |port| {
        let other = Frame::tcp(([192, 0, 2, 7], port), "198.51.100.2:80");
        [syn("192.0.2.7", port), syn("2001:db8:9:9::7", port), other]
    };
    [of(1), of(2)].concat()
}

fn any_frame() -> impl Strategy<Value = Frame> {
    let flags = prop_oneof![
        6 => select(vec![SYN, ACK, ACK | PSH]),
        2 => select(vec![ACK | FIN, SYN | ACK, RST, RST | ACK, FIN, 0]),
        1 => any::<u8>(),
    ];
    // Around what a SYN may be followed by: at once, at the window's end, and beyond.
    let near = prop_oneof![4 => 0..3u32, 1 => COMPLETION_WINDOW..COMPLETION_WINDOW + 4, 1 => any::<u32>()];
    let seq = (select(vec![0, u32::MAX]), near).prop_map(|(base, off): (u32, u32)| base.wrapping_add(off));
    (select(flows()), flags, seq, any::<u32>(), 0..12u8).prop_map(|(flow, flags, seq, ack, shape)| {
        let frame = flow.flags(flags).seq(seq, ack);
        match shape {
            0 => frame.vlan(5),
            1 => frame.qinq(5, 6).options(&[1; 40]),
            2 => frame.first_bytes(8),
            3 => frame.first_bytes(7),
            4 => frame.fragment(9, true),
            5 => frame.protocol(protocol::UDP),
            _ => frame,
        }
    })
}

/// A program for whose secret no two flows share a slot, and the slots.
fn sensor() -> (Sensor, BTreeSet<u32>) {
    loop {
        let mut sensor = Sensor::new();
        let slots: BTreeSet<u32> = flows().iter().map(|flow| sensor.slot(flow)).collect();
        if slots.len() == flows().len() {
            return (sensor, slots);
        }
    }
}

#[test]
fn the_program_and_its_stand_in_end_every_stream_alike() {
    stay_on(cpus()[0]);
    let (mut sensor, slots) = sensor();
    let pending = RefCell::new(sensor.map::<Array<MapData, Pending>>(map::PENDING));
    let sensor = RefCell::new(sensor);
    let seen = RefCell::new(BTreeSet::new());
    let own = Own { addresses: [OWN_V4.into(), OWN_V6.into()].into(), ..Own::default() };
    let config = Config { failure_persistence: None, ..Config::with_cases(400) };
    TestRunner::new(config)
        .run(&vec(any_frame(), 1..40), |stream| {
            slots.iter().for_each(|&slot| pending.borrow_mut().set(slot, Pending::default(), 0).unwrap());
            let mut stand = Stand::new(own.clone(), false);
            let ends: Vec<[End; 2]> = stream
                .iter()
                .map(|frame| {
                    stand.tick(Time::from_nanos(now()));
                    let by_stand = match wire::parse(&frame.build()) {
                        Ok((network, segment)) => stand.see(&network, &segment, &[]).0,
                        Err(end) => end,
                    };
                    [sensor.borrow_mut().end(frame), by_stand]
                })
                .collect();
            seen.borrow_mut().extend(ends.iter().map(|[end, _]| end.name()));
            prop_assert!(ends.iter().all(|[program, stand]| program == stand), "{:?}", ends);
            Ok(())
        })
        .unwrap();
    for end in [End::Attempt, End::Retransmission, End::Completion, End::Probe, End::TinyFragment, End::NotOwn] {
        assert!(seen.borrow().contains(end.name()), "no stream had {end:?}");
    }
}
