//! The checks: what each is called, and where it belongs. `docs/doctor.md` describes them in this order.

mod container;
mod interface;
mod kernel;
mod rights;
mod service;
mod storage;
#[cfg(test)]
mod tests;

use super::{card::Card, finding::Finding, host::Host};

/// What a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// The kernel and how it is set.
    Kernel,
    /// What this process may do.
    Rights,
    /// What keeps it apart from the host.
    Container,
    /// An interface that is to be watched.
    Interface,
    /// What the daemon needs beside the kernel.
    Service,
}

impl Group {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 5] = [Self::Kernel, Self::Rights, Self::Container, Self::Interface, Self::Service];

    /// Its heading.
    #[must_use]
    pub const fn heading(self) -> &'static str {
        match self {
            Self::Kernel => "Kernel",
            Self::Rights => "Rights",
            Self::Container => "Container",
            Self::Interface => "Interface",
            Self::Service => "Service",
        }
    }
}

/// How a check is run.
#[derive(Clone, Copy)]
pub(super) enum Run {
    /// Once.
    Host(fn(&Host) -> Finding),
    /// For each interface.
    Card(fn(&Host, &Card) -> Finding),
}

/// A check.
pub struct Check {
    /// One word, for people and machines.
    pub name: &'static str,
    /// What it is about.
    pub group: Group,
    pub(super) run: Run,
}

/// The check that an interface is there at all.
pub(super) const INTERFACE: &str = "link";

const fn host(name: &'static str, group: Group, run: fn(&Host) -> Finding) -> Check {
    Check { name, group, run: Run::Host(run) }
}

const fn card(name: &'static str, run: fn(&Host, &Card) -> Finding) -> Check {
    Check { name, group: Group::Interface, run: Run::Card(run) }
}

/// All checks, in the order in which they are shown.
pub const ALL: [Check; 32] = [
    host("version", Group::Kernel, kernel::version),
    host("btf", Group::Kernel, kernel::btf),
    host("jit", Group::Kernel, kernel::jit),
    host("unprivileged-bpf", Group::Kernel, kernel::unprivileged),
    host("lockdown", Group::Kernel, kernel::lockdown),
    host("lsm", Group::Kernel, kernel::lsm),
    host("clock", Group::Kernel, kernel::clock),
    host("capabilities", Group::Rights, rights::capabilities),
    // Before what raises them.
    host("memlock", Group::Rights, rights::memlock),
    host("open-files", Group::Rights, rights::open_files),
    host("bpf", Group::Rights, rights::bpf),
    host("programs", Group::Rights, rights::programs),
    host("bpffs", Group::Rights, rights::bpffs),
    host("pins", Group::Rights, rights::pins),
    host("container", Group::Container, container::container),
    host("user-namespace", Group::Container, container::users),
    host("network", Group::Container, container::network),
    card(INTERFACE, interface::link),
    card("mode", interface::mode),
    card("mtu", interface::mtu),
    card("other-program", interface::other_program),
    card("offloads", interface::offloads),
    card("queues", interface::queues),
    card("answers", interface::answers),
    host("configuration", Group::Service, service::configuration),
    host("daemon", Group::Service, service::daemon),
    host("port", Group::Service, service::port),
    host("socket", Group::Service, service::socket),
    host("group", Group::Service, service::group),
    host("state", Group::Service, storage::state),
    host("history", Group::Service, storage::history),
    host("mirror", Group::Service, service::mirror),
];
