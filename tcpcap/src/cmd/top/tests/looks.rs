//! Each screen as it looks.

use ratatui::style::{Color, Modifier};

use super::*;
use crate::control::{Command, Next, Now, Story};

/// The screen at both sizes.
macro_rules! looks {
    ($stage:expr, $name:literal) => {
        insta::assert_snapshot!(concat!($name, "_80x24"), $stage.shown(80, 24));
        insta::assert_snapshot!(concat!($name, "_120x40"), $stage.shown(120, 40));
    };
}

#[test]
fn before_the_first_answer() {
    let now = Instant::now();
    looks!(Stage { app: App::new(false, now), now }, "before");
}

#[test]
fn sources_with_their_figures() {
    looks!(Stage::new(), "sources");
}

#[test]
fn blocks_with_time_left_and_reason() {
    let mut stage = Stage::new();
    stage.types("2");
    stage.sees(View::Blocks(blocks()));
    looks!(stage, "blocks");
}

#[test]
fn findings_with_their_evidence() {
    let mut stage = Stage::new();
    stage.types("3");
    stage.sees(View::Findings(findings()));
    looks!(stage, "findings");
}

fn story() -> Story {
    Story {
        address: "203.0.113.56".parse().unwrap(),
        source: "203.0.113.56/32".parse().unwrap(),
        time: "2026-11-25T17:00:00Z".to_owned(),
        now: Now { state: "blocked".to_owned(), protected: None, blocks: blocks()[..1].to_vec() },
        seen: sources().into_iter().next(),
        next: Next { times: 1, ends_s: Some(562), repeat_s: 1200, forgotten_s: Some(90_000) },
        past: Vec::new(),
        past_missing: None,
    }
}

#[test]
fn the_story_of_an_address() {
    let mut stage = Stage::new();
    stage.press(KeyCode::End);
    stage.types("\n");
    stage.shown(80, 24);
    stage.sees(View::Story(Box::new(story())));
    looks!(stage, "story");
    stage.shown(80, 24);
    stage.press(KeyCode::End);
    stage.press(KeyCode::Up);
    insta::assert_snapshot!("story_end_80x24", stage.shown(80, 24));
}

#[test]
fn a_story_of_somebody_else_comes_too_late() {
    let mut stage = Stage::new();
    stage.types("\n");
    stage.sees(View::Story(Box::new(story())));
    let shown = stage.shown(80, 24).to_string();
    assert!(shown.contains("the story of 192.0.2.140") && shown.contains("asking") && !shown.contains("203.0.113.56"));
}

#[test]
fn for_how_long_to_block() {
    let mut stage = Stage::new();
    stage.types("bj");
    looks!(stage, "how_long");
}

#[test]
fn whether_to_do_it() {
    let mut stage = Stage::new();
    stage.types("b\n");
    looks!(stage, "confirm");
}

#[test]
fn a_refusal() {
    let mut stage = Stage::new();
    let command = Command::Block { network: "192.0.2.0/24".parse().unwrap(), lasts: None, note: None };
    let failure = Failure::failed(
        "192.0.2.0/24 is not blocked: 192.0.2.140 is the peer of an SSH session of this host",
        "block a smaller network, or a single address",
    );
    stage.hears(News::Done { command, result: Err(failure) });
    looks!(stage, "refused");
}

#[test]
fn the_keys() {
    let mut stage = Stage::new();
    stage.types("?");
    looks!(stage, "help");
}

#[test]
fn a_filter_being_typed_and_the_pause() {
    let mut stage = Stage::new();
    stage.types("p/nmap");
    looks!(stage, "filter");
    stage.types(" free\n");
    assert!(stage.shown(80, 24).to_string().contains("the filter lets nobody pass; Esc shows all"));
}

#[test]
fn a_daemon_that_is_away() {
    let mut stage = Stage::new();
    stage.passes(12);
    stage.fails();
    looks!(stage, "away");
}

