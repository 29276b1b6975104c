//! The mirror against the real nft, in network namespaces. Needs root; fails without.

mod faults;
mod keeping;
mod packets;
mod stage;
mod times;
