use super::*;
use std::{fs, path::Path};

fn config(dir: &Path, name: &str) -> FeedConfig {
    FeedConfig { name: name.into(), path: dir.join(name) }
}

/// `a 2, b 0`
fn shown(reading: &Reading) -> String {
    let one = |list: &List| format!("{} {}", list.why, list.len());
    reading.lists.iter().map(one).collect::<Vec<_>>().join(", ")
}

async fn next(feeds: &mut Feeds) -> Reading {
    tokio::time::timeout(Duration::from_secs(60), feeds.changed()).await.unwrap().unwrap()
}

/// The next reading that says so.
async fn until(feeds: &mut Feeds, wanted: &str) -> Reading {
    loop {
        let reading = next(feeds).await;
        if shown(&reading) == wanted {
            return reading;
        }
    }
}

#[tokio::test]
async fn the_first_reading_has_all_feeds_and_says_which_file_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), "192.0.2.1\n192.0.2.2\n").unwrap();
    let mut feeds = Feeds::start(vec![config(dir.path(), "a"), config(dir.path(), "b")]).unwrap();
    let first = next(&mut feeds).await;
    assert_eq!((shown(&first).as_str(), first.changed), ("feed a 2, feed b 0", true));
    assert_eq!(first.news.iter().map(News::is_bad).collect::<Vec<_>>(), [false, true]);
}

#[tokio::test]
async fn without_feeds_there_is_a_first_reading_of_nothing() {
    let mut feeds = Feeds::start(Vec::new()).unwrap();
    let first = next(&mut feeds).await;
    assert!(first.lists.is_empty() && first.news.is_empty() && !first.changed);
}

#[tokio::test]
async fn a_changed_file_makes_a_reading_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), "192.0.2.1\n").unwrap();
    let mut feeds = Feeds::start(vec![config(dir.path(), "a")]).unwrap();
    assert_eq!(shown(&next(&mut feeds).await), "feed a 1");
    fs::write(dir.path().join("a"), "192.0.2.1\n192.0.2.2\n").unwrap();
    assert!(until(&mut feeds, "feed a 2").await.changed);
}

#[tokio::test]
async fn who_asks_gets_a_reading_though_nothing_changed_and_a_storm_of_asking_few() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), "192.0.2.1\n").unwrap();
    let mut feeds = Feeds::start(vec![config(dir.path(), "a")]).unwrap();
    next(&mut feeds).await;
    (0..10_000).for_each(|_| feeds.reread());
    let reading = next(&mut feeds).await;
    assert_eq!((shown(&reading).as_str(), reading.changed, reading.news.len()), ("feed a 1", false, 1));
    feeds.configure(Vec::new());
    let mut more = 0;
    while !next(&mut feeds).await.lists.is_empty() {
        more += 1;
    }
    // Those that waited, one in the thread's hand, and one for the order that came meanwhile.
    assert!(more <= WAITING + 2, "{more}");
}

#[tokio::test]
async fn feeds_may_be_added_removed_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c"] {
        fs::write(dir.path().join(name), "192.0.2.1\n").unwrap();
    }
    let feeds_of = |names: &[&str]| names.iter().map(|n| config(dir.path(), n)).collect::<Vec<_>>();
    let mut feeds = Feeds::start(feeds_of(&["a", "b"])).unwrap();
    next(&mut feeds).await;
    fs::remove_file(dir.path().join("b")).unwrap();
    feeds.configure(feeds_of(&["c", "b"]));
    // What is in force of b stays so though its file has gone.
    assert!(until(&mut feeds, "feed c 1, feed b 1").await.changed);
    feeds.configure(Vec::new());
    assert!(until(&mut feeds, "").await.changed);
    feeds.configure(feeds_of(&["a"]));
    assert!(until(&mut feeds, "feed a 1").await.changed);
}
