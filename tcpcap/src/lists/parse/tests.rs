use super::*;
use proptest::prelude::*;

fn parse(text: impl AsRef<[u8]>) -> (Vec<String>, Report) {
    let mut parser = Parser::default();
    parser.push(text.as_ref());
    let (entries, report) = parser.finish();
    assert_eq!(report.entries, entries.len() as u64);
    (entries.iter().map(|e| e.network().to_string()).collect(), report)
}

/// What is taken, when nothing is skipped.
fn taken(text: impl AsRef<[u8]>) -> Vec<String> {
    let (entries, report) = parse(text);
    assert_eq!(report.skipped(), 0, "{report}");
    entries
}

/// The one line that is skipped.
fn skipped(text: impl AsRef<[u8]>) -> Complaint {
    let (entries, report) = parse(text);
    assert_eq!((entries.len(), report.skipped()), (0, 1), "{entries:?}{report}");
    report.complaints().next().unwrap().clone()
}

#[test]
fn addresses_and_networks_of_both_families_are_taken_in_order() {
    assert_eq!(
        taken("2001:db8:5::/48\n192.0.2.0/24\n198.51.100.7\n2001:db8::1\n"),
        ["192.0.2.0/24", "198.51.100.7/32", "2001:db8::1/128", "2001:db8:5::/48"]
    );
}

#[test]
fn comments_blank_lines_white_space_crlf_and_a_byte_order_mark_do_not_matter() {
    assert_eq!(
        taken("\u{feff}192.0.2.1 # why\r\n\r\n# all\n; all\n  \t192.0.2.2/32\t; SBL1\n   \n192.0.2.3#x\n192.0.2.4"),
        ["192.0.2.1/32", "192.0.2.2/32", "192.0.2.3/32", "192.0.2.4/32"]
    );
    assert!(taken("").is_empty() && taken("\n\n").is_empty() && taken("\u{feff}").is_empty());
}

#[test]
fn feeds_as_they_are_published_are_read() {
    let drop =
        "; Spamhaus DROP List 2026/01/01 - (c) 2026 The Spamhaus Project\n; Expires: x\n1.10.16.0/20 ; SBL256894\n";
    assert_eq!(taken(drop), ["1.10.16.0/20"]);
    let netset =
        "#\n# firehol_level1\n#\n# Maintainer URL  : http://iplists.firehol.org/\n\n5.42.92.0/24\n1.19.0.0/16\n";
    assert_eq!(taken(netset), ["1.19.0.0/16", "5.42.92.0/24"]);
    assert_eq!(taken("# Emerging Threats\n\n1.12.220.23\n1.14.8.80\n"), ["1.12.220.23/32", "1.14.8.80/32"]);
}

#[test]
fn a_range_becomes_the_networks_that_it_is_made_of() {
    assert_eq!(taken("192.0.2.1 - 192.0.2.6\n"), ["192.0.2.1/32", "192.0.2.2/31", "192.0.2.4/31", "192.0.2.6/32"]);
    assert_eq!(taken("10.0.0.0-10.255.255.255 # all"), ["10.0.0.0/8"]);
    assert_eq!(taken("192.0.2.9-192.0.2.9"), ["192.0.2.9/32"]);
    assert_eq!(taken("2001:db8::-2001:db8::1"), ["2001:db8::/127"]);
    assert_eq!(parse("192.0.2.0-192.0.2.255").1.ranges, 1);
    for bad in
        ["192.0.2.6-192.0.2.1", "192.0.2.1-2001:db8::1", "192.0.2.1-", "-", "192.0.2.1-6", "1.1.1.1-1.1.1.2-1.1.1.3"]
    {
        assert_eq!(skipped(bad).text, bad);
    }
}

#[test]
fn host_bits_are_cleared_and_counted() {
    let (entries, report) = parse("192.0.2.77/24\n192.0.2.0/25\n2001:db8::1/32\n198.51.100.7\n");
    assert_eq!(entries, ["192.0.2.0/24", "192.0.2.0/25", "198.51.100.7/32", "2001:db8::/32"]);
    assert_eq!((report.host_bits, report.lines), (2, 4));
}

