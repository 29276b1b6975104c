//! What the service manager is told, where there is one: that tcpcap is ready, how it is doing, and that its loop lives.
//!
//! Only the loop tells. A thread of its own would go on telling that all is well while the loop is stuck.

use std::{future, io};

use sd_notify::NotifyState;
use tokio::time::{Duration, Instant, Interval, MissedTickBehavior, interval_at};
use tracing::warn;

use super::Daemon;

/// A new status is told no sooner after the last one: each is a message to the first process of the system.
const STATUS_EVERY: Duration = Duration::from_secs(10);

/// The service manager, or nobody.
pub(super) struct Notify {
    /// When it wants to hear that the loop lives.
    alive: Option<Interval>,
    status: String,
    status_at: Option<Instant>,
    /// That it cannot be told anything was said.
    complained: bool,
}

impl Notify {
    /// As the environment says: `$NOTIFY_SOCKET`, `$WATCHDOG_USEC`.
    pub(super) fn of_process() -> Self {
        let alive = sd_notify::watchdog_enabled().filter(|patience| !patience.is_zero()).map(|patience| {
            let every = patience / 2;
            let mut alive = interval_at(Instant::now() + every, every);
            alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
            alive
        });
        Self { alive, status: String::new(), status_at: None, complained: false }
    }

    /// Waits until it wants to hear that the loop lives.
    pub(super) async fn wants_a_sign(&mut self) {
        match &mut self.alive {
            Some(alive) => drop(alive.tick().await),
            None => future::pending().await,
        }
    }

    /// The loop lives.
    pub(super) fn alive(&mut self) {
        self.tell(&[NotifyState::Watchdog]);
    }

    /// The loop begins, or has taken a configuration over.
    pub(super) fn ready(&mut self, status: String) {
        self.tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
        (self.status, self.status_at) = (status, Some(Instant::now()));
    }

    /// A configuration is being taken over; [`Notify::ready`] follows.
    pub(super) fn reloading(&mut self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now]),
            Err(e) => self.take(Err(e)),
        }
    }

    /// The end begins.
    pub(super) fn stopping(&mut self) {
        self.tell(&[NotifyState::Stopping]);
    }

    /// How it is going, if that is something new and has not been told just now.
    fn going(&mut self, status: String, now: Instant) {
        let is_due = self.status_at.is_none_or(|at| now.duration_since(at) >= STATUS_EVERY);
        if is_due && status != self.status {
            self.tell(&[NotifyState::Status(&status)]);
            (self.status, self.status_at) = (status, Some(now));
        }
    }

    /// Without a service manager this does nothing.
    fn tell(&mut self, what: &[NotifyState<'_>]) {
        self.take(sd_notify::notify(what));
    }

    fn take(&mut self, told: io::Result<()>) {
        if let Err(e) = told
            && !std::mem::replace(&mut self.complained, true)
        {
            warn!(
                "the service manager cannot be told how it is going: {e}; it may take tcpcap for dead and restart it"
            );
        }
    }
}

impl Daemon {
    /// Tells the service manager how it is going.
    pub(super) fn notify_status(&mut self) {
        let status = self.in_a_line();
        self.notify.going(status, Instant::now());
    }

    /// `enforcing on eth0 (native): 3 sources blocked by rules, 1 by operators, 120 by feeds`
    pub(super) fn in_a_line(&self) -> String {
        let wanted = self.enforcer.wanted();
        let (automatic, operator) = wanted.counts();
        let doing = if self.settings.judging.observe { "observing" } else { "enforcing" };
        let mut line = format!("{doing} on {}: blocks: {automatic} of rules, {operator} of operators", self.interfaces);
        if !wanted.plan().is_empty() {
            line += &format!(", {} of feeds", wanted.plan().len());
        }
        if self.breaker_open {
            line += "; circuit breaker open, nobody new is blocked";
        }
        if self.pins.is_err() {
            line += "; not pinned, blocks end with it";
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_told_when_it_is_new_and_not_too_often() {
        let mut notify = Notify { alive: None, status: String::new(), status_at: None, complained: false };
        let start = Instant::now();
        let mut told = |status: &str, after| {
            notify.going(status.to_owned(), start + after);
            notify.status.clone()
        };
        assert_eq!(told("a", Duration::ZERO), "a");
        assert_eq!(told("b", STATUS_EVERY / 2), "a", "too soon");
        assert_eq!(told("b", STATUS_EVERY), "b");
    }
}
