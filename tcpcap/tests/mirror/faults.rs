//! An nft that is missing, fails or hangs.

use std::{fs, path::Path, time::Duration};

use tcpcap::mirror::{Config, remove};
use tcpcap_core::Scope;
use tcpcap_lab::wait_until;

use crate::stage::{SOON, Script, Stage, ahead, put, stats, text};

#[test]
fn a_missing_nft_is_told_and_once_it_is_there_the_mirror_works() {
    let stage = Stage::new();
    let script = Script::new("exec nft \"$@\"");
    fs::rename(script.path(), script.file("away")).unwrap();
    let mirror = stage.mirror(script.config(), [put("192.0.2.7/32", Scope::All, ahead(600))]);
    let degraded = stats(&mirror, "trouble", |s| s.degraded.is_some());
    assert!(degraded.degraded.as_ref().unwrap().starts_with("cannot run "), "{degraded:?}");
    assert_eq!((degraded.applied, degraded.last_success), (0, None));
    let failure = remove(&script.config()).unwrap_err();
    assert!(failure.cause.contains("cannot run") && failure.remedy.contains("nft delete table"), "{failure}");
    fs::rename(script.file("away"), script.path()).unwrap();
    stage.shows("192.0.2.7");
    let well = stats(&mirror, "recovery", |s| s.degraded.is_none());
    assert!(well.errors >= 1 && well.last_success.is_some());
}

#[test]
fn a_failing_nft_is_asked_again_and_told_in_its_own_words() {
    let stage = Stage::new();
    let script = Script::new("echo 'Error: Operation not permitted' >&2; exit 1");
    let mirror = stage.mirror(script.config(), [put("192.0.2.7/32", Scope::All, ahead(600))]);
    let reason = stats(&mirror, "trouble", |s| s.degraded.is_some()).degraded.unwrap();
    assert!(reason.contains("Operation not permitted"), "{reason}");
    stats(&mirror, "a second try", |s| s.errors >= 2);
    mirror.set(put("192.0.2.8/32", Scope::All, ahead(600)));
    script.write("exec nft \"$@\"");
    stage.shows("192.0.2.8");
    stats(&mirror, "recovery", |s| s.degraded.is_none() && s.elements == 2);
    // Changes fail, looking works: nothing is taken for done that is not.
    script.write("[ \"$2\" = list ] && exec nft \"$@\"; exit 1");
    mirror.set(put("192.0.2.9/32", Scope::All, ahead(600)));
    stats(&mirror, "trouble", |s| s.degraded.is_some());
    script.write("exec nft \"$@\"");
    stage.shows("192.0.2.9");
    // What it says makes no sense.
    script.write("echo nonsense");
    let reason = stats(&mirror, "trouble", |s| s.degraded.is_some()).degraded.unwrap();
    assert!(reason.contains("not readable"), "{reason}");
}

#[test]
fn a_hanging_nft_is_killed_with_all_it_started_and_the_mirror_goes_on() {
    let stage = Stage::new();
    let script = Script::new("sleep 1000 & echo $! > pids; echo $$ >> pids; wait");
    let config = Config { timeout: Duration::from_secs(1), ..script.config() };
    let mirror = stage.mirror(config, [put("192.0.2.7/32", Scope::All, ahead(600))]);
    let reason = stats(&mirror, "trouble", |s| s.degraded.is_some()).degraded.unwrap();
    assert!(reason.contains("longer than 1 s"), "{reason}");
    let pids = text(&script.file("pids"));
    script.write("exec nft \"$@\"");
    assert_eq!(pids.lines().count(), 2);
    for pid in pids.lines() {
        // One that nobody has reaped yet is dead, too.
        let alive = || !text(&Path::new("/proc").join(pid).join("cmdline")).is_empty();
        wait_until("its end", SOON, || !alive()).unwrap();
    }
    stage.shows("192.0.2.7");
    stats(&mirror, "recovery", |s| s.degraded.is_none());
}

#[test]
fn nft_gets_no_environment_of_ours_and_needs_no_more_than_net_admin() {
    let stage = Stage::new();
    let script = Script::new(
        "/usr/bin/env > environment\n\
         exec setpriv --inh-caps=-all --bounding-set=-all,+net_admin nft \"$@\"",
    );
    let mirror = stage.mirror(script.config(), [put("192.0.2.7/32", Scope::All, ahead(600))]);
    stage.shows("192.0.2.7");
    mirror.stop();
    let environment = text(&script.file("environment"));
    // The shell adds where it is.
    let names = environment
        .lines()
        .filter_map(|l| l.split('=').next())
        .filter(|n| !["PWD", "OLDPWD", "_", "SHLVL"].contains(n));
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    assert_eq!(names, ["LC_ALL", "PATH"]);
}
