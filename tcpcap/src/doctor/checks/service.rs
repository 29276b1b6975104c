//! What the daemon needs beside the kernel.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    time::Duration,
};

use nix::unistd::Group;

use super::{Finding, Host, storage};
use crate::{doctor::host::Listener, kernel::survey, mirror};

/// How long whoever has the port may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// Bytes of the answer that are looked at: the first metrics' names stand there.
const LOOKED_AT: u64 = 4096;

pub(super) fn configuration(host: &Host) -> Finding {
    if let Some(wrong) = &host.wrong {
        return Finding::fail(
            std::iter::once(&wrong.cause).chain(&wrong.also).cloned().collect::<Vec<_>>().join("; "),
            "tcpcap does not start; what follows goes by whatever is right of it",
            wrong.remedy.clone(),
        );
    }
    match &host.config {
        Some(file) => Finding::ok(format!("{} is in order", file.display())),
        None => Finding::ok("no file: the defaults, and what was typed"),
    }
}

pub(super) fn daemon(host: &Host) -> Finding {
    match (host.daemon(), host.listener()) {
        (Some(pid), _) => Finding::ok(format!("tcpcap is running here, as process {pid}")),
        (None, Listener::Alive(_)) => Finding::ok("tcpcap is running, in another container it seems"),
        (None, Listener::Closed) => {
            Finding::ok(format!("something listens on {}, not for this user", host.settings.socket.display()))
        }
        (None, _) => Finding::ok("tcpcap is not running here"),
    }
}

pub(super) fn port(host: &Host) -> Finding {
    let address = host.settings.listen;
    let Err(e) = TcpListener::bind(address) else { return Finding::ok(format!("{address} is free")) };
    if e.kind() == ErrorKind::AddrInUse && is_ours(address) {
        return Finding::ok(format!("{address} is served by the running tcpcap"));
    }
    let remedy = match e.kind() {
        ErrorKind::AddrInUse => {
            format!(
                "`ss -ltnp 'sport = :{}'` shows who listens; or choose another with --listen ADDRESS:PORT",
                address.port()
            )
        }
        ErrorKind::PermissionDenied => "choose a port above 1023 with --listen, or give CAP_NET_BIND_SERVICE".into(),
        _ => "choose an address of this host with --listen ADDRESS:PORT".into(),
    };
    Finding::fail(format!("{address}: {e}"), "tcpcap does not start without a port for metrics", remedy)
}

/// Whether what listens there serves tcpcap's metrics.
fn is_ours(mut address: SocketAddr) -> bool {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
    }
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.take(LOOKED_AT).read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    ask().is_ok_and(|answer| answer.contains("tcpcap_"))
}

pub(super) fn socket(host: &Host) -> Finding {
    let path = &host.settings.socket;
    let shown = path.display();
    let alone = "tcpcap runs, but no verb reaches it";
    match host.listener() {
        Listener::Alive(Some(pid)) => return Finding::ok(format!("{shown} is listened on by process {pid}")),
        Listener::Alive(None) => return Finding::ok(format!("{shown} is listened on")),
        Listener::Closed => {
            return Finding::warn(
                format!("{shown} is not for this user"),
                "the verbs that ask the daemon are refused",
                "run them as root (sudo), or as a member of the group tcpcap",
            );
        }
        Listener::Foreign => {
            return Finding::fail(
                format!("{shown} is there, and is no socket"),
                "tcpcap does not start, and does not remove it",
                "move it away, or choose another path with --socket",
            );
        }
        Listener::Stale | Listener::None => {}
    }
    let directory = path.parent().unwrap_or(Path::new("/"));
    match survey::may_write(storage::existing(directory)) {
        Ok(()) if host.listener() == Listener::Stale => {
            Finding::ok(format!("{shown} is left over, and replaced by the next start"))
        }
        Ok(()) => Finding::ok(format!("{shown} can be made")),
        Err(_) if !host.has_rights() => host.unseen(),
        Err(e) => Finding::warn(
            format!("{shown} cannot be made: {e}"),
            alone,
            format!("let this user write to {}, or choose another path with --socket", directory.display()),
        ),
    }
}

pub(super) fn group(host: &Host) -> Finding {
    let name = host.group;
    match Group::from_name(name) {
        // There may be no file of groups at all.
        Err(nix::errno::Errno::ENOENT) | Ok(None) => Finding::warn(
            format!("there is no group {name}"),
            "only root may use the socket, and so the verbs",
            format!("groupadd --system {name}; usermod -aG {name} USER; restart tcpcap"),
        ),
        Ok(Some(_)) => Finding::ok(format!("members of {name} may use the socket")),
        Err(e) => Finding::skip(format!("groups cannot be looked up: {e}")),
    }
}

pub(super) fn mirror(host: &Host) -> Finding {
    let Some(config) = host.settings.mirror.wanted() else { return Finding::skip("off") };
    match mirror::probe(config) {
        Ok(version) => Finding::ok(format!("{version} runs, and the kernel has nftables")),
        Err(_) if !host.has_rights() => host.unseen(),
        Err(why) => Finding::fail(
            why,
            "the mirror is on, and nothing reaches it; the XDP program blocks all the same",
            "install nftables, or set `enabled = false` in [mirror.nftables]",
        ),
    }
}
