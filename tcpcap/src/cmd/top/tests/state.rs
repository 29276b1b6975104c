//! Sorting, filter, pause, selection, silence.

use super::{super::feed::Want, *};

#[test]
fn sources_are_sorted_by_rate_and_then_as_the_daemon_tells_them() {
    let stage = Stage::new();
    assert_eq!(stage.order(), [">192.0.2.140", "198.51.100.23", "2001:db8:77:12::/64", "203.0.113.56"]);
    let mut tied = Stage::new();
    tied.sees(View::Sources(vec![source("192.0.2.2/32", "free", 0.0, 9), source("192.0.2.1/32", "free", 0.0, 8)]));
    assert_eq!(tied.order(), [">192.0.2.2", "192.0.2.1"]);
}

#[test]
fn each_column_sorts_by_its_letter_and_once_more_the_other_way_round() {
    let mut stage = Stage::new();
    for (keys, first) in [
        ("M", "203.0.113.56"),
        ("M", "2001:db8:77:12::/64"),
        ("C", "192.0.2.140"),
        ("S", "2001:db8:77:12::/64"),
        ("L", "2001:db8:77:12::/64"),
        ("O", "2001:db8:77:12::/64"),
        ("W", "2001:db8:77:12::/64"),
        ("E", "203.0.113.56"),
        ("T", "203.0.113.56"),
        ("D", "198.51.100.23"),
    ] {
        assert_eq!(stage.types(keys), None);
        assert_eq!(stage.order()[0], format!(">{first}"), "{keys}");
    }
    stage.types("Z");
    assert_eq!(stage.app.said(stage.now), Some("no column is sorted by Z; ? shows the keys"));
}

#[test]
fn s_goes_through_all_columns_and_comes_back() {
    let mut stage = Stage::new();
    let begin = stage.app.rows().sorting();
    let mut seen = vec![begin.0];
    loop {
        stage.types("s");
        match stage.app.rows().sorting() {
            back if back == begin => break,
            (title, _) => seen.push(title),
        }
    }
    assert_eq!(seen.len(), 16, "{seen:?}");
}

#[test]
fn the_selection_stays_with_whoever_comes_first_until_it_is_moved_and_then_with_its_source() {
    let mut stage = Stage::new();
    let moved = |rate| {
        let mut all = sources();
        all[1].per_second = rate;
        View::Sources(all)
    };
    stage.sees(moved(99.0));
    assert_eq!(stage.order()[..2], [">198.51.100.23", "192.0.2.140"]);
    stage.types("j");
    stage.sees(moved(1.0));
    assert_eq!(stage.order()[..2], [">192.0.2.140", "198.51.100.23"]);
    stage.sees(moved(99.0));
    assert_eq!(stage.order()[..2], ["198.51.100.23", ">192.0.2.140"]);
    stage.types("M");
    assert!(stage.order().contains(&">192.0.2.140".to_owned()));
    stage.press(KeyCode::Home);
    stage.sees(moved(99.0));
    assert_eq!(stage.order()[0], ">203.0.113.56");
}

#[test]
fn where_the_selected_source_goes_away_the_next_one_is_selected_and_stays_so() {
    let mut stage = Stage::new();
    stage.types("jj");
    let mut fewer = sources();
    fewer.remove(3);
    stage.sees(View::Sources(fewer.clone()));
    assert_eq!(stage.order(), ["192.0.2.140", "198.51.100.23", ">203.0.113.56"]);
    fewer[2].per_second = 50.0;
    fewer[0].per_second = 40.0;
    stage.sees(View::Sources(fewer));
    assert_eq!(stage.order(), ["192.0.2.140", ">203.0.113.56", "198.51.100.23"]);
    stage.sees(View::Sources(Vec::new()));
    assert_eq!((stage.order(), stage.app.subject()), (Vec::new(), None));
}

