use super::*;
use std::{ffi::CString, fs, os::unix::ffi::OsStrExt, path::PathBuf};
use tempfile::TempDir;

/// A feed, its file and a clock. A look comes every second.
struct Stage {
    dir: TempDir,
    feed: Feed,
    now: Instant,
}

impl Stage {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let feed = Feed::new(FeedConfig { name: "drop".into(), path: dir.path().join("drop.txt") });
        Self { dir, feed, now: Instant::now() }
    }

    /// One whose file was read.
    fn with(content: &str) -> Self {
        let mut stage = Self::new();
        stage.write(content);
        stage.look().unwrap();
        stage
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("drop.txt")
    }

    /// As one should: aside, and then in place.
    fn write(&self, content: &str) {
        let aside = self.dir.path().join("aside");
        fs::write(&aside, content).unwrap();
        fs::rename(aside, self.path()).unwrap();
    }

    fn look_asked(&mut self, asked: bool) -> Option<News> {
        self.now += Duration::from_secs(1);
        self.feed.look(self.now, asked)
    }

    fn look(&mut self) -> Option<News> {
        self.look_asked(false)
    }

    /// What the next looks say, each thing with the number of the look.
    fn say(&mut self, looks: usize) -> Vec<(usize, String)> {
        (1..=looks).filter_map(|look| self.look().map(|news| (look, news.to_string()))).collect()
    }
}

#[test]
fn a_file_that_is_there_at_start_is_read_at_once_and_only_once() {
    let mut stage = Stage::new();
    stage.write("192.0.2.0/24\n192.0.2.1\n");
    let news = stage.look().unwrap();
    assert_eq!((news.in_force, news.is_bad(), news.to_string().as_str()), (2, false, "feed drop: 2 entries in force"));
    assert_eq!(stage.say(30), []);
}

#[test]
fn a_file_that_is_missing_at_start_is_said_once_and_taken_as_soon_as_it_is_there() {
    let mut stage = Stage::new();
    let news = stage.look().unwrap();
    assert!(news.is_bad());
    assert!(
        news.to_string().contains("cannot be read (No such file") && news.to_string().contains("nothing of it"),
        "{news}"
    );
    assert_eq!(stage.say(30), []);
    stage.write("192.0.2.1\n");
    assert_eq!(stage.say(30), [(1, "feed drop: 1 entries in force".into())]);
}

#[test]
fn a_changed_file_is_read_once_it_has_been_still_for_a_look() {
    let mut stage = Stage::with("192.0.2.1\n");
    stage.write("192.0.2.1\n192.0.2.2\n");
    assert_eq!(stage.look(), None);
    stage.write("192.0.2.1\n192.0.2.2\n192.0.2.3\n");
    assert_eq!(stage.say(9), [(2, "feed drop: 3 entries in force".into())]);
}

#[test]
fn when_asked_to_it_reads_at_once_and_even_if_nothing_changed() {
    let mut stage = Stage::with("192.0.2.1\n");
    stage.write("192.0.2.1\n192.0.2.2\n");
    assert_eq!(stage.look_asked(true).unwrap().in_force, 2);
    assert_eq!(stage.look_asked(true).unwrap().in_force, 2);
}

#[test]
fn equal_content_stays_the_very_same_list() {
    let mut stage = Stage::with("192.0.2.1\n");
    let before = stage.feed.list();
    stage.look_asked(true).unwrap();
    assert!(stage.feed.list().is_same(&before));
}

#[test]
fn of_a_file_that_goes_the_last_good_content_stays_in_force_and_that_is_said_once() {
    let mut stage = Stage::with("192.0.2.1\n192.0.2.2\n");
    fs::remove_file(stage.path()).unwrap();
    let said = stage.say(30);
    assert_eq!(said.len(), 1);
    assert!(said[0].1.ends_with("its 2 entries from before stay in force"), "{said:?}");
    assert_eq!(stage.feed.list().len(), 2);
    stage.write("192.0.2.1\n");
    assert_eq!(stage.say(9), [(1, "feed drop: 1 entries in force".into())]);
}

#[test]
fn an_emptied_file_counts_only_once_a_second_reading_finds_the_same() {
    let mut stage = Stage::with("192.0.2.1\n");
    stage.write("# nothing\n");
    let said = stage.say(30);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].0 == 2 && said[0].1.contains("no entry any more") && said[0].1.contains("1 entries from before"));
    assert_eq!(said[1], (12, "feed drop: 0 entries in force".into()));
    assert!(stage.feed.list().is_empty());
}

