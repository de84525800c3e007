//! Starting a child: descriptors at fixed numbers, identity, limits, a clean signal state, death with its parent. Callers
//! decide the program and the user.
//!
//! Every step between `fork` and `exec` is one system call on values prepared beforehand: no allocation, no lock. The
//! standard library brings a failing step's error number back to the parent; the step's own number rides in its upper
//! half ([`SpawnError`] takes it apart again).

use crate::child::identity::Identity;
use std::ffi::{CString, OsStr, OsString};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// First of the fixed descriptors.
pub const FIRST_FD: RawFd = 3;

/// A child to be.
#[derive(Debug, Clone)]
pub struct Spawn<'a> {
    /// Executable.
    pub program: &'a Path,
    /// Arguments after the program's name.
    pub args: &'a [OsString],
    /// The complete environment.
    pub env: &'a [(OsString, OsString)],
    /// Become descriptors 3, 4, 5 … of the child. Descriptor 0 is `/dev/null`; all others are closed.
    pub fds: &'a [BorrowedFd<'a>],
    /// Becomes descriptor 1.
    pub stdout: BorrowedFd<'a>,
    /// Becomes descriptor 2.
    pub stderr: BorrowedFd<'a>,
    /// User and groups of the child; needs root.
    pub identity: Option<&'a Identity>,
    /// Root directory; needs root.
    pub chroot: Option<&'a Path>,
    /// Working directory (inside `chroot`).
    pub directory: Option<&'a Path>,
    /// No program that it executes gives it privileges.
    pub no_new_privileges: bool,
    /// File mode mask.
    pub umask: Option<u32>,
    /// Resource limits: which, soft, hard.
    pub limits: &'a [(Limit, u64, u64)],
    /// Added to the nice value.
    pub nice: i32,
}

/// A resource limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// CPU seconds.
    Cpu,
    /// Bytes of data segment and private mappings.
    Data,
    /// Bytes of address space.
    AddressSpace,
    /// Open descriptors.
    Descriptors,
}

/// The step at which a start failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// `fork`, or the executable itself.
    Start,
    /// Putting descriptors in their places.
    Descriptors,
    /// `chroot`.
    Chroot,
    /// A resource limit; the field says which.
    Limit(Limit),
    /// The nice value.
    Nice,
    /// Supplementary groups.
    Groups,
    /// The group id.
    Gid,
    /// The user id.
    Uid,
    /// The renunciation of new privileges.
    Privileges,
    /// The working directory.
    Directory,
    /// The parent was gone already.
    Parent,
}

/// A start that failed.
#[derive(Debug)]
pub struct SpawnError {
    /// Where.
    pub step: Step,
    /// Why.
    pub error: io::Error,
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.step {
            Step::Start => "it could not be executed",
            Step::Descriptors => "its descriptors could not be put in place",
            Step::Chroot => "its root directory could not be changed",
            Step::Limit(Limit::Cpu) => "its CPU time limit was refused",
            Step::Limit(Limit::Data) => "its memory limit was refused",
            Step::Limit(Limit::AddressSpace) => "its virtual memory limit was refused",
            Step::Limit(Limit::Descriptors) => "its limit of open files was refused",
            Step::Nice => "its priority was refused",
            Step::Groups => "its supplementary groups could not be set",
            Step::Gid => "its group could not be set",
            Step::Uid => "its user could not be set",
            Step::Privileges => "new privileges could not be renounced",
            Step::Directory => "its working directory could not be entered",
            Step::Parent => "its parent ended meanwhile",
        };
        write!(f, "{what}: {}", self.error)
    }
}

impl std::error::Error for SpawnError {}

const STEPS: [Step; 14] = [
    Step::Start,
    Step::Descriptors,
    Step::Chroot,
    Step::Limit(Limit::Cpu),
    Step::Limit(Limit::Data),
    Step::Limit(Limit::AddressSpace),
    Step::Limit(Limit::Descriptors),
    Step::Nice,
    Step::Groups,
    Step::Gid,
    Step::Uid,
    Step::Privileges,
    Step::Directory,
    Step::Parent,
];

impl Step {
    fn number(self) -> i32 {
        STEPS.iter().position(|s| *s == self).expect("every step stands in the table") as i32
    }
}

