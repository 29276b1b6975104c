//! Just beyond what is promised: the names say what happens there today. When one of these fails because a rule has
//! become better, move it, and widen the behaviour that it bounds.

use std::time::Duration;

use tcpcap_common::wire::flag::{FIN, PSH, URG};
use tcpcap_core::{Preset, Rule, Scope, SightingKind, Verdict};

use crate::world::{Peer, World, ms, other, other6, own, own6, secs};

const MINUTE: Duration = secs(60);

/// The same with and without a view of this host's answers.
fn both(act: impl Fn(&mut World)) -> [Vec<Verdict>; 2] {
    [false, true].map(|view| {
        let mut world = World::new(Preset::Balanced, view);
        act(&mut world);
        world.play()
    })
}

#[track_caller]
fn is_blocked(window: &str, act: impl Fn(&mut World)) {
    for found in both(act) {
        let blocked = found.iter().find(|v| v.decision.entry_until().is_some());
        assert_eq!(blocked.map(|v| v.finding.window), Some(window), "{found:?}");
    }
}

#[track_caller]
fn goes_unseen(act: impl Fn(&mut World)) {
    for found in both(act) {
        assert!(found.is_empty(), "{found:?}");
    }
}

fn who() -> Peer {
    Peer::first()
}

/// Ports tried in vain, one each `gap`.
fn closed(world: &mut World, start: Duration, gap: Duration, ports: impl IntoIterator<Item = u16>) {
    ports.into_iter().enumerate().for_each(|(i, port)| world.closed(start + gap * i as u32, who(), (own(1), port)));
}

#[test]
fn a_mail_program_that_finds_none_of_seven_ports_is_blocked_today() {
    is_blocked("fast", |world| closed(world, secs(0), ms(300), [143, 993, 110, 995, 587, 465, 25]));
}

#[test]
fn a_knock_on_six_privileged_ports_is_blocked_today() {
    is_blocked("fast", |world| closed(world, secs(0), ms(300), [700, 800, 900, 701, 801, 901]));
}

#[test]
fn automation_that_finds_eight_hosts_down_is_left_alone() {
    goes_unseen(|world| (1..=8).for_each(|n| world.closed(secs(n), who(), (own(n), 22))));
}

#[test]
fn a_network_whose_ipv6_attempts_at_three_web_servers_are_given_up_is_left_alone() {
    goes_unseen(|world| {
        for (n, port) in (1..=3).flat_map(|n| [(n, 80), (n, 443)]) {
            world.silent(secs(n), Peer::at(other6(1, n), 1), (own6(n), port));
        }
    });
}

#[test]
fn a_load_balancer_that_is_first_seen_while_six_targets_are_down_is_left_alone() {
    goes_unseen(|world| {
        for round in 0..10 {
            (1..=6).for_each(|n| world.closed(secs(5 * round), who(), (own(n), 443)));
            (7..=32).for_each(|n| world.open(secs(5 * round) + ms(10 * n), ms(1), who(), (own(n), 443)));
        }
    });
}

#[test]
fn a_monitor_of_six_services_that_were_up_a_quarter_of_an_hour_ago_is_left_alone() {
    let ports = [22, 25, 80, 443, 587, 993];
    goes_unseen(|world| {
        ports.iter().for_each(|&port| world.open(secs(1), ms(1), who(), (own(1), port)));
        closed(world, 15 * MINUTE, ms(100), ports);
    });
}

#[test]
fn a_monitor_of_ten_dead_addresses_each_eleven_minutes_is_left_alone() {
    goes_unseen(|world| {
        for round in 0..6 {
            (1..=10).for_each(|n| world.closed(11 * MINUTE * round + ms(n), who(), (own(n), 9100)));
        }
    });
}

#[test]
fn a_checker_of_six_addresses_that_never_completes_a_handshake_is_left_alone() {
    goes_unseen(|world| {
        for round in 0..60 {
            (1..=6).for_each(|n| world.silent(secs(5 * round), who(), (own(n), 443)));
        }
    });
}

#[test]
fn a_crawler_with_thirty_two_connections_on_the_way_is_blocked_today() {
    is_blocked("burst", |world| (1..=32).for_each(|n| world.open(ms(n), ms(200), who(), (own(n), 443))));
}

