//! The allowed networks in the kernel: what operators allow, and who is never blocked. The program lets them pass
//! whatever the block lists say.

use std::collections::BTreeSet;

use aya::maps::MapError;
use ipnet::IpNet;

use crate::kernel::Networks;

/// The writer of the kernel's list of allowed networks.
pub struct Allowed {
    table: Networks<u32>,
    /// What the table holds, as far as we have put it there or found it.
    held: BTreeSet<IpNet>,
}

impl Allowed {
    /// Takes over the list as it stands.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn new(table: Networks<u32>) -> std::io::Result<Self> {
        let mut held = BTreeSet::new();
        table.walk(|network, _| held.extend([network]))?;
        Ok(Self { table, held })
    }

    /// Makes the list hold exactly these; says whether anything changed.
    ///
    /// # Errors
    /// The kernel refuses an entry. The next call tries it again.
    pub fn set(&mut self, wanted: &BTreeSet<IpNet>) -> Result<bool, MapError> {
        if *wanted == self.held {
            return Ok(false);
        }
        let (new, old): (Vec<IpNet>, Vec<IpNet>) =
            (wanted.difference(&self.held).copied().collect(), self.held.difference(wanted).copied().collect());
        // Nobody who stays allowed is for a moment not.
        for network in new {
            self.table.put(&network, 1)?;
            self.held.insert(network);
        }
        for network in old {
            self.table.remove(&network)?;
            self.held.remove(&network);
        }
        Ok(true)
    }

    /// Looks at the list itself, and repairs it; returns how many entries were not as they should be.
    ///
    /// # Errors
    /// It cannot be read, or the kernel refuses an entry.
    pub fn reconcile(&mut self) -> std::io::Result<u64> {
        let mut found = BTreeSet::new();
        self.table.walk(|network, _| found.extend([network]))?;
        let wanted = std::mem::replace(&mut self.held, found);
        let drift = wanted.symmetric_difference(&self.held).count() as u64;
        self.set(&wanted).map_err(std::io::Error::other)?;
        Ok(drift)
    }

    /// How many networks are allowed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether nobody is allowed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}
