//! Commands: what is asked first, and what is done then.

use super::*;
use crate::control::Command;

fn network(text: &str) -> ipnet::IpNet {
    text.parse().unwrap()
}

fn block(lasts: Option<u64>) -> Option<Do> {
    let lasts = lasts.map(Duration::from_secs);
    Some(Do::Act(Command::Block { network: network("192.0.2.140/32"), lasts, note: None }))
}

#[test]
fn a_block_asks_for_how_long_and_whether_and_then_does_it() {
    for (keys, lasts) in [
        ("b\ny", Some(3600)),
        ("bh\ny", Some(3600)),
        ("bd\ny", Some(86_400)),
        ("be\nY", None),
        ("bj\ny", Some(86_400)),
        ("bjjjk\ny", Some(86_400)),
    ] {
        assert_eq!(Stage::new().types(keys), block(lasts), "{keys}");
    }
}

#[test]
fn nothing_is_done_without_a_yes() {
    for keys in ["b", "b\n", "b\nn", "b\n\u{1b}", "b\u{1b}y", "b\n\n\n", "by", "u", "u\n", "un", "ax", "a\u{1b}", "dq"]
    {
        assert_eq!(Stage::new().types(keys), None, "{keys}");
    }
}

#[test]
fn a_slip_of_the_finger_does_not_take_the_question_away() {
    assert_eq!(Stage::new().types("ux \ny"), Some(Do::Act(Command::Unblock { network: network("192.0.2.140/32") })));
}

#[test]
fn what_is_done_is_about_the_row_that_was_selected_when_it_was_asked() {
    let mut stage = Stage::new();
    stage.types("b");
    let mut all = sources();
    all[0].per_second = 1000.0;
    stage.sees(View::Sources(all));
    assert_eq!(stage.order()[0], ">203.0.113.56");
    assert_eq!(stage.types("\ny"), block(Some(3600)));
}

#[test]
fn an_allow_is_taken_back_as_it_was_given() {
    let smallest = network("192.0.2.128/25");
    assert_eq!(Stage::new().types("dy"), Some(Do::Act(Command::Disallow { network: smallest })));
    let mut stage = Stage::new();
    assert_eq!(stage.types("jdy"), None);
    assert_eq!(stage.app.said(stage.now), Some("198.51.100.23 is not among what is allowed"));
    assert_eq!(stage.types("ay"), Some(Do::Act(Command::Allow { network: network("198.51.100.23/32") })));
}

#[test]
fn whoever_stands_in_blocks_findings_or_a_story_can_be_acted_on() {
    let mut stage = Stage::new();
    stage.types("2");
    assert_eq!(stage.types("uy"), None, "nobody is there yet");
    assert_eq!(stage.app.said(stage.now), Some("nobody is selected"));
    stage.sees(View::Blocks(blocks()));
    stage.press(KeyCode::End);
    assert_eq!(stage.types("uy"), Some(Do::Act(Command::Unblock { network: network("10.20.0.0/16") })));
    stage.types("3");
    stage.sees(View::Findings(findings()));
    assert_eq!(stage.types("uy"), Some(Do::Act(Command::Unblock { network: network("203.0.113.56/32") })));
    stage.types("jj");
    assert_eq!(stage.types("b"), None, "a flood has no source");
    assert_eq!(stage.app.said(stage.now), Some("nobody is selected"));
    stage.types("k\n");
    assert_eq!(stage.types("ay"), Some(Do::Act(Command::Allow { network: network("2001:db8:77:12::/64") })));
}

#[test]
fn q_leaves_what_is_open_first_and_control_c_leaves_everything() {
    let mut stage = Stage::new();
    assert_eq!(stage.types("\nq?qb\u{1b}"), None);
    assert_eq!(stage.types("q"), Some(Do::Quit));
    let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    for keys in ["", "\n", "?", "b", "b\n", "/x"] {
        let mut stage = Stage::new();
        stage.types(keys);
        assert_eq!(stage.app.key(control_c, stage.now), Some(Do::Quit), "{keys}");
    }
}

#[test]
fn with_control_or_alt_held_nothing_is_asked_for() {
    for modifiers in [KeyModifiers::CONTROL, KeyModifiers::ALT] {
        let mut stage = Stage::new();
        for key in ['b', 'q', 'j', '?'] {
            assert_eq!(stage.app.key(KeyEvent::new(KeyCode::Char(key), modifiers), stage.now), None);
        }
        assert!(stage.app.dialog.is_none() && stage.order()[0].starts_with('>'));
    }
}

#[test]
fn a_refusal_stays_until_a_key_is_pressed() {
    let mut stage = Stage::new();
    let failure =
        Failure::failed("192.0.2.140 is not blocked: it is the peer of an SSH session", "block it from elsewhere");
    let command = Command::Block { network: network("192.0.2.140/32"), lasts: None, note: None };
    stage.hears(News::Done { command, result: Err(failure) });
    stage.passes(1000);
    assert!(stage.app.dialog.is_some());
    assert_eq!(stage.types("q"), None);
    assert!(stage.app.dialog.is_none());
}
