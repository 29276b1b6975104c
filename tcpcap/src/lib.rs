//! tcpcap: sees who tries to connect, knows who is scanning, and drops scanners at the network card.
//!
//! `main` is thin; what it calls stands here, so that the tests load the same program and drive the same loop.

pub mod block;
pub mod capture;
pub mod cmd;
pub mod control;
pub mod daemon;
pub mod doctor;
pub mod enforce;
pub mod failure;
pub mod history;
pub mod host;
pub mod interfaces;
pub mod kernel;
pub mod lists;
pub mod mirror;
pub mod network;
pub mod protect;
pub mod replay;
pub mod serving;
pub mod settings;
pub mod surface;
pub mod translate;
