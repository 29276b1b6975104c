//! The control socket and the verbs that use it, against a daemon of which nothing else is there.

mod abuse;
mod api;
mod daemon;
mod document;
mod finding;
mod looking;
mod port;
mod stream;
mod verbs;
mod words;
