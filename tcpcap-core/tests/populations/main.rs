//! Populations: sources with random parameters, honest and hostile, played to the engine.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "small numbers, drawn from ranges that fit"
)]

mod boundaries;
mod dice;
mod honest;
mod hostile;
mod population;
mod world;
