//! The program, loaded with lists of some length.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    rc::Rc,
};

use aya::maps::MapData;
use tcpcap::{
    failure::Failure,
    kernel::{Kernel, Sizes, Tables, Tally, Tuning, Wish},
};
use tcpcap_common::{
    Addr,
    record::{Block, reason},
    tally::End,
};

use crate::{
    failed,
    packets::{Family, UNLISTED},
    read,
};

/// As many addresses as the daemon finds on an ordinary host: its own, gateways, resolvers, whoever is logged in.
pub const NEVER_BLOCK: u32 = 10;

/// Room for the longest list.
const SIZES: Sizes = Sizes { blocks: 1_310_720 };

/// What is listed, by numbers from 1 on.
#[derive(Clone, Copy, Debug)]
pub struct Lists {
    pub family: Family,
    /// Blocked sources.
    pub blocks: u32,
    /// Blocked networks.
    pub networks: u32,
    /// Allowed addresses; none of a source that sends anything.
    pub allowed: u32,
}

impl Lists {
    /// Nothing but the never-block set.
    pub const fn none(family: Family) -> Self {
        Self { family, blocks: 0, networks: 0, allowed: NEVER_BLOCK }
    }
}

/// As the daemon wishes it unless it is told otherwise.
pub const USUAL: Wish = Wish { egress_view: true, strays: true, ..Wish::DEFAULT };

/// The loaded program.
pub struct Bed {
    kernel: Kernel,
    pub program: OwnedFd,
    pub tables: Tables,
    tally: Tally,
    // Settings may be changed later; the map must not go.
    _tuning: Tuning,
}

impl Bed {
    /// Loads the program with room for the longest list, and with empty lists.
    ///
    /// # Errors
    /// The kernel refuses it.
    pub fn empty(wish: &Wish) -> Result<Self, Failure> {
        let mut kernel = Kernel::load_with(None, SIZES)?;
        let fd = kernel.program()?.fd().map_err(failed("the program is not loaded"))?.as_fd().try_clone_to_owned();
        let mut tuning = kernel.tuning()?;
        tuning.set(wish)?;
        let (tables, tally) = (kernel.tables()?, kernel.tally()?);
        Ok(Self { program: fd.map_err(failed("no descriptor"))?, kernel, tables, tally, _tuning: tuning })
    }

    /// Loads the program with these lists.
    ///
    /// # Errors
    /// The kernel refuses it or an entry.
    pub fn new(lists: &Lists, wish: &Wish) -> Result<Rc<Self>, Failure> {
        let has = Wish { has_allowed: lists.allowed > 0, has_networks: lists.networks > 0, ..*wish };
        let mut bed = Self::empty(&has)?;
        let own: BTreeSet<IpAddr> = Family::BOTH.map(Family::own).into();
        bed.tables.own.set(&own).map_err(failed("own addresses"))?;
        bed.block(lists.family, lists.blocks)?;
        bed.block_networks(lists.family, lists.networks)?;
        for n in 0..lists.allowed {
            let address = lists.family.source(2 * UNLISTED - 1 - n);
            bed.tables.allowed.add(&address.into(), 1).map_err(failed("an allowed address"))?;
        }
        Ok(Rc::new(bed))
    }

    /// Blocks sources, for ever.
    ///
    /// # Errors
    /// The kernel refuses an entry.
    pub fn block(&mut self, family: Family, count: u32) -> Result<(), Failure> {
        let block = Block { since: 1, reason: reason::PORT_SCAN, ..Block::default() };
        for n in 1..=count {
            self.tables.blocks.add(Addr::from(family.key(n)), block).map_err(failed("a blocked source"))?;
        }
        Ok(())
    }

    /// Blocks networks, for ever.
    ///
    /// # Errors
    /// The kernel refuses an entry.
    pub fn block_networks(&mut self, family: Family, count: u32) -> Result<(), Failure> {
        let block = Block { since: 1, reason: reason::FEED, ..Block::default() };
        for n in 1..=count {
            self.tables.networks.add(&family.network(n), block).map_err(failed("a blocked network"))?;
        }
        Ok(())
    }

    /// Whether the program takes packets of several buffers.
    pub fn takes_several_buffers(&self) -> bool {
        self.kernel.program_name() == "tcpcap_frags"
    }

    /// How many packets have ended so, and how many at all.
    ///
    /// # Errors
    /// The kernel refuses to read the counters.
    pub fn ended(&self, end: End) -> Result<(u64, u64), Failure> {
        let tally = self.tally.read().map_err(failed("counters"))?;
        let of = |end: End| tally[end.index() as usize];
        Ok((of(end), End::ALL.iter().map(|&end| of(end)).sum()))
    }

    /// What the kernel says that a map takes, in bytes.
    ///
    /// # Errors
    /// The kernel refuses to say.
    pub fn memory_of(&mut self, map: &str) -> Result<u64, Failure> {
        let unknown = "the program's maps";
        let info = self.kernel.program()?.info().map_err(failed(unknown))?;
        for id in info.map_ids().map_err(failed(unknown))?.unwrap_or_default() {
            let data = MapData::from_id(id).map_err(failed(unknown))?;
            if data.info().map_err(failed(unknown))?.name_as_str() == Some(map) {
                let told = read(&format!("/proc/self/fdinfo/{}", data.fd().as_fd().as_raw_fd()));
                let line = told.lines().find_map(|line| line.strip_prefix("memlock:"));
                return line.unwrap_or_default().trim().parse().map_err(failed("memory of a map"));
            }
        }
        Err(failed("no such map")(map))
    }
}
