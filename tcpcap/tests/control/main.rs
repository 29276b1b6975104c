//! The control socket, against a daemon of which nothing else is there.

mod abuse;
mod api;
mod daemon;
