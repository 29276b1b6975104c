//! What takes minutes: the binary killed and replaced again and again, under a scan and honest traffic. Needs root; fails
//! without. `cargo xtask test --long` runs it.

mod kills;
mod stage;
mod upgrades;
