//! The service under a real systemd, in a machine that is scanned. Needs root; fails without.

mod ends;
mod machine;
mod notify;
mod pins;
mod reload;
mod stage;
mod start;
mod watchdog;
