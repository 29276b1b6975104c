use std::{
    fs::File,
    os::unix::fs::MetadataExt as _,
    sync::mpsc::{self, Receiver, Sender},
};

use tracing::{error, info, warn};

use super::*;

/// A journal that tells what it got, once it is let.
struct Told {
    let_go: Mutex<Receiver<()>>,
    got: Sender<Vec<(String, String)>>,
}

impl<S: Subscriber> Layer<S> for Told {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let line = Line::of(event);
        let level = ("level".to_owned(), event.metadata().level().to_string());
        let fields = line.values.into_iter().map(|(field, value)| (field.name().to_owned(), value));
        let waited = self.let_go.lock().unwrap().recv();
        if waited.is_ok() {
            self.got.send([level].into_iter().chain(fields).collect()).unwrap();
        }
    }
}

struct Stage {
    journal: Journal,
    let_go: Sender<()>,
    got: Receiver<Vec<(String, String)>>,
}

fn stage(room: usize) -> Stage {
    let ((let_go, waits), (sends, got)) = (mpsc::channel(), mpsc::channel());
    let told = Told { let_go: Mutex::new(waits), got: sends };
    let told = Dispatch::new(registry().with(told));
    let journal = Journal::start_with(move || Some(told.clone()), io::sink(), room).unwrap();
    Stage { journal, let_go, got }
}

fn logging(journal: &Journal, lines: impl FnOnce()) {
    tracing::subscriber::with_default(registry().with(journal.layer()), lines);
}

#[test]
fn a_line_reaches_the_journal_with_its_level_and_all_its_fields() {
    let stage = stage(10);
    logging(&stage.journal, || {
        let absent: Option<&str> = None;
        warn!(event = "lift", source = %"192.0.2.1", packets = 7, open = true, absent, "said {}", 1 + 1);
        info!(source = Some("a\nb"), "plain");
        error!("bare");
    });
    (0..3).for_each(|_| stage.let_go.send(()).unwrap());
    let got: Vec<_> = (0..3).map(|_| stage.got.recv().unwrap()).collect();
    let text = |pairs: &[(String, String)]| {
        let mut pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        pairs.sort();
        pairs.join(" ")
    };
    let [first, second, third] = &got[..] else { panic!("{got:?}") };
    assert_eq!(text(first), r#"event="lift" level="WARN" message="said 2" open="true" packets="7" source="192.0.2.1""#);
    assert_eq!(text(second), r#"level="INFO" message="plain" source="a\nb""#);
    assert_eq!(text(third), r#"level="ERROR" message="bare""#);
}

#[test]
fn a_stuck_journal_holds_up_nobody_and_what_finds_no_room_is_counted() {
    let stage = stage(5);
    // The journal takes one line at most, and is stuck with it; this comes back all the same.
    logging(&stage.journal, || (0..100).for_each(|i| info!(i, "line")));
    let dropped = stage.journal.dropped();
    assert!((100 - 5 - AT_ONCE as u64..=100 - 5).contains(&dropped), "{dropped}");
    for _ in 0..100 - dropped {
        stage.let_go.send(()).unwrap();
        stage.got.recv().unwrap();
    }
    assert_eq!(stage.journal.dropped(), dropped, "none is counted twice");
}

#[test]
fn the_end_waits_for_what_is_on_its_way() {
    let Stage { journal, let_go, got } = stage(100);
    logging(&journal, || (0..50).for_each(|i| info!(i, "line")));
    (0..50).for_each(|_| let_go.send(()).unwrap());
    drop(journal);
    assert_eq!(got.try_iter().count(), 50);
}

#[test]
fn without_the_journal_lines_go_to_standard_output() {
    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);
    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let page = Page::default();
    let journal = Journal::start_with(|| None, page.clone(), 10).unwrap();
    logging(&journal, || {
        info!(event = "connection", "New connection: 192.0.2.56:5973 -> 10.0.0.5:80");
        error!("cannot");
    });
    drop(journal);
    let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text, "New connection: 192.0.2.56:5973 -> 10.0.0.5:80\nERROR cannot\n");
}

#[test]
fn a_line_that_can_be_written_nowhere_is_counted() {
    struct Broken;
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let journal = Journal::start_with(|| None, Broken, 10).unwrap();
    let queue = Arc::clone(&journal.queue);
    logging(&journal, || info!("line"));
    drop(journal);
    assert_eq!(queue.dropped.load(Ordering::Relaxed), 1);
}

#[test]
fn standard_output_is_the_journal_where_the_environment_names_it() {
    let file = tempfile::tempfile().unwrap();
    let other = File::open("/dev/null").unwrap();
    let (socket, _peer) = UnixDatagram::pair().unwrap();
    let stream = |metadata: std::fs::Metadata| format!("{}:{}", metadata.dev(), metadata.ino());
    let stream = stream(file.metadata().unwrap());
    let is = |stream: Option<&str>, out: &dyn AsFdOf, err: &dyn AsFdOf| {
        is_connected(stream.map(OsStr::new), out.fd(), err.fd())
    };
    assert!(is(Some(&stream), &file, &other));
    assert!(is(Some(&stream), &socket, &file), "where both are, it names standard error");
    assert!(!is(Some(&stream), &other, &file), "standard output goes elsewhere");
    assert!(!is(Some(&stream), &other, &other));
    for wrong in [None, Some(""), Some("1"), Some("1:x"), Some(":"), Some("0:0")] {
        assert!(!is(wrong, &file, &file), "{wrong:?}");
    }
}

trait AsFdOf {
    fn fd(&self) -> std::os::fd::BorrowedFd<'_>;
}

impl<T: AsFd> AsFdOf for T {
    fn fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.as_fd()
    }
}
