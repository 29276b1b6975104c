//! Commands from the screen to the daemon.

use std::time::Duration;

use tcpcap::control::{Command, Refused};

use crate::{pane::Pane, straw::Straw};

#[test]
fn a_block_is_asked_about_done_and_confirmed() {
    let pane = Pane::new(80, 24);
    let straw = Straw::at(&pane.file("s"));
    pane.top(&straw.path);
    pane.types("b");
    pane.shows("Block 203.0.113.7 ─");
    pane.types("d");
    pane.shows("> d  1 day");
    pane.press("Enter");
    pane.shows("Block 203.0.113.7 for 24 h?");
    assert_eq!(straw.world().told, []);
    pane.types("y");
    pane.shows("Blocked 203.0.113.7 for 24 h");
    let (network, lasts) = ("203.0.113.7/32".parse().unwrap(), Some(Duration::from_secs(86_400)));
    assert_eq!(straw.world().told, [Command::Block { network, lasts, note: None }]);
}

#[test]
fn nothing_is_done_where_the_operator_says_no() {
    let pane = Pane::new(80, 24);
    let straw = Straw::at(&pane.file("s"));
    pane.top(&straw.path);
    pane.types("u");
    pane.shows("Unblock 203.0.113.7?");
    pane.types("n");
    pane.shows("nothing was done");
    assert_eq!(straw.world().told, []);
}

#[test]
fn a_refusal_is_shown_with_cause_and_remedy() {
    let pane = Pane::new(80, 24);
    let straw = Straw::at(&pane.file("s"));
    straw.world().refusal = Some(Refused {
        cause: "203.0.113.7 is the peer of an SSH session".to_owned(),
        remedy: "block it from elsewhere".to_owned(),
    });
    pane.top(&straw.path);
    pane.types("a");
    pane.shows("Allow 203.0.113.7?");
    pane.types("y");
    let screen = pane.shows("Not done: allow 203.0.113.7");
    assert!(screen.contains("peer of an SSH session") && screen.contains("help: block it from elsewhere"), "{screen}");
    assert_eq!(straw.world().told, [Command::Allow { network: "203.0.113.7/32".parse().unwrap() }]);
}
