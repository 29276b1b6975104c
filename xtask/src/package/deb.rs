//! Not made yet.

use std::path::Path;

use anyhow::bail;

pub(super) fn make(_place: &Path, _binary: &Path) -> anyhow::Result<()> {
    bail!("not made yet")
}
