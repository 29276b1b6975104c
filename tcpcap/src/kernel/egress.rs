//! The program on the way out: attached as the kernel offers it, taken off again, and never worth a failure.

use aya::programs::{
    LinkOrder, ProgramError, SchedClassifier, TcAttachType,
    tc::{self, NlOptions, SchedClassifierLink, SchedClassifierLinkId, TcAttachOptions},
};

use super::{Kernel, chain, os_error};
use crate::network::clsact;

/// The program's name in the object and, shown by `tc filter`, in the kernel.
pub(super) const PROGRAM: &str = "tcpcap_egress";

/// What the user wants to be seen of what leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
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
    /// By a link of its own (Linux 6.6). It goes with this process, however that ends.
    Tcx,
    /// As a filter of the clsact qdisc. It outlives a process that is killed; the next start takes it off.
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

/// The program on one interface's way out. Dropping it takes the program off.
pub struct Egress {
    /// How it hangs there.
    pub kind: EgressKind,
    // Taken off first.
    _link: SchedClassifierLink,
    _qdisc: Option<OwnQdisc>,
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
    pub fn attach_egress(&mut self, name: &str, index: u32, choice: EgressChoice) -> Result<Egress, String> {
        let program = self.egress()?;
        // Left behind by one of us that was killed.
        tc::qdisc_detach_program(name, TcAttachType::Egress, PROGRAM).ok();
        if choice != EgressChoice::Clsact {
            // In front of all others: one of them may end the walk, and we let it go on.
            match attach(program, name, TcAttachOptions::TcxOrder(LinkOrder::first())) {
                Ok(link) => return Ok(Egress { kind: EgressKind::Tcx, _link: link, _qdisc: None }),
                Err(e) if !is_unknown_way(&e) => return Err(chain(&e)),
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
        Ok(Egress { kind: EgressKind::Clsact, _link: link, _qdisc: qdisc })
    }
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
fn is_unknown_way(e: &ProgramError) -> bool {
    matches!(os_error(e), Some(libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP | libc::E2BIG))
}
