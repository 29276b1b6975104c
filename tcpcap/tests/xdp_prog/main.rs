//! Packets through the program as the kernel loaded it, by `BPF_PROG_TEST_RUN`: maps before, packet in, verdict out,
//! counters and maps after. Nothing is attached to any interface. Needs root; fails without.

mod alike;
mod blocks;
mod budgets;
mod egress;
mod fragments;
mod handshake;
mod networks;
mod reflex;
mod scopes;
mod segments;
mod sensor;
mod shapes;
mod sources;
mod strays;
