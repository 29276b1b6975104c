use std::collections::{BTreeMap, BTreeSet};

use super::*;

#[test]
fn every_end_and_note_of_the_kernel_shows_up() {
    let m = Metrics::default();
    let tally: Vec<u64> = (0..u64::from(tcpcap_common::tally::TALLY_LEN)).map(|i| 1000 + i).collect();
    m.take_tally(&tally);
    let text = m.encode().unwrap();
    for (i, _) in tally.iter().enumerate() {
        assert!(text.contains(&format!(" {}\n", 1000 + i)), "counter {i} is missing from\n{text}");
    }
}

#[test]
fn the_originals_two_names_are_kept() {
    let m = Metrics::default();
    m.processed_blocks.inc();
    let text = m.encode().unwrap();
    assert!(text.contains("tcpcap_processed_conns_total 0\n"), "{text}");
    assert!(text.contains("tcpcap_processed_blocks_total 1\n"), "{text}");
}

/// Labels whose values are chosen by tcpcap or by whoever runs it: `interface` is a card of this host.
const LABELS: &str = "backend end event feed how interface kind layout map mode origin outcome part reason rule state status \
                      verdict version window";

/// A family as it is served.
#[derive(Debug, Default)]
struct Served {
    kind: String,
    labels: BTreeSet<String>,
    samples: usize,
}

/// Reads OpenMetrics 1.0 strictly: each family announced with help and type before its samples, each sample named as its
/// type asks, buckets that add up, the end marked.
fn read(text: &str) -> BTreeMap<String, Served> {
    let (mut families, mut helped, mut current) = (BTreeMap::<String, Served>::new(), BTreeSet::new(), String::new());
    let mut buckets: Vec<(f64, f64)> = Vec::new();
    let body = text.strip_suffix("# EOF\n").expect("the end is marked");
    for line in body.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').expect(line);
            assert!(words.len() > 5 && words.ends_with('.'), "{line}");
            assert!(helped.insert(name.to_owned()), "{name} is explained twice");
            continue;
        }
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect(line);
            assert!(helped.contains(name), "{name} has no help");
            assert!(name.starts_with("tcpcap_") && name.bytes().all(|b| b == b'_' || b.is_ascii_lowercase()), "{name}");
            assert!(!["_total", "_bucket", "_count", "_sum", "_info"].iter().any(|s| name.ends_with(s)), "{name}");
            let new = Served { kind: kind.to_owned(), ..Served::default() };
            assert!(families.insert(name.to_owned(), new).is_none(), "{name} is there twice");
            name.clone_into(&mut current);
            continue;
        }
        assert!(!line.starts_with('#'), "{line}");
        let (series, value) = line.rsplit_once(' ').expect(line);
        let value: f64 = value.parse().expect(line);
        let (name, labels) =
            series.split_once('{').map_or((series, ""), |(n, l)| (n, l.strip_suffix('}').expect(line)));
        let family = families.get_mut(&current).expect(line);
        let suffix = name.strip_prefix(&current).expect(line);
        let fits = match family.kind.as_str() {
            "counter" => suffix == "_total",
            "gauge" => suffix.is_empty(),
            "info" => suffix == "_info",
            "histogram" => ["_bucket", "_sum", "_count"].contains(&suffix),
            other => panic!("{current} is of the type {other}"),
        };
        assert!(fits, "{line} in a {}", family.kind);
        for label in labels.split_terminator(',') {
            let (key, quoted) = label.split_once('=').expect(line);
            let inner = quoted.strip_prefix('"').and_then(|q| q.strip_suffix('"')).expect(line);
            if key == "le" {
                let le = if inner == "+Inf" { f64::INFINITY } else { inner.parse().expect(line) };
                buckets.push((le, value));
            } else {
                family.labels.insert(key.to_owned());
            }
        }
        if suffix == "_bucket" && buckets.last().is_some_and(|(le, _)| le.is_infinite()) {
            assert!(buckets.windows(2).all(|b| b[0].0 < b[1].0 && b[0].1 <= b[1].1), "{current}: {buckets:?}");
            buckets.clear();
        }
        assert!(family.kind == "gauge" || value >= 0.0, "{line}");
        family.samples += 1;
    }
    families
}

/// Metrics as they are when everything has happened once.
fn used() -> Metrics {
    let m = Metrics::default();
    m.take_tally(&vec![1; tcpcap_common::tally::TALLY_LEN as usize]);
    m.count_finding("port-scan", "burst");
    m.count_decision("block");
    m.set_interface("eth0", Some("native"));
    m.set_egress("eth0", Some("tcx"));
    m.set_room(MAPS.map(|map| (map.to_owned(), 10)));
    MAPS.iter().for_each(|map| m.set_entries(map, 1));
    m.event_to_block.observe(1e-4);
    m.poll.observe(1e-3);
    m.take_log(&Log::silent());
    m.enforcement.set_blocks(1, 2, 3, 4);
    m.enforcement.feeds.set([FeedState { name: "drop", healthy: true, modified: Some(1) }]);
    m.enforcement.set_history(&crate::history::Stats::default());
    m.enforcement.set_healthy("control", true);
    [&m.control, &m.http].iter().for_each(|served| served.answered(axum::http::StatusCode::OK));
    m
}

