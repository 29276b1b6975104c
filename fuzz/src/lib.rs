//! What must hold for any input: each target is a function that takes bytes and panics when it does not.
//!
//! `cargo test -p tcpcap-fuzz` runs them on their seeds and on random changes of those; `cargo xtask fuzz` searches,
//! guided by what code an input reaches.

mod engine;
#[path = "../../tcpcap-common/tests/parser/guard.rs"]
mod guard;
mod headers;
mod replay;
mod seeds;

use std::{fs, io, path::Path};

use tcpcap_lab::memory::Counting;

#[global_allocator]
static MEMORY: Counting = Counting;

/// Something to be tried with any bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What it is called, here and on the command line.
    pub name: &'static str,
    /// Panics when something does not hold.
    pub run: fn(&[u8]),
    /// Inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// A frame as it comes off a wire.
pub const HEADERS: Target = Target { name: "headers", run: headers::run, seeds: headers::seeds };
/// A capture file.
pub const REPLAY: Target = Target { name: "replay", run: replay::run, seeds: replay::seeds };
/// Sightings and times.
pub const ENGINE: Target = Target { name: "engine", run: engine::run, seeds: engine::seeds };

/// All of them.
pub const TARGETS: [Target; 3] = [HEADERS, REPLAY, ENGINE];

/// Where [`Target::seed`] finds the directory to write to.
pub const SEEDS: &str = "TCPCAP_FUZZ_SEEDS";

impl Target {
    /// Writes the seeds to the directory that [`SEEDS`] names, if any.
    ///
    /// # Panics
    /// When they cannot be written.
    pub fn seed(&self) {
        if let Some(dir) = std::env::var_os(SEEDS) {
            self.write_seeds(Path::new(&dir)).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
        }
    }

    fn write_seeds(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)?;
        for (n, seed) in (self.seeds)().iter().enumerate() {
            fs::write(dir.join(format!("seed-{n:03}")), seed)?;
        }
        Ok(())
    }
}
