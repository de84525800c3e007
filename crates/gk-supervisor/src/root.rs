//! The server root on disk: created, locked against a second server, cleaned up. `clients.rs` serves the control socket in it.

use crate::StartError;
use crate::sockets::bind_unix;
use gk_wire::admin::{CONTROL_SOCKET, LOCK_FILE};
use rustix::fs::{FlockOperation, flock};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A server root in use by this server, until dropped.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    pid_file: Option<PathBuf>,
    _lock: File,
}

impl Root {
    /// Creates the directory if necessary and locks it. `shared`: processes of other users must be able to reach files in it.
    pub fn take(path: &Path, pid_file: Option<&Path>, shared: bool) -> Result<Self, StartError> {
        let shown = |what: &str, e: &std::io::Error| {
            StartError(format!("the server root {}: {what}: {e}", path.display()))
        };
        if !path.is_dir() {
            let mode = if shared { 0o711 } else { 0o700 };
            let made = DirBuilder::new().recursive(true).mode(mode).create(path);
            made.map_err(|e| shown("cannot be made; choose another with --server-root", &e))?;
        }
        // It stays when the server ends, because removing a lock file is a race.
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut lock = options.open(path.join(LOCK_FILE)).map_err(|e| shown("cannot be written to", &e))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut pid = String::new();
            let _ = lock.read_to_string(&mut pid);
            let pid = pid.trim();
            let pid = if pid.is_empty() { String::new() } else { format!(" (pid {pid})") };
            return Err(StartError(format!(
                "another server{pid} uses the server root {}; stop it or choose another with --server-root",
                path.display()
            )));
        }
        let written = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
        written.map_err(|e| shown("cannot be written to", &e))?;
        let pid_file = pid_file.map(Path::to_owned);
        if let Some(file) = &pid_file {
            let written = std::fs::write(file, format!("{}\n", std::process::id()));
            written
                .map_err(|e| StartError(format!("the pid file {} cannot be written: {e}", file.display())))?;
        }
        Ok(Self { path: path.to_owned(), pid_file, _lock: lock })
    }

    /// The listening control socket.
    pub fn control(&self) -> Result<OwnedFd, StartError> {
        bind_unix(&self.path.join(CONTROL_SOCKET), 64, 0o600)
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.path.join(CONTROL_SOCKET));
        if let Some(file) = &self.pid_file {
            let _ = std::fs::remove_file(file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_servers_never_share_a_server_root() {
        let dir = tempfile::tempdir().unwrap();
        let (path, pid_file) = (dir.path().join("a/b"), dir.path().join("pid"));
        let root = Root::take(&path, Some(&pid_file), false).unwrap();
        let control = root.control().unwrap();
        let refused = Root::take(&path, None, false).unwrap_err();
        assert!(
            refused.0.contains(&format!("another server (pid {}) uses", std::process::id())),
            "{refused}"
        );
        assert_eq!(std::fs::read_to_string(&pid_file).unwrap(), format!("{}\n", std::process::id()));
        drop((root, control));
        assert!(!path.join(CONTROL_SOCKET).exists() && !pid_file.exists());
        Root::take(&path, None, false).unwrap();
    }
}
