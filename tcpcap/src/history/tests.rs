//! The history as a whole, on a disk that works.

mod bounds;
mod faults;
mod model;
mod queries;
mod restore;
mod support;