#[test]
fn a_v4_mapped_address_is_the_ipv4_address() {
    assert_eq!(taken("::ffff:192.0.2.7\n::ffff:198.51.100.0/120\n"), ["192.0.2.7/32", "198.51.100.0/24"]);
    assert_eq!(taken("::ffff:192.0.2.0-::ffff:192.0.2.1"), ["192.0.2.0/31"]);
}

#[test]
fn what_stands_there_twice_is_taken_once_and_counted() {
    let (entries, report) = parse("192.0.2.7\n192.0.2.0/24\n192.0.2.7/32\n192.0.2.9/24\n");
    assert_eq!((entries.len(), report.duplicates), (2, 2));
}

#[test]
fn a_bad_line_is_reported_with_its_number_and_skipped() {
    let (entries, report) = parse("192.0.2.1\nexample.org ; who\n192.0.2.2\n");
    assert_eq!(entries.len(), 2);
    let complaint = &report.bad.first[0];
    assert_eq!((complaint.line, complaint.text.as_str()), (2, "example.org ; who"));
    assert!(report.to_string().contains("; skipped line 2: \"example.org ; who\": it is neither"), "{report}");
}

#[test]
fn what_could_be_misread_is_skipped() {
    for bad in [
        "192.0.2.0/33",
        "2001:db8::/129",
        "192.0.2.0/",
        "192.0.2.0/+8",
        "192.0.2.0/-1",
        "192.0.2.0/255.255.255.0",
        "192.0.2.0/24/24",
        "192.0.2",
        "192.0.2.010",
        "fe80::1%eth0",
        "/24",
        "80.94.92.0\t80.94.92.255\t24",
        "192.0.2.1 192.0.2.2",
        "192.0.2.1,192.0.2.2",
        "{\"cidr\":\"1.10.16.0/20\"}",
        "<html>",
    ] {
        assert_eq!(skipped(bad).line, 1, "{bad}");
    }
    assert!(skipped("192.0.2.1 x").reason.contains("more than"));
    assert!(skipped("2001:db8::/129").reason.contains("128"));
}

#[test]
fn what_shuts_out_much_of_the_world_and_what_is_nobodys_is_skipped_with_the_reason() {
    let (entries, report) =
        parse("0.0.0.0/0\n224.0.0.0/3\n192.0.2.1\n127.0.0.0/8\n0.0.0.0-255.255.255.255\n::/16\n::1\n");
    assert_eq!(entries, ["192.0.2.1/32"]);
    assert_eq!((report.too_broad.count, report.reserved.count, report.bad.count), (3, 3, 0));
    assert!(report.too_broad.first[1].reason.contains("1 in 8 of all IPv4"));
    assert!(report.reserved.first[0].reason.contains("loopback"));
    assert!(report.to_string().starts_with("; 6 lines skipped, the first is line 1: "), "{report}");
}

#[test]
fn of_each_kind_of_bad_lines_the_first_ten_are_kept_and_all_are_counted() {
    let text: String = (0..25).map(|i| format!("bad{i}\n0.0.0.0/{}\n127.0.0.{i}\n", i % 8)).collect();
    let (_, report) = parse(text);
    for kind in [&report.bad, &report.too_broad, &report.reserved] {
        assert_eq!((kind.count, kind.first.len()), (25, SHOWN));
    }
    assert_eq!((report.bad.first[9].line, report.bad.first[9].text.as_str()), (28, "bad9"));
    assert_eq!(report.skipped(), 75);
}

#[test]
fn the_text_of_a_bad_line_is_shown_in_printable_ascii_and_cut() {
    assert_eq!(skipped(b"\x1b[31m\xff\x00").text, "\\x1b[31m\\xff\\x00");
    let long = skipped("x".repeat(200)).text;
    assert_eq!(long, format!("{}...", "x".repeat(80)));
    assert_eq!(skipped("x".repeat(80)).text.len(), 80);
}

#[test]
fn what_is_not_utf8_is_a_bad_line_unless_it_is_a_comment() {
    assert!(skipped(b"192.0.2.1\xff").reason.contains("UTF-8"));
    assert_eq!(taken(b"192.0.2.1 # caf\xe9\n"), ["192.0.2.1/32"]);
}

