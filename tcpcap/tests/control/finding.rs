//! How the verbs find the daemon's socket.

use std::{fs, process::Command};

use super::daemon::{Daemon, obeys};

/// What a run with this environment and these flags says, and its exit code.
fn run(environment: &[(&str, &str)], args: &[&str]) -> (String, i32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcpcap"));
    command.args(args).env_remove("TCPCAP_CONFIG").env_remove("TCPCAP_SOCKET").envs(environment.iter().copied());
    let output = command.output().unwrap();
    (String::from_utf8([output.stdout, output.stderr].concat()).unwrap(), output.status.code().unwrap())
}

#[test]
fn every_verb_finds_a_moved_socket_by_the_configuration() {
    let daemon = Daemon::that(obeys);
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config.toml");
    fs::write(&config, format!("socket = {:?}\n", daemon.path)).unwrap();
    let config = config.to_str().unwrap();
    for verb in [
        &["status"][..],
        &["list"],
        &["block", "192.0.2.7"],
        &["unblock", "192.0.2.7"],
        &["allow", "192.0.2.7"],
        &["disallow", "192.0.2.7"],
        &["mode", "--observe"],
        &["reload"],
    ] {
        for (environment, flags) in [(&[][..], &["--config", config][..]), (&[("TCPCAP_CONFIG", config)], &[])] {
            let (said, code) = run(environment, &[verb, flags].concat());
            assert_eq!(code, 0, "{verb:?} {flags:?}: {said}");
        }
    }
    assert_eq!(daemon.asked().len(), 16);
}

#[test]
fn the_flag_wins_over_the_variable_and_the_variable_over_the_file() {
    let daemon = Daemon::that(obeys);
    let path = daemon.path.to_str().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config.toml");
    fs::write(&config, "socket = \"/nonexistent/filed\"\n").unwrap();
    let config = config.to_str().unwrap();
    let nobody = |path: &str| format!("nobody listens on {path}");
    for (environment, flags, wins) in [
        (&[][..], &["--config", config][..], nobody("/nonexistent/filed")),
        (&[("TCPCAP_SOCKET", "")], &["--config", config], nobody("/nonexistent/filed")),
        (&[("TCPCAP_SOCKET", "/nonexistent/env")], &["--config", config], nobody("/nonexistent/env")),
        (&[("TCPCAP_SOCKET", "/nonexistent/env")], &["--config", config, "--socket", path], "pid 4242".to_owned()),
        (&[("TCPCAP_SOCKET", path)], &["--config", "/nonexistent/config.toml"], "pid 4242".to_owned()),
    ] {
        let (said, _) = run(environment, &[&["status"][..], flags].concat());
        assert!(said.contains(&wins), "{environment:?} {flags:?}: {said}");
    }
}

#[test]
fn a_draft_with_mistakes_keeps_nobody_from_the_running_daemon_but_a_wrong_name_is_told() {
    let daemon = Daemon::that(obeys);
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config.toml");
    fs::write(&config, format!("mode = \"fast\"\nobserved = 1\nsocket = {:?}\n", daemon.path)).unwrap();
    fs::create_dir(dir.path().join("config.d")).unwrap();
    fs::write(dir.path().join("config.d/10.toml"), "this is no TOML").unwrap();
    let (said, code) = run(&[], &["status", "--config", config.to_str().unwrap()]);
    assert_eq!(code, 0, "{said}");
    let (said, code) = run(&[], &["status", "--config", "/nonexistent/config.toml"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.starts_with("error: cannot read the configuration /nonexistent/config.toml: "), "{said}");
}
