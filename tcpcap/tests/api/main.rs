//! The API of the running daemon, asked with what schemathesis makes out of the document that it serves. Needs root, and
//! schemathesis, which `cargo xtask setup` installs; fails without.

mod audit;
mod crowd;
mod relay;
mod stage;

use std::{path::Path, process::Command, time::Duration};

use tcpcap_lab::{Metrics, Process, metrics::Sample};

use relay::Relay;
use stage::{SOON, Stage};

/// Long against the half minute that it takes.
const PATIENCE: Duration = Duration::from_secs(300);

/// A program that `cargo xtask setup` installed, run inside the sensor.
fn tool(stage: &Stage, name: &str) -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/python/bin").join(name);
    assert!(path.exists(), "{} is missing, so nothing of this is known to hold: run cargo xtask setup", path.display());
    let mut command = stage.net.sensor.command(path);
    command.env("PYTHONDONTWRITEBYTECODE", "1").current_dir(stage.state.path());
    command
}

/// Has schemathesis ask whatever the document at an address of the sensor describes; each time the same, unless
/// `TCPCAP_SEED` says otherwise.
fn ask_everything(stage: &Stage, url: &str, args: &[&str]) {
    let mut command = tool(stage, "schemathesis");
    command.env("SCHEMATHESIS_HOOKS", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api/hooks.py"));
    command.args(["run", &format!("{url}/api/v1/openapi.json"), "--url", url]);
    command.args(["--no-color", "--workers", "2", "--request-timeout", "10", "--checks", "all"]);
    command.args(["--generation-database", "none", "--continue-on-failure", "--warnings", "off"]);
    command.args(["--seed", &std::env::var("TCPCAP_SEED").unwrap_or_else(|_| "1".to_owned())]);
    // It has no end; what it says has tests of its own.
    command.args(["--exclude-path", "/api/v1/events"]).args(args);
    let mut process = Process::spawn("schemathesis", command).unwrap();
    let status = process.wait(PATIENCE).unwrap();
    let said = process.output();
    println!("{said}");
    assert!(status.success() && said.contains("No issues found"), "{said}");
    let cases =
        said.lines().find_map(|line| line.trim().strip_suffix(" passed")?.split(" generated, ").next()?.parse().ok());
    assert!(cases > Some(100), "{said}");
}

/// By the daemon's own count: many got what they wanted, many were told what was wrong, and nothing was too much.
fn check_answers(stage: &Stage, door: &str) {
    let metrics = Metrics::fetch(&stage.net.sensor).unwrap();
    let name = format!("tcpcap_{door}_requests_total");
    let answered = |status: &str| metrics.count(&name, &[("status", status)]);
    assert!(answered("200") > 50 && answered("400") > 10 && answered("405") > 10, "{metrics}");
    let failed =
        |sample: &&Sample| sample.name == name && sample.labels.iter().any(|(_, status)| status.starts_with('5'));
    assert_eq!(metrics.samples().iter().find(failed), None, "{metrics}");
}

#[test]
fn whatever_the_document_allows_and_forbids_is_answered_at_the_port_as_it_says() {
    let stage = Stage::begin();
    // Slow enough that few stories and histories are refused for being too many.
    ask_everything(&stage, "http://127.0.0.1:2112", &["--max-examples", "20", "--rate-limit", "40/s"]);
    check_answers(&stage, "http");
    stage.end();
}

#[test]
fn whatever_the_document_allows_and_forbids_is_answered_at_the_socket_as_it_says() {
    let stage = Stage::begin();
    let relay = Relay::start(&stage.net.sensor, stage.socket());
    ask_everything(&stage, &format!("http://{}", relay.address), &["--max-examples", "20"]);
    check_answers(&stage, "control");
    stage.end();
}

#[test]
fn each_kind_of_event_comes_as_the_document_says_over_both_doors() {
    let stage = Stage::begin();
    let relay = Relay::start(&stage.net.sensor, stage.socket());
    let listen = |url: &str| {
        let mut command = tool(&stage, "python");
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api/events.py")).arg(url);
        command.args(["connection", "finding", "block", "command", "pulse"]);
        let mut process = Process::spawn("the listener", command).unwrap();
        process.wait_for_line(SOON, |l| l == "listening").unwrap();
        process
    };
    let listeners = [listen("http://127.0.0.1:2112"), listen(&format!("http://{}", relay.address))];
    let mut unblock = stage.net.sensor.command(env!("CARGO_BIN_EXE_tcpcap"));
    unblock.args(["unblock", "203.0.113.1", "--socket"]).arg(stage.socket());
    Process::spawn("tcpcap unblock", unblock).unwrap().succeed(SOON).unwrap();
    stage.scan();
    for mut listener in listeners {
        listener.succeed(SOON).unwrap();
        assert!(listener.output().ends_with("all came\n"), "{}", listener.output());
    }
    stage.end();
}
