//! Attaching to interfaces: native mode where the driver can, generic mode where it cannot, and never silently.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use aya::programs::{
    Xdp, XdpMode,
    links::{FdLink, LinkError, PinnedLink},
};

use super::{Kernel, Pins, Way, chain, link, os_error};
use crate::failure::Failure;

/// Which mode the user asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ModeChoice {
    /// Native, or generic where the driver has no native mode
    #[default]
    Auto,
    /// Native or nothing
    Native,
    /// Generic: works everywhere, after the kernel has made a socket buffer of each packet
    Generic,
}

/// Which mode an interface got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the driver, before a socket buffer exists.
    Native,
    /// In the network stack.
    Generic,
}

impl Mode {
    /// The name used in metrics and output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The program on one interface. Dropping it takes the program off, unless it is pinned.
pub struct Attachment {
    /// Index of the interface when it was attached; another interface of the same name has another.
    pub index: u32,
    /// The mode it got.
    pub mode: Mode,
    /// Why native mode was refused, where it was.
    pub fallback: Option<String>,
    /// Whether it took the place of an earlier one, with no packet unseen in between.
    pub adopted: bool,
    _link: FdLink,
    pin: Option<PathBuf>,
}

impl Attachment {
    /// Takes the program off, pinned or not.
    pub fn end(self) {
        if let Some(pin) = &self.pin {
            // What cannot be removed is found again by the next start.
            link::end(pin).ok();
        }
    }
}

impl Kernel {
    /// Attaches the program to an interface. Where an earlier one is pinned there, it takes its place.
    ///
    /// # Errors
    /// The interface has another XDP program already, is gone, or cannot have one in the mode asked for.
    pub fn attach(
        &mut self,
        name: &str,
        index: u32,
        choice: ModeChoice,
        pins: Option<&Pins>,
    ) -> Result<Attachment, Failure> {
        if let Some(pins) = pins
            && let Some((link, mode, pin)) = self.adopt(name, index, choice, pins)?
        {
            return Ok(Attachment { index, mode, fallback: None, adopted: true, _link: link, pin: Some(pin) });
        }
        let (link, mode, fallback) = self.attach_anew(name, index, choice)?;
        let Some(pins) = pins else {
            return Ok(Attachment { index, mode, fallback, adopted: false, _link: link, pin: None });
        };
        let pin = pins.link(Way::In(mode), index);
        let pinned = link.pin(&pin).map_err(|e| {
            Failure::failed(
                format!("cannot pin the program of {name} to {}: {}", pin.display(), chain(&e)),
                "is the BPF file system full, or read-only?",
            )
        })?;
        Ok(Attachment { index, mode, fallback, adopted: false, _link: pinned.into(), pin: Some(pin) })
    }

    /// Takes the place of a pinned program, if its mode is among those asked for; takes it off if not.
    fn adopt(
        &mut self,
        name: &str,
        index: u32,
        choice: ModeChoice,
        pins: &Pins,
    ) -> Result<Option<(FdLink, Mode, PathBuf)>, Failure> {
        for mode in [Mode::Native, Mode::Generic] {
            let pin = pins.link(Way::In(mode), index);
            if !pin.exists() {
                continue;
            }
            let fits = match choice {
                ModeChoice::Auto => true,
                ModeChoice::Native => mode == Mode::Native,
                ModeChoice::Generic => mode == Mode::Generic,
            };
            if link::interface(&pin) == Some(index) && fits {
                let link = self.replace(&pin).map_err(|why| {
                    Failure::failed(
                        format!(
                            "{name} goes on with the program of an earlier tcpcap, which cannot be replaced: {why}"
                        ),
                        "take it off with `tcpcap detach`",
                    )
                })?;
                return Ok(Some((link, mode, pin)));
            }
            link::end(&pin).map_err(|e| {
                Failure::failed(
                    format!("the program of an earlier tcpcap on {name} cannot be taken off: {e}"),
                    "take it off with `tcpcap detach`",
                )
            })?;
        }
        Ok(None)
    }

    fn replace(&mut self, pin: &Path) -> Result<FdLink, String> {
        let old = PinnedLink::from_pin(pin).map_err(|e| chain(&e))?;
        let program = self.program().map_err(|f| f.cause)?;
        let old = FdLink::from(old).try_into().map_err(|e: LinkError| chain(&e))?;
        let id = program.attach_to_link(old).map_err(|e| chain(&e))?;
        let link = program.take_link(id).map_err(|e| chain(&e))?;
        FdLink::try_from(link).map_err(|e| chain(&e))
    }

    fn attach_anew(
        &mut self,
        name: &str,
        index: u32,
        choice: ModeChoice,
    ) -> Result<(FdLink, Mode, Option<String>), Failure> {
        let program = self.program()?;
        if choice == ModeChoice::Generic {
            return match attach_link(program, index, XdpMode::Skb) {
                Ok(link) => Ok((link, Mode::Generic, None)),
                Err(e) => Err(e.explain(name, Mode::Generic)),
            };
        }
        match attach_link(program, index, XdpMode::Driver) {
            Ok(link) => Ok((link, Mode::Native, None)),
            Err(e) if choice == ModeChoice::Native || !e.may_work_generic() => Err(e.explain(name, Mode::Native)),
            Err(native) => match attach_link(program, index, XdpMode::Skb) {
                Ok(link) => Ok((link, Mode::Generic, Some(native.text))),
                Err(e) => Err(e.explain(name, Mode::Generic)),
            },
        }
    }
}

/// Why an attach failed.
struct Refusal {
    code: Option<i32>,
    text: String,
}

impl Refusal {
    fn new(e: &(dyn std::error::Error + 'static)) -> Self {
        Self { code: os_error(e), text: chain(e) }
    }

    /// Whether generic mode may do what native mode could not: not when the interface is taken, gone, or not for us.
    fn may_work_generic(&self) -> bool {
        !matches!(self.code, Some(libc::EBUSY | libc::EEXIST | libc::ENODEV | libc::EPERM))
    }

    fn explain(self, name: &str, mode: Mode) -> Failure {
        match self.code {
            Some(libc::EBUSY | libc::EEXIST) => Failure::failed(
                format!("{name} has another XDP program already"),
                format!("see which with `ip link show {name}`; stop that program, or `ip link set dev {name} xdp off`"),
            ),
            Some(libc::ENODEV) => Failure::failed(
                format!("interface {name} has just disappeared"),
                "see what there is with `ip link`, and name it with --iface",
            ),
            _ if mode == Mode::Native => Failure::failed(
                format!("{name} has no native XDP: {}", self.text),
                "use --mode auto, which falls back to generic mode",
            ),
            _ => Failure::failed(
                format!("{name} takes no XDP program: {}", self.text),
                "check `dmesg` for the driver's reason, or watch another interface with --iface",
            ),
        }
    }
}

fn attach_link(program: &mut Xdp, index: u32, mode: XdpMode) -> Result<FdLink, Refusal> {
    let id = program.attach_to_if_index(index, mode).map_err(|e| Refusal::new(&e))?;
    let link = program.take_link(id).map_err(|e| Refusal::new(&e))?;
    // Where the kernel refuses a link with EINVAL the library attaches by netlink, which would outlive a crash:
    // converting fails then, and dropping what it is takes the program off again.
    FdLink::try_from(link).map_err(|e| Refusal::new(&e))
}
