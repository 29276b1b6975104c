use insta::assert_snapshot;

use super::*;

#[test]
fn a_source_blocked_by_a_rule() {
    assert_snapshot!(told(&blocked_by_rule(), 80), @"
    203.0.113.1 is blocked

    Now
      All packets from it are dropped until 16:10:00 UTC (in 9 min 20 s). Blocked at
        16:00:00 UTC (40 s ago) by rule port-scan. Dropped so far: 1,234 packets
        (72.30 KiB).

    How it came to that
      16:00:00 UTC: Port scan: 15 pairs of address and port left incomplete within
        10 s (window burst); 15 are enough. On ports 22-36 of 198.51.100.7. It bears
        the marks of nmap (100 %). Unverified. Blocked for 10 min.

    What it did
      340 attempts: no handshake completed, 300 refused by this host.
      Of late it tried 15 ports (22-36) on 1 own address (198.51.100.7).
      First seen at 15:59:58 UTC (42 s ago), last seen at 16:00:39 UTC (1 s ago),
        now with 12.3 attempts a second.
      Its attempts bear the marks of nmap.
      Unverified: it completed no handshake before, so its address may be forged.

    What comes next
      The block by the rule port-scan ends by itself at 16:10:00 UTC (in
        9 min 20 s).
      If a rule fires again, it is blocked for at least 20 min, as block number 2 in
        a row.
      If none does, it counts as a stranger again after 2025-11-25 16:10:00 UTC (in
        24 h 9 min).

    What you can do
      tcpcap unblock 203.0.113.1 (let it go)
      tcpcap allow 203.0.113.1 (let it pass, and never block it)
    ");
}

#[test]
fn narrow_terminals_get_the_same_words_in_shorter_lines() {
    let words = |text: String| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let wide = words(told(&blocked_by_rule(), 200));
    for width in [0, 40, 60, 80] {
        assert_eq!(words(told(&blocked_by_rule(), width)), wide, "{width}");
    }
}

#[test]
fn a_repeater_with_its_history() {
    let mut story = blocked_by_rule();
    story.now.blocks[0].times = 2;
    story.next = Next { times: 2, ends_s: Some(1160), repeat_s: 2400, forgotten_s: Some(87_560) };
    let again = FoundRow {
        window: "fast".to_owned(),
        count: 19,
        threshold: 18,
        window_s: 60,
        standing: "verified".to_owned(),
        fingerprint: None,
        ports: (1..33).collect(),
        truncated: true,
        ..found("203.0.113.1", "block", "for 20 min, block number 2 in a row")
    };
    let stealth = FoundRow {
        rule: "stealth".to_owned(),
        window: "flags".to_owned(),
        count: 3,
        threshold: 3,
        window_s: 60,
        flags: vec!["FIN+PSH+URG".to_owned(), "none".to_owned()],
        ports: Vec::new(),
        fingerprint: None,
        ..found("203.0.113.1", "extend", "for 10 min")
    };
    story.past = vec![
        row(40, What::Finding(again)),
        row(40, What::Block(step("203.0.113.1", "begun", "automatic", "port-scan"))),
        row(3 * 86_400 - 500, What::Block(step("203.0.113.1", "lifted", "automatic", "port-scan"))),
        row(3 * 86_400 - 500, command("unblock", "203.0.113.1/32", "203.0.113.1 is not blocked any more")),
        row(3 * 86_400 - 100, What::Finding(stealth)),
        row(3 * 86_400, What::Block(step("203.0.113.1", "begun", "automatic", "port-scan"))),
        row(3 * 86_400, What::Finding(found("203.0.113.1", "block", "for 10 min"))),
    ];
    assert_snapshot!(told(&story, 80), @"
    203.0.113.1 is blocked

    Now
      All packets from it are dropped until 16:10:00 UTC (in 9 min 20 s). Blocked at
        16:00:00 UTC (40 s ago) by rule port-scan, block number 2 in a row. Dropped
        so far: 1,234 packets (72.30 KiB).

    How it came to that
      2025-11-21 16:00:40 UTC: Port scan: 15 pairs of address and port left
        incomplete within 10 s (window burst); 15 are enough. On ports 22-36 of
        198.51.100.7. It bears the marks of nmap (100 %). Unverified. Blocked for 10
        min.
      2025-11-21 16:02:20 UTC: Stealth scan: 3 probes within 1 min (window flags); 3
        are enough. Flags: FIN+PSH+URG, none. Against 198.51.100.7. Unverified.
        Block extended, now for 10 min.
      2025-11-21 16:09:00 UTC: Command `unblock 203.0.113.1/32` of uid 0, pid 4711:
        203.0.113.1 is not blocked any more. It had dropped 17 packets.
      16:00:00 UTC: Port scan: 19 points for pairs of address and port left
        incomplete within 1 min (window fast); 18 are enough. On ports 1-32 and more
        of 198.51.100.7. Verified. Blocked for 20 min, block number 2 in a row.

    What it did
      340 attempts: no handshake completed, 300 refused by this host.
      Of late it tried 15 ports (22-36) on 1 own address (198.51.100.7).
      First seen at 15:59:58 UTC (42 s ago), last seen at 16:00:39 UTC (1 s ago),
        now with 12.3 attempts a second.
      Its attempts bear the marks of nmap.
      Unverified: it completed no handshake before, so its address may be forged.

    What comes next
      The block by the rule port-scan ends by itself at 16:10:00 UTC (in
        9 min 20 s).
      If a rule fires again, it is blocked for at least 40 min, as block number 3 in
        a row.
      If none does, it counts as a stranger again after 2025-11-25 16:20:00 UTC (in
        24 h 19 min).

    What you can do
      tcpcap unblock 203.0.113.1 (let it go)
      tcpcap allow 203.0.113.1 (let it pass, and never block it)
    ");
}

#[test]
fn an_operators_block() {
    let mut story = story("203.0.113.1", "blocked");
    story.now.blocks = vec![block("203.0.113.0/24", "operator", "too curious", None)];
    story.past = vec![
        row(40, What::Block(BlockRow { until: None, ..step("203.0.113.0/24", "begun", "operator", "too curious") })),
        row(40, command("block", "203.0.113.0/24", "Blocked 203.0.113.0/24 for ever")),
    ];
    assert_snapshot!(told(&story, 80), @"
    203.0.113.1 is blocked

    Now
      All packets from 203.0.113.0/24 are dropped for ever. Blocked at 16:00:00 UTC
        (40 s ago) by operator, who says: too curious. Dropped so far: 1,234 packets
        (72.30 KiB).

    How it came to that
      16:00:00 UTC: Command `block 203.0.113.0/24` of uid 0, pid 4711: Blocked
        203.0.113.0/24 for ever. Reason: too curious.

    What it did
      Nothing that the kernel or the detector remembers.

    What comes next
      The operator's block of 203.0.113.0/24 has no end: it stays until it is taken
        back.

    What you can do
      tcpcap unblock 203.0.113.0/24 (let it go)
      tcpcap allow 203.0.113.1 (let it pass, and never block it)
    ");
}

#[test]
fn a_source_that_stands_in_a_feed() {
    let mut story = story("203.0.113.1", "blocked");
    story.now.blocks = vec![BlockShown { packets: 0, ..block("203.0.113.0/24", "feed", "drop.txt", None) }];
    assert_snapshot!(told(&story, 80), @"
    203.0.113.1 is blocked

    Now
      All packets from 203.0.113.0/24 are dropped. Blocked at 16:00:00 UTC (40 s
        ago) by feed drop.txt. Nothing came since.

    How it came to that
      The history has nothing else about it.

    What it did
      Nothing that the kernel or the detector remembers.

    What comes next
      The feed drop.txt keeps 203.0.113.0/24 blocked as long as it names it.

    What you can do
      tcpcap allow 203.0.113.1 (let it pass, and never block it)
    ");
}

#[test]
fn an_allowed_address_within_a_block() {
    let mut story = story("203.0.113.1", "protected");
    story.now.protected = Some("203.0.113.1 is allowed".to_owned());
    story.now.blocks = vec![BlockShown { packets: 0, ..block("203.0.113.0/24", "operator", "", Some(7200)) }];
    let suppressed = FoundRow { ttl_s: None, times: 0, ..found("203.0.113.1", "suppressed", "203.0.113.1 is allowed") };
    story.past = vec![row(40, What::Finding(suppressed))];
    assert_snapshot!(told(&story, 80), @"
    203.0.113.1 is never blocked

    Now
      All its packets pass: 203.0.113.1 is allowed.
      All packets from 203.0.113.0/24 would be dropped until 18:00:40 UTC (in 2 h),
        were it not for that. Blocked at 16:00:00 UTC (40 s ago) by operator,
        without a reason. Nothing came since.

    How it came to that
      16:00:00 UTC: Port scan: 15 pairs of address and port left incomplete within
        10 s (window burst); 15 are enough. On ports 22-36 of 198.51.100.7. It bears
        the marks of nmap (100 %). Unverified. Not blocked: 203.0.113.1 is allowed.

    What it did
      Nothing that the kernel or the detector remembers.

    What comes next
      Whatever rules find, it is not blocked as long as that holds.

    What you can do
      tcpcap disallow 203.0.113.1 (take that back)
    ");
}

#[test]
fn a_stranger_who_was_never_seen() {
    assert_snapshot!(told(&story("192.0.2.99", "free"), 80), @"
    192.0.2.99 is not blocked

    Now
      All its packets pass: no rule, operator or list has it blocked.

    How it came to that
      No rule fired for it, and no operator gave a command about it.

    What it did
      Nothing that the kernel or the detector remembers.

    What comes next
      If a rule fires, it is blocked for at least 10 min.

    What you can do
      tcpcap block 192.0.2.99 --for 1h (drop its packets for an hour)
      tcpcap allow 192.0.2.99 (let it pass, and never block it)
    ");
}

#[test]
fn a_source_that_observe_mode_lets_pass() {
    let mut story = blocked_by_rule();
    story.now.state = "observed".to_owned();
    story.now.blocks[0].scope = "syn".to_owned();
    story.past = vec![row(40, What::Finding(found("203.0.113.1", "observe", "for 10 min")))];
    assert_snapshot!(told(&story, 80), @"
    203.0.113.1 would be blocked, but tcpcap only observes

    Now
      New connections from it would be dropped until 16:10:00 UTC (in 9 min 20 s),
        but observe mode lets them pass; connections that exist go on. Blocked at
        16:00:00 UTC (40 s ago) by rule port-scan. 1,234 packets (72.30 KiB) would
        have been dropped.

    How it came to that
      16:00:00 UTC: Port scan: 15 pairs of address and port left incomplete within
        10 s (window burst); 15 are enough. On ports 22-36 of 198.51.100.7. It bears
        the marks of nmap (100 %). Unverified. Would have been blocked for 10 min,
        but observe mode was on.

    What it did
      340 attempts: no handshake completed, 300 refused by this host.
      Of late it tried 15 ports (22-36) on 1 own address (198.51.100.7).
      First seen at 15:59:58 UTC (42 s ago), last seen at 16:00:39 UTC (1 s ago),
        now with 12.3 attempts a second.
      Its attempts bear the marks of nmap.
      Unverified: it completed no handshake before, so its address may be forged.

    What comes next
      The block by the rule port-scan ends by itself at 16:10:00 UTC (in
        9 min 20 s).
      If a rule fires again, it would be blocked for at least 20 min, as block
        number 2 in a row.
      If none does, it counts as a stranger again after 2025-11-25 16:10:00 UTC (in
        24 h 9 min).

    What you can do
      tcpcap unblock 203.0.113.1 (let it go)
      tcpcap allow 203.0.113.1 (let it pass, and never block it)
    ");
}

#[test]
fn an_address_of_an_ipv6_prefix() {
    let mut story = blocked_by_rule();
    story.address = "2001:db8:1:2::7".parse().unwrap();
    story.source = "2001:db8:1:2::/64".parse().unwrap();
    story.now.blocks[0].network = story.source;
    story.past = vec![row(40, What::Finding(found("2001:db8:1:2::/64", "block", "for 10 min")))];
    assert_snapshot!(told(&story, 80), @"
    2001:db8:1:2::7 is blocked (all of 2001:db8:1:2::/64 counts as one source)

    Now
      All packets from 2001:db8:1:2::/64 are dropped until 16:10:00 UTC (in
        9 min 20 s). Blocked at 16:00:00 UTC (40 s ago) by rule port-scan. Dropped
        so far: 1,234 packets (72.30 KiB).

    How it came to that
      16:00:00 UTC: Port scan: 15 pairs of address and port left incomplete within
        10 s (window burst); 15 are enough. On ports 22-36 of 198.51.100.7. It bears
        the marks of nmap (100 %). Unverified. Blocked for 10 min.

    What it did
      340 attempts: no handshake completed, 300 refused by this host.
      Of late it tried 15 ports (22-36) on 1 own address (198.51.100.7).
      First seen at 15:59:58 UTC (42 s ago), last seen at 16:00:39 UTC (1 s ago),
        now with 12.3 attempts a second.
      Its attempts bear the marks of nmap.
      Unverified: it completed no handshake before, so its address may be forged.

    What comes next
      The block by the rule port-scan ends by itself at 16:10:00 UTC (in
        9 min 20 s).
      If a rule fires again, it is blocked for at least 20 min, as block number 2 in
        a row.
      If none does, it counts as a stranger again after 2025-11-25 16:10:00 UTC (in
        24 h 9 min).

    What you can do
      tcpcap unblock 2001:db8:1:2::/64 (let it go)
      tcpcap allow 2001:db8:1:2::7 (let it pass, and never block it)
    ");
}

#[test]
fn where_the_history_is_missing_the_rest_is_told() {
    let mut story = blocked_by_rule();
    story.past.clear();
    story.past_missing = Some("there is no history /var/lib/tcpcap/history.db".to_owned());
    story.seen = None;
    assert_snapshot!(told(&story, 80), @"
    203.0.113.1 is blocked

    Now
      All packets from it are dropped until 16:10:00 UTC (in 9 min 20 s). Blocked at
        16:00:00 UTC (40 s ago) by rule port-scan. Dropped so far: 1,234 packets
        (72.30 KiB).

    How it came to that
      The past cannot be told: there is no history /var/lib/tcpcap/history.db.

    What it did
      Nothing that the kernel or the detector remembers.

    What comes next
      The block by the rule port-scan ends by itself at 16:10:00 UTC (in
        9 min 20 s).
      If a rule fires again, it is blocked for at least 20 min, as block number 2 in
        a row.
      If none does, it counts as a stranger again after 2025-11-25 16:10:00 UTC (in
        24 h 9 min).

    What you can do
      tcpcap unblock 203.0.113.1 (let it go)
      tcpcap allow 203.0.113.1 (let it pass, and never block it)
    ");
}

#[test]
fn of_a_long_past_the_latest_is_told_and_the_rest_counted() {
    let mut story = story("203.0.113.1", "free");
    let alert =
        |n: u32| FoundRow { count: n, ..found("203.0.113.1", "alert", "this is told, and nobody is blocked for it") };
    story.past = (0..20).map(|n| row(u64::from(n) * 60, What::Finding(alert(n)))).collect();
    story.past_missing = Some("only the latest 200 entries are told".to_owned());
    let told = told(&story, 80);
    assert!(told.contains("8 earlier entries: see `tcpcap history 203.0.113.1`"), "{told}");
    assert!(told.contains("  15:49:40 UTC: Port scan: 11 pairs") && !told.contains(": 12 pairs"), "{told}");
    assert!(told.contains("This may not be all: only the latest 200 entries are told."), "{told}");
}

#[test]
fn what_the_history_holds_cannot_command_a_terminal() {
    let mut story = story("203.0.113.1", "free");
    story.past = vec![row(40, command("block", "203.0.113.1", "refused: \u{1b}[2J\u{7}"))];
    assert!(!told(&story, 80).chars().any(|c| c.is_control() && c != '\n'));
}

#[test]
fn ports_in_a_row_are_told_as_one_and_what_is_not_named_is_counted() {
    let told = |ports: &[u16], all| list(&ranges(ports), all);
    for (ports, all, expected) in [
        (&[][..], Some(0), ""),
        (&[80], Some(1), "80"),
        (&[22, 23, 80, 81, 82, 65535], Some(6), "22, 23, 80-82, 65535"),
        (&[1, 2, 3], Some(1003), "1-3 and 1,000 more"),
        (&[1, 2, 3], None, "1-3 and more"),
    ] {
        assert_eq!(told(ports, all), expected);
    }
    let scattered: Vec<u16> = (0..20).map(|n| n * 10).collect();
    assert_eq!(told(&scattered, Some(20)), "0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110 and 8 more");
}

#[test]
fn where_no_daemon_runs_nobody_knows_what_comes_next_but_the_end() {
    let mut story = blocked_by_rule();
    story.next = Next { times: 1, ends_s: Some(560), ..Next::default() };
    let told = told(&story, 80);
    assert_snapshot!(told.split_once("What comes next").unwrap().1, @"
      The block by the rule port-scan ends by itself at 16:10:00 UTC (in
        9 min 20 s).
      Nobody looks at what it does until tcpcap runs again.

    What you can do
      tcpcap run (start it: only then single addresses can be let go or allowed)
      tcpcap detach (let go of all blocks, and take tcpcap out of the kernel)
    ");
}
