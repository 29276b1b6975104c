//! What is made from the command line's own knowledge of itself: help, completions, manual, and the page that documents it.

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    net::SocketAddr,
    process::{Command, Stdio},
};

use serde_json::Value;
use tcpcap::{
    control::{FeedShown, InterfaceShown, PartShown, ProtectedShown, Status, Story, stream::Passing},
    history::Row,
};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cli.md");

fn tcpcap(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tcpcap")).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The verbs, as the help lists them.
fn verbs() -> Vec<String> {
    let help = tcpcap(&["--help"]);
    let list = help.split_once("Commands:\n").unwrap().1.split_once("\n\n").unwrap().0;
    let names = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.map(|line| line.split_whitespace().next().unwrap().to_owned()).filter(|name| name != "help").collect()
}

#[test]
fn help_has_a_line_for_each_verb_and_fits() {
    assert!(verbs().len() >= 17, "{:?}", verbs());
    for verb in verbs() {
        let help = tcpcap(&[&verb, "--help"]);
        assert!(help.contains(&format!("Usage: tcpcap {verb}")), "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    }
}

#[test]
fn the_page_documents_every_verb_and_no_other() {
    let page = fs::read_to_string(PAGE).unwrap();
    let documented: Vec<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## `tcpcap ")?.split(['`', ' ']).next().map(str::to_owned))
        .collect();
    let (mut documented, mut known) = (documented, verbs());
    documented.sort();
    known.sort();
    assert_eq!(documented, known);
}

/// The names of all fields in a value, those of what it holds as well.
fn fields(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(all) => all.iter().for_each(|(name, value)| {
            into.insert(name.clone());
            fields(value, into);
        }),
        Value::Array(all) => all.iter().for_each(|value| fields(value, into)),
        _ => {}
    }
}

#[test]
fn the_page_documents_every_field_of_the_json() {
    let page = fs::read_to_string(PAGE).unwrap();
    let part = || PartShown { why: Some(String::new()), ..PartShown::default() };
    let status = Status {
        interfaces: vec![InterfaceShown::default()],
        history: part(),
        feeds: vec![FeedShown { problem: Some(String::new()), ..FeedShown::default() }],
        never_block: vec![ProtectedShown { address: [192, 0, 2, 1].into(), why: String::new() }],
        ..super::daemon::status()
    };
    let seen = super::daemon::sources().remove(0);
    let mut story =
        Story { seen: Some(seen), past_missing: Some(String::new()), ..super::daemon::story([192, 0, 2, 1].into()) };
    story.now.blocks = super::daemon::blocks();
    let finding = r#"{"id":1,"time":"2025-11-24T16:00:40.000Z","type":"finding","source":null,"in_name_of":"","rule":"",
        "window":"","count":1,"threshold":1,"window_s":1,"targets":[],"ports":[],"truncated":false,"flags":["FIN"],
        "attempts_before":0,"completions":0,"verified":false,"standing":"","fingerprint":null,"fingerprint_percent":1,
        "decision":"","times":0,"ttl_s":null,"scope":null,"why":""}"#;
    let block = r#"{"id":1,"time":"2025-11-24T16:00:40.000Z","type":"block","network":"","event":"","origin":"","why":"",
        "scope":"","until":null,"times":0,"unverified":false,"packets":1,"bytes":1,"by":""}"#;
    let command =
        r#"{"id":1,"time":"2025-11-24T16:00:40.000Z","type":"command","who":"","verb":"","argument":"","result":""}"#;
    let row = |text: &str| serde_json::to_value(serde_json::from_str::<Row>(text).unwrap()).unwrap();
    let passing = |passing: Passing| serde_json::to_value(passing).unwrap();
    let (from, to) = (SocketAddr::from(([192, 0, 2, 1], 7)), SocketAddr::from(([198, 51, 100, 1], 22)));
    let mut named = BTreeSet::new();
    for value in [
        serde_json::to_value(status).unwrap(),
        serde_json::to_value(story).unwrap(),
        row(finding),
        row(block),
        row(command),
        passing(Passing::Connection { from, to }),
        passing(Passing::Missed { events: 1 }),
    ] {
        fields(&value, &mut named);
    }
    assert!(named.len() > 80, "{named:?}");
    let missing: Vec<_> = named.iter().filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn bash_loads_the_completions_and_completes_a_verb() {
    let script = tcpcap(&["completions", "bash"]);
    let ask = r#"
        COMP_WORDS=(tcpcap st); COMP_CWORD=1; COMP_LINE="tcpcap st"; COMP_POINT=9
        function="$(complete -p tcpcap | sed 's/.*-F \([^ ]*\).*/\1/')"
        "$function" tcpcap st tcpcap
        echo "${COMPREPLY[*]}"
        COMP_WORDS=(tcpcap explain 192.0.2.1 --out); COMP_CWORD=3; COMPREPLY=()
        "$function" tcpcap --out 192.0.2.1
        echo "${COMPREPLY[*]}"
    "#;
    let (stdin, stdout) = (Stdio::piped(), Stdio::piped());
    let mut bash = Command::new("bash").args(["--norc", "-eu"]).stdin(stdin).stdout(stdout).spawn().unwrap();
    bash.stdin.take().unwrap().write_all((script + ask).as_bytes()).unwrap();
    let output = bash.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "status\n--output\n");
    assert!(output.status.success());
}

