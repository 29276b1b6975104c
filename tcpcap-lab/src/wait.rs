//! Waiting for conditions.

use std::{
    env,
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use anyhow::bail;

use crate::interrupt;

/// How often a condition is looked at. Short against all that is waited for, long against what a look costs.
pub(crate) const INTERVAL: Duration = Duration::from_millis(5);

/// How many times longer to wait than on a machine of today: 1 to 100, for emulated ones.
const SLOW: &str = "TCPCAP_SLOW";

/// As long as something may take here that may take so long on a machine of today.
#[must_use]
pub fn patience(usual: Duration) -> Duration {
    static FACTOR: OnceLock<u32> = OnceLock::new();
    usual * *FACTOR.get_or_init(|| factor(env::var(SLOW).ok().as_deref()))
}

fn factor(told: Option<&str>) -> u32 {
    told.and_then(|told| told.parse().ok()).unwrap_or(1).clamp(1, 100)
}

/// Waits until something is there and returns it; `what` is named when it does not come in time.
///
/// # Errors
/// When `within` has passed (longer where `TCPCAP_SLOW` says so), or the user wants to stop.
pub fn wait_for<T>(what: &str, within: Duration, mut look: impl FnMut() -> Option<T>) -> anyhow::Result<T> {
    let within = patience(within);
    let start = Instant::now();
    loop {
        // Read before the look, so that there is one look after the time is over.
        let over = start.elapsed() >= within;
        if let Some(found) = look() {
            return Ok(found);
        }
        interrupt::check()?;
        if over {
            bail!("waited {:.1} s in vain for {what}", start.elapsed().as_secs_f64());
        }
        thread::sleep(INTERVAL);
    }
}

/// Waits until a condition holds.
///
/// # Errors
/// As [`wait_for`].
pub fn wait_until(what: &str, within: Duration, mut holds: impl FnMut() -> bool) -> anyhow::Result<()> {
    wait_for(what, within, || holds().then_some(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_looked_at_until_it_holds() {
        let mut looks = 0;
        wait_until("the third look", Duration::from_secs(10), || {
            looks += 1;
            looks == 3
        })
        .unwrap();
        assert_eq!(looks, 3);
    }

    #[test]
    fn patience_grows_within_reason() {
        assert_eq!([Some("8"), Some("0"), Some("1000"), Some("x"), None].map(factor), [8, 1, 100, 1, 1]);
    }

    #[test]
    fn waiting_ends_and_says_for_what() {
        let error = wait_until("a wonder", Duration::ZERO, || false).unwrap_err();
        assert!(error.to_string().ends_with("in vain for a wonder"), "{error}");
    }
}