#[test]
fn observing_with_an_open_breaker_and_nobody_there() {
    let mut stage = Stage::new();
    let status = Status { mode: "observe".to_owned(), scope: "syn".to_owned(), breaker_open: true, ..status() };
    let what = View::Sources(Vec::new());
    stage.hears(News::Seen(Ok(Box::new(Seen { at: at(0), status, timeline: Timeline::default(), what }))));
    looks!(stage, "observing");
}

#[test]
fn colour_is_used_unless_it_is_not_wanted_and_a_word_says_the_same() {
    let mut stage = Stage::new();
    let coloured = |buffer: &Buffer| buffer.content().iter().filter(|cell| cell.fg != Color::Reset).count();
    let plain = stage.buffer();
    assert_eq!(coloured(&plain), 0);
    stage.app.colour = true;
    let colour = stage.buffer();
    assert!(coloured(&colour) > 0);
    let symbols = |buffer: &Buffer| buffer.content().iter().map(|cell| cell.symbol().to_owned()).collect::<Vec<_>>();
    assert_eq!(symbols(&plain), symbols(&colour));
    let red: String =
        colour.content().iter().filter(|cell| cell.fg == Color::Red).map(ratatui::buffer::Cell::symbol).collect();
    assert!(red.contains("blocked"), "{red}");
}

#[test]
fn the_letter_that_sorts_is_underlined() {
    let buffer = Stage::new().buffer();
    let underlined = |cell: &&ratatui::buffer::Cell| cell.modifier.contains(Modifier::UNDERLINED);
    let letters: String = buffer.content().iter().filter(underlined).map(ratatui::buffer::Cell::symbol).collect();
    assert_eq!(letters, "CTAMPHDEW");
}

#[test]
fn what_others_wrote_cannot_tell_the_terminal_what_to_do() {
    let mut stage = Stage::new();
    stage.types("2");
    let mut all = blocks();
    "\u{1b}[31mred\u{7}\nline".clone_into(&mut all[0].why);
    stage.sees(View::Blocks(all));
    let buffer = stage.buffer();
    assert!(!buffer.content().iter().any(|cell| cell.symbol().contains(char::is_control)));
}

#[test]
fn no_size_is_too_small_or_too_large_to_be_painted() {
    let mut stage = Stage::new();
    let check = |stage: &mut Stage| {
        for (width, height) in (1..=40).flat_map(|n| [(n, n), (n * 4, n), (n, 60), (200, n)]) {
            stage.shown(width, height);
        }
    };
    for keys in ["", "2", "3", "1\n", "?", "\u{1b}\u{1b}b", "\n", "\u{1b}/x"] {
        stage.types(keys);
        check(&mut stage);
        stage.fails();
        check(&mut stage);
    }
}

#[test]
fn the_selected_row_is_always_on_the_screen() {
    let mut stage = Stage::new();
    let many = (0..=255).map(|n| source(&format!("192.0.2.{n}/32"), "free", f64::from(n), 1)).collect();
    stage.sees(View::Sources(many));
    let selected = |stage: &mut Stage| {
        let shown = stage.shown(80, 24).to_string();
        shown.lines().find(|line| line.contains("> ")).unwrap().split_whitespace().nth(1).unwrap().to_owned()
    };
    for (code, address) in [
        (KeyCode::Home, "192.0.2.255"),
        (KeyCode::PageDown, "192.0.2.240"),
        (KeyCode::Down, "192.0.2.239"),
        (KeyCode::End, "192.0.2.0"),
        (KeyCode::Down, "192.0.2.0"),
        (KeyCode::PageUp, "192.0.2.15"),
        (KeyCode::Up, "192.0.2.16"),
    ] {
        stage.press(code);
        assert_eq!(selected(&mut stage), address);
    }
    stage.shown(80, 12);
    stage.shown(80, 60);
    assert_eq!(selected(&mut stage), "192.0.2.16");
}
