//! What is wrong, or smells, only when keys are held against each other or against the host.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, path::Path};

use ipnet::IpNet;

use super::{
    keys::keys,
    layers::{Environment, Loaded},
    problem::{Origin, Problem, nearest},
};
use crate::lists::{self, MAX_FEEDS};

/// What cannot be so. Keys with problems of their own are held against nothing: what they were to be is not known.
pub(super) fn errors(loaded: &Loaded, known: &[Problem]) -> Vec<Problem> {
    let mut problems = feeds(loaded);
    let caps = loaded.settings.judging.caps;
    let is_known = !known.iter().any(|problem| problem.key.as_deref().is_some_and(|key| key.starts_with("caps")));
    if is_known
        && caps.unverified > caps.entries
        && let Some(origin) = loaded.last("caps.unverified")
    {
        let said = format!("caps.unverified: {} is more than caps.blocks, which is {}", caps.unverified, caps.entries);
        problems.push(Problem::told(origin, Some("caps.unverified"), said));
    }
    problems
}

fn feeds(loaded: &Loaded) -> Vec<Problem> {
    let (feeds, origins) = (&loaded.settings.feeds, loaded.items("feeds"));
    let mut problems = Vec::new();
    let mut seen: BTreeMap<&str, &Origin> = BTreeMap::new();
    for (feed, origin) in feeds.iter().zip(&origins) {
        if let Some(first) = seen.insert(&feed.name, origin) {
            let said = format!("two feeds are named `{}`, the other at {first}: give one another `name`", feed.name);
            problems.push(Problem::told(origin.clone(), Some("feeds"), said));
        }
    }
    if let Some(origin) = origins.get(MAX_FEEDS) {
        let said = format!("{} feeds are more than {MAX_FEEDS}", feeds.len());
        problems.push(Problem::told(origin.clone(), Some("feeds"), said));
    }
    problems
}

/// What is allowed and may not be meant.
pub(super) fn warnings(loaded: &Loaded, environment: &Environment) -> Vec<Problem> {
    let mut warnings = Vec::new();
    let mut warn = |origin: Option<Origin>, key: &str, said: String| {
        warnings.push(Problem::told(origin.unwrap_or(Origin::Default), Some(key), format!("{key}: {said}")));
    };
    let settings = &loaded.settings;
    for (network, origin) in settings.judging.allow.iter().zip(loaded.items("allow")) {
        if is_broad(network) {
            warn(Some(origin), "allow", format!("{network} allows a large part of the Internet, scanners included"));
        }
    }
    for (network, origin) in settings.deny.iter().zip(loaded.items("deny")) {
        if let Some(allowed) = settings.judging.allow.iter().find(|allowed| allowed.contains(network)) {
            warn(Some(origin), "deny", format!("{network} is not blocked, for {allowed} is allowed, and allowed wins"));
        }
    }
    for (feed, origin) in settings.feeds.iter().zip(loaded.items("feeds")) {
        if !feed.path.exists() {
            let path = feed.path.display();
            warn(Some(origin), "feeds", format!("{path} is not there now; it is read once it is"));
        }
    }
    for (name, origin) in settings.interfaces.iter().zip(loaded.items("interfaces")) {
        if !Path::new("/sys/class/net").join(name).exists() {
            warn(Some(origin), "interfaces", format!("there is no interface {name} on this host now"));
        }
    }
    if !settings.listen.ip().is_loopback() {
        let said = format!("whoever reaches {} sees who connects to this host; is there a firewall?", settings.listen);
        warn(loaded.last("listen"), "listen", said);
    }
    if settings.judging.observe && settings.mirror.enabled {
        let said = "in observe mode nftables only counts too".to_owned();
        warn(loaded.last("mirror.nftables.enabled"), "mirror.nftables.enabled", said);
    }
    let idle = keys().iter().filter(|key| key.path.starts_with("mirror.") && loaded.last(key.path).is_some());
    if !settings.mirror.enabled
        && let Some(key) = idle.clone().find(|key| key.path != "mirror.nftables.enabled")
    {
        warn(loaded.last(key.path), key.path, "has no effect: mirror.nftables.enabled is false".to_owned());
    }
    for path in &loaded.files {
        if fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o002 != 0) {
            let said = "everybody on this host may change this file; `chmod o-w` it";
            warnings.push(Problem::told(Origin::File { path: path.as_path().into(), line: None }, None, said));
        }
    }
    warnings.extend(misspelt(environment));
    loaded.in_order(&mut warnings);
    warnings
}

/// So much of the world that scanners must be among it.
fn is_broad(network: &IpNet) -> bool {
    let least = match network {
        IpNet::V4(_) => lists::MIN_IPV4_PREFIX_LEN,
        IpNet::V6(_) => lists::MIN_IPV6_PREFIX_LEN,
    };
    network.prefix_len() < least
}

/// Variables that nearly are of ours. Others are somebody else's: container platforms make `TCPCAP_…` up for services.
fn misspelt(environment: &Environment) -> Vec<Problem> {
    let known: Vec<String> =
        keys().iter().flat_map(|key| key.variables()).chain([super::CONFIG_VARIABLE.to_owned()]).collect();
    let strange = environment.names().filter(|name| name.starts_with("TCPCAP_") && !known.iter().any(|k| k == name));
    let told = |name: &str| {
        let meant = nearest(name, known.iter().map(String::as_str)).filter(|meant| name != meant)?;
        // A few letters, not a third of a long name.
        let near = strsim::damerau_levenshtein(name, &meant) <= 2;
        near.then(|| {
            let origin = Origin::Environment { name: name.to_owned() };
            Problem::told(origin, None, "this variable is not used").meaning(meant)
        })
    };
    strange.filter_map(told).collect()
}
