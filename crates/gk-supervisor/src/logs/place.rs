//! The place of a log: one of this process's own streams, or a file.

use crate::links;
use gk_config::site::TERMINAL;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The place of a log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// Our standard error.
    Errors,
    /// Our standard output.
    Output,
    /// A file.
    File(PathBuf),
}

impl Place {
    pub(super) fn of_error_log(path: Option<&Path>) -> Self {
        path.map_or(Self::Errors, |path| Self::File(path.to_owned()))
    }

    /// Of a virtual host's own.
    pub(super) fn of_host_log(path: &Path) -> Self {
        Self::of_error_log(Some(path).filter(|path| *path != Path::new(TERMINAL)))
    }

    pub(super) fn of_access_log(path: Option<&Path>) -> Self {
        path.map_or(Self::Output, |path| Self::File(path.to_owned()))
    }

    /// Whether both are one: two writers of one pipe or terminal would mix their lines.
    pub(super) fn same(&self, other: &Self) -> bool {
        let streams = |place: &Self| !matches!(place, Self::File(_));
        self == other || (streams(self) && streams(other) && one_file(&io::stdout(), &io::stderr()))
    }

    /// Opens it for appending. Never waits for the reader of a named pipe.
    pub(super) fn open(&self) -> io::Result<File> {
        let fd = match self {
            Self::Errors => io::stderr().as_fd().try_clone_to_owned()?,
            Self::Output => io::stdout().as_fd().try_clone_to_owned()?,
            Self::File(path) => open(path)?,
        };
        Ok(File::from(gk_sys::descriptors::out_of_the_way(fd)))
    }
}

fn open(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let mode = Mode::from_raw_mode(0o666);
    let fd = match links::open(path, flags | OFlags::WRONLY, mode) {
        // A named pipe without a reader. As its own reader it keeps what it can hold until there is another.
        Err(e) if Errno::from_io_error(&e) == Some(Errno::NXIO) => {
            links::open(path, flags | OFlags::RDWR, mode)?
        }
        other => other?,
    };
    rustix::io::ioctl_fionbio(&fd, false)?;
    Ok(fd)
}

/// Whether two descriptors are of one file, pipe or terminal.
pub(super) fn one_file(a: &impl AsFd, b: &impl AsFd) -> bool {
    match (rustix::fs::fstat(a), rustix::fs::fstat(b)) {
        (Ok(a), Ok(b)) => (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino),
        _ => false,
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Errors => f.write_str("on standard error"),
            Self::Output => f.write_str("on standard output"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}
