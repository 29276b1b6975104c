//! One file a verb.

pub mod run;
