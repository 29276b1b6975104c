//! The terminal afterwards.

use std::{env, fs, process::Command};

use tcpcap::cmd::top::terminal::FullScreen;

use crate::{
    pane::{LAST, Pane},
    straw::Straw,
};

fn running() -> (Pane, Straw) {
    let pane = Pane::new(80, 24);
    let straw = Straw::at(&pane.file("s"));
    pane.run("echo before");
    let pid = pane.file("pid");
    let top = format!("{} top --socket {}", env!("CARGO_BIN_EXE_tcpcap"), straw.path.display());
    pane.run(&format!("sh -c 'echo $$ > {}; exec {top}'", pid.display()));
    pane.shows(LAST);
    (pane, straw)
}

#[test]
fn quitting_leaves_the_terminal_as_it_was() {
    for key in ["q", "C-c"] {
        let (pane, _straw) = running();
        pane.press(key);
        let screen = pane.is_clean();
        assert!(screen.contains("before") && !screen.contains("ATTEMPTS"), "{key}: {screen}");
    }
}

#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    for signal in ["TERM", "HUP", "INT"] {
        let (pane, _straw) = running();
        let pid = fs::read_to_string(pane.file("pid")).unwrap();
        assert!(Command::new("kill").args(["-s", signal, pid.trim()]).status().unwrap().success());
        let screen = pane.is_clean();
        assert!(screen.contains("before") && !screen.contains("ATTEMPTS"), "{signal}: {screen}");
    }
}

/// Set where the test below runs once more, in a terminal of its own.
const INSIDE: &str = "TCPCAP_TEST_PANICS";

fn panic_on_the_full_screen() {
    let mut screen = FullScreen::take().unwrap();
    screen.draw(|area, buffer| buffer.set_string(area.x, area.y, "full screen", ratatui::style::Style::new())).unwrap();
    panic!("a panic that is seen");
}

#[test]
fn a_panic_leaves_the_terminal_as_it_was_and_is_seen() {
    if env::var_os(INSIDE).is_some() {
        return panic_on_the_full_screen();
    }
    let pane = Pane::new(100, 40);
    pane.run("echo before");
    let this = env::current_exe().unwrap();
    let which = "--exact leaving::a_panic_leaves_the_terminal_as_it_was_and_is_seen --nocapture";
    pane.run(&format!("{INSIDE}=1 RUST_BACKTRACE=0 {} {which}", this.display()));
    pane.shows("1 failed");
    let screen = pane.is_clean();
    assert!(screen.contains("before") && screen.contains("a panic that is seen"), "{screen}");
    assert!(!screen.contains("full screen\n"), "{screen}");
}
