//! Removing what a killed process left behind.

use crate::ip::ip;

/// What every namespace's name begins with; then come the process, a number and the role.
pub(crate) const PREFIX: &str = "tcpcap-";

/// Removes the namespaces of processes that are no more.
pub(crate) fn sweep() -> anyhow::Result<()> {
    for line in ip(&["netns", "list"], "")?.lines() {
        if let Some(pid) = owner(line)
            && !alive(pid)
        {
            let name = line.split(' ').next().unwrap_or(line);
            // Another lab may be sweeping as well; whoever comes second finds it gone.
            drop(ip(&["netns", "delete", name], ""));
        }
    }
    Ok(())
}

/// The process that a namespace's name carries, if it is one of ours. `line` is one of `ip netns list`.
fn owner(line: &str) -> Option<libc::pid_t> {
    let name = line.split(' ').next()?;
    let mut parts = name.strip_prefix(PREFIX)?.splitn(3, '-');
    let (pid, number, _role) = (parts.next()?, parts.next()?, parts.next()?);
    number.parse::<u32>().ok()?;
    pid.parse().ok().filter(|pid| *pid > 0)
}

pub(crate) fn alive(pid: libc::pid_t) -> bool {
    // SAFETY: signal 0 is never delivered.
    let sent = unsafe { libc::kill(pid, 0) } == 0;
    sent || std::io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_ours_have_an_owner() {
        assert_eq!(owner("tcpcap-123-0-sensor (id: 4)"), Some(123));
        assert_eq!(owner("tcpcap-123-0-sensor-west"), Some(123));
        for other in ["tcpcap-123-sensor", "tcpcap--1-0-sensor", "tcpcap-x-0-sensor", "tcpcap-9-y-z", "lab-1-0-x", ""] {
            assert_eq!(owner(other), None, "{other}");
        }
    }

    #[test]
    fn this_process_is_alive() {
        assert!(alive(std::process::id().cast_signed()));
        assert!(alive(1));
    }
}
