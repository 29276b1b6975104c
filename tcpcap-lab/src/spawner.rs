//! Starting children that die with us.
//!
//! The kernel's "signal me when my parent dies" means the parent *thread*, and tests and visits to namespaces run on
//! threads that end early. So one thread that never ends starts them all.

use std::{
    io,
    os::unix::process::CommandExt,
    process::{Child, Command},
    sync::{
        OnceLock, PoisonError,
        mpsc::{self, Sender},
    },
    thread,
};

type Order = (Command, Sender<io::Result<Child>>);

/// Starts a command in a process group of its own (Ctrl-C is for us to pass on), killed when this process ends.
pub(crate) fn spawn(mut command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<std::sync::Mutex<Sender<Order>>> = OnceLock::new();
    command.process_group(0);
    let parent = std::process::id().cast_signed();
    // SAFETY: between fork and exec only these system calls are made; they allocate nothing.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(io::Error::last_os_error());
            }
            // Our parent may have died before it could be noted.
            if libc::getppid() != parent {
                return Err(io::ErrorKind::Interrupted.into());
            }
            Ok(())
        });
    }
    let (reply, started) = mpsc::channel();
    let gone = |_| io::Error::other("the thread that starts processes has gone");
    SPAWNER
        .get_or_init(|| {
            let (orders, inbox) = mpsc::channel::<Order>();
            thread::spawn(move || {
                for (mut command, reply) in inbox {
                    // Whoever asked may have given up.
                    drop(reply.send(command.spawn()));
                }
            });
            orders.into()
        })
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .send((command, reply))
        .map_err(|_| gone(mpsc::RecvError))?;
    started.recv().map_err(gone)?
}
