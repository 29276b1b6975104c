//! What lists of a million entries take of the kernel's memory.

use serde::Serialize;
use tcpcap::failure::Failure;
use tcpcap_common::record::map;

use crate::{
    bed::{Bed, USUAL},
    packets::Family,
    read,
};

const MILLION: u32 = 1_000_000;

/// What a list takes, in bytes.
#[derive(Clone, Debug, Serialize)]
pub struct Memory {
    pub what: &'static str,
    pub listed: u32,
    /// The map while it is empty, as the kernel says.
    #[serde(rename = "empty_bytes")]
    pub empty: u64,
    /// The map with its entries, as the kernel says (`memlock` in its descriptor's information).
    #[serde(rename = "told_bytes")]
    pub told: u64,
    /// By how much the kernel's memory grew as they were put in: `SUnreclaim`, `VmallocUsed` and `Percpu` of
    /// `/proc/meminfo`. Of the whole machine, so that whatever else goes on is in it; on the other hand the kernel says
    /// nothing of what it keeps for a trie between its entries.
    #[serde(rename = "grown_bytes")]
    pub grown: i64,
}

/// # Errors
/// The kernel refuses something.
pub fn all() -> Result<Vec<Memory>, Failure> {
    // Both at once: the kernel gives the memory of a map back some time later.
    let [mut sources, mut networks] = [Bed::empty(&USUAL)?, Bed::empty(&USUAL)?];
    Ok(vec![
        one("blocked sources", &mut sources, map::BLOCKS, |bed| bed.block(Family::V4, MILLION))?,
        one("blocked networks", &mut networks, map::NETWORKS, |bed| bed.block_networks(Family::V4, MILLION))?,
    ])
}

fn one(
    what: &'static str,
    bed: &mut Bed,
    map: &str,
    fill: impl Fn(&mut Bed) -> Result<(), Failure>,
) -> Result<Memory, Failure> {
    let empty = bed.memory_of(map)?;
    let before = kernel_memory();
    fill(bed)?;
    let grown = kernel_memory() - before;
    Ok(Memory { what, listed: MILLION, empty, told: bed.memory_of(map)?, grown })
}

fn kernel_memory() -> i64 {
    let told = read("/proc/meminfo");
    let of = |name: &str| {
        let value =
            told.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse::<i64>().ok());
        value.unwrap_or(0) * 1024
    };
    ["SUnreclaim:", "VmallocUsed:", "Percpu:"].map(of).iter().sum()
}
