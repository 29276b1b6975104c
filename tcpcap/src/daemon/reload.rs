//! Taking over a changed configuration while running: whole, or not at all.

use super::Daemon;
use crate::{
    control::Refused,
    settings::{self, Change, Problem},
    surface::tell,
};

impl Daemon {
    /// Reads configuration and feeds anew. Says what is different now, and what will be after a restart.
    ///
    /// # Errors
    /// The configuration is wrong: everything that is, is named, and everything stays as it was.
    pub(super) fn reload(&mut self, because: &str) -> Result<String, Refused> {
        self.notify.reloading();
        let done = self.read_again(because);
        self.notify.ready(self.in_a_line());
        done
    }

    fn read_again(&mut self, because: &str) -> Result<String, Refused> {
        let new = match self.args.load() {
            Ok(loaded) => loaded.settings,
            Err(problems) => {
                self.metrics.enforcement.reload_errors.inc();
                self.metrics.enforcement.last_reload_successful.set(0);
                let cause = told(&problems);
                tell::not_reloaded(because, &cause);
                let remedy = "correct that; `tcpcap check` shows the same, a line each".to_owned();
                return Err(Refused { cause, remedy });
            }
        };
        let changes = settings::changes(&self.settings, &new);
        self.settings.take_over(&new);
        if let Err(cause) = self.apply_mode() {
            tell::not_tuned(&cause);
        }
        self.set_allowed();
        self.denying.configure(self.settings.deny.clone(), self.settings.feeds.clone(), &self.protected);
        self.metrics.enforcement.reloads.inc();
        self.metrics.enforcement.last_reload_successful.set(1);
        let done = summary(&changes);
        tell::reloaded(because, &done);
        Ok(done)
    }
}

/// All that is wrong, in a line.
fn told(problems: &[Problem]) -> String {
    let all = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    match problems.len() {
        0 | 1 => all,
        number => format!("{number} errors: {all}"),
    }
}

/// What has changed, and what will.
fn summary(changes: &[Change]) -> String {
    let (later, now): (Vec<_>, Vec<_>) = changes.iter().partition(|change| change.needs_restart);
    let joined = |changes: &[&Change]| changes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let mut text = match now.as_slice() {
        [] => "Configuration read again: nothing has changed; feeds are read again".to_owned(),
        now => format!("Configuration taken over: {}", joined(now)),
    };
    if !later.is_empty() {
        text += &format!("; takes a restart: {}", joined(&later));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn what_has_changed_and_what_takes_a_restart_are_told_in_one_line() {
        let before = Settings::default();
        assert_eq!(
            summary(&settings::changes(&before, &before)),
            "Configuration read again: nothing has changed; feeds are read again"
        );
        let mut after = before.clone();
        after.judging.observe = true;
        after.judging.thresholds.port_scan.burst_pairs = None;
        after.listen.set_port(9999);
        assert_eq!(
            summary(&settings::changes(&before, &after)),
            "Configuration taken over: observe: false → true, detect.port_scan.burst: 32 → off; takes a restart: listen: \
             127.0.0.1:2112 → 127.0.0.1:9999"
        );
        let mut taken = before.clone();
        taken.take_over(&after);
        assert_eq!(settings::changes(&taken, &after).iter().map(|c| c.key).collect::<Vec<_>>(), ["listen"]);
    }
}
