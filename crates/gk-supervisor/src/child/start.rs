//! Starts a child's process with its descriptors, and explains a failed start to the user. `command` has its command line.

use super::Child;
use super::command::{self, CommandLine};
use crate::configuration::ResolvedGroup;
use gk_config::site::ProcessGroup;
use gk_sys::child::spawn::{Limit, Spawn, SpawnError, Step};
use gk_sys::descriptors;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// Starts a child with a control socket, its setup and `more` descriptors. `told`: its standard output and standard error.
pub fn spawn(
    line: &CommandLine,
    setup: &[u8],
    more: &[BorrowedFd<'_>],
    told: BorrowedFd<'_>,
) -> Result<Child, SpawnError> {
    let (ours, theirs) = descriptors::packet_pair().map_err(start_error)?;
    let setup = descriptors::memory_file("gilkeeper-setup", setup).map_err(start_error)?;
    let mut given = vec![theirs.as_fd(), setup.as_fd()];
    given.extend_from_slice(more);
    let pid = gk_sys::child::spawn::spawn(&Spawn {
        program: &line.program,
        args: &line.args,
        env: &line.env,
        fds: &given,
        stdout: told,
        stderr: told,
        identity: line.identity.as_ref(),
        chroot: line.chroot.as_deref(),
        directory: line.directory.as_deref(),
        umask: line.umask,
        no_new_privileges: line.no_new_privileges,
        limits: &line.limits,
        nice: line.nice,
    })?;
    Child::new(pid, ours).map_err(start_error)
}

/// An error from before the process existed.
pub fn start_error(error: io::Error) -> SpawnError {
    SpawnError { step: Step::Start, error }
}

/// Why a worker of this group did not start, with a hint for the user. `start`: the folder that the server was started in.
pub fn why(error: &SpawnError, options: &ProcessGroup, about: &ResolvedGroup, start: &Path) -> String {
    if error.step == Step::Directory {
        return command::why_not_entered(options, about.identity.as_ref(), start, &error.error);
    }
    if error.step != Step::Start {
        return error.to_string();
    }
    let user = about.identity.as_ref().map(|i| i.name.clone().unwrap_or_else(|| format!("#{}", i.uid)));
    let user = user.map(|name| format!(" by user {name}, who must be able to reach it")).unwrap_or_default();
    format!("{} could not be executed{user}: {}", about.executable.display(), error.error)
}

/// mod_wsgi's code for the failed step. The directory has two: for `home=` and for the user's home.
pub fn code_of(error: &SpawnError, options: Option<&ProcessGroup>) -> Option<&'static str> {
    let home = options.is_some_and(|group| group.home.is_some());
    Some(match error.step {
        Step::Chroot => "WSGI0003",
        Step::Gid => "WSGI0004",
        Step::Groups => "WSGI0005",
        Step::Uid => "WSGI0007",
        Step::Directory if home => "WSGI0009",
        Step::Directory => "WSGI0010",
        Step::Start => "WSGI0024",
        Step::Nice => "WSGI0075",
        Step::Limit(Limit::Cpu) => "WSGI0076",
        Step::Limit(Limit::Data) => "WSGI0077",
        Step::Limit(Limit::AddressSpace) => "WSGI0078",
        Step::Limit(Limit::Descriptors) | Step::Descriptors | Step::Privileges | Step::Parent => return None,
    })
}
