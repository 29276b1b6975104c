//! Taking over a changed configuration while running: whole, or not at all.

use super::Daemon;
use crate::{control::Refused, settings::Settings, surface::tell};

impl Daemon {
    /// Reads configuration and feeds anew. Says what is different now.
    ///
    /// # Errors
    /// The configuration is wrong; everything stays as it was.
    pub(super) fn reload(&mut self, because: &str) -> Result<String, Refused> {
        let new = match self.args.clone().resolve() {
            Ok(new) => new,
            Err(failure) => {
                self.metrics.enforcement.reload_errors.inc();
                tell::not_reloaded(because, &failure);
                return Err(Refused { cause: failure.cause, remedy: failure.remedy });
            }
        };
        let changed = differences(&self.settings, &new);
        for key in needing_a_restart(&self.settings, &new) {
            tell::takes_a_restart(key);
        }
        let Settings { judging, scope, deny, feeds, .. } = new;
        (self.settings.judging, self.settings.scope) = (judging, scope);
        (self.settings.deny, self.settings.feeds) = (deny.clone(), feeds.clone());
        if let Err(cause) = self.apply_mode() {
            tell::not_tuned(&cause);
        }
        self.set_allowed();
        self.denying.configure(deny, feeds, &self.protected);
        self.metrics.enforcement.reloads.inc();
        let done = match changed.as_slice() {
            [] => "Configuration read again: nothing has changed; feeds are read again".to_owned(),
            changed => format!("Configuration taken over: {}", changed.join(", ")),
        };
        tell::reloaded(because, &done);
        Ok(done)
    }
}

/// What is taken over, as `key: before → after`.
fn differences(old: &Settings, new: &Settings) -> Vec<String> {
    let mut changed = Vec::new();
    let mut compare = |key: &str, old: String, new: String| {
        if old != new {
            changed.push(format!("{key}: {old} → {new}"));
        }
    };
    let (a, b) = (&old.judging, &new.judging);
    compare("observe", a.observe.to_string(), b.observe.to_string());
    compare("preset", a.preset.to_string(), b.preset.to_string());
    compare("block_for", format!("{:?}", a.block_for), format!("{:?}", b.block_for));
    compare("scope", format!("{:?}", old.scope).to_lowercase(), format!("{:?}", new.scope).to_lowercase());
    compare("allow", list(&a.allow), list(&b.allow));
    compare("deny", list(&old.deny), list(&new.deny));
    compare("feeds", old.feeds.len().to_string(), new.feeds.len().to_string());
    if a.preset == b.preset && a.thresholds != b.thresholds {
        changed.push("detect: other thresholds".to_owned());
    }
    if a.caps != b.caps {
        changed.push(format!("caps: {:?} → {:?}", a.caps, b.caps));
    }
    changed
}

fn list(networks: &[ipnet::IpNet]) -> String {
    format!("[{}]", networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

/// Keys that are looked at once, at the start.
fn needing_a_restart(old: &Settings, new: &Settings) -> Vec<&'static str> {
    [
        ("interfaces", old.interfaces != new.interfaces),
        ("mode", old.mode != new.mode),
        ("egress", old.egress != new.egress),
        ("own", old.own != new.own),
        ("listen", old.listen != new.listen),
        ("log_format", old.log_format != new.log_format),
        ("state", old.state != new.state),
        ("socket", old.socket != new.socket),
        ("mirror", old.mirror != new.mirror),
    ]
    .into_iter()
    .filter_map(|(key, changed)| changed.then_some(key))
    .collect()
}
