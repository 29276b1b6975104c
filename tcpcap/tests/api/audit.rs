//! Who did what, in the log and in the history.

use serde_json::Value;
use tcpcap_lab::{Process, http, layout::SENSOR_V4, metrics};

use crate::stage::{SOON, Stage};

#[test]
fn each_writing_call_is_logged_and_kept_with_who_gave_it_refused_ones_too() {
    let mut stage = Stage::begin();
    let own = SENSOR_V4.to_string();
    let refused = format!("refused: {own} is not blocked: {own} is an address of this host");
    let calls: [(&[&str], &str, &str); 9] = [
        (
            &["block", "192.0.2.7", "--for", "1h", "--reason", "too curious"],
            "192.0.2.7/32",
            "Blocked 192.0.2.7 for 1 h",
        ),
        (&["block", &own], "198.51.100.1/32", &refused),
        (&["unblock", "192.0.2.7"], "192.0.2.7/32", "192.0.2.7 is not blocked any more"),
        (&["unblock", "192.0.2.7"], "192.0.2.7/32", "refused: 192.0.2.7 is not blocked"),
        (&["allow", "192.0.2.0/24"], "192.0.2.0/24", "Allowed 192.0.2.0/24: it is never blocked"),
        (&["disallow", "192.0.2.0/24"], "192.0.2.0/24", "No longer allowed: 192.0.2.0/24"),
        (&["disallow", "192.0.2.0/24"], "192.0.2.0/24", "refused: 192.0.2.0/24 is not among what was allowed"),
        (&["mode", "--observe"], "", "Observing: nothing is dropped"),
        (&["reload"], "", ""),
    ];
    let mut expected = Vec::new();
    for (args, argument, result) in calls {
        let mut command = stage.net.sensor.command(env!("CARGO_BIN_EXE_tcpcap"));
        command.args(args).arg("--socket").arg(stage.socket());
        let mut verb = Process::spawn("a verb", command).unwrap();
        let done = verb.wait(SOON).unwrap().success();
        assert_eq!(done, !result.starts_with("refused"), "{args:?}: {}", verb.output());
        let who = format!("uid 0, pid {}", verb.id());
        stage.process.wait_for_line(SOON, |l| l.contains(&format!("{who}: {}: {result}", args[0]))).unwrap();
        expected.push((who, args[0].to_owned(), argument.to_owned(), result.to_owned()));
    }
    // What only looks leaves no trace.
    let path = "/api/v1/history?limit=1000";
    let answer = http::get(&stage.net.sensor, metrics::ADDRESS, path).unwrap();
    let rows: Vec<Value> = serde_json::from_str(&answer.body).unwrap();
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let kept: Vec<_> = rows.iter().rev().filter(|row| row["type"] == "command").collect();
    assert_eq!(kept.len(), expected.len(), "{kept:?}");
    for (row, (who, verb, argument, result)) in kept.into_iter().zip(expected) {
        assert_eq!([text(row, "who"), text(row, "verb"), text(row, "argument")], [who, verb, argument], "{row}");
        assert!(text(row, "result").starts_with(&result), "{row}");
    }
    stage.end();
}
