//! What is in the image, and what it says of itself.

use std::{collections::BTreeMap, fs};

use serde_json::{Value, json};
use tcpcap_lab::Process;

use crate::container::{SOON, archive, image, podman};

/// Bytes, packed. What a small Debian alone takes is half as much again.
const MOST: u64 = 20_000_000;

fn inspected() -> Value {
    let said = podman().succeed(&["image", "inspect", &image()]).unwrap();
    serde_json::from_str::<Value>(&said).unwrap()[0].clone()
}

#[test]
fn it_is_small() {
    let size = fs::metadata(archive()).unwrap().len();
    println!("{:.1} MB packed", size as f64 / 1e6);
    assert!(size < MOST, "{size} bytes");
}

#[test]
fn it_says_what_it_is_and_how_it_is_run() {
    let about = inspected();
    let config = &about["Config"];
    assert_eq!(config["User"], "61112:61112");
    assert_eq!((&config["Entrypoint"], &config["Cmd"]), (&json!(["/usr/bin/tcpcap"]), &json!(["run"])));
    assert_eq!(config["Volumes"], json!({"/run/tcpcap": {}, "/var/lib/tcpcap": {}}));
    assert_eq!(
        about["HealthCheck"]["Test"].as_array().or(about["Healthcheck"]["Test"].as_array()),
        json!(["CMD", "/usr/bin/tcpcap", "status"]).as_array()
    );
    let label = |name: &str| about["Labels"][format!("org.opencontainers.image.{name}")].as_str().unwrap().to_owned();
    assert_eq!((label("title").as_str(), label("version").as_str()), ("tcpcap", env!("CARGO_PKG_VERSION")));
    assert!(label("revision").len() == 40 && label("licenses").contains("MIT") && label("base.name").contains(':'));
}

/// Files by their path: mode and owner.
fn files() -> BTreeMap<String, String> {
    let name = format!("tcpcap-test-{}-files", std::process::id());
    podman().succeed(&["create", &format!("--name={name}"), &image()]).unwrap();
    let tar = tempfile::NamedTempFile::new().unwrap();
    let exported = podman().run(&["export", &format!("--output={}", tar.path().display()), &name]);
    podman().succeed(&["rm", "--volumes", &name]).unwrap();
    assert_eq!(exported.unwrap().0, 0);
    let mut command = std::process::Command::new("tar");
    command.args(["--numeric-owner", "-tvf"]).arg(tar.path());
    let mut list = Process::spawn("tar", command).unwrap();
    list.succeed(SOON).unwrap();
    let line = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        (fields[5].trim_end_matches('/').to_owned(), format!("{} {}", fields[0], fields[1]))
    };
    list.output().lines().map(line).collect()
}

#[test]
fn it_holds_tcpcap_and_nft_and_nothing_that_gives_rights() {
    let files = files();
    let programs: Vec<&str> = files
        .iter()
        .filter(|(path, about)| about.starts_with("-") && about.contains('x') && !path.contains("/lib"))
        .map(|(path, _)| path.as_str())
        .collect();
    assert_eq!(programs, ["usr/bin/tcpcap", "usr/sbin/nft"]);
    for (path, about) in &files {
        assert!(!about[..10].contains(['s', 'S']), "{path}: {about}");
        let own = matches!(path.as_str(), "run/tcpcap" | "var/lib/tcpcap");
        let expected = if own { "drwxrwx--- 61112/61112" } else { "0/0" };
        assert!(about.ends_with(expected), "{path}: {about}");
    }
    for kept in [
        "etc/passwd",
        "etc/group",
        "usr/lib/os-release",
        "var/lib/dpkg/status.d/libc6",
        "usr/share/doc/libc6/copyright",
    ] {
        assert!(files.contains_key(kept), "{kept}");
    }
    for licence in ["APACHE", "MIT", "GPL2"] {
        assert!(files.contains_key(&format!("usr/share/doc/tcpcap/LICENSE-{licence}")));
    }
}

#[test]
fn it_holds_the_binary_of_the_other_artefacts() {
    let name = format!("tcpcap-test-{}-binary", std::process::id());
    podman().succeed(&["create", &format!("--name={name}"), &image()]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let copied = podman().run(&["cp", &format!("{name}:/usr/bin/tcpcap"), directory.path().to_str().unwrap()]);
    podman().succeed(&["rm", "--volumes", &name]).unwrap();
    assert_eq!(copied.unwrap().0, 0);
    let shipped = fs::read(archive().with_file_name("tcpcap")).unwrap();
    assert!(fs::read(directory.path().join("tcpcap")).unwrap() == shipped);
}
