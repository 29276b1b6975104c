//! A real Prometheus with our alerts over a daemon that is scanned, in network namespaces. Needs root.

mod alerts;
#[path = "../deploy/panels.rs"]
mod panels;
mod prometheus;
mod stage;
