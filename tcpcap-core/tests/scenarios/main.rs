//! The engine over simulated time: who is found, when, and what becomes of it.

#![allow(clippy::cast_possible_truncation, reason = "small numbers in tables")]

mod answers;
mod blocks;
mod floods;
mod forgeries;
mod honest;
mod model;
mod scans;
mod world;
