//! One file a verb.

pub mod detach;
pub mod replay;
pub mod run;
