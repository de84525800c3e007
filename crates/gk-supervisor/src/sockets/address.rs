//! The address of a listening socket, as the system has it and as people read it.

use crate::StartError;
use rustix::net::{self, SocketAddrUnix, SocketType, sockopt};
use std::fmt;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// An address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// IPv4 or IPv6.
    Tcp(SocketAddr),
    /// A socket file.
    File(PathBuf),
    /// A name in Linux's space of socket names; empty where a socket has none.
    Abstract(String),
}

impl Address {
    /// The address of a listening stream socket.
    pub fn of(socket: &OwnedFd) -> Result<Self, StartError> {
        let refused = || {
            StartError::new(
                "a given descriptor is not a listening stream socket; its .socket unit needs ListenStream= and Accept=no",
            )
        };
        let listens = sockopt::socket_acceptconn(socket).unwrap_or(false);
        if !listens || sockopt::socket_type(socket) != Ok(SocketType::STREAM) {
            return Err(refused());
        }
        let address = net::getsockname(socket).map_err(|_| refused())?;
        if let Ok(address) = SocketAddr::try_from(address.clone()) {
            return Ok(Self::Tcp(address));
        }
        let unix = SocketAddrUnix::try_from(address).map_err(|_| refused())?;
        Ok(match unix.path_bytes() {
            Some(path) => Self::File(Path::new(std::ffi::OsStr::from_bytes(path)).to_owned()),
            None => {
                Self::Abstract(String::from_utf8_lossy(unix.abstract_name().unwrap_or_default()).into_owned())
            }
        })
    }

    /// From the text of [`fmt::Display`].
    pub fn parse(text: &str) -> Self {
        match (text.parse(), text.trim_start_matches("unix:")) {
            (Ok(address), _) => Self::Tcp(address),
            (Err(_), path) => match path.strip_prefix('@') {
                Some(name) => Self::Abstract(name.to_owned()),
                None => Self::File(path.into()),
            },
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::File(path) => write!(f, "unix:{}", path.display()),
            Self::Abstract(name) => write!(f, "unix:@{name}"),
        }
    }
}
