//! One file a verb.

pub mod replay;
pub mod run;
