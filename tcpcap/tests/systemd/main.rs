//! The service under a real systemd, in a machine that is scanned. Needs root; fails without.

mod machine;
mod stage;
mod start;
