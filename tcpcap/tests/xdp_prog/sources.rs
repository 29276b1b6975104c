//! The records of sources: who counts as one, and what is counted.

use aya::maps::{HashMap, MapData};
use tcpcap_common::{
    Addr,
    record::{Source, map},
    tally::{End, Note},
    wire::flag::{ACK, FIN},
};
use tcpcap_lab::Frame;

use crate::sensor::{Sensor, addr, now, syn};

#[test]
fn a_record_counts_each_thing_once() {
    for from in ["192.0.2.7", "2001:db8:1:2::99"] {
        let mut sensor = Sensor::new();
        let before = now();
        sensor.send(&syn(from, 1));
        let first = sensor.record(from).unwrap();
        assert!((before..=now()).contains(&first.first_seen));
        let fresh = Source { attempts: 1, events: 1, ..Source::default() };
        let times = |s: Source| Source {
            first_seen: s.first_seen,
            last_seen: s.last_seen,
            window_start: s.window_start,
            ..fresh
        };
        assert_eq!(first, times(first));
        assert_eq!((first.last_seen, first.window_start), (first.first_seen, first.first_seen));

        // What is sent, and how often each thing has been counted then.
        let steps = [
            ("the SYN again", syn(from, 1), [1, 1, 0, 0]),
            ("its ACK", syn(from, 1).flags(ACK).seq(2, 1), [1, 1, 1, 0]),
            ("a segment", syn(from, 1).flags(ACK).seq(2, 1), [1, 1, 1, 0]),
            ("a probe", syn(from, 1).flags(FIN), [1, 1, 1, 1]),
            ("the next SYN", syn(from, 2), [2, 1, 1, 1]),
        ];
        for (what, frame, counts) in steps {
            let last = sensor.record(from).unwrap().last_seen;
            let end = sensor.end(&frame);
            let r = sensor.record(from).unwrap();
            assert_eq!([r.attempts, r.retransmissions, r.completions, r.probes], counts, "{what}");
            assert_eq!(r.first_seen, first.first_seen);
            assert_eq!(r.last_seen > last, end != End::Segment, "{what}");
        }
        assert_eq!(sensor.records().len(), 1);
    }
}

#[test]
fn a_probe_makes_a_record_too() {
    let mut sensor = Sensor::new();
    assert_eq!(sensor.send(&syn("192.0.2.7", 1).flags(0)), (End::Probe, vec![Note::EventSent, Note::SourceAdded]));
    let record = sensor.record("192.0.2.7").unwrap();
    assert_eq!((record.attempts, record.probes), (0, 1));
}

#[test]
fn an_ipv6_source_is_its_prefix_and_a_neighbour_is_itself() {
    let mut sensor = Sensor::new();
    let from = [
        "2001:db8:9:9::7",
        "2001:db8:9:9:ffff:ffff:ffff:fff7",
        "2001:db8:9:8::7",
        "2001:db8:1:2::7",
        "2001:db8:1:2::8",
    ];
    for from in from {
        assert_eq!(sensor.end(&syn(from, 1)), End::Attempt);
    }
    let mut records: Vec<(Addr, u64)> = sensor.records().iter().map(|(a, r)| (*a, r.attempts)).collect();
    records.sort_unstable_by_key(|(a, _)| a.to_ip());
    let expected = [("2001:db8:1:2::7", 1), ("2001:db8:1:2::8", 1), ("2001:db8:9:8::", 1), ("2001:db8:9:9::", 2)];
    assert_eq!(records, expected.map(|(a, n)| (addr(a), n)));
    // What is told is the whole address.
    let told: Vec<Addr> = sensor.events().iter().map(|e| e.from).collect();
    assert_eq!(told, from.map(addr));
}

#[test]
fn a_source_is_the_same_over_a_vlan() {
    let mut sensor = Sensor::new();
    for from in ["192.0.2.7", "2001:db8:9:9::7"] {
        let frames: [Frame; 3] = [syn(from, 1), syn(from, 2).vlan(7), syn(from, 3).qinq(7, 8)];
        frames.iter().for_each(|frame| assert_eq!(sensor.end(frame), End::Attempt));
    }
    let attempts: Vec<u64> = sensor.records().iter().map(|(_, r)| r.attempts).collect();
    assert_eq!(attempts, [3, 3]);
}

#[test]
fn the_least_recently_used_records_give_way_to_new_ones() {
    let mut sensor = Sensor::new();
    let mut map: HashMap<MapData, Addr, Source> = sensor.map(map::SOURCES);
    // As many as the map holds, and then some.
    let nth = |n: u32| Addr::from_v4_word((0x0b00_0000 + n).to_be());
    let many = 140_000;
    for n in 0..many {
        map.insert(nth(n), Source { attempts: 1, ..Source::default() }, 0).unwrap();
    }
    for n in 0..200 {
        let from = format!("192.0.2.{n}");
        assert_eq!(sensor.send(&syn(&from, 1)).1, [Note::EventSent, Note::SourceAdded], "{from}");
        assert_eq!(sensor.record(&from).unwrap().attempts, 1);
    }
    let held = sensor.records().len();
    assert!((100_000..=131_072).contains(&held), "{held}");
    // What has given way starts anew.
    let gone = (0..many).map(nth).find(|a| map.get(a, 0).is_err()).unwrap();
    assert_eq!(sensor.send(&syn(&gone.to_ip().to_string(), 1)).1, [Note::EventSent, Note::SourceAdded]);
}
