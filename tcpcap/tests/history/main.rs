//! The history against what ends it: kill -9 and a full disk. Needs root for the latter; fails without.

mod disk;
mod figures;
mod kill;
mod support;
