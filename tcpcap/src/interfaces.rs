//! The watched interfaces: attached all or none at the start, followed while they come and go.

use std::{collections::BTreeMap, sync::Arc};

use tracing::{info, warn};

use crate::{
    control::InterfaceShown,
    failure::Failure,
    kernel::{Attachment, Egress, EgressChoice, Kernel, ModeChoice, Pins, Way},
    network::Network,
    surface::metrics::Metrics,
};

/// How to attach.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// On the way in.
    pub mode: ModeChoice,
    /// On the way out.
    pub egress: EgressChoice,
}

/// The watched interfaces.
pub struct Interfaces {
    choice: Choice,
    /// Why the program for the way out cannot be attached anywhere.
    egress_refused: Option<String>,
    /// Name → what is attached; none while the interface is away.
    watched: BTreeMap<String, Option<Watched>>,
    /// Where programs are pinned so that they outlive this process; `None`: they go with it.
    pins: Option<Arc<Pins>>,
    metrics: Arc<Metrics>,
}

/// What is attached to an interface.
struct Watched {
    xdp: Attachment,
    /// None when our answers cannot be seen to leave here, or need not.
    egress: Option<Egress>,
}

impl Watched {
    fn end(self) {
        self.xdp.end();
        if let Some(egress) = self.egress {
            egress.end();
        }
    }
}

/// Which interfaces to watch: those named, else those of the default routes.
///
/// # Errors
/// One of them does not exist, or nothing is named and there is no default route.
pub fn choose(named: &[String], network: &Network) -> Result<Vec<String>, Failure> {
    if named.is_empty() && network.default_interfaces.is_empty() {
        return Err(Failure::failed(
            "no interface to watch: none is named, and there is no default route to take it from",
            format!("name one with --iface; there are: {}", list(network)),
        ));
    }
    if let Some(unknown) = named.iter().find(|name| network.index_of(name).is_none()) {
        return Err(Failure::failed(
            format!("there is no interface `{unknown}`"),
            format!("name one of these with --iface: {}", list(network)),
        ));
    }
    if named.is_empty() { Ok(network.default_interfaces.iter().cloned().collect()) } else { Ok(named.to_vec()) }
}

fn list(network: &Network) -> String {
    network.interfaces.values().map(String::as_str).collect::<Vec<_>>().join(", ")
}

impl Interfaces {
    /// None: before any is attached.
    #[must_use]
    pub fn none(metrics: Arc<Metrics>) -> Self {
        let choice = Choice { mode: ModeChoice::Auto, egress: EgressChoice::Auto };
        Self { choice, egress_refused: None, watched: BTreeMap::new(), pins: None, metrics }
    }

