//! Reloading.

use crate::stage::Stage;

#[test]
fn a_reload_takes_a_new_configuration_over_and_a_broken_one_changes_nothing_and_says_so() {
    let stage = Stage::running("");
    let pid = stage.pid();
    stage.configure("observe = true\n");
    stage.systemctl(&["reload", "tcpcap"]);
    assert!(stage.property("StatusText").starts_with("observing on"), "{}", stage.property("StatusText"));
    assert!(stage.journal().contains("Configuration taken over: observe: false → true"), "{}", stage.journal());

    stage.configure("observe = false\npreset = \"lax\"\n");
    let ran = stage.try_systemctl(&["reload", "tcpcap"]);
    assert!(!ran.status.success() && ran.output.contains("Job for tcpcap.service failed"), "{}", ran.output);
    let journal = stage.journal();
    assert!(journal.contains("preset") && journal.contains("lax"), "{journal}");
    assert!(stage.property("StatusText").starts_with("observing on"), "{}", stage.property("StatusText"));
    assert_eq!((stage.property("ActiveState"), stage.pid()), ("active".into(), pid));

    stage.configure("observe = false\n");
    stage.systemctl(&["reload", "tcpcap"]);
    assert!(stage.property("StatusText").starts_with("enforcing on"), "{}", stage.property("StatusText"));
    let source = stage.scan();
    assert!(!stage.reaches(source));
}