#[test]
fn who_uses_twenty_privileged_ports_once_is_blocked_today() {
    is_blocked("open", |world| (1..=20).for_each(|n| world.open(secs(n), ms(10), who(), (own(1), n as u16))));
}

#[test]
fn a_busy_nat_that_mistypes_twenty_privileged_ports_in_a_day_is_left_alone() {
    goes_unseen(|world| {
        (0..8640).for_each(|n| world.open(secs(10 * n), ms(40), who(), (own(1), 443)));
        closed(world, secs(0), 70 * MINUTE, 1..=20);
    });
}

#[test]
fn six_privileged_services_that_answer_after_a_second_get_their_client_blocked_today() {
    is_blocked("fast", |world| {
        [22, 25, 80, 443, 587, 993].into_iter().for_each(|port| world.open(secs(1), ms(1050), who(), (own(1), port)));
    });
}

#[test]
fn a_peer_that_takes_three_seconds_to_connect_anew_on_fifteen_ports_is_blocked_today() {
    let mut world = World::new(Preset::Balanced, true);
    for port in 2000..2015 {
        world.stray(secs(1), who(), (own(1), port));
        world.open(secs(4), ms(100), who(), (own(1), port));
    }
    assert_eq!(world.play()[0].finding.rule, Rule::Stray);
}

#[test]
fn privileged_ports_that_all_answer_and_are_tried_each_hour_and_a_half_go_unseen_today() {
    goes_unseen(|world| (1..=90).for_each(|n| world.open(90 * MINUTE * n, ms(10), who(), (own(1), n as u16))));
}

#[test]
fn a_client_in_whose_name_somebody_scans_a_port_a_minute_is_told_of_and_left_alone() {
    let found = both(|world| {
        (0..4320).for_each(|n| world.open(secs(20 * n), ms(40), Peer::at(other(1), 9), (own(1), 443)));
        closed(world, 6 * 60 * MINUTE, MINUTE, 2000..2060);
    });
    let first = found.map(|found| (found[0].finding.rule, found[0].finding.window));
    assert_eq!(first, [(Rule::Forged, "long"); 2]);
}

#[test]
fn unprivileged_ports_that_all_answer_go_unseen_today() {
    goes_unseen(|world| (0..99).for_each(|n| world.open(ms(100 * n), ms(10), who(), (own(1), 2000 + n as u16))));
}

#[test]
fn fifteen_ports_go_unseen_today_when_a_sixteenth_is_used_all_the_while() {
    goes_unseen(|world| {
        closed(world, secs(0), MINUTE, 2000..2015);
        (0..8).for_each(|n| world.open(2 * MINUTE * n, ms(10), who(), (own(1), 443)));
    });
}

#[test]
fn twenty_nine_ports_a_day_go_unseen_today_among_as_many_connections() {
    goes_unseen(|world| {
        closed(world, secs(0), 40 * MINUTE, 2000..2029);
        (0..29).for_each(|n| world.open(40 * MINUTE * n, ms(10), who(), (own(1), 443)));
    });
}

#[test]
fn five_odd_packets_a_day_go_unseen_today() {
    goes_unseen(|world| {
        for n in 0..50 {
            let kind = SightingKind::Probe { flags: FIN | PSH | URG };
            world.sight(5 * 60 * MINUTE * n, kind, (other(1), 40_000), (own(1), n as u16));
        }
    });
}

#[test]
fn an_ack_scan_of_a_port_each_five_seconds_goes_unseen_today() {
    goes_unseen(|world| (1..=1000).for_each(|n| world.stray(secs(5 * n), who(), (own(1), n as u16))));
}

#[test]
fn who_scans_from_a_network_of_many_stacks_is_blocked_and_the_network_keeps_its_connections() {
    let found = both(|world| {
        (0..300).for_each(|n| world.open(secs(n), ms(40), Peer::at(other(1), 100 + n as u32 % 20), (own(1), 443)));
        (0..50).for_each(|n| world.closed(secs(200) + ms(n), who(), (own(1), 2000 + n as u16)));
    });
    for found in found {
        assert!(matches!(found[0].finding.rule, Rule::PortScan), "{found:?}");
        assert_eq!(found[0].decision.scope, Scope::Syn);
    }
}
