//! Attaching to interfaces: native mode where the driver can, generic mode where it cannot, and never silently.

use std::fmt;

use aya::programs::{Xdp, XdpMode, links::FdLink};

use super::{Kernel, chain, os_error};
use crate::failure::Failure;

/// Which mode the user asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
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

/// The program on one interface. Dropping it takes the program off.
pub struct Attachment {
    /// Index of the interface when it was attached; another interface of the same name has another.
    pub index: u32,
    /// The mode it got.
    pub mode: Mode,
    /// Why native mode was refused, where it was.
    pub fallback: Option<String>,
    _link: FdLink,
}

impl Kernel {
    /// Attaches the program to an interface.
    ///
    /// # Errors
    /// The interface has another XDP program already, is gone, or cannot have one in the mode asked for.
    pub fn attach(&mut self, name: &str, index: u32, choice: ModeChoice) -> Result<Attachment, Failure> {
        let program = self.program()?;
        let done = |link, mode, fallback| Attachment { index, mode, fallback, _link: link };
        if choice == ModeChoice::Generic {
            return match link(program, index, XdpMode::Skb) {
                Ok(link) => Ok(done(link, Mode::Generic, None)),
                Err(e) => Err(e.explain(name, Mode::Generic)),
            };
        }
        match link(program, index, XdpMode::Driver) {
            Ok(link) => Ok(done(link, Mode::Native, None)),
            Err(e) if choice == ModeChoice::Native || !e.may_work_generic() => Err(e.explain(name, Mode::Native)),
            Err(native) => match link(program, index, XdpMode::Skb) {
                Ok(link) => Ok(done(link, Mode::Generic, Some(native.text))),
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

fn link(program: &mut Xdp, index: u32, mode: XdpMode) -> Result<FdLink, Refusal> {
    let id = program.attach_to_if_index(index, mode).map_err(|e| Refusal::new(&e))?;
    let link = program.take_link(id).map_err(|e| Refusal::new(&e))?;
    // Where the kernel refuses a link with EINVAL the library attaches by netlink, which would outlive a crash:
    // converting fails then, and dropping what it is takes the program off again.
    FdLink::try_from(link).map_err(|e| Refusal::new(&e))
}
