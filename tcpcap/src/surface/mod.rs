//! What the outside sees: log lines, metrics, HTTP.

pub mod http;
pub mod log;
pub mod metrics;
mod page;
pub mod tell;