/// Starts the child in its own process group (a terminal's Ctrl-C reaches the parent alone) and gives its process id.
/// It is killed when the calling **thread** ends, however it ends.
pub fn spawn(what: &Spawn<'_>) -> Result<u32, SpawnError> {
    let start = |error| SpawnError { step: Step::Start, error };
    let prepared = Prepared::new(what).map_err(start)?;
    let mut command = Command::new(what.program);
    command.args(what.args).env_clear().envs(what.env.iter().map(|(k, v)| (k, v)));
    command
        .stdin(Stdio::null())
        .stdout(copy(what.stdout).map_err(start)?)
        .stderr(copy(what.stderr).map_err(start)?);
    command.process_group(0);
    // SAFETY: the closure only makes system calls on values it owns: it allocates nothing and takes no lock.
    unsafe { command.pre_exec(move || prepared.become_child()) };
    // The numbers that the child's descriptors will take must not be the ones the standard library reports errors
    // through, so they are taken for as long as it runs.
    let _taken = occupy(FIRST_FD + what.fds.len() as RawFd).map_err(start)?;
    match command.spawn() {
        Ok(child) => Ok(child.id()),
        Err(error) => Err(take_apart(error)),
    }
}

fn take_apart(error: io::Error) -> SpawnError {
    match error.raw_os_error() {
        Some(raw) if raw >= 1 << 16 => SpawnError {
            step: STEPS.get((raw >> 16) as usize).copied().unwrap_or(Step::Start),
            error: io::Error::from_raw_os_error(raw & 0xffff),
        },
        _ => SpawnError { step: Step::Start, error },
    }
}

fn copy(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // Above the standard three: a copy that fell on one of them would be overwritten.
    Ok(rustix::io::fcntl_dupfd_cloexec(fd, FIRST_FD)?)
}

/// Takes every free descriptor number from 3 to below `limit` until dropped.
fn occupy(limit: RawFd) -> io::Result<Vec<OwnedFd>> {
    let null = OwnedFd::from(std::fs::File::open("/dev/null")?);
    let mut taken = Vec::new();
    loop {
        let fd = rustix::io::fcntl_dupfd_cloexec(null.as_fd(), FIRST_FD)?;
        if fd.as_raw_fd() >= limit {
            taken.push(null);
            return Ok(taken);
        }
        taken.push(fd);
    }
}

/// Everything the child needs between `fork` and `exec`.
struct Prepared {
    parent: libc::pid_t,
    /// Copies that lie above every target number.
    fds: Vec<OwnedFd>,
    chroot: Option<CString>,
    directory: Option<CString>,
    umask: Option<u32>,
    no_new_privileges: bool,
    limits: Vec<(Limit, u64, u64)>,
    nice: i32,
    identity: Option<(u32, u32, Vec<u32>)>,
    empty: libc::sigset_t,
}

impl Prepared {
    fn new(what: &Spawn<'_>) -> io::Result<Self> {
        let above = FIRST_FD + what.fds.len() as RawFd;
        let high = |fd: &BorrowedFd<'_>| rustix::io::fcntl_dupfd_cloexec(fd, above);
        Ok(Self {
            parent: rustix::process::getpid().as_raw_nonzero().get(),
            fds: what.fds.iter().map(high).collect::<Result<_, _>>()?,
            chroot: what.chroot.map(|p| c_path(p.as_os_str())).transpose()?,
            directory: what.directory.map(|p| c_path(p.as_os_str())).transpose()?,
            umask: what.umask,
            no_new_privileges: what.no_new_privileges,
            limits: what.limits.to_vec(),
            nice: what.nice,
            identity: what.identity.map(|i| (i.uid, i.gid, i.groups.clone())),
            empty: crate::signal::set_of(&[]),
        })
    }

