//! The image's own health check.

use tcpcap_lab::{Internet, wait_until};

use crate::container::{Container, Home, SOON};

#[test]
fn a_daemon_that_is_stuck_is_not_healthy() {
    let net = Internet::build().unwrap();
    let home = Home::prepared();
    let sensor = Container::start(&net.sensor, &home, &[]);
    assert!(sensor.is_healthy());
    let pid = sensor.pid();
    let signal = |signal| {
        // SAFETY: has no preconditions; the container is ours, and runs until it is removed.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    };
    signal(libc::SIGSTOP);
    assert!(!sensor.is_healthy());
    signal(libc::SIGCONT);
    wait_until("its health", SOON, || sensor.is_healthy()).unwrap();
}
