//! Replay: a capture instead of a kernel, and the same engine behind it.

mod infer;
mod output;
mod player;
mod progress;

pub use infer::{Basis, Inference};
pub use output::{Format, Output};
pub use player::{Player, Summary};
pub use progress::Progress;
