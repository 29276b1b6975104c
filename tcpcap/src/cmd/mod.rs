//! One file a verb.

pub mod allow;
pub mod block;
pub mod check;
pub mod config;
pub mod detach;
pub mod disallow;
pub mod doctor;
pub mod list;
pub mod mode;
mod print;
pub mod reload;
pub mod replay;
pub mod run;
pub mod status;
pub mod unblock;