#[test]
fn an_emptied_file_that_fills_again_has_never_been_empty() {
    let mut stage = Stage::with("192.0.2.1\n");
    stage.write("");
    assert_eq!(stage.say(5).len(), 1);
    stage.write("192.0.2.2\n192.0.2.3\n");
    assert_eq!(stage.say(30), [(2, "feed drop: 2 entries in force".into())]);
    // And the next time it is doubted anew.
    stage.write("");
    assert_eq!(stage.say(5).len(), 1);
    stage.write("#\n");
    assert_eq!(stage.say(9), []);
    assert_eq!(stage.feed.list().len(), 2);
}

#[test]
fn who_asks_again_for_an_emptied_file_gets_it() {
    let mut stage = Stage::with("192.0.2.1\n");
    stage.write("");
    assert!(matches!(stage.look_asked(true).unwrap().what, What::Trouble(Trouble::Emptied)));
    assert_eq!(stage.look_asked(true).unwrap().in_force, 0);
    assert!(stage.feed.list().is_empty());
}

#[test]
fn an_error_page_in_place_of_a_list_never_counts() {
    let mut stage = Stage::with("192.0.2.1\n");
    stage.write("<html>\n<h1>503</h1>\n");
    let said = stage.say(60);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].1.contains("is no list; 2 lines skipped, the first is line 1: \"<html>\""), "{said:?}");
    assert_eq!((stage.look_asked(true), stage.look_asked(true)), (None, None));
    assert_eq!(stage.feed.list().len(), 1);
}

#[test]
fn a_file_with_some_bad_lines_counts_and_says_so() {
    let mut stage = Stage::new();
    stage.write("192.0.2.1\nx\n");
    let news = stage.look().unwrap();
    assert!(news.is_bad() && news.to_string().contains("1 entries in force; skipped line 2: \"x\""), "{news}");
}

#[test]
fn a_file_that_changes_all_the_time_is_said_once_and_taken_when_it_stands_still() {
    let mut stage = Stage::with("192.0.2.1\n");
    let mut said = Vec::new();
    for i in 0..100 {
        fs::write(stage.path(), "192.0.2.2\n".repeat(i + 2)).unwrap();
        said.extend(stage.look());
    }
    assert_eq!(said.iter().map(|n| &n.what).collect::<Vec<_>>(), [&What::Trouble(Trouble::Restless)]);
    assert_eq!(stage.say(9), [(1, "feed drop: 1 entries in force".into())]);
}

#[test]
fn what_changed_between_stat_and_reading_does_not_count() {
    let stage = Stage::with("192.0.2.1\n");
    let stamp = Stamp::at(&stage.path()).unwrap();
    assert!(read(&stage.path(), &stamp).unwrap().is_some());
    stage.write("192.0.2.1\n");
    assert_eq!(read(&stage.path(), &stamp).unwrap(), None);
}

#[test]
fn what_is_no_regular_file_is_said_and_does_not_keep_us_waiting() {
    let mut stage = Stage::new();
    let pipe = CString::new(stage.path().as_os_str().as_bytes()).unwrap();
    // SAFETY: the path is a valid C string.
    assert_eq!(unsafe { libc::mkfifo(pipe.as_ptr(), 0o600) }, 0);
    assert_eq!(stage.look().unwrap().what, What::Trouble(Trouble::NoFile));
    let stamp = Stamp { inode: (0, 0), bytes: 1, modified: (0, 0), changed: (0, 0) };
    assert_eq!(read(&stage.path(), &stamp), Err(Trouble::NoFile));
    assert_eq!(stage.say(9), []);
    fs::remove_file(stage.path()).unwrap();
    fs::create_dir(stage.path()).unwrap();
    assert_eq!(stage.say(9), []);
}

#[test]
fn a_file_that_is_too_large_is_not_opened() {
    let mut stage = Stage::new();
    // All of it is a hole.
    File::create(stage.path()).unwrap().set_len(MAX_FILE_BYTES + 1).unwrap();
    let news = stage.look().unwrap();
    assert!(news.to_string().contains("larger than 256 MiB"), "{news}");
    assert_eq!(stage.say(9), []);
}

#[test]
fn another_trouble_is_said_anew() {
    let mut stage = Stage::with("192.0.2.1\n");
    fs::remove_file(stage.path()).unwrap();
    assert_eq!(stage.say(3).len(), 1);
    fs::create_dir(stage.path()).unwrap();
    assert_eq!(stage.say(3).len(), 1);
    fs::remove_dir(stage.path()).unwrap();
    assert_eq!(stage.say(3).len(), 1);
}