#[test]
fn what_is_served_is_openmetrics_as_its_specification_asks() {
    let families = read(&used().encode().unwrap());
    assert!(families.len() > 50);
    for (name, family) in &families {
        let known = |label: &String| LABELS.split(' ').any(|known| known == label);
        assert!(family.labels.iter().all(known), "a label of {name} is new: who chooses its values? {family:?}");
        assert!(family.samples > 0, "nothing of {name} can be seen");
    }
}

#[test]
fn every_metric_is_documented_with_its_type_and_labels() {
    let page = include_str!("../../../../docs/metrics.md");
    let mut documented = BTreeMap::new();
    for row in page.lines().filter(|line| line.starts_with("| `tcpcap_")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        let [name, kind, words] = cells[..] else { panic!("{row}") };
        assert!(words.trim_end_matches(" |").len() > 10, "{row}");
        let name = name.trim_start_matches("| `").trim_end_matches('`');
        let (name, labels) = name.split_once('{').unwrap_or((name, "}"));
        let labels: BTreeSet<String> = labels.trim_end_matches('}').split_terminator(',').map(str::to_owned).collect();
        documented.insert(name.to_owned(), (kind.to_owned(), labels));
    }
    let mut served = BTreeMap::new();
    for (name, Served { kind, labels, .. }) in read(&used().encode().unwrap()) {
        let suffix = match kind.as_str() {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        served.insert(format!("{name}{suffix}"), (kind, labels));
    }
    assert_eq!(served, documented);
}

#[test]
fn blocks_are_shown_as_what_becomes_of_their_packets() {
    let m = Metrics::default();
    let shown = || {
        let text = m.encode().unwrap();
        let lines = text.lines().filter(|line| line.starts_with("tcpcap_blocks{") && !line.ends_with(" 0"));
        let mut lines: Vec<_> = lines.map(str::to_owned).collect();
        lines.sort();
        lines
    };
    m.enforcement.set_blocks(5, 2, 0, 0);
    let enforced = [
        "tcpcap_blocks{origin=\"automatic\",state=\"enforced\"} 5",
        "tcpcap_blocks{origin=\"operator\",state=\"enforced\"} 2",
    ];
    assert_eq!(shown(), enforced);
    m.enforcement.set_observing(true);
    assert_eq!(shown(), enforced.map(|line| line.replace("enforced", "observed")));
    m.enforcement.set_blocks(1, 0, 0, 0);
    m.enforcement.set_observing(true);
    assert_eq!(shown(), ["tcpcap_blocks{origin=\"automatic\",state=\"observed\"} 1"]);
    m.enforcement.set_observing(false);
    assert_eq!(shown(), ["tcpcap_blocks{origin=\"automatic\",state=\"enforced\"} 1"]);
}

#[test]
fn every_outcome_of_policy_can_be_seen_before_it_happened() {
    use tcpcap_core::{Outcome, Protection, Suppression, Time};
    let text = Metrics::default().encode().unwrap();
    let (until, why) = (Time::ZERO, Suppression::Protected(Protection::Own([10, 0, 0, 5].into())));
    let outcomes = [
        Outcome::Alert,
        Outcome::Block { until },
        Outcome::Extend { until },
        Outcome::Observe { until },
        Outcome::Suppressed(why),
    ];
    for outcome in outcomes {
        let line = format!("tcpcap_decisions_total{{outcome=\"{}\"}} 0\n", outcome.name());
        assert!(text.contains(&line), "{line} is missing");
    }
}

#[test]
fn only_maps_that_can_fill_up_have_room_to_show() {
    let m = Metrics::default();
    m.set_room([("BLOCKS".to_owned(), 9), ("PENDING".to_owned(), 8)]);
    m.set_entries(map::BLOCKS, 3);
    let text = m.encode().unwrap();
    assert!(text.contains("tcpcap_map_max_entries{map=\"BLOCKS\"} 9\n"), "{text}");
    assert!(text.contains("tcpcap_map_entries{map=\"BLOCKS\"} 3\n"), "{text}");
    assert!(!text.contains("PENDING"), "{text}");
}

#[test]
fn a_feed_that_is_no_longer_configured_is_no_longer_shown() {
    let m = Metrics::default();
    let shown = || {
        let text = m.encode().unwrap();
        let mut lines: Vec<_> =
            text.lines().filter(|line| line.starts_with("tcpcap_feed_")).map(str::to_owned).collect();
        lines.retain(|line| line.contains('{'));
        lines.sort();
        lines
    };
    let feed = |name, healthy, modified| FeedState { name, healthy, modified };
    m.enforcement.feeds.set([feed("a", true, Some(7)), feed("b", false, None)]);
    let a = ["tcpcap_feed_healthy{feed=\"a\"} 1", "tcpcap_feed_modified_timestamp_seconds{feed=\"a\"} 7"];
    assert_eq!(shown(), [a[0], "tcpcap_feed_healthy{feed=\"b\"} 0", a[1]]);
    m.enforcement.feeds.set([feed("a", true, Some(7))]);
    assert_eq!(shown(), a);
    m.enforcement.feeds.set([]);
    assert!(shown().is_empty());
}
