//! Paths and versions that are named in more than one place.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Runs the binary with nothing in its environment but this; returns its exit code and all that it said.
pub fn tcpcap(args: &[&str], environment: &[(String, String)]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcpcap"));
    command.args(args).env_clear().envs(environment.iter().map(|(name, value)| (name, value)));
    let out = command.output().unwrap();
    let said = String::from_utf8(out.stdout).unwrap() + &String::from_utf8(out.stderr).unwrap();
    (out.status.code().unwrap(), said)
}

/// Every text that ships, or tells of what ships.
fn told() -> Vec<(PathBuf, String)> {
    fn walk(place: &Path, found: &mut Vec<PathBuf>) {
        if !place.is_dir() {
            found.extend(place.exists().then(|| place.to_owned()));
            return;
        }
        let mut inside: Vec<PathBuf> = fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path()).collect();
        inside.sort();
        inside.iter().for_each(|path| walk(path, found));
    }
    let mut found = Vec::new();
    for place in ["deploy", "docs", "Dockerfile", "README.md", "ARCHITECTURE.md"] {
        walk(&root().join(place), &mut found);
    }
    let text = found.into_iter().filter_map(|path| Some((path.clone(), fs::read_to_string(path).ok()?)));
    text.map(|(path, text)| (path.strip_prefix(root()).unwrap().to_owned(), text)).collect()
}

/// The words of a text that begin with one of these: paths from the workspace's root.
fn paths<'a>(text: &'a str, beginnings: &[&str]) -> Vec<&'a str> {
    let in_path = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    text.split(|c: char| !in_path(c))
        .map(|word| word.trim_end_matches(['.', '/', '-']))
        .filter(|word| beginnings.iter().any(|beginning| word.starts_with(beginning)))
        .collect()
}

#[test]
fn every_file_that_is_named_is_there() {
    let mut looked_at = 0;
    for (file, text) in told() {
        for path in paths(&text, &["deploy/", "docs/", "tcpcap/tests/", "xtask/src/"]) {
            looked_at += 1;
            let is_there = root().join(path).exists() || path.contains("/my-cluster");
            assert!(is_there, "{} names {path}, which is not there", file.display());
        }
    }
    assert!(looked_at > 20, "{looked_at}");
    assert_eq!(
        paths("see (deploy/k8s/base/), `docs/x.md`. /deploy/y", &["deploy/", "docs/"]),
        ["deploy/k8s/base", "docs/x.md"]
    );
}

#[test]
fn every_link_of_a_page_leads_somewhere() {
    let mut looked_at = 0;
    for (file, text) in told().iter().filter(|(file, _)| file.extension().is_some_and(|kind| kind == "md")) {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            let target = link.split('#').next().unwrap();
            if link.contains("://") || target.is_empty() {
                continue;
            }
            looked_at += 1;
            let place = root().join(file).parent().unwrap().join(target);
            assert!(place.exists(), "{} links to {link}, which is not there", file.display());
        }
    }
    assert!(looked_at > 20, "{looked_at}");
}

/// What follows `tcpcap` and one of these marks and looks like a version.
fn versions(text: &str) -> Vec<&str> {
    let version =
        |rest: &str| -> usize { rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len()) };
    ["tcpcap:", "tcpcap_", "tcpcap-"]
        .iter()
        .flat_map(|mark| text.split(mark).skip(1))
        .map(|rest| rest[..version(rest)].trim_end_matches('.'))
        .filter(|found| found.split('.').count() == 3)
        .collect()
}

#[test]
fn what_ships_is_of_one_version() {
    let mut looked_at = 0;
    for (file, text) in told() {
        for version in versions(&text) {
            looked_at += 1;
            assert_eq!(version, env!("CARGO_PKG_VERSION"), "{}", file.display());
        }
    }
    assert!(looked_at > 0);
    assert_eq!(
        versions("tcpcap:1.2.3\ntcpcap_1.2.4-1_amd64.deb tcpcap-1.2.5-x86 tcpcap: 2 of 3.4.5"),
        ["1.2.3", "1.2.4", "1.2.5"]
    );
}