#[test]
fn zsh_and_fish_are_told_of_every_verb() {
    for (shell, begins) in [("zsh", "#compdef tcpcap"), ("fish", "")] {
        let script = tcpcap(&["completions", shell]);
        assert!(script.starts_with(begins), "{shell}");
        for verb in verbs() {
            assert!(script.contains(&verb), "{shell}: {verb}");
        }
    }
    let output = Command::new(env!("CARGO_BIN_EXE_tcpcap")).args(["completions", "tcsh"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

/// Every line of roff is text or a request that manuals are written with.
fn is_roff(page: &str) -> bool {
    page.lines().filter(|line| line.starts_with('.') || line.starts_with('\'')).all(|line| {
        [".TH ", ".SH ", ".SS ", ".TP", ".RS", ".RE", ".IP ", ".PP", ".br", ".ie ", ".el ", ".nf", ".fi", ".sp"]
            .iter()
            .any(|request| line.starts_with(request))
    })
}

#[test]
fn the_manual_has_every_verb_and_is_set_without_a_warning() {
    let page = tcpcap(&["man"]);
    assert!(is_roff(&page), "{page}");
    assert_eq!(page.matches(".TH ").count(), 1);
    for verb in verbs() {
        assert!(page.contains(&format!(".SH \"tcpcap {verb}\"\n")), "{verb}");
    }
    for part in ["EXIT STATUS", "ENVIRONMENT", "FILES"] {
        assert!(page.contains(part), "{part}");
    }
    let directory = tempfile::tempdir().unwrap();
    let said = tcpcap(&["man", "--dir", directory.path().to_str().unwrap()]);
    assert_eq!(said, format!("{} pages written to {}\n", verbs().len() + 1, directory.path().display()));
    for page in fs::read_dir(directory.path()).unwrap() {
        let page = page.unwrap().path();
        assert!(is_roff(&fs::read_to_string(&page).unwrap()), "{}", page.display());
        assert_set_well(&page);
    }
    let whole = directory.path().join("whole.1");
    fs::write(&whole, page).unwrap();
    assert_set_well(&whole);
}

/// Where groff is there, it has nothing to complain of.
fn assert_set_well(page: &std::path::Path) {
    let groff = Command::new("groff").args(["-man", "-Tutf8", "-k", "-ww", "-z"]).arg(page).output();
    if let Ok(output) = groff {
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{}", page.display());
    }
}
