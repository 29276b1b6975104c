//! What is seen, and how it follows the daemon.

use std::process::{Command, Stdio};

use tcpcap::control::SourceShown;

use crate::{pane::Pane, straw::Straw};

#[test]
fn sources_are_seen_in_80x24_sorted_filtered_and_in_more_columns_where_there_is_more_room() {
    let pane = Pane::new(80, 24);
    let straw = Straw::at(&pane.file("s"));
    pane.top(&straw.path);
    let screen = pane.screen();
    let lines: Vec<&str> = screen.lines().collect();
    assert_eq!(lines.len(), 24, "{screen}");
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{screen}");
    assert!(lines[0].starts_with("tcpcap 0.1.0  enforce") && lines[0].ends_with("up 1 min 15 s  live"), "{screen}");
    assert!(lines[2].contains("attempts/s") && lines[2].contains("at most 39.0 in 5 min"), "{screen}");
    assert!(lines[4].contains('█') && lines[23].ends_with("? help  q quit"), "{screen}");
    assert!(lines[7].starts_with("> 203.0.113.7 ") && lines[9].starts_with("  203.0.113.56 blocked"), "{screen}");

    pane.types("M");
    pane.becomes("the other order", |screen| screen.lines().nth(7).is_some_and(|line| line.contains("203.0.113.56")));
    pane.types("/free");
    pane.becomes("the filter", |screen| screen.contains("free: 1 of 3") && !screen.contains("203.0.113.56"));
    pane.press("Escape");
    pane.shows("203.0.113.56");
    pane.resize(130, 30);
    let wide = pane.shows("STANDING");
    assert!(wide.lines().count() == 30 && wide.contains("REFUSED"), "{wide}");
}

#[test]
fn views_and_stories_open_and_close() {
    let pane = Pane::new(80, 24);
    let straw = Straw::at(&pane.file("s"));
    pane.top(&straw.path);
    pane.press("Tab");
    pane.shows("automatic port-scan");
    pane.press("Enter");
    let story = pane.shows("What it did");
    assert!(story.contains("[the story of 203.0.113.56]") && story.contains("203.0.113.56 is blocked"), "{story}");
    pane.press("Down");
    pane.becomes("the next line", |screen| !screen.contains("203.0.113.56 is blocked"));
    pane.press("Escape");
    pane.shows("automatic port-scan");
    pane.press("Tab");
    pane.shows("no rule has found anything");
    pane.types("?");
    pane.shows("any key: close");
    pane.types("x");
    pane.becomes("the help to close", |screen| !screen.contains("any key: close"));
}

#[test]
fn what_the_daemon_says_is_followed_and_a_pause_holds_it() {
    let pane = Pane::new(80, 24);
    let straw = Straw::at(&pane.file("s"));
    pane.top(&straw.path);
    let newcomer = |last: u8| SourceShown {
        source: std::net::IpAddr::from([192, 0, 2, last]).into(),
        state: "free".to_owned(),
        per_second: 99.0,
        ..SourceShown::default()
    };
    straw.world().sources.push(newcomer(1));
    pane.shows("192.0.2.1 ");
    pane.types("p");
    pane.shows("PAUSED");
    straw.world().sources.push(newcomer(2));
    // The daemon is asked on: what it says then is heard, and not shown.
    pane.types("p");
    pane.shows("192.0.2.2 ");
}

#[test]
fn a_daemon_that_falls_silent_is_told_of_and_the_screen_goes_on() {
    let pane = Pane::new(80, 24);
    let straw = Straw::at(&pane.file("s"));
    pane.top(&straw.path);
    straw.world().silent = true;
    let screen = pane.shows("no answer for ");
    assert!(screen.contains("tcpcap takes its time") && screen.contains("203.0.113.56"), "{screen}");
    pane.types("?");
    pane.shows("any key: close");
}

#[test]
fn a_daemon_that_goes_away_is_told_of_its_last_words_stay_and_it_is_found_again() {
    let pane = Pane::new(80, 24);
    let path = pane.file("s");
    let straw = Straw::at(&path);
    pane.top(&path);
    drop(straw);
    let screen = pane.shows("tcpcap is not running");
    assert!(screen.contains("no answer for ") && screen.contains("help: start it with `tcpcap run`"), "{screen}");
    assert!(screen.contains("203.0.113.56"), "{screen}");
    let _again = Straw::at(&path);
    pane.becomes("it to be live again", |screen| screen.contains("live") && !screen.contains("not running"));
}

#[test]
fn colour_is_left_out_where_it_is_not_wanted() {
    let pane = Pane::new(80, 24);
    let straw = Straw::at(&pane.file("s"));
    let is_red = |text: &str| text.contains("\u{1b}[38;5;1mblocked");
    pane.top(&straw.path);
    assert!(is_red(&pane.painted()), "{}", pane.painted());
    pane.types("q");
    pane.is_clean();
    pane.run("export NO_COLOR=1");
    pane.top(&straw.path);
    let painted = pane.painted();
    assert!(!is_red(&painted) && painted.contains("blocked"), "{painted}");
}

#[test]
fn without_a_daemon_it_is_told_of_before_the_screen_is_touched() {
    let pane = Pane::new(80, 24);
    pane.run(&format!("{} top --socket {}", env!("CARGO_BIN_EXE_tcpcap"), pane.file("s").display()));
    let screen = pane.shows("help: start it with");
    assert!(screen.contains("error: tcpcap is not running"), "{screen}");
    pane.is_clean();
}

#[test]
fn without_a_terminal_another_verb_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_tcpcap")).arg("top").stdin(Stdio::null()).output().unwrap();
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "error: `tcpcap top` needs a terminal that it can draw on, and this is none\n help: use `tcpcap sources`, which prints \
         the same once\n"
    );
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(2), &b""[..]));
}

#[test]
fn a_terminal_that_nothing_can_be_drawn_on_is_none() {
    let pane = Pane::new(80, 24);
    pane.run(&format!("TERM=dumb {} top", env!("CARGO_BIN_EXE_tcpcap")));
    pane.shows("help: use `tcpcap sources`");
    pane.is_clean();
}
