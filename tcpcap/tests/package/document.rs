//! docs/install.md: what is told there to be typed is what the tests type.

use std::{collections::BTreeMap, path::Path};

/// What stands in blocks that have a name: ```` ```sh NAME ````.
fn blocks(markdown: &str) -> BTreeMap<String, String> {
    let mut blocks = BTreeMap::new();
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        if let Some(kind) = line.strip_prefix("```") {
            let text: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
            if let Some(name) = kind.strip_prefix("sh ") {
                assert!(blocks.insert(name.to_owned(), text.join("\n")).is_none(), "{name} is there twice");
            }
        }
    }
    blocks
}

fn document() -> BTreeMap<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/install.md");
    blocks(&std::fs::read_to_string(path).unwrap())
}

/// The commands of a block of docs/install.md.
pub fn commands(name: &str) -> String {
    let mut blocks = document();
    blocks.remove(name).unwrap_or_else(|| panic!("docs/install.md has no block {name}, but {:?}", blocks.keys()))
}

#[test]
fn named_blocks_are_read_and_others_are_not() {
    let found = blocks("a\n```sh one\nx\ny\n```\n```\nz\n```\n```sh two\n```\n");
    let expected = [("one", "x\ny"), ("two", "")].map(|(name, text)| (name.to_owned(), text.to_owned()));
    assert_eq!(found, BTreeMap::from(expected));
}

#[test]
fn every_named_block_is_run_by_a_test() {
    let tests = [
        include_str!("debian.rs"),
        include_str!("faults.rs"),
        include_str!("host.rs"),
        include_str!("tarball.rs"),
        include_str!("upgrade.rs"),
    ]
    .concat();
    for name in document().keys() {
        assert!(tests.contains(&format!("\"{name}\"")), "nobody runs {name}");
    }
}