#[test]
fn a_pause_keeps_rows_and_selection_and_its_end_shows_what_came_last() {
    let mut stage = Stage::new();
    stage.types("jp");
    let before = stage.order();
    for rate in [10.0, 20.0, 30.0] {
        let mut all = sources();
        all.rotate_left(1);
        all[3].per_second = rate;
        stage.sees(View::Sources(all));
        assert_eq!(stage.order(), before);
    }
    // Rows can be moved through, and the daemon is still listened to.
    stage.types("k");
    assert_eq!(stage.order()[0], ">192.0.2.140");
    stage.types(" ");
    assert_eq!(stage.order()[..2], ["203.0.113.56", ">192.0.2.140"]);
}

#[test]
fn in_a_pause_what_is_opened_is_shown_once() {
    let mut stage = Stage::new();
    stage.types("p2");
    stage.sees(View::Blocks(blocks()));
    assert_eq!(stage.order(), [">203.0.113.56", "10.20.0.0/16"]);
    stage.sees(View::Blocks(Vec::new()));
    assert_eq!(stage.order().len(), 2);
    stage.types("p");
    assert_eq!(stage.order().len(), 0);
}

#[test]
fn a_filter_is_applied_as_it_is_typed_and_kept_or_taken_back() {
    let mut stage = Stage::new();
    stage.types("/19");
    assert_eq!(stage.order(), [">192.0.2.140", "198.51.100.23"]);
    stage.types("2.0.2.0/24");
    assert_eq!(stage.order(), [">192.0.2.140"]);
    stage.types("\n");
    stage.sees(View::Sources(sources()));
    assert_eq!(stage.order(), [">192.0.2.140"], "what is told later is filtered as well");
    stage.types("\u{1b}");
    assert_eq!(stage.order().len(), 4);
    stage.types("/masscan blocked");
    assert_eq!(stage.order(), [">203.0.113.56"]);
    stage.types("\u{1b}");
    assert_eq!((stage.order().len(), stage.app.typing), (4, false));
    // A letter that is typed is no command.
    assert_eq!(stage.types("/qb"), None);
    assert_eq!((stage.app.filter.as_str(), stage.order().len()), ("qb", 0));
    stage.press(KeyCode::Backspace);
    assert_eq!(stage.app.filter, "q");
}

#[test]
fn what_is_looked_at_is_what_is_shown() {
    let mut stage = Stage::new();
    assert_eq!(stage.app.want(), Want::Sources);
    stage.types("\t");
    assert_eq!(stage.app.want(), Want::Blocks);
    stage.types("3");
    assert_eq!(stage.app.want(), Want::Findings);
    stage.types("1\n");
    let source = "192.0.2.140/32".parse().unwrap();
    assert_eq!(stage.app.want(), Want::Story { address: "192.0.2.140".parse().unwrap(), source });
    stage.types("\u{1b}");
    assert_eq!(stage.app.want(), Want::Sources);
    stage.press(KeyCode::BackTab);
    assert_eq!(stage.app.want(), Want::Findings);
}

#[test]
fn a_daemon_that_is_slow_or_away_is_told_of_and_its_last_answer_stays() {
    let mut stage = Stage::new();
    let silent = |stage: &Stage| stage.app.silence(stage.now).map(|silence| silence.seconds);
    stage.hears(News::Asking);
    stage.passes(2);
    assert_eq!(silent(&stage), None);
    stage.passes(5);
    assert_eq!(silent(&stage), Some(7));
    assert_eq!(stage.order().len(), 4);
    stage.fails();
    // It is asked again and again.
    stage.hears(News::Asking);
    stage.passes(1);
    assert_eq!(silent(&stage), Some(8));
    assert!(stage.app.silence(stage.now).unwrap().failure.unwrap().cause.contains("is not running"));
    stage.sees(View::Sources(sources()));
    assert_eq!(silent(&stage), None);
}

#[test]
fn a_sentence_is_shown_for_some_time() {
    let mut stage = Stage::new();
    let command = crate::control::Command::Reload;
    stage.hears(News::Done { command, result: Ok("Configuration and feeds were read anew".to_owned()) });
    stage.passes(14);
    assert_eq!(stage.app.said(stage.now), Some("Configuration and feeds were read anew"));
    stage.passes(1);
    assert_eq!(stage.app.said(stage.now), None);
}
