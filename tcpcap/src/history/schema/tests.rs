use super::*;

fn empty() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    (dir, path)
}

fn tables(connection: &Connection) -> i64 {
    connection.query_row("SELECT count(*) FROM sqlite_schema WHERE type = 'table'", (), |row| row.get(0)).unwrap()
}

fn opened(path: &Path) -> Opened {
    open(path, &Limits::default()).map_err(|(_, problem)| problem).unwrap()
}

#[test]
fn directory_and_file_are_made_for_their_owner_and_group() {
    let (dir, _) = empty();
    let path = dir.path().join("lib/tcpcap/history.db");
    let opened = opened(&path);
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&path), 0o640);
    assert_eq!(mode(&with_suffix(&path, "-wal")), 0o640);
    assert_eq!(mode(path.parent().unwrap()), 0o750);
    assert_eq!(number(&opened.connection, "auto_vacuum").unwrap(), 2);
    assert_eq!(number(&opened.connection, "user_version").unwrap(), 1);
}

#[test]
fn an_older_file_takes_the_missing_steps_and_keeps_what_it_holds() {
    let (_dir, path) = empty();
    let mut connection = Connection::open(&path).unwrap();
    let steps = ["CREATE TABLE a (x)", "CREATE TABLE b (y); INSERT INTO b SELECT x + 1 FROM a", "DROP TABLE a"];
    migrate(&mut connection, &steps[..1]).unwrap();
    connection.execute("INSERT INTO a VALUES (6)", ()).unwrap();
    migrate(&mut connection, &steps).unwrap();
    assert_eq!(connection.query_row("SELECT y FROM b", (), |row| row.get::<_, i64>(0)).unwrap(), 7);
    assert_eq!((tables(&connection), number(&connection, "user_version").unwrap()), (1, 3));
    migrate(&mut connection, &steps).unwrap();
}

#[test]
fn a_migration_that_fails_leaves_the_file_as_it_was() {
    let (_dir, path) = empty();
    let mut connection = Connection::open(&path).unwrap();
    migrate(&mut connection, &["CREATE TABLE a (x)"]).unwrap();
    migrate(&mut connection, &["CREATE TABLE a (x)", "CREATE TABLE b (y)", "nonsense"]).unwrap_err();
    assert_eq!((tables(&connection), number(&connection, "user_version").unwrap()), (1, 1));
}

#[test]
fn a_newer_file_is_refused_with_a_remedy_and_left_alone() {
    let (_dir, path) = empty();
    drop(opened(&path));
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 9).unwrap();
    let (_, problem) = open(&path, &Limits::default()).map(drop).unwrap_err();
    assert!(problem.cause.contains("newer tcpcap (layout 9, this one knows 1)"), "{problem}");
    assert!(problem.remedy.contains("move the file away"), "{problem}");
    assert_eq!(number(&Connection::open(&path).unwrap(), "user_version").unwrap(), 9);
}

#[test]
fn a_database_of_another_program_is_refused_and_left_alone() {
    let (_dir, path) = empty();
    Connection::open(&path).unwrap().execute("CREATE TABLE theirs (x)", ()).unwrap();
    let (_, problem) = open(&path, &Limits::default()).map(drop).unwrap_err();
    assert!(problem.cause.contains("another program"), "{problem}");
    assert_eq!(tables(&Connection::open(&path).unwrap()), 1);
}

#[test]
fn what_is_no_database_is_moved_aside_and_the_last_three_are_kept() {
    let (dir, path) = empty();
    for n in 1..=5 {
        fs::write(&path, format!("garbage {n} ").repeat(500)).unwrap();
        let opened = opened(&path);
        assert_eq!(number(&opened.connection, "user_version").unwrap(), 1);
    }
    assert_eq!(kept(&path).unwrap(), [3, 4, 5]);
    assert!(fs::read_to_string(dir.path().join("history.db.corrupt-5")).unwrap().starts_with("garbage 5"));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4, "three and the new one");
}

#[test]
fn a_damaged_page_is_noticed_after_an_unclean_end() {
    let (_dir, path) = empty();
    let opened_once = opened(&path);
    let fill = "INSERT INTO log (at, kind, body) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n \
                WHERE i < 2000) SELECT i, 'finding', hex(randomblob(100)) FROM n";
    opened_once.connection.execute(fill, ()).unwrap();
    opened_once.connection.execute("UPDATE about SET clean = 0", ()).unwrap();
    drop(opened_once);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xA5);
    fs::write(&path, bytes).unwrap();
    let log: i64 = opened(&path).connection.query_row("SELECT count(*) FROM log", (), |row| row.get(0)).unwrap();
    assert_eq!((log, kept(&path).unwrap()), (0, vec![1]));
}

#[test]
fn a_file_that_cannot_be_made_is_a_problem_with_a_remedy() {
    let (_dir, path) = empty();
    fs::write(&path, "").unwrap();
    for path in [path.join("history.db"), PathBuf::from("/proc/tcpcap/history.db")] {
        let (_, problem) = open(&path, &Limits::default()).map(drop).unwrap_err();
        assert!(
            problem.cause.contains(&path.display().to_string()) && problem.remedy.contains("writable"),
            "{problem}"
        );
    }
}
