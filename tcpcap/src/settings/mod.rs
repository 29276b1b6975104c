//! What the verbs are told: flags over environment over configuration file over defaults.

mod control;
mod file;
mod judging;
mod lists;
mod mirror;
mod replay;
mod thresholds;

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use clap::Args;
use ipnet::IpNet;
use tcpcap_core::decide;

use crate::{
    control::socket,
    failure::Failure,
    kernel::{EgressChoice, ModeChoice},
    lists::FeedConfig,
    protect,
    surface::log,
};

pub use control::{BlockArgs, ModeArgs, ScopeChoice, ShowArgs, ShowFormat, SocketArgs, TargetArgs};
use file::File;
pub use judging::{Judging, JudgingArgs};
pub use replay::{OwnArg, ReplayArgs, ReplaySettings};

/// Where metrics are served unless told otherwise: on this host alone, on the port that the original used.
const DEFAULT_LISTEN: &str = "127.0.0.1:2112";

/// Where the history is kept unless told otherwise.
const DEFAULT_STATE: &str = "/var/lib/tcpcap";

/// What was typed after `tcpcap run`.
#[derive(Args, Clone, Debug, Default)]
pub struct RunArgs {
    /// Interface to watch; repeatable [default: those of the default routes]
    #[arg(long = "iface", value_name = "IF", env = "INTERFACE_NAME", value_delimiter = ',')]
    pub interfaces: Vec<String>,

    /// How to hook into the network card [default: auto]
    #[arg(long, value_enum)]
    pub mode: Option<ModeChoice>,

    /// Whether to look at our own answers as they leave [default: auto]
    #[arg(long, value_enum)]
    pub egress: Option<EgressChoice>,

    /// Address or network that this host answers for beside the addresses of its interfaces; repeatable
    #[arg(long, value_name = "CIDR", env = "PUBLIC_IP", value_parser = parse_network, value_delimiter = ',')]
    pub own: Vec<IpNet>,

    /// Address or network that is always blocked; repeatable
    #[arg(long, value_name = "CIDR", value_parser = lists::parse_deny, value_delimiter = ',')]
    pub deny: Vec<IpNet>,

    /// What is judged, and how.
    #[command(flatten)]
    pub judging: JudgingArgs,

    /// Where to serve metrics [default: 127.0.0.1:2112]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,

    /// Where the host's files are, when tcpcap runs in a container that has them elsewhere [default: /]
    #[arg(long, value_name = "DIR")]
    pub host_root: Option<PathBuf>,

    /// How long the peer of an SSH session is protected after its end; for tests.
    #[arg(long, hide = true, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub session_linger: Option<Duration>,

    /// Which packets of a blocked source are dropped: all, or new connections alone [default: all]
    #[arg(long, value_enum)]
    pub scope: Option<ScopeChoice>,

    /// Where the history is kept [default: /var/lib/tcpcap]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,

    /// Take everything out of the kernel when stopped, instead of leaving blocks in force
    #[arg(long)]
    pub detach: bool,

    /// Where to take commands [default: /run/tcpcap/tcpcap.sock]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,

    /// How log lines look [default: human]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub log_format: Option<log::Format>,
}

/// What the daemon does.
#[derive(Debug)]
pub struct Settings {
    /// Interfaces to watch; empty: those of the default routes.
    pub interfaces: Vec<String>,
    /// How to attach.
    pub mode: ModeChoice,
    /// Whether to look at what leaves.
    pub egress: EgressChoice,
    /// Own beside the interfaces' addresses.
    pub own: Vec<IpNet>,
    /// Always blocked.
    pub deny: Vec<IpNet>,
    /// Lists of networks, from files, that are blocked as long as they stand there.
    pub feeds: Vec<FeedConfig>,
    /// What is judged, and how.
    pub judging: Judging,
    /// Where to look for who must never be blocked.
    pub protect: protect::Config,
    /// Which packets of a blocked source are dropped.
    pub scope: ScopeChoice,
    /// Where the history is kept.
    pub state: PathBuf,
    /// Take everything out of the kernel at the end.
    pub detach: bool,
    /// Metrics.
    pub listen: SocketAddr,
    /// Where commands are taken.
    pub socket: PathBuf,
    /// Log.
    pub log_format: log::Format,
    /// Where else blocks are written: nftables, if wanted.
    pub mirror: Option<crate::mirror::Config>,
}