    /// Attaches to every interface, or, when one refuses, to none. Programs that an earlier daemon left are replaced where
    /// they are still wanted, and taken off where they are not.
    ///
    /// # Errors
    /// An interface refuses.
    pub fn attach(
        kernel: &mut Kernel,
        names: &[String],
        network: &Network,
        choice: Choice,
        pins: Option<Arc<Pins>>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, Failure> {
        let egress_refused = if choice.egress == EgressChoice::Off { None } else { kernel.load_egress().err() };
        let mut all = Self { choice, egress_refused, watched: BTreeMap::new(), pins, metrics };
        for name in names {
            // Chosen from this very picture of the network, so it is there; 0 is nobody's index and fails by name.
            let index = network.index_of(name).unwrap_or(0);
            match all.attach_one(kernel, name, index, network) {
                Ok(watched) => drop(all.watched.insert(name.clone(), Some(watched))),
                Err(failure) => {
                    // What was there before goes on.
                    all.end(|watched| !watched.xdp.adopted);
                    return Err(failure);
                }
            }
        }
        all.end_others(choice.egress);
        Ok(all)
    }

    /// Takes off what is pinned for interfaces that are not watched any more.
    fn end_others(&self, egress: EgressChoice) {
        let watched: Vec<u32> = self.watched.values().flatten().map(|w| w.xdp.index).collect();
        for link in self.pins.iter().flat_map(|pins| pins.links()) {
            if !watched.contains(&link.index) || (link.way == Way::Out && egress == EgressChoice::Off) {
                link.end();
            }
        }
    }

    /// Takes the programs off, pinned or not, of those that are `chosen`.
    fn end(&mut self, chosen: impl Fn(&Watched) -> bool) {
        for watched in self.watched.values_mut() {
            if let Some(watched) = watched.take_if(|watched| chosen(watched)) {
                watched.end();
            }
        }
    }

    /// Takes the programs off, pinned or not.
    pub fn detach(mut self) {
        self.end(|_| true);
    }

    fn attach_one(&self, kernel: &mut Kernel, name: &str, index: u32, network: &Network) -> Result<Watched, Failure> {
        let xdp = kernel.attach(name, index, self.choice.mode, self.pins.as_deref())?;
        if let Some(why) = &xdp.fallback {
            self.metrics.native_fallbacks.inc();
            warn!(
                interface = name,
                "{name} has no native XDP ({why}): watching it in generic mode, which costs more per packet"
            );
        }
        self.metrics.set_interface(name, Some(xdp.mode.name()));
        let egress = self.attach_egress(kernel, name, index, network);
        self.metrics.set_egress(name, egress.as_ref().map(|egress| egress.kind.name()));
        Ok(Watched { xdp, egress })
    }

    /// Never worth a failure: without it we judge by what comes in, and say so.
    fn attach_egress(&self, kernel: &mut Kernel, name: &str, index: u32, network: &Network) -> Option<Egress> {
        if self.choice.egress == EgressChoice::Off {
            return None;
        }
        let attached = match &self.egress_refused {
            Some(why) => Err(why.clone()),
            None if network.without_ethernet.contains(&index) => Err("its packets have no Ethernet header".to_owned()),
            None => kernel.attach_egress(name, index, self.choice.egress, self.pins.as_deref()),
        };
        attached
            .map_err(|why| {
                warn!(interface = name, "our answers cannot be seen on {name} ({why}): judging by what comes in alone");
            })
            .ok()
    }

    /// Follows a change of the network: lets go of what is gone, attaches to what has come back.
    pub fn follow(&mut self, kernel: &mut Kernel, network: &Network) {
        let names: Vec<String> = self.watched.keys().cloned().collect();
        for name in names {
            let now = network.index_of(&name);
            let before = self.watched.get(&name).and_then(|w| w.as_ref().map(|w| w.xdp.index));
            if before.is_some() && before != now {
                warn!(interface = name, "{name} has disappeared; it will be watched again when it comes back");
                self.metrics.set_interface(&name, None);
                self.metrics.set_egress(&name, None);
                if let Some(gone) = self.watched.insert(name.clone(), None).flatten() {
                    gone.end();
                }
            }
            let missing = self.watched.get(&name).is_some_and(Option::is_none);
            if let (true, Some(index)) = (missing, now) {
                match self.attach_one(kernel, &name, index, network) {
                    Ok(watched) => {
                        info!(interface = name, "{name} is back, watched in {} mode", watched.xdp.mode);
                        self.watched.insert(name, Some(watched));
                    }
                    Err(f) => {
                        warn!(interface = name, "{name} is back but cannot be watched: {}; {}", f.cause, f.remedy);
                    }
                }
            }
        }
    }

    /// How many of them go on from an earlier daemon, with no packet unseen in between.
    #[must_use]
    pub fn adopted(&self) -> usize {
        self.watched.values().flatten().filter(|w| w.xdp.adopted).count()
    }

    /// The interfaces, for `status`.
    #[must_use]
    pub fn shown(&self) -> Vec<InterfaceShown> {
        let shown = |(name, watched): (&String, &Option<Watched>)| InterfaceShown {
            name: name.clone(),
            mode: watched.as_ref().map_or("away", |w| w.xdp.mode.name()).to_owned(),
            egress: watched.as_ref().and_then(|w| w.egress.as_ref()).map_or("unseen", |e| e.kind.name()).to_owned(),
        };
        self.watched.iter().map(shown).collect()
    }

    /// Whether every interface is watched.
    #[must_use]
    pub fn are_all_up(&self) -> bool {
        self.watched.values().all(Option::is_some)
    }

    /// Whether our own answers are seen to leave, by whichever watched interface they do.
    #[must_use]
    pub fn show_answers(&self) -> bool {
        !self.watched.is_empty() && self.watched.values().all(|w| w.as_ref().is_some_and(|w| w.egress.is_some()))
    }
}

impl std::fmt::Display for Interfaces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut separator = "";
        for (name, watched) in &self.watched {
            let mode = watched.as_ref().map_or("away", |w| w.xdp.mode.name());
            write!(f, "{separator}{name} ({mode}")?;
            match watched.as_ref().map(|w| &w.egress) {
                Some(Some(egress)) => write!(f, ", answers by {}", egress.kind.name())?,
                Some(None) if self.choice.egress != EgressChoice::Off => f.write_str(", answers unseen")?,
                _ => {}
            }
            f.write_str(")")?;
            separator = ", ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> Network {
        Network {
            interfaces: [(1, "lo".into()), (2, "eth0".into())].into(),
            default_interfaces: ["eth0".to_owned()].into(),
            ..Network::default()
        }
    }

    #[test]
    fn without_a_name_the_default_routes_interfaces_are_watched() {
        assert_eq!(choose(&[], &network()).unwrap(), ["eth0"]);
        assert_eq!(choose(&["lo".into()], &network()).unwrap(), ["lo"]);
    }

    #[test]
    fn an_unknown_interface_is_named_beside_those_that_exist() {
        let f = choose(&["eth9".into()], &network()).unwrap_err();
        assert_eq!(
            f.to_string(),
            "error: there is no interface `eth9`\n help: name one of these with --iface: lo, eth0"
        );
    }

    #[test]
    fn without_a_default_route_an_interface_must_be_named() {
        let f = choose(&[], &Network { default_interfaces: [].into(), ..network() }).unwrap_err();
        assert!(f.cause.contains("no default route") && f.remedy.contains("lo, eth0"), "{f}");
    }
}
