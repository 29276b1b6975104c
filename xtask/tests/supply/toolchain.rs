//! The oldest compiler that will do is said in one place, and everywhere else the same.

use std::fs;

use crate::root;

#[test]
fn every_place_that_names_the_oldest_compiler_names_the_same() {
    let floor = env!("CARGO_PKG_RUST_VERSION");
    let read = |name: &str| fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert!(read("README.md").contains(&format!("Rust {floor} or newer")), "README.md");
    assert!(read("docs/supply-chain.md").contains(&format!("Rust {floor}")), "docs/supply-chain.md");
    if let Ok(dockerfile) = fs::read_to_string(root().join("Dockerfile")) {
        let images: Vec<_> = dockerfile.lines().filter(|line| line.contains("rust:1.")).collect();
        assert!(images.iter().all(|line| line.contains(&format!("rust:{floor}"))), "Dockerfile: {images:?}");
    }
}
