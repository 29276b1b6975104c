use super::{files::tests::root, *};
use std::fs;
use tcpcap_lab::{wait_for, wait_until};

const SOON: Duration = Duration::from_secs(30);

fn start(root: &std::path::Path, protected: &mut Protected) -> Discovery {
    let config = Config { root: root.to_owned(), started_from: None, ..Config::default() };
    Discovery::start(&config, protected).unwrap()
}

fn addresses(protected: &Protected) -> Vec<String> {
    protected.iter().map(|(ip, why)| format!("{} {ip}", why.name())).collect()
}

#[test]
fn what_is_on_the_host_is_protected_from_the_start_and_followed() {
    let (dir, _) = root(&[("/etc/resolv.conf", b"nameserver 192.0.2.53")]);
    let mut protected = Protected::default();
    let mut discovery = start(dir.path(), &mut protected);
    assert_eq!(addresses(&protected), ["resolver 192.0.2.53"]);
    assert_eq!(discovery.refresh(&mut protected), None, "nothing was asked yet");
    fs::write(dir.path().join("etc/resolv.conf"), "nameserver 192.0.2.54\nnameserver 192.0.2.55").unwrap();
    let ended = wait_for("the change", SOON, || discovery.refresh(&mut protected)).unwrap();
    assert_eq!(ended, ["192.0.2.53".parse::<IpAddr>().unwrap()]);
    assert_eq!(addresses(&protected), ["resolver 192.0.2.54", "resolver 192.0.2.55"]);
    fs::remove_file(dir.path().join("etc/resolv.conf")).unwrap();
    wait_for("the end", SOON, || discovery.refresh(&mut protected)).unwrap();
    assert_eq!(addresses(&protected), Vec::<String>::new());
    assert_eq!(discovery.failures(), 0);
}

#[test]
fn what_does_not_change_changes_nothing() {
    let (dir, _) = root(&[("/etc/resolv.conf", b"nameserver 192.0.2.53")]);
    let mut protected = Protected::default();
    let mut discovery = start(dir.path(), &mut protected);
    wait_until("a second look", SOON, || {
        assert_eq!(discovery.refresh(&mut protected), None);
        discovery.looks > 2
    })
    .unwrap();
    assert_eq!(addresses(&protected), ["resolver 192.0.2.53"]);
}

#[test]
fn a_host_without_any_of_the_files_is_no_failure_and_one_that_cannot_be_read_is() {
    let (dir, _) = root(&[]);
    let mut protected = Protected::default();
    assert_eq!(start(dir.path(), &mut protected).failures(), 0);
    fs::create_dir_all(dir.path().join("etc/resolv.conf")).unwrap();
    assert_eq!(start(dir.path(), &mut protected).failures(), 1);
    assert_eq!(protected, Protected::default());
}

#[test]
fn looking_takes_no_more_than_its_share_of_the_time() {
    let (dir, _) = root(&[]);
    let mut protected = Protected::default();
    let mut discovery = start(dir.path(), &mut protected);
    discovery.seen.took = Duration::from_secs(3600);
    discovery.refresh(&mut protected);
    assert!(!discovery.waiting, "not before {SHARE} hours are over");
    discovery.seen.took = Duration::ZERO;
    discovery.refresh(&mut protected);
    assert!(discovery.waiting);
}
