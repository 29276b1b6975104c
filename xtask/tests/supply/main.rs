//! What is shipped and what it is made of: the same bytes wherever it is built, nothing of the building machine in it, a
//! bill of materials that holds, and the same behaviour on another architecture.

mod arm;
mod bill;
mod binary;
mod object;
mod toolchain;

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

/// The workspace's root.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Where what is shipped lies.
fn place() -> PathBuf {
    let place = env::var_os("TCPCAP_DIST").expect("TCPCAP_DIST names what was packaged: cargo xtask test --long");
    place.into()
}

/// A file of what is shipped.
fn dist(name: &str) -> Vec<u8> {
    fs::read(place().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn contains(all: &[u8], piece: &[u8]) -> bool {
    all.windows(piece.len()).any(|bytes| bytes == piece)
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