impl RunArgs {
    /// Merges what was typed with the configuration file and the defaults. Lists in the file and on the command line
    /// add up for `allow`, `deny` and `own`; for interfaces the command line replaces.
    ///
    /// # Errors
    /// The file cannot be read or is wrong.
    pub fn resolve(self) -> Result<Settings, Failure> {
        let file = self.judging.file()?;
        let default = protect::Config::default();
        let protect = protect::Config {
            root: self.host_root.unwrap_or(default.root),
            linger: self.session_linger.unwrap_or(default.linger),
            ..default
        };
        Ok(Settings {
            protect,
            judging: self.judging.resolve(&file),
            interfaces: if self.interfaces.is_empty() { file.interfaces } else { self.interfaces },
            mode: self.mode.or(file.mode).unwrap_or_default(),
            egress: self.egress.or(file.egress).unwrap_or_default(),
            own: self.own.into_iter().chain(file.own.into_iter().map(|n| n.0)).collect(),
            deny: self.deny.into_iter().chain(file.deny.into_iter().map(|n| n.0)).collect(),
            feeds: file.feeds.0,
            scope: self.scope.or(file.scope).unwrap_or_default(),
            state: self.state.or(file.state).unwrap_or_else(|| DEFAULT_STATE.into()),
            detach: self.detach || file.detach,
            listen: match self.listen.or(file.listen) {
                Some(listen) => listen,
                None => DEFAULT_LISTEN
                    .parse()
                    .map_err(|e| Failure::failed(format!("{DEFAULT_LISTEN}: {e}"), "use --listen"))?,
            },
            socket: self.socket.or(file.socket).unwrap_or_else(|| socket::DEFAULT_PATH.into()),
            log_format: self.log_format.or(file.log_format).unwrap_or_default(),
            mirror: file.mirror.resolve(),
        })
    }
}

/// `192.0.2.7`, `192.0.2.0/24` or their IPv6 likes. Bits behind the prefix are cleared.
pub(crate) fn parse_network(text: &str) -> Result<IpNet, String> {
    let network = match text.parse::<IpAddr>() {
        Ok(ip) => IpNet::from(ip),
        Err(_) => text
            .parse::<IpNet>()
            .map_err(|_| format!("`{text}` is neither an address nor a network such as 192.0.2.0/24"))?,
    };
    Ok(network.trunc())
}

/// A time to live that the policy can double.
fn parse_ttl(text: &str) -> Result<Duration, String> {
    let ttl = humantime::parse_duration(text).map_err(|e| format!("`{text}` is no time such as 10m: {e}"))?;
    if ttl < Duration::from_secs(1) || ttl > decide::MAX_TTL {
        return Err(format!("{text} is not between 1s and 24h"));
    }
    Ok(ttl)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tcpcap_core::Preset;

    #[test]
    fn defaults_are_safe() {
        let s = RunArgs::default().resolve().unwrap();
        assert_eq!((s.mode, s.judging.observe, s.judging.preset), (ModeChoice::Auto, false, Preset::Balanced));
        assert_eq!(s.egress, EgressChoice::Auto);
        assert!(s.listen.ip().is_loopback());
        assert_eq!(s.socket.to_str(), Some("/run/tcpcap/tcpcap.sock"));
        assert_eq!(s.judging.block_for, Duration::from_secs(600));
    }

    #[test]
    fn networks_may_be_addresses_and_lose_their_host_bits() {
        assert_eq!(parse_network("192.0.2.7").unwrap().to_string(), "192.0.2.7/32");
        assert_eq!(parse_network("192.0.2.7/24").unwrap().to_string(), "192.0.2.0/24");
        assert_eq!(parse_network("2001:db8::1").unwrap().to_string(), "2001:db8::1/128");
        for bad in ["", "192.0.2", "192.0.2.0/33", "example.org"] {
            assert!(parse_network(bad).unwrap_err().contains(bad));
        }
    }

    #[test]
    fn a_block_cannot_be_endless_or_empty() {
        assert_eq!(parse_ttl("90s").unwrap(), Duration::from_secs(90));
        for bad in ["0s", "25h", "ten", ""] {
            parse_ttl(bad).unwrap_err();
        }
    }

    #[test]
    fn the_command_line_wins_over_the_file_and_lists_add_up() {
        let dir = std::env::temp_dir().join(format!("tcpcap-settings-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("config.toml");
        fs::write(
            &path,
            "interfaces = [\"a\"]\npreset = \"strict\"\nallow = [\"10.0.0.0/8\"]\nlisten = \"127.0.0.1:1\"\n\
             socket = \"/a\"\n",
        )
        .unwrap();
        let args = RunArgs {
            interfaces: vec!["b".into()],
            judging: JudgingArgs {
                allow: vec![parse_network("192.0.2.1").unwrap()],
                preset: Some(Preset::Relaxed),
                config: Some(path),
                ..JudgingArgs::default()
            },
            ..RunArgs::default()
        };
        let s = args.resolve().unwrap();
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!((&*s.interfaces, s.judging.preset), (&["b".to_owned()][..], Preset::Relaxed));
        assert_eq!((s.judging.allow.len(), s.listen.port(), s.socket.to_str()), (2, 1, Some("/a")));
    }

    #[test]
    fn a_missing_file_is_a_usage_error() {
        let judging = JudgingArgs { config: Some("/nonexistent/tcpcap.toml".into()), ..JudgingArgs::default() };
        let args = RunArgs { judging, ..RunArgs::default() };
        let f = args.resolve().unwrap_err();
        assert!(f.cause.contains("/nonexistent/tcpcap.toml"));
        assert_eq!(f.exit_code, 2);
    }
}
