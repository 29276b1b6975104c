//! THIRD-PARTY-LICENSES.txt: under whose licences the parts of the binary are, with their texts. It goes wherever the
//! binary goes.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, bail};

use super::{crates::Crate, natives::Native};
use crate::workspace;

pub(super) const NAME: &str = "THIRD-PARTY-LICENSES.txt";

/// How files begin that hold licences and what must be handed on with them.
const BEGINNINGS: [&str; 6] = ["license", "licence", "copying", "copyright", "notice", "unlicense"];

/// Between two texts.
const RULE: &str = "--------------------------------------------------------------------------------";

/// Writes it.
pub(super) fn write(place: &Path, crates: &[Crate], natives: &[Native]) -> anyhow::Result<()> {
    let apache = fs::read_to_string(workspace::root().join("LICENSE-APACHE")).context("cannot read LICENSE-APACHE")?;
    let mut texts = Texts::default();
    for found in crates.iter().filter(|found| found.checksum.is_some()) {
        let of = format!("{} {}", found.name, found.version);
        let files = files(&found.dir)?;
        if files.is_empty() {
            // Some give a licence's name alone. What is known under a fixed text needs no more.
            if !found.licence.contains("Apache-2.0") {
                bail!("{of} has no text of its licence ({})\n  ask its authors for one", found.licence);
            }
            texts.add(&of, &apache);
        }
        files.iter().for_each(|text| texts.add(&of, text));
    }
    for native in natives {
        let of = format!("{} {}", native.name, native.version);
        native.texts.iter().for_each(|text| texts.add(&of, text));
    }
    fs::write(place.join(NAME), render(crates, natives, &texts)).with_context(|| format!("cannot write {NAME}"))
}

/// Texts, each with whose it is, so that the same one stands there once.
#[derive(Default)]
struct Texts(BTreeMap<String, Vec<String>>);

impl Texts {
    fn add(&mut self, of: &str, text: &str) {
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        let whose = self.0.entry(lines.join("\n").trim_matches('\n').to_owned()).or_default();
        if whose.last().is_none_or(|last| last != of) {
            whose.push(of.to_owned());
        }
    }
}

fn render(crates: &[Crate], natives: &[Native], texts: &Texts) -> String {
    let mut out = String::from(
        "tcpcap itself is under the MIT or the Apache 2.0 licence, its program in the kernel under\n\
         the MIT licence or the GPL, version 2. The binary holds these works of others, too:\n\n",
    );
    let theirs = crates.iter().filter(|found| found.checksum.is_some());
    let mut rows: Vec<(String, &str)> =
        theirs.map(|found| (format!("{} {}", found.name, found.version), found.licence.as_str())).collect();
    rows.extend(natives.iter().map(|native| (format!("{} {}", native.name, native.version), native.licence)));
    rows.iter().for_each(|(what, licence)| out.push_str(&format!("  {what:<40} {licence}\n")));
    let remarks = natives.iter().filter_map(|native| native.remark);
    remarks.for_each(|remark| out.push_str(&format!("\n{remark}\n")));
    // In the order of their first owners.
    let mut ordered: Vec<(&String, &Vec<String>)> = texts.0.iter().collect();
    ordered.sort_by_key(|(_, whose)| *whose);
    for (text, whose) in ordered {
        out.push_str(&format!("\n{RULE}\n{}\n{RULE}\n\n{text}\n", whose.join(", ")));
    }
    out
}

/// What a crate's source has of licences, in the order of the files' names.
fn files(dir: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_lowercase();
        if entry.metadata()?.is_file() && BEGINNINGS.iter().any(|beginning| name.starts_with(beginning)) {
            names.push(entry.path());
        }
    }
    names.sort();
    names
        .iter()
        .map(|path| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
        .collect::<Result<_, _>>()
        .map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_several_have_stands_there_once_with_their_names() {
        let mut texts = Texts::default();
        for (of, text) in [("b 1.0.0", "Do.\n"), ("b 1.0.0", "Do not.\n"), ("a 2.0.0", "\nDo.  \r\n")] {
            texts.add(of, text);
        }
        let native = Native {
            name: "libq",
            version: "3".to_owned(),
            runs_in: "daemon",
            licence: "Zlib",
            remark: Some("Ask for it."),
            texts: vec![],
        };
        let said = render(&[], &[native], &texts);
        let (_, said) = said.split_once("too:\n\n").unwrap();
        let expected = format!(
            "  libq 3                                   Zlib\n\nAsk for it.\n\
             \n{RULE}\nb 1.0.0\n{RULE}\n\nDo not.\n\
             \n{RULE}\nb 1.0.0, a 2.0.0\n{RULE}\n\nDo.\n"
        );
        assert_eq!(said, expected);
    }

    #[test]
    fn what_may_not_be_left_out_is_found_by_the_files_names() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["LICENSE-MIT", "COPYING", "NOTICE.txt", "README.md", "lib.rs"] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        assert_eq!(files(dir.path()).unwrap(), ["COPYING", "LICENSE-MIT", "NOTICE.txt"]);
    }
}
