//! Who is a scanner: everybody here is named, and of a flood it is told without anybody being blocked.
//!
//! What a behaviour says is not promised lies just beyond its ranges.

mod others;
mod scans;

use tcpcap_core::Preset::{self, Balanced, Relaxed, Strict};

use crate::population::{
    is_found, is_found_by_the_answers, is_found_soon, is_not_blocked, is_told_of_as_a_flood, play,
};

const ALL: [Preset; 3] = [Strict, Balanced, Relaxed];
/// Strict blocks whoever three of the forged SYNs of a flood of many ports happen to name.
const MILD: [Preset; 2] = [Balanced, Relaxed];

#[test]
fn port_scans_are_found_at_any_speed_and_in_any_order() {
    play(300, &ALL, scans::port_scans, is_found_soon);
}

#[test]
fn sweeps_are_found_at_any_speed() {
    play(300, &ALL, scans::sweeps, is_found_soon);
}

#[test]
fn scans_between_connections_that_complete_are_found() {
    play(200, &ALL, scans::scans_among_own_connections, is_found_soon);
    play(50, &ALL, scans::scans_from_behind_a_nat, is_found_soon);
}

#[test]
fn scans_behind_decoys_are_found() {
    play(40, &ALL, scans::scans_with_decoys, is_found_soon);
}

#[test]
fn scans_from_a_new_ipv6_address_each_time_are_found() {
    play(200, &ALL, scans::scans_from_an_ipv6_network, is_found_soon);
}

#[test]
fn scans_of_privileged_ports_that_are_all_open_are_found() {
    play(50, &ALL, scans::scans_of_what_is_all_open, is_found);
}

#[test]
fn stealth_scans_are_found() {
    play(200, &ALL, others::odd_flags, is_found_soon);
    play(200, &ALL, others::fins, is_found_soon);
    play(200, &ALL, others::fragments, is_found_soon);
}

#[test]
fn ack_scans_are_found_by_our_answers() {
    play(100, &ALL, others::ack_scans, is_found_by_the_answers);
}

#[test]
fn clients_in_whose_name_somebody_scans_are_not_blocked() {
    play(40, &MILD, others::framed_clients, is_not_blocked);
}

#[test]
fn floods_are_told_of_and_get_nobody_blocked() {
    play(20, &ALL, others::syn_floods, is_told_of_as_a_flood);
    play(20, &MILD, others::syn_floods_of_an_address, is_told_of_as_a_flood);
    play(20, &ALL, others::floods_of_one_source, is_told_of_as_a_flood);
}
