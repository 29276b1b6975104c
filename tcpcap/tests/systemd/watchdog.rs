//! A daemon that is stuck, and one that is killed.

use std::net::SocketAddr;

use tcpcap_lab::http;

use crate::stage::Stage;

/// A thread that is held where it is, as one that is stuck would be. All others of its process go on.
struct Held(libc::pid_t);

impl Held {
    fn hold(thread: u32) -> Self {
        let thread = thread.cast_signed();
        // SAFETY: neither request reads or writes memory of ours.
        let (seized, interrupted) = unsafe {
            let none = std::ptr::null_mut::<libc::c_void>();
            (
                libc::ptrace(libc::PTRACE_SEIZE, thread, none, none),
                libc::ptrace(libc::PTRACE_INTERRUPT, thread, none, none),
            )
        };
        assert_eq!((seized, interrupted), (0, 0), "{}", std::io::Error::last_os_error());
        let held = Self(thread);
        assert!(libc::WIFSTOPPED(held.wait()));
        held
    }

    fn wait(&self) -> libc::c_int {
        let mut status = 0;
        // SAFETY: the place for the answer is ours.
        let waited = unsafe { libc::waitpid(self.0, &raw mut status, libc::__WALL) };
        assert_eq!(waited, self.0, "{}", std::io::Error::last_os_error());
        status
    }

    /// Waits until somebody has killed it; returns the signal.
    fn killed(self) -> libc::c_int {
        let status = self.wait();
        assert!(libc::WIFSIGNALED(status), "{status:#x}");
        libc::WTERMSIG(status)
    }
}

#[test]
fn a_loop_that_is_stuck_while_all_else_lives_is_killed_and_replaced_and_blocks_are_in_force_all_the_while() {
    let stage = Stage::installed("");
    stage.edit("[Service]\nWatchdogSec=3s\n");
    stage.systemctl(&["start", "tcpcap"]);
    let source = stage.scan();
    assert!(!stage.reaches(source));
    let before = stage.pid();
    // The loop's thread is the process's first one.
    let held = Held::hold(stage.machine.outside(before.parse().unwrap()).unwrap());
    let metrics: SocketAddr = "127.0.0.1:2112".parse().unwrap();
    assert_eq!(http::get(&stage.net.sensor, metrics, "/metrics").unwrap().status, 200, "the other threads live");
    assert!(!stage.reaches(source));
    let signal = held.killed();
    assert!(matches!(signal, libc::SIGABRT | libc::SIGKILL), "{signal}");
    assert!(!stage.reaches(source));
    stage.wait_until_restarted(1);
    let journal = stage.journal();
    assert!(journal.contains("Watchdog timeout") && journal.contains("Failed with result 'watchdog'"), "{journal}");
    assert!(journal.contains("1 blocks of an earlier run go on"), "{journal}");
    assert_ne!(stage.pid(), before);
    assert!(!stage.reaches(source) && stage.blocked().contains(&format!("{source}/32")));
    assert!(!stage.reaches(stage.scan()), "it goes on with its work");
}

#[test]
fn a_daemon_that_works_is_left_alone_by_the_watchdog() {
    let stage = Stage::installed("");
    stage.edit("[Service]\nWatchdogSec=1s\n");
    stage.systemctl(&["start", "tcpcap"]);
    let first = stage.property("WatchdogTimestampMonotonic");
    // Fed many times over, while it has other things to do.
    let mut fed = std::collections::BTreeSet::from([first]);
    while fed.len() < 6 {
        stage.scan();
        fed.insert(stage.property("WatchdogTimestampMonotonic"));
    }
    assert_eq!(stage.property("NRestarts"), "0", "{}", stage.journal());
}

#[test]
fn a_killed_daemon_is_started_again_and_takes_over() {
    let stage = Stage::running("");
    let source = stage.scan();
    stage.systemctl(&["kill", "--signal=KILL", "tcpcap"]);
    assert!(!stage.reaches(source));
    stage.wait_until_restarted(1);
    assert!(stage.journal().contains("1 blocks of an earlier run go on"), "{}", stage.journal());
    assert!(stage.blocked().contains(&format!("{source}/32")) && !stage.reaches(source));
}
