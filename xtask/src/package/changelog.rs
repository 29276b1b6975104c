//! CHANGELOG.md, as Debian wants it to be written.

use std::{fmt::Write as _, process::Command};

use anyhow::{Context, bail};

const WIDTH: usize = 79;
/// Who answers for the package; as in package.metadata.deb of tcpcap.
pub(super) const MAINTAINER: &str = "tcpcap maintainers <maintainers@tcpcap.example>";

/// The newest version's entry, with what CHANGELOG.md says of it; the older ones stand there. `seconds` are those since
/// 1970 at which it was made.
pub(super) fn for_debian(markdown: &str, seconds: u64) -> anyhow::Result<String> {
    let newest = markdown.split("\n## ").nth(1).context("CHANGELOG.md has no version\n  begin one with ##")?;
    let mut entry = format!("tcpcap ({}) unstable; urgency=medium\n", env!("CARGO_PKG_VERSION"));
    for item in newest.split("\n- ").skip(1) {
        entry.push_str(&item_of(item));
    }
    let mut date = Command::new("date");
    date.args(["-u", "-R", "-d", &format!("@{seconds}")]).env("LC_ALL", "C");
    let date = date.output().context("cannot run date")?;
    if !date.status.success() {
        bail!("date does not know @{seconds}");
    }
    write!(entry, "\n -- {MAINTAINER}  {}\n", String::from_utf8_lossy(&date.stdout).trim())?;
    Ok(entry)
}

/// An item, broken into lines, with what Debian puts before them.
fn item_of(item: &str) -> String {
    let mut text = String::new();
    let mut line = "\n  *".to_owned();
    for word in item.split_whitespace() {
        if line.trim_start_matches('\n').len() + 1 + word.len() > WIDTH {
            text.push_str(&line);
            line = "\n   ".to_owned();
        }
        line.push(' ');
        line.push_str(word);
    }
    text + &line + if line.is_empty() { "" } else { "\n" }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGELOG: &str = "# Changelog\n\n## Unreleased\n\nThe first one.\n\n- One thing.\n- Another thing, which takes \
                             so many words that they do not\n  find room in one line.\n\n## 0.0.1\n\n- Older.\n";

    #[test]
    fn the_newest_entry_is_written_as_debian_wants_it() {
        let entry = for_debian(CHANGELOG, 1_000_000_000).unwrap();
        let expected = "\
tcpcap (VERSION) unstable; urgency=medium

  * One thing.

  * Another thing, which takes so many words that they do not find room in one
    line.

 -- tcpcap maintainers <maintainers@tcpcap.example>  Sun, 09 Sep 2001 01:46:40 +0000
";
        assert_eq!(entry, expected.replace("VERSION", env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn the_changelog_that_there_is_has_one() {
        let entry = for_debian(include_str!("../../../CHANGELOG.md"), 0).unwrap();
        assert!(entry.lines().filter(|line| line.starts_with("  * ")).count() > 3, "{entry}");
    }
}