#[test]
fn a_line_of_any_length_costs_no_more_than_the_longest_and_is_skipped() {
    let mut parser = Parser::default();
    parser.push(b"192.0.2.1");
    for _ in 0..1000 {
        parser.push(&[b' '; 1000]);
        assert!(parser.rest.capacity() <= 2 * (MAX_LINE_BYTES + 1));
    }
    parser.push(b"\n192.0.2.2\n");
    let (entries, report) = parser.finish();
    assert_eq!((entries.len(), report.lines, report.bad.count), (1, 2, 1));
    assert!(report.bad.first[0].reason.contains("4096"));
    let fits = format!("192.0.2.1{}", " ".repeat(MAX_LINE_BYTES - 9));
    assert_eq!(taken(&fits), ["192.0.2.1/32"]);
    skipped(fits + " ");
    assert!(taken(format!("# {}", "x".repeat(5000))).is_empty());
}

#[test]
fn entries_beyond_the_most_are_counted_and_left_out() {
    let mut parser = Parser::default();
    let text: String = (0..1 << 12).map(|i| format!("10.{}.{}.0/24\n", i >> 8, i & 255)).collect();
    for _ in 0..(MAX_ENTRIES >> 12) {
        parser.push(text.as_bytes());
    }
    parser.push(b"192.0.2.1\n192.0.2.2-192.0.2.3\n");
    let (entries, report) = parser.finish();
    assert_eq!((entries.len(), report.beyond), (1 << 12, 2));
    assert_eq!(entries.capacity(), entries.len());
    assert!(report.to_string().contains("2 more than the 1048576"));
}

/// Bytes as lists have them, and some that they have not.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec!["192.0.2.", "2001:db8::", "::ffff:", "/", "-", "#", ";", "\n", "\r\n", " ", "\t", "0", "7",
            "24", "33", "255", "128", "\u{feff}", "x", ".", ":"]).prop_map(|s| s.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_bytes_in_any_pieces_are_read_alike(text in bytes(), cuts in prop::collection::vec(1usize..9, 1..9)) {
        let whole = parse(&text);
        let mut parser = Parser::default();
        let (mut rest, mut cuts) = (&text[..], cuts.iter().cycle());
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
            parser.push(piece);
            rest = more;
        }
        let (entries, report) = parser.finish();
        let shown: Vec<String> = entries.iter().map(|e| e.network().to_string()).collect();
        prop_assert_eq!(&(shown, report), &whole);
        // And each line counts as something.
        prop_assert!(whole.1.skipped() <= whole.1.lines);
    }

    #[test]
    fn every_network_that_may_be_listed_is_taken_as_written(v4: bool, bits: u128, len in 0u8..=128) {
        let net = if v4 {
            IpNet::new(std::net::Ipv4Addr::from((bits >> 96) as u32).into(), len % 33)
        } else {
            IpNet::new(std::net::Ipv6Addr::from(bits).into(), len)
        }.unwrap().trunc();
        let (entries, report) = parse(net.to_string());
        match fit::check(&net) {
            Ok(()) => prop_assert_eq!(entries, [Entry::new(net).network().to_string()]),
            Err(_) => prop_assert_eq!(report.too_broad.count + report.reserved.count, 1),
        }
    }

    #[test]
    fn a_range_holds_its_addresses_and_no_other(first: u32, more in 0u32..70_000) {
        let first = 0x0100_0000 + first % 0x6000_0000;
        let ip = |word: u32| std::net::Ipv4Addr::from(word);
        let (entries, _) = parse(format!("{} - {}", ip(first), ip(first + more)));
        let nets: Vec<ipnet::Ipv4Net> = entries.iter().map(|n| n.parse().unwrap()).collect();
        prop_assert_eq!(nets.iter().map(|n| 1u64 << (32 - n.prefix_len())).sum::<u64>(), u64::from(more) + 1);
        prop_assert_eq!((nets[0].network(), nets[nets.len() - 1].broadcast()), (ip(first), ip(first + more)));
    }
}
