//! Where a capture is read from: a file, or standard input, which can be read only once unless it is kept.

use std::{
    env, fs,
    fs::File,
    io::{self, IsTerminal as _, Seek as _, SeekFrom},
    os::fd::AsFd as _,
    path::{Path, PathBuf},
};

use crate::failure::Failure;

/// What standard input is called on the command line.
const STDIN: &str = "-";

/// Where a capture comes from.
#[derive(Debug)]
pub struct Origin {
    /// For people.
    pub(super) name: String,
    from: From,
}

#[derive(Debug)]
enum From {
    Path(PathBuf),
    /// An open file, from this byte on.
    Open(File, u64),
    /// What has been read from it is gone.
    Stream(File),
}

impl Origin {
    /// From the command line: a path, or `-`.
    ///
    /// # Errors
    /// There is no file, or standard input is a terminal.
    pub fn named(path: &Path) -> Result<Self, Failure> {
        if path == Path::new(STDIN) {
            return Self::stdin();
        }
        let name = path.display().to_string();
        if !fs::metadata(path).map_err(|e| unreadable(&name, &e))?.is_file() {
            return Err(Failure::failed(
                format!("{name} is no file"),
                "replay may read a capture twice: write it to a file, or give it on standard input, as `-`",
            ));
        }
        Ok(Self { name, from: From::Path(path.to_owned()) })
    }

    fn stdin() -> Result<Self, Failure> {
        let name = "standard input".to_owned();
        if io::stdin().is_terminal() {
            return Err(Failure::usage(
                "standard input is a terminal, not a capture",
                "for example: tcpdump -w - | tcpcap replay - --own 192.0.2.0/24",
            ));
        }
        let open = || {
            let mut file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
            // Redirected from a file it is as good as the file.
            Ok(if file.metadata()?.is_file() {
                let start = file.stream_position()?;
                From::Open(file, start)
            } else {
                From::Stream(file)
            })
        };
        open().map(|from| Self { name: name.clone(), from }).map_err(|e| unreadable(&name, &e))
    }

    /// Whether it can be read only once.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        matches!(self.from, From::Stream(_))
    }

    /// How many bytes it has, if that is known.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        match &self.from {
            From::Path(path) => Some(fs::metadata(path).ok()?.len()),
            From::Open(file, start) => Some(file.metadata().ok()?.len().saturating_sub(*start)),
            From::Stream(_) => None,
        }
    }

    /// Makes a stream readable as often as one likes: keeps what comes in a file without a name, which goes away with
    /// the program, however that ends.
    ///
    /// # Errors
    /// It cannot be read, or there is no room for it.
    pub fn keep(&mut self) -> Result<(), Failure> {
        let From::Stream(stream) = &mut self.from else { return Ok(()) };
        let copy = tempfile::tempfile().and_then(|mut kept| io::copy(stream, &mut kept).map(|_| kept));
        let kept = copy.map_err(|e| {
            Failure::failed(
                format!("cannot keep {} in {}: {e}", self.name, env::temp_dir().display()),
                "name the own addresses with --own: then it is read once, and nothing is kept",
            )
        })?;
        self.from = From::Open(kept, 0);
        Ok(())
    }

    /// Begins to read it; a stream goes on.
    pub(super) fn open(&self) -> io::Result<File> {
        match &self.from {
            From::Path(path) => File::open(path),
            From::Open(file, start) => {
                let mut file = file.try_clone()?;
                file.seek(SeekFrom::Start(*start))?;
                Ok(file)
            }
            From::Stream(stream) => stream.try_clone(),
        }
    }
}

pub(super) fn unreadable(name: &str, e: &io::Error) -> Failure {
    Failure::failed(format!("cannot read {name}: {e}"), "check the path and its permissions")
}
