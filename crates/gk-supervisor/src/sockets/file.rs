//! Socket files: made with their mode and owner before anybody can connect; a stale one is replaced.

use crate::StartError;
use gk_sys::child::identity;
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid, chownat, fstat, openat};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Owner and group for a socket's file; `None`: those of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct SocketOwner {
    user: Option<u32>,
    group: Option<u32>,
}

impl SocketOwner {
    /// Names or `#id`.
    pub(super) fn find(path: &Path, user: Option<&str>, group: Option<&str>) -> Result<Self, StartError> {
        let unknown = |what, name: &str| refused(path, &format!("there is no {what} '{name}'"));
        // A user needs no entry in the user database.
        let number = |name: &str| name.strip_prefix('#').and_then(|number| number.parse().ok());
        let user = user.map(|name| {
            let found = number(name).or_else(|| identity::user(name).map(|user| user.uid));
            found.ok_or_else(|| unknown("user", name))
        });
        let group = group.map(|name| identity::group(name).ok_or_else(|| unknown("group", name)));
        Ok(Self { user: user.transpose()?, group: group.transpose()? })
    }

    /// Gives the file away. Not by its path, where somebody else's file may be by now.
    fn take(self, path: &Path) -> Result<(), StartError> {
        if self.user.is_none() && self.group.is_none() {
            return Ok(());
        }
        let told = |error: Errno| match error {
            Errno::PERM => refused(
                path,
                "its owner and group can be set by root only, and its group by a member; start as root, or leave owner= and group= out",
            ),
            error => refused(path, &std::io::Error::from(error).to_string()),
        };
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(CWD, path, flags, Mode::empty()).map_err(told)?;
        if FileType::from_raw_mode(fstat(&file).map_err(told)?.st_mode) != FileType::Socket {
            return Err(refused(path, "somebody else has replaced the socket"));
        }
        chownat(&file, "", self.user.map(Uid::from_raw), self.group.map(Gid::from_raw), AtFlags::EMPTY_PATH)
            .map_err(told)
    }
}

fn refused(path: &Path, why: &str) -> StartError {
    StartError(format!("cannot listen on {}: {why}", path.display()))
}

/// A socket file. A stale one, on which nobody answers, is replaced.
pub fn bind_unix(path: &Path, backlog: i32, mode: u32, owner: SocketOwner) -> Result<OwnedFd, StartError> {
    let shown = |why: &str| refused(path, why);
    let error = |e: Errno| shown(&std::io::Error::from(e).to_string());
    // The kernel takes one more, and most programs could not connect to it.
    let address = SocketAddrUnix::new(path).ok().filter(|_| path.as_os_str().len() < 108);
    let address = address.ok_or_else(|| shown("the path is too long for a socket (107 bytes)"))?;
    if let Ok(meta) = std::fs::symlink_metadata(path) {
        if !meta.file_type().is_socket() {
            return Err(shown("there is a file that is no socket; remove it or choose another path"));
        }
        if UnixStream::connect(path).is_ok() {
            return Err(shown("another program answers there; stop it or choose another path"));
        }
        std::fs::remove_file(path)
            .map_err(|e| shown(&format!("the old socket file cannot be removed: {e}")))?;
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(error)?;
    // The umask gives the file its mode from the start. This process has one thread at this time.
    let before = rustix::process::umask(Mode::from_raw_mode(0o777 & !mode));
    let bound = net::bind(&socket, &address);
    rustix::process::umask(before);
    bound.map_err(error)?;
    // Before anybody can connect.
    owner.take(path)?;
    net::listen(&socket, backlog).map_err(error)?;
    Ok(socket)
}
