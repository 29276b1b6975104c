//! Paths of the building machine, kept out of what is built: the same sources make the same bytes wherever they lie.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// What the workspace's root is called in what is built.
pub const WORKSPACE: &str = "/tcpcap";
/// The same for the directory that holds the dependencies' sources.
pub const DEPENDENCIES: &str = "/cargo";
/// The same for the standard library's sources.
pub const LIBRARY: &str = "/rust";

/// Directories as they are here, and what they are called in what is built: the workspace, the dependencies' sources,
/// and those of the standard library, which a compiler has below its `sysroot` if at all.
pub fn remaps(root: &Path, sysroot: &Path) -> Vec<(PathBuf, &'static str)> {
    let mut remaps = vec![(root.to_owned(), WORKSPACE), (sysroot.join("lib/rustlib/src/rust"), LIBRARY)];
    // One directory a registry, named after its address, which a mirror changes.
    let registries = cargo_home().and_then(|home| fs::read_dir(home.join("registry/src")).ok());
    let registries = registries.into_iter().flatten().flatten().map(|entry| entry.path());
    let mut registries: Vec<_> = registries.map(|dir| (dir, DEPENDENCIES)).collect();
    registries.sort();
    remaps.extend(registries);
    remaps
}

/// The compiler's flags for them.
pub fn flags(remaps: &[(PathBuf, &'static str)]) -> Vec<String> {
    remaps.iter().map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display())).collect()
}

/// Where cargo keeps what it has fetched.
fn cargo_home() -> Option<PathBuf> {
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home)
}
