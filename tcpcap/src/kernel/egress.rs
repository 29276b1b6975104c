//! The program on the way out: attached as the kernel offers it, taken off again, and never worth a failure.

use std::path::PathBuf;

use aya::programs::{
    LinkOrder, ProgramError, SchedClassifier, TcAttachType,
    links::{FdLink, PinnedLink},
    tc::{self, NlOptions, SchedClassifierLink, SchedClassifierLinkId, TcAttachOptions},
};

use super::{Kernel, Pins, Way, chain, link, os_error};
use crate::network::clsact;

/// The program's name in the object and, shown by `tc filter`, in the kernel.
pub(super) const PROGRAM: &str = "tcpcap_egress";

/// What the user wants to be seen of what leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum EgressChoice {
    /// Our own answers, where the kernel can show them
    #[default]
    Auto,
    /// Nothing: judge by what comes in alone
    Off,
    /// As auto, by the older way alone; for tests
    #[value(hide = true)]
    Clsact,
}

/// How the program hangs on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EgressKind {
    /// By a link of its own (Linux 6.6).
    Tcx,
    /// As a filter of the clsact qdisc. It outlives a process that is killed, pinned or not; the next start replaces it.
    Clsact,
}

impl EgressKind {
    /// The name used in metrics and output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcx => "tcx",
            Self::Clsact => "clsact",
        }
    }
}

/// The program on one interface's way out. Dropping it takes the program off, unless it is to stay.
pub struct Egress {
    /// How it hangs there.
    pub kind: EgressKind,
    hold: Hold,
}

/// What keeps the program there.
enum Hold {
    /// This process alone.
    Process {
        // Taken off first.
        _link: SchedClassifierLink,
        _qdisc: Option<OwnQdisc>,
    },
    /// A pin.
    Pin { _link: FdLink, pin: PathBuf },
    /// The qdisc of an interface, until somebody takes it off.
    Qdisc { name: String, index: u32, made: bool },
}

impl Egress {
    /// Takes the program off, pinned or not.
    pub fn end(self) {
        match self.hold {
            Hold::Process { .. } => {}
            Hold::Pin { pin, .. } => drop(link::end(&pin)),
            Hold::Qdisc { name, index, made } => {
                tc::qdisc_detach_program(&name, TcAttachType::Egress, PROGRAM).ok();
                if made {
                    drop(OwnQdisc(index));
                }
            }
        }
    }
}

/// Takes the program off an interface's clsact qdisc, and the qdisc if nobody else uses it; says whether it was there.
pub fn remove_filter(name: &str, index: u32) -> bool {
    let was_there = tc::qdisc_detach_program(name, TcAttachType::Egress, PROGRAM).is_ok();
    if was_there {
        drop(OwnQdisc(index));
    }
    was_there
}

/// A clsact qdisc that was not there before us. Dropping it removes it, unless somebody else uses it by now.
struct OwnQdisc(u32);

impl Drop for OwnQdisc {
    fn drop(&mut self) {
        // With the interface the qdisc is gone, too, and what cannot be asked is left alone.
        if clsact::is_unused(self.0).unwrap_or(false) {
            clsact::remove(self.0).ok();
        }
    }
}

impl Kernel {
    /// Loads the program for the way out.
    ///
    /// # Errors
    /// Why the kernel refuses it.
    pub fn load_egress(&mut self) -> Result<(), String> {
        self.egress()?.load().map_err(|e| chain(&e))
    }

    /// The program for the way out, once it is loaded.
    ///
    /// # Errors
    /// The object holds no such program: it was not built by this project.
    pub fn egress(&mut self) -> Result<&mut SchedClassifier, String> {
        let program = self.bpf.program_mut(PROGRAM).ok_or_else(|| format!("this build has no {PROGRAM}"))?;
        program.try_into().map_err(|e: ProgramError| chain(&e))
    }

    /// Attaches it to an interface that the main program is attached to: so nobody else's of our name can be there.
    ///
    /// # Errors
    /// Why none of the kernel's ways works.
    pub fn attach_egress(
        &mut self,
        name: &str,
        index: u32,
        choice: EgressChoice,
        pins: Option<&Pins>,
    ) -> Result<Egress, String> {
        let program = self.egress()?;
        // Left behind by one of us that was killed.
        tc::qdisc_detach_program(name, TcAttachType::Egress, PROGRAM).ok();
        let pin = pins.map(|pins| pins.link(Way::Out, index));
        if choice == EgressChoice::Clsact {
            drop(pin.filter(|pin| pin.exists()).map(|pin| link::end(&pin)));
        } else {
            match attach_tcx(program, name, index, pin) {
                Ok(hold) => return Ok(Egress { kind: EgressKind::Tcx, hold }),
                Err(e) if !is_unknown_way(&*e) => return Err(chain(&*e)),
                Err(_) => {}
            }
        }
        let qdisc = match tc::qdisc_add_clsact(name) {
            Ok(()) => Some(OwnQdisc(index)),
            Err(e) if os_error(&e) == Some(libc::EEXIST) => None,
            Err(e) => return Err(chain(&e)),
        };
        // With no priority asked for the kernel puts it in front of the others.
        let link = attach(program, name, TcAttachOptions::Netlink(NlOptions::default())).map_err(|e| chain(&e))?;
        let hold = if pins.is_some() {
            let made = qdisc.is_some();
            // It stays in the kernel as it is.
            std::mem::forget((link, qdisc));
            Hold::Qdisc { name: name.to_owned(), index, made }
        } else {
            Hold::Process { _link: link, _qdisc: qdisc }
        };
        Ok(Egress { kind: EgressKind::Clsact, hold })
    }
}

type BoxedError = Box<dyn std::error::Error>;

/// By a link of its own; where an earlier one is pinned, in its place.
fn attach_tcx(program: &mut SchedClassifier, name: &str, index: u32, pin: Option<PathBuf>) -> Result<Hold, BoxedError> {
    if let Some(pin) = pin.as_ref().filter(|pin| pin.exists()) {
        if link::interface(pin) == Some(index) {
            let old = FdLink::from(PinnedLink::from_pin(pin)?).try_into()?;
            let id = program.attach_to_link(old)?;
            return Ok(Hold::Pin { _link: program.take_link(id)?.try_into()?, pin: pin.clone() });
        }
        link::end(pin)?;
    }
    // In front of all others: one of them may end the walk, and we let it go on.
    let link = attach(program, name, TcAttachOptions::TcxOrder(LinkOrder::first()))?;
    Ok(match pin {
        Some(pin) => Hold::Pin { _link: FdLink::try_from(link)?.pin(&pin)?.into(), pin },
        None => Hold::Process { _link: link, _qdisc: None },
    })
}

fn attach(
    program: &mut SchedClassifier,
    name: &str,
    options: TcAttachOptions,
) -> Result<SchedClassifierLink, ProgramError> {
    let id: SchedClassifierLinkId = program.attach_with_options(name, TcAttachType::Egress, options)?;
    program.take_link(id)
}

/// Whether the kernel does not know this way, rather than refusing it here and now.
fn is_unknown_way(e: &(dyn std::error::Error + 'static)) -> bool {
    matches!(os_error(e), Some(libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP | libc::E2BIG))
}
