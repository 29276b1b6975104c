//! What the daemon counts about itself.

use std::{
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

use prometheus_client::{metrics::gauge::Gauge, registry::Registry};

/// The handles.
#[derive(Debug, Default)]
pub struct Process {
    start_time: Gauge,
    last_poll: Gauge,
    memory: Gauge,
}

impl Process {
    pub(super) fn register(&self, r: &mut Registry) {
        r.register("start_time_seconds", "When the daemon was started", self.start_time.clone());
        r.register("last_poll_timestamp_seconds", "When the kernel's maps were last polled", self.last_poll.clone());
        r.register("resident_memory_bytes", "Memory that the daemon holds", self.memory.clone());
    }

    /// Notes that it starts now.
    pub fn start(&self) {
        self.start_time.set(unix_now());
    }

    /// Notes that it polls now, and what it holds.
    pub fn poll(&self) {
        self.last_poll.set(unix_now());
        if let Some(bytes) = resident() {
            self.memory.set(bytes);
        }
    }
}

/// The time of day, in Unix seconds.
fn unix_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Bytes of this process in memory; none where `/proc` does not tell.
fn resident() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix(" kB")?;
    kib.parse::<i64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_holds_some_memory_and_lives_after_2020() {
        let process = Process::default();
        process.start();
        process.poll();
        assert!(process.memory.get() > 1 << 16, "{process:?}");
        assert!(process.start_time.get() > 1_577_836_800 && process.last_poll.get() >= process.start_time.get());
    }
}
