//! The bytes of a file, decompressed where need be.

use std::{
    cell::{Cell, RefCell},
    io::{self, BufRead as _, BufReader, Read},
    rc::Rc,
};

use flate2::bufread::MultiGzDecoder;

/// How much is asked of a file at once.
const CHUNK: usize = 1 << 16;

/// What kept the rest of a file from being read. Set once, by [`Input`].
pub(super) type Problem = Rc<RefCell<Option<io::Error>>>;

/// A file that is read in full chunks. An error ends it as its end does, and is kept in [`Input::problem`]: what stood
/// before it is still good, and the reader of captures has no word for the error.
pub(super) struct Input {
    bytes: Box<dyn Read>,
    /// Bytes taken out again to look at them.
    looked_at: Vec<u8>,
    pub(super) problem: Problem,
    /// How many bytes have been taken from the file, before decompression.
    pub(super) taken: Rc<Cell<u64>>,
}

/// Counts what is read through it.
struct Counted<R> {
    from: R,
    taken: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let len = self.from.read(out)?;
        self.taken.set(self.taken.get() + len as u64);
        Ok(len)
    }
}

impl Input {
    pub(super) fn of(from: impl Read + 'static) -> io::Result<Self> {
        let taken = Rc::new(Cell::new(0));
        let mut file = BufReader::with_capacity(CHUNK, Counted { from, taken: Rc::clone(&taken) });
        let is_gzip = file.fill_buf()?.starts_with(&[0x1f, 0x8b]);
        let bytes: Box<dyn Read> = if is_gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        Ok(Self { bytes, looked_at: Vec::new(), problem: Problem::default(), taken })
    }

    /// The first `N` bytes, which stay to be read; fewer if the file has fewer.
    pub(super) fn peek<const N: usize>(&mut self) -> Vec<u8> {
        let mut start = [0; N];
        let len = self.fill(&mut start);
        self.looked_at = start[..len].to_vec();
        self.looked_at.clone()
    }

    fn fill(&mut self, out: &mut [u8]) -> usize {
        let mut len = 0;
        while len < out.len() && self.problem.borrow().is_none() {
            match self.bytes.read(&mut out[len..]) {
                Ok(0) => break,
                Ok(n) => len += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => *self.problem.borrow_mut() = Some(e),
            }
        }
        len
    }
}

impl Read for Input {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let len = self.looked_at.len().min(out.len());
        out[..len].copy_from_slice(&self.looked_at[..len]);
        self.looked_at.drain(..len);
        Ok(len + self.fill(&mut out[len..]))
    }
}