    /// Runs in the child. The order matters: descriptors first, what needs root next, then the identity, then what must
    /// happen as that identity, and the death signal last, because changing the identity clears it.
    fn become_child(&self) -> io::Result<()> {
        self.place_descriptors()?;
        if let Some(root) = &self.chroot {
            // SAFETY: a terminated string that lives in `self`.
            check(Step::Chroot, unsafe { libc::chroot(root.as_ptr()) })?;
            // SAFETY: a terminated literal.
            check(Step::Chroot, unsafe { libc::chdir(c"/".as_ptr()) })?;
        }
        for (limit, soft, hard) in &self.limits {
            let value = libc::rlimit { rlim_cur: *soft, rlim_max: *hard };
            // SAFETY: the value is a live local.
            check(Step::Limit(*limit), unsafe { libc::setrlimit(limit.number(), &value) })?;
        }
        if self.nice != 0 {
            // SAFETY: no pointer involved; 0 means this process.
            check(Step::Nice, unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, self.nice) })?;
        }
        if let Some(mask) = self.umask {
            // SAFETY: no pointer involved; it cannot fail.
            let _ = unsafe { libc::umask(mask) };
        }
        if let Some((uid, gid, groups)) = &self.identity {
            // SAFETY: the array lives in `self` and has that length.
            check(Step::Groups, unsafe { libc::setgroups(groups.len(), groups.as_ptr()) })?;
            // SAFETY: no pointer involved.
            check(Step::Gid, unsafe { libc::setgid(*gid) })?;
            // SAFETY: no pointer involved.
            check(Step::Uid, unsafe { libc::setuid(*uid) })?;
        }
        if self.no_new_privileges {
            // SAFETY: no pointer involved; the unused arguments must be 0.
            check(Step::Privileges, unsafe {
                libc::prctl(libc::PR_SET_NO_NEW_PRIVS, word(1), word(0), word(0), word(0))
            })?;
        }
        if let Some(directory) = &self.directory {
            // SAFETY: a terminated string that lives in `self`.
            check(Step::Directory, unsafe { libc::chdir(directory.as_ptr()) })?;
        }
        // SAFETY: the set is initialised and lives in `self`; a null old set is allowed.
        let _ = unsafe { libc::sigprocmask(libc::SIG_SETMASK, &self.empty, std::ptr::null_mut()) };
        // SAFETY: no pointer involved.
        check(Step::Parent, unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, word(libc::SIGKILL)) })?;
        // SAFETY: no pointer involved; it cannot fail.
        let parent = unsafe { libc::getppid() };
        // A parent that died before the line above never sends the signal.
        if parent == self.parent { Ok(()) } else { Err(failed(Step::Parent, libc::ESRCH)) }
    }

    fn place_descriptors(&self) -> io::Result<()> {
        for (target, fd) in (FIRST_FD..).zip(&self.fds) {
            // SAFETY: both are numbers; the source is open and owned by `self`, and it lies above every target.
            check(Step::Descriptors, unsafe { libc::dup2(fd.as_raw_fd(), target) })?;
        }
        let first = FIRST_FD as u32 + self.fds.len() as u32;
        let flags = libc::CLOSE_RANGE_CLOEXEC as libc::c_int;
        // SAFETY: marks descriptors close-on-exec and closes nothing now. A kernel before 5.11 refuses, which leaves only
        // what our own parent leaked to us.
        let _ = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, flags) };
        Ok(())
    }
}

/// The C library's type of a limit's number.
#[cfg(not(target_env = "musl"))]
type LimitNumber = libc::__rlimit_resource_t;
#[cfg(target_env = "musl")]
type LimitNumber = libc::c_int;

/// An argument of `prctl`, which takes as many words as it likes: a narrower number leaves half of one undefined on some machines.
fn word(number: libc::c_int) -> libc::c_ulong {
    number as libc::c_ulong
}

impl Limit {
    fn number(self) -> LimitNumber {
        match self {
            Self::Cpu => libc::RLIMIT_CPU,
            Self::Data => libc::RLIMIT_DATA,
            Self::AddressSpace => libc::RLIMIT_AS,
            Self::Descriptors => libc::RLIMIT_NOFILE,
        }
    }
}

fn c_path(path: &OsStr) -> io::Result<CString> {
    CString::new(path.as_bytes())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a NUL byte in a path"))
}

fn check(step: Step, code: libc::c_int) -> io::Result<()> {
    if code >= 0 { Ok(()) } else { Err(failed(step, io::Error::last_os_error().raw_os_error().unwrap_or(0))) }
}

fn failed(step: Step, errno: i32) -> io::Error {
    io::Error::from_raw_os_error(step.number() << 16 | errno)
}

#[cfg(test)]
#[path = "spawn_tests.rs"]
mod tests;
