//! What the verbs say.

use serde_json::{Value, json};

use super::{Files, tcpcap};

/// Six mistakes of six kinds, in two files.
const BROKEN: [(&str, &str); 2] = [
    (
        "config.toml",
        "observed = true\nblock_for = \"48h\"\nallow = [\"10.0.0.0/8\", \"example.org\"]\nlisten = 2112\n\n\
         [detect.port_scan]\nburst = 257\n",
    ),
    ("config.d/10-site.toml", "preset = \n"),
];

#[test]
fn check_names_every_error_on_a_line_of_its_own_and_one_remedy() {
    let said = Files::of(&BROKEN).verb(&["check"]);
    insta::assert_snapshot!(said.err, @r#"
    error: DIR/config.toml:1: there is no key `observed`; did you mean `observe`?
    error: DIR/config.toml:2: block_for: "48h" is not a time from 1s to 24h, such as "1h 30m"
    error: DIR/config.toml:3: allow: "example.org" is not an address or a network such as "192.0.2.0/24"
    error: DIR/config.toml:4: listen: 2112 is not an address and a port, such as "127.0.0.1:2112" or "[::1]:2112"
    error: DIR/config.toml:7: detect.port_scan.burst: 257 is not a number from 1 to 256, or "off"
    error: DIR/config.d/10-site.toml:1: `preset =` is not TOML: string values must be quoted, expected literal string
     help: correct that; `tcpcap config --defaults` shows every key with its rule and default
    "#);
    assert_eq!((&*said.out, said.code), ("", 2));
}

#[test]
fn whatever_check_refuses_run_and_config_refuse_in_the_same_words() {
    let files = Files::of(&BROKEN);
    let check = files.verb(&["check"]);
    for args in [&["run"][..], &["config"], &["config", "--effective", "-o", "json"]] {
        let said = files.verb(args);
        assert_eq!((&said.err, &*said.out, said.code), (&check.err, "", 2), "{args:?}");
    }
}

#[test]
fn check_says_ok_what_was_read_and_what_smells() {
    let files = Files::of(&[
        ("config.toml", "observe = true\nallow = [\"0.0.0.0/0\"]\n"),
        ("config.d/20.toml", "preset = \"strict\"\n"),
        ("config.d/10.toml", "preset = \"relaxed\"\n[[feeds]]\npath = \"/nonexistent/drop.txt\"\n"),
    ]);
    let said = files.verb(&["check"]);
    insta::assert_snapshot!(said.out, @r#"
ok: 4 keys are set; files read:
  DIR/config.toml
  DIR/config.d/10.toml
  DIR/config.d/20.toml
"#);
    insta::assert_snapshot!(said.err, @r#"
    warning: DIR/config.toml:2: allow: 0.0.0.0/0 allows a large part of the Internet, scanners included
    warning: DIR/config.d/10.toml:2: feeds: /nonexistent/drop.txt is not there now; it is read once it is
    "#);
    assert_eq!(said.code, 0);
}

#[test]
fn check_without_a_file_says_where_it_would_be() {
    let files = Files::of(&[]);
    let said = files.said(tcpcap().arg("check").env("TCPCAP_CONFIG", "/dev/null"));
    assert_eq!((&*said.out, &*said.err, said.code), ("ok: 0 keys are set; file read:\n  /dev/null\n", "", 0));
    let said = files.verb(&["check"]);
    let expected = "error: cannot read the configuration DIR/config.toml: No such file or directory (os error 2)\n help: \
                    check --config and the file's permissions\n";
    assert_eq!((&*said.out, &*said.err, said.code), ("", expected, 2));
}

#[test]
fn check_tells_machines_the_same() {
    let files = Files::of(&[("config.toml", "mode = \"natve\"\nobserve = true\n")]);
    let said = files.verb(&["check", "-o", "json"]);
    let expected = json!({
        "ok": false, "files": [], "keys_set": 0, "warnings": [],
        "errors": [{
            "from": "file", "path": "DIR/config.toml", "line": 1, "key": "mode", "value": "\"natve\"",
            "said": "is not one of auto, native, generic", "did_you_mean": "native",
            "message": "DIR/config.toml:1: mode: \"natve\" is not one of auto, native, generic; did you mean `native`?",
        }],
    });
    assert_eq!((serde_json::from_str::<Value>(&said.out).unwrap(), said.code), (expected, 2));
    assert!(said.err.starts_with("error: DIR/config.toml:1: "), "{said:?}");

    let files = Files::of(&[("config.toml", "observe = true\n")]);
    let said = files.verb(&["check", "-o", "json"]);
    let expected = json!({ "ok": true, "files": ["DIR/config.toml"], "keys_set": 1, "errors": [], "warnings": [] });
    assert_eq!((serde_json::from_str::<Value>(&said.out).unwrap(), said.code), (expected, 0));
    assert_eq!(said.err, "");
}

#[test]
fn what_holds_is_told_with_who_won_of_flag_environment_file_and_default() {
    let files = Files::of(&[
        ("config.toml", "mode = \"native\"\nblock_for = \"1h\"\nobserve = true\n"),
        ("config.d/10.toml", "observe = false\n"),
    ]);
    let mut command = tcpcap();
    command.args(["config", "--effective", "--mode", "generic", "--config", &files.main()]);
    command.env("TCPCAP_BLOCK_FOR", "2h").env("TCPCAP_MODE", "auto").env("TCPCAP_OBSERVE", "");
    let said = files.said(&mut command);
    assert_eq!((&*said.err, said.code), ("", 0));
    for line in [
        "mode = \"generic\"                       # --mode",
        "block_for = \"2h\"                       # TCPCAP_BLOCK_FOR",
        "observe = false                        # DIR/config.d/10.toml:1",
        "preset = \"balanced\"                    # default",
    ] {
        assert!(said.out.lines().any(|l| l == line), "{line}: {}", said.out);
    }
    let machines = files.said(command.args(["-o", "json"]));
    let all: Vec<Value> = serde_json::from_str(&machines.out).unwrap();
    let of = |key: &str| all.iter().find(|entry| entry["key"] == key).unwrap().clone();
    let entry = |key: &str, value: Value, origin: Value| json!({ "key": key, "value": value, "origins": [origin] });
    let filed = json!({ "from": "file", "path": "DIR/config.d/10.toml", "line": 1 });
    for (key, value, origin) in [
        ("mode", json!("generic"), json!({ "from": "flag", "name": "--mode" })),
        ("block_for", json!("2h"), json!({ "from": "environment", "name": "TCPCAP_BLOCK_FOR" })),
        ("observe", json!(false), filed),
        ("caps.per_minute", json!(600), json!({ "from": "default" })),
    ] {
        assert_eq!(of(key), entry(key, value, origin));
    }
}

#[test]
fn the_file_of_defaults_can_be_checked_and_says_nothing() {
    let defaults = Files::of(&[("config.toml", "")]).verb(&["config", "--defaults"]);
    assert_eq!((&*defaults.err, defaults.code), ("", 0));
    assert!(defaults.out.contains("\n#block_for = \"10m\"\n"), "{}", defaults.out);
    let said = Files::of(&[("config.toml", &defaults.out)]).verb(&["check"]);
    assert_eq!((&*said.out, said.code), ("ok: 0 keys are set; file read:\n  DIR/config.toml\n", 0));
}

#[test]
fn a_file_that_may_not_be_read_keeps_the_daemon_from_starting_and_no_client_from_asking() {
    let files = Files::of(&[("config.toml", "socket = \"/nonexistent/moved.sock\"\n")]);
    files.close("config.toml");
    let expected = "error: cannot read the configuration DIR/config.toml: Permission denied (os error 13)\n help: check \
                    --config and the file's permissions\n";
    for verb in ["run", "check"] {
        let said = files.verb(&[verb]);
        assert_eq!((&*said.out, &*said.err, said.code), ("", expected, 2), "{verb}");
    }
    let said = files.verb(&["status"]);
    assert!(said.code != 2 && !said.err.contains("config.toml") && !said.err.contains("moved.sock"), "{said:?}");
}

#[test]
fn flags_are_refused_by_the_rules_of_their_keys_and_together_with_everything_else() {
    let files = Files::of(&[("config.toml", "mode = \"fast\"\n")]);
    let said = files.said(
        tcpcap()
            .args(["run", "--preset", "wild", "--allow", "10.0.0.0/99,::/0", "--listen=everywhere", "--config"])
            .arg(files.main())
            .env("TCPCAP_SCOPE", "most"),
    );
    insta::assert_snapshot!(said.err, @r#"
    error: DIR/config.toml:1: mode: "fast" is not one of auto, native, generic
    error: --preset: "wild" is not one of strict, balanced, relaxed
    error: --allow: "10.0.0.0/99" is not an address or a network such as "192.0.2.0/24"
    error: --allow: "::/0" cannot be taken: it holds the IPv4 addresses too; name what is meant: 2000::/3 are the public IPv6 addresses
    error: TCPCAP_SCOPE: "most" is not one of all, syn
    error: --listen: "everywhere" is not an address and a port, such as "127.0.0.1:2112" or "[::1]:2112"
     help: correct that; `tcpcap config --defaults` shows every key with its rule and default
    "#);
    assert_eq!((&*said.out, said.code), ("", 2));
}

#[test]
fn a_replay_reads_no_configuration_that_is_not_named() {
    let files = Files::of(&[("config.toml", "mode = \"fast\"\n")]);
    let said = files.said(tcpcap().args(["replay", "/nonexistent.pcap"]).env("TCPCAP_OBSERVE", "maybe"));
    assert!(said.code == 2 && said.err.contains("TCPCAP_OBSERVE: \"maybe\" is not true or false"), "{said:?}");
    let said = files.said(tcpcap().args(["replay", "/nonexistent.pcap"]).env("TCPCAP_CONFIG", files.main()));
    assert!(said.code == 2 && said.err.contains("DIR/config.toml:1: mode: \"fast\""), "{said:?}");
    let said = files.said(tcpcap().args(["replay", "/nonexistent.pcap"]).env("TCPCAP_MODE", "fast"));
    assert!(said.code == 1 && said.err.contains("/nonexistent.pcap"), "{said:?}");
}
