//! Who is no scanner: nobody here is blocked, and but for crawlers nobody is named.
//!
//! What a behaviour says is not promised lies just beyond its ranges.

mod clients;
mod crowds;
mod machines;

use tcpcap_core::Preset::{self, Balanced, Relaxed, Strict};

use crate::population::{is_left_alone, is_not_blocked, play};

const MILD: [Preset; 2] = [Balanced, Relaxed];
/// Those that miss at most two pairs a minute.
const ALL: [Preset; 3] = [Strict, Balanced, Relaxed];

#[test]
fn browsers_are_left_alone() {
    play(200, &MILD, clients::browsers, is_left_alone);
    play(200, &ALL, clients::browsers_of_one_site, is_left_alone);
}

#[test]
fn passive_ftp_over_any_way_is_left_alone() {
    play(200, &MILD, clients::ftp_mirrors, is_left_alone);
}

#[test]
fn many_connections_at_once_over_a_long_way_are_left_alone() {
    play(300, &MILD, clients::far_away, is_left_alone);
}

#[test]
fn clients_in_a_storm_of_losses_are_left_alone() {
    play(300, &MILD, clients::loss_storms, is_left_alone);
}

#[test]
fn clients_that_give_their_ipv6_attempts_up_are_left_alone() {
    play(100, &MILD, clients::happy_eyeballs, is_left_alone);
}

#[test]
fn developers_who_look_for_the_right_port_are_left_alone() {
    play(300, &MILD, clients::developers, is_left_alone);
}

#[test]
fn port_knockers_are_left_alone() {
    play(200, &MILD, clients::port_knockers, is_left_alone);
}

#[test]
fn ssh_automation_is_left_alone() {
    play(300, &MILD, clients::ssh_automation, is_left_alone);
}

#[test]
fn mail_programs_that_look_for_their_server_are_left_alone() {
    play(300, &MILD, clients::mail_setup, is_left_alone);
}

#[test]
fn crawlers_are_told_of_at_most() {
    play(50, &MILD, clients::crawlers, is_not_blocked);
}

#[test]
fn monitors_are_left_alone() {
    play(50, &MILD, machines::monitors, is_left_alone);
}

#[test]
fn metrics_servers_with_dead_targets_are_left_alone() {
    play(100, &MILD, machines::metrics_servers, is_left_alone);
}

#[test]
fn load_balancers_whose_targets_go_down_are_left_alone() {
    play(40, &MILD, machines::load_balancers, is_left_alone);
}

#[test]
fn kubernetes_probes_are_left_alone() {
    play(40, &MILD, machines::kubernetes_probes, is_left_alone);
}

#[test]
fn domain_members_that_boot_are_left_alone() {
    play(300, &MILD, machines::domain_members, is_left_alone);
}

#[test]
fn mail_servers_that_try_again_are_left_alone() {
    play(200, &MILD, machines::mail_peers, is_left_alone);
}

#[test]
fn backup_jobs_are_left_alone() {
    play(100, &MILD, machines::backup_jobs, is_left_alone);
}

#[test]
fn peers_of_a_host_that_forgot_its_connections_are_left_alone() {
    play(300, &MILD, machines::failovers, is_left_alone);
}

#[test]
fn late_answers_to_our_own_connections_are_left_alone() {
    play(200, &ALL, machines::late_answers, is_left_alone);
}

#[test]
fn many_people_behind_one_address_are_left_alone() {
    play(20, &MILD, crowds::nats, is_left_alone);
    play(30, &MILD, crowds::ipv6_offices, is_left_alone);
}

#[test]
fn one_who_mistypes_among_thousands_is_left_alone() {
    play(40, &MILD, crowds::carrier_nats, is_left_alone);
}

#[test]
fn clients_of_a_service_that_is_down_are_left_alone() {
    play(20, &ALL, crowds::retrying_clients, is_left_alone);
}

#[test]
fn peers_that_look_for_a_client_that_is_gone_are_left_alone() {
    play(60, &MILD, crowds::bittorrent_peers, is_left_alone);
}
