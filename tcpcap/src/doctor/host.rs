//! What the checks look at: files, this process's rights, what it is set to do. Each is looked at once.

use std::{
    cell::OnceCell,
    fs, io,
    os::unix::fs::FileTypeExt as _,
    path::{Path, PathBuf},
};

use super::{
    card::{self, Cards},
    finding::Finding,
};
use crate::{
    control::socket,
    failure::Failure,
    host,
    kernel::{
        BPFFS,
        survey::{self, Left, Loaded},
    },
    settings::Settings,
};

/// The host, as the checks see it.
pub struct Host {
    /// Where `/proc`, `/sys`, `/run` and `/etc` are: `/`, except for tests.
    pub(super) root: PathBuf,
    pub(super) settings: Settings,
    /// What is wrong with the configuration; the settings are whatever is right of it then.
    pub(super) wrong: Option<Failure>,
    /// The first file that was read.
    pub(super) config: Option<PathBuf>,
    /// Whose members may use the socket.
    pub(super) group: &'static str,
    cards: OnceCell<Result<Cards, Finding>>,
    loaded: OnceCell<Result<Loaded, Failure>>,
    left: OnceCell<Result<Option<Left>, io::Error>>,
    listener: OnceCell<Listener>,
}

/// Who is behind the control socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listener {
    /// Nobody: there is no such file.
    None,
    /// Nobody any more.
    Stale,
    /// It is no socket.
    Foreign,
    /// Somebody, whose process number may be known.
    Alive(Option<u32>),
    /// Somebody who is not for this user.
    Closed,
}

impl Host {
    /// This host, for a tcpcap of these settings.
    #[must_use]
    pub fn new(settings: Settings, config: Option<PathBuf>, wrong: Option<Failure>) -> Self {
        Self::below(Path::new("/"), settings, config, wrong)
    }

    pub(super) fn below(root: &Path, settings: Settings, config: Option<PathBuf>, wrong: Option<Failure>) -> Self {
        Self {
            root: root.to_owned(),
            settings,
            wrong,
            config,
            group: socket::GROUP,
            cards: OnceCell::new(),
            loaded: OnceCell::new(),
            left: OnceCell::new(),
            listener: OnceCell::new(),
        }
    }

    /// A file or directory of the host.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// A small file's text, without the line's end.
    pub(super) fn read(&self, path: &str) -> io::Result<String> {
        fs::read_to_string(self.path(path)).map(|text| text.trim().to_owned())
    }

    /// Where a link points.
    pub(super) fn link(&self, path: &str) -> io::Result<String> {
        fs::read_link(self.path(path)).map(|to| to.to_string_lossy().into_owned())
    }

    /// Where pins are.
    pub(super) fn bpffs(&self) -> PathBuf {
        self.path(BPFFS)
    }

    pub(super) fn kernel(&self) -> (u32, u32) {
        host::kernel_version(&self.read("/proc/sys/kernel/osrelease").unwrap_or_default())
    }

    pub(super) fn capabilities(&self) -> u64 {
        host::effective_capabilities(&self.read("/proc/self/status").unwrap_or_default())
    }

    pub(super) fn bounding(&self) -> u64 {
        host::bounding_capabilities(&self.read("/proc/self/status").unwrap_or_default())
    }

    pub(super) fn has_rights(&self) -> bool {
        host::missing_capabilities(self.capabilities()).is_empty()
    }

    /// What cannot be looked at: for want of rights, which is a failure, or because this process is kept from it.
    pub(super) fn unseen(&self) -> Finding {
        if self.has_rights() {
            return Finding::skip("cannot be seen from here");
        }
        Finding::fail("cannot be looked at without privileges", "", "run it as root: sudo tcpcap doctor")
    }

    pub(super) fn cards(&self) -> Result<&Cards, &Finding> {
        self.cards.get_or_init(|| card::look(&self.settings.interfaces)).as_ref()
    }

    pub(super) fn loaded(&self) -> Result<&Loaded, &Failure> {
        self.loaded.get_or_init(survey::load).as_ref()
    }

    pub(super) fn left(&self) -> Result<Option<&Left>, &io::Error> {
        self.left.get_or_init(|| survey::left(&self.bpffs())).as_ref().map(Option::as_ref)
    }

    pub(super) fn listener(&self) -> Listener {
        *self.listener.get_or_init(|| listener(&self.settings.socket))
    }

    /// The process of the daemon that runs here, if its number can be seen.
    pub(super) fn daemon(&self) -> Option<u32> {
        let holder = self.left().ok().flatten().and_then(|left| left.holder);
        holder.or(match self.listener() {
            Listener::Alive(pid) => pid,
            _ => None,
        })
    }
}

fn listener(path: &Path) -> Listener {
    match fs::symlink_metadata(path) {
        Err(_) => return Listener::None,
        Ok(there) if !there.file_type().is_socket() => return Listener::Foreign,
        Ok(_) => {}
    }
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return Listener::Alive(None);
    };
    match runtime.block_on(tokio::net::UnixStream::connect(path)) {
        Ok(stream) => {
            let pid = stream.peer_cred().ok().and_then(|peer| peer.pid());
            Listener::Alive(pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0))
        }
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => Listener::Stale,
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Listener::Closed,
        Err(_) => Listener::Alive(None),
    }
}
