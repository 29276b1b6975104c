//! `tcpcap doctor` in network namespaces, where what it is to find is really so. Needs root; fails without.

mod interfaces;
mod rights;
mod service;
mod stage;
