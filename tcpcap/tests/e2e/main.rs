//! The real binary in network namespaces, against real scanners. Needs root; fails without.

mod accounting;
mod blocking;
mod commands;
mod egress;
mod faults;
mod first_minutes;
mod honest;
mod input;
mod journal;
mod lifecycle;
mod looking;
mod paths;
mod persistence;
mod protect;
mod scanners;
mod sensor;
