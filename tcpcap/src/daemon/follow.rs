//! Following the host: its network, who must never be blocked, and the lists.

use std::{collections::BTreeSet, net::IpAddr};

use ipnet::IpNet;
use tcpcap_core::Protected;
use tracing::{error, warn};

use super::{
    Daemon,
    denying::{self, Heard},
};
use crate::{
    failure::Failure,
    host,
    kernel::{Reflex, Wish},
    settings::{Judging, ScopeChoice},
    surface::{metrics::gauge, tell},
};

impl Daemon {
    /// Asks for the network's present state when it is time to, and acts on what has changed.
    pub(super) async fn follow_network(&mut self) {
        if !self.watch.is_due(!self.interfaces.are_all_up()) {
            return;
        }
        match self.watch.ask().await {
            Ok(network) if network == self.network && self.interfaces.are_all_up() => {}
            Ok(network) => {
                self.network = network;
                self.interfaces.follow(&mut self.kernel, &self.network);
                if let Err(f) = self.take_network() {
                    self.metrics.poll_errors.inc();
                    error!("own addresses are out of date: {}", f.cause);
                }
                if let Err(f) = self.tune() {
                    self.metrics.poll_errors.inc();
                    error!("the kernel program goes on as it was told before: {}", f.cause);
                }
            }
            Err(e) => {
                self.metrics.poll_errors.inc();
                warn!("cannot ask the kernel about the network: {e}");
            }
        }
    }

    /// Hands the network's present addresses and gateways to the kernel program and to the policy.
    pub(super) fn take_network(&mut self) -> Result<(), Failure> {
        let before: BTreeSet<IpAddr> = self.protected.iter().map(|(ip, _)| ip).collect();
        self.protected.set_host(self.network.addresses.iter().copied(), self.network.gateways.iter().copied());
        self.lift_protected();
        let now: BTreeSet<IpAddr> = self.protected.iter().map(|(ip, _)| ip).collect();
        before.difference(&now).for_each(|ip| self.engine.unprotect(*ip));
        self.own.set(&self.network.addresses).map_err(|e| {
            Failure::failed(
                format!("the kernel refuses the own addresses: {e}"),
                "has this host more than 16,384 addresses?",
            )
        })?;
        self.health.set_ready(self.interfaces.are_all_up());
        Ok(())
    }

    /// Takes in who else must never be blocked.
    pub(super) fn follow_protected(&mut self) {
        let failures = self.discovery.failures();
        if let Some(ended) = self.discovery.refresh(&mut self.protected) {
            self.lift_protected();
            ended.into_iter().for_each(|ip| self.engine.unprotect(ip));
        }
        self.metrics.poll_errors.inc_by(self.discovery.failures() - failures);
    }

    /// Acts on a change of who must never be blocked: the kernel lets them pass, their blocks are lifted, and lists are
    /// held against them anew where that makes a difference.
    pub(super) fn lift_protected(&mut self) {
        self.metrics.enforcement.never_block.set(gauge(self.protected.iter().count()));
        let allowed = allowed_networks(&self.protected);
        match self.allowed.set(&allowed) {
            Ok(true) => {
                if let Some(mirror) = self.enforcer.mirror() {
                    mirror.allow(allowed.into_iter().collect());
                }
            }
            Ok(false) => {}
            Err(e) => {
                self.metrics.poll_errors.inc();
                error!("the kernel refuses an allowed network: {e}; it is tried again");
            }
        }
        for (source, why) in self.engine.lift_protected(&self.protected) {
            let counted = self.enforcer.unblock(source);
            self.metrics.enforcement.lifted.inc();
            tell::lift(source.network(), why, &counted);
            self.chronicle.lifted(source.network(), &counted, &why.to_string(), host::now());
        }
        let hit: Vec<_> = self.enforcer.wanted().operator().map(|block| block.network).collect();
        for network in hit {
            if let Some(why) = self.protected.protects_network(network)
                && let Some((block, counted)) = self.enforcer.unblock_for_operator(network)
            {
                self.metrics.enforcement.lifted.inc();
                tell::lift(network, why, &counted);
                self.chronicle.operator_lifted(block, &counted, &why.to_string(), host::now());
            }
        }
        self.denying.hold_against(&self.protected);
    }

    /// Tells the kernel program what it should look at, where that has changed.
    pub(super) fn tune(&mut self) -> Result<(), Failure> {
        if self.wish() == self.wish { Ok(()) } else { self.tune_first() }
    }

    /// The same, whatever it was told before: by an earlier daemon, it may be.
    pub(super) fn tune_first(&mut self) -> Result<(), Failure> {
        let wish = self.wish();
        self.tuning.set(&wish)?;
        self.wish = wish;
        Ok(())
    }

    fn wish(&self) -> Wish {
        Wish {
            observe: self.settings.judging.observe,
            syn_only: self.settings.scope == ScopeChoice::Syn,
            strays: self.settings.judging.thresholds.stray.unanswered_pairs.is_some(),
            egress_view: self.interfaces.show_answers(),
            has_allowed: !self.allowed.is_empty(),
            has_networks: self.enforcer.has_networks(),
            has_own_networks: !self.own_networks.is_empty(),
            reflex: self.reflex(),
            ..Wish::DEFAULT
        }
    }

    /// The reflex obeys the circuit breaker, and begins to hold no more sources in a second than may be blocked.
    fn reflex(&self) -> Option<Reflex> {
        let Judging { thresholds, caps, .. } = &self.settings.judging;
        let per_s = u32::try_from(caps.per_minute.div_ceil(60)).unwrap_or(u32::MAX);
        let wanted = self.settings.reflex && !self.engine.is_breaker_open(host::now());
        wanted.then(|| Reflex { limits: thresholds.reflex(), per_s })
    }

    /// Takes in what was heard of lists.
    pub(super) fn follow_lists(&mut self, heard: Heard) {
        match heard {
            Heard::Reading(reading) => {
                self.denying.take(reading, &self.protected);
                self.denying.show(&self.metrics.enforcement);
            }
            Heard::Plan(plan) => {
                denying::tell_refusals(&plan);
                let looked = self.enforcer.has_networks();
                if let Err(beyond) = self.enforcer.follow(plan, host::now()) {
                    return tell::list_too_long(beyond);
                }
                if self.denying.is_whole() {
                    self.enforcer.drop_left_over();
                }
                // The trie is looked at before the first entry is in it, so that each holds at once.
                if !looked && let Err(f) = self.tune() {
                    error!("the kernel program goes on as it was told before: {}", f.cause);
                }
            }
        }
    }
}

/// What the kernel lets pass whatever is blocked.
pub(super) fn allowed_networks(protected: &Protected) -> BTreeSet<IpNet> {
    protected.networks().copied().chain(protected.iter().map(|(ip, _)| IpNet::from(ip))).collect()
}
