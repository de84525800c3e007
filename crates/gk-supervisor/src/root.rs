//! The server root on disk: created, locked against a second server, cleaned up; and in it the folder of a front that runs as
//! another user. `clients.rs` serves the control socket in it.

use crate::StartError;
use crate::links;
use crate::sockets::{SocketOwner, bind_unix};
use gk_sys::child::identity::{Identity, effective_uid};
use gk_wire::admin::{CONTROL_SOCKET, FRONT_FOLDER, LOCK_FILE};
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use std::fs::{self, DirBuilder, File, Metadata, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

/// Of the files that are made.
const MADE: OFlags = OFlags::CREATE.union(OFlags::CLOEXEC);
const MODE: Mode = Mode::from_raw_mode(0o666);
/// Folder that holds the server roots of all servers of a user, where nobody names one.
const ROOTS: &str = "gilkeeper";

/// A server root in use by this server, until dropped.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    pid_file: Option<PathBuf>,
    lock: File,
    /// Control socket and pid file are this server's.
    owned: bool,
}

impl Root {
    /// Creates the directory if necessary and locks it. `shared`: processes of other users must be able to reach files in it.
    pub fn take(path: &Path, pid_file: Option<&Path>, shared: bool) -> Result<Self, StartError> {
        let shown = |what: &str, e: &std::io::Error| {
            StartError(format!("the server root {} {what}: {e}", path.display()))
        };
        if !path.is_dir() {
            let mode = if shared { 0o711 } else { 0o700 };
            let made = DirBuilder::new().recursive(true).mode(mode).create(path);
            made.map_err(|e| shown("cannot be made (choose another with --server-root)", &e))?;
            keep_out_of_repository(path);
        } else if shared {
            let_enter(path).map_err(|e| shown("cannot be opened to other users", &e))?;
        }
        // A server without processes of other users may have made it.
        if shared && let Some(roots) = path.parent().filter(|parent| parent.ends_with(ROOTS)) {
            let_enter(roots).map_err(|e| shown("is in a folder that cannot be opened to other users", &e))?;
        }
        // The real one: a link on the way may be switched while the server runs.
        let given = path;
        let path = &fs::canonicalize(path).map_err(|e| shown("cannot be found", &e))?;
        // It stays when the server ends, because removing a lock file is a race.
        let lock = links::open(&path.join(LOCK_FILE), OFlags::RDWR | MADE, MODE);
        let mut lock = File::from(lock.map_err(|e| shown("cannot be written to", &e))?);
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
        let mut root =
            Self { path: path.clone(), pid_file: within(given, path, pid_file), lock, owned: false };
        root.claim()?;
        Ok(root)
    }

    /// The root of the server that this one is to replace, with its lock. [`Self::claim`] makes it this server's.
    pub fn inherit(path: &Path, pid_file: Option<&Path>, lock: OwnedFd) -> Result<Self, StartError> {
        let lock = File::from(lock);
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let own = lock.metadata().ok().map(|found| (found.dev(), found.ino()));
        let named = fs::metadata(real.join(LOCK_FILE)).ok().map(|found| (found.dev(), found.ino()));
        if own.is_none() || own != named {
            return Err(StartError(format!(
                "the server root of the new server is {}, not that of the old one; an upgrade keeps the server root, so restart the \
                 server to change it",
                path.display()
            )));
        }
        let pid_file = within(path, &real, pid_file);
        Ok(Self { path: real, pid_file, lock, owned: false })
    }

    /// Writes this process's id into lock and pid file.
    pub fn claim(&mut self) -> Result<(), StartError> {
        let lock = &mut self.lock;
        let written = lock.rewind().and_then(|()| lock.set_len(0));
        let written = written.and_then(|()| writeln!(lock, "{}", std::process::id()));
        let path = &self.path;
        written.map_err(|e| {
            StartError(format!("the server root {} cannot be written to: {e}", path.display()))
        })?;
        self.owned = true;
        if let Some(file) = &self.pid_file {
            let opened = links::open(file, OFlags::WRONLY | OFlags::TRUNC | MADE, MODE).map(File::from);
            let written = opened.and_then(|mut file| writeln!(file, "{}", std::process::id()));
            written
                .map_err(|e| StartError(format!("the pid file {} cannot be written: {e}", file.display())))?;
        }
        Ok(())
    }

    /// The lock, for the server that replaces this one.
    pub fn lock(&self) -> BorrowedFd<'_> {
        self.lock.as_fd()
    }

    /// Another server has claimed it. A pid file under a name that only this server has goes.
    pub fn leave(&mut self) {
        self.owned = false;
        let own = format!("{}\n", std::process::id());
        if let Some(file) = self.pid_file.take()
            && fs::read_to_string(&file).is_ok_and(|text| text == own)
        {
            let _ = fs::remove_file(file);
        }
    }

    /// Its real path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The listening control socket.
    pub fn control(&self) -> Result<OwnedFd, StartError> {
        bind_unix(&self.path.join(CONTROL_SOCKET), 64, 0o600, SocketOwner::default())
    }
}

/// Tells git to look at nothing in a new folder of ours, if a repository is around it. Where that fails, `git status` shows it.
fn keep_out_of_repository(folder: &Path) {
    let real = fs::canonicalize(folder).unwrap_or_default();
    if real.ancestors().skip(1).any(|above| above.join(".git").exists()) {
        let _ = fs::write(real.join(".gitignore"), "# Made by gilkeeper.\n*\n");
    }
}

/// The pid file by the real path of the server root, where it is in that.
fn within(given: &Path, real: &Path, pid_file: Option<&Path>) -> Option<PathBuf> {
    pid_file.map(|file| file.strip_prefix(given).map_or(file.to_owned(), |name| real.join(name)))
}

/// Lets every user enter a folder of ours, without seeing what is in it.
fn let_enter(folder: &Path) -> io::Result<()> {
    let found = fs::metadata(folder)?;
    let mode = found.mode() & 0o7777;
    if found.uid() != effective_uid() || mode & 0o011 == 0o011 {
        return Ok(());
    }
    fs::set_permissions(folder, Permissions::from_mode(mode | 0o011))
}

/// The folder for the front's files. A front that runs as another user has one of its own, which nobody else may enter, as
/// the server root belongs to us.
pub fn front_folder(server_root: &Path, user: Option<&Identity>) -> io::Result<PathBuf> {
    let Some(user) = user.filter(|user| user.uid != effective_uid()) else {
        return Ok(server_root.to_owned());
    };
    let folder = server_root.join(FRONT_FOLDER);
    let of_former = |uid: u32| server_root.join(format!("{FRONT_FOLDER}-{uid}"));
    if let Ok(found) = fs::symlink_metadata(&folder) {
        if found.is_dir() && found.uid() == user.uid {
            return Ok(folder);
        }
        // The user was changed. To give the new one the files of the former would follow links that the former made.
        fs::rename(&folder, of_former(found.uid()))?;
    }
    if fs::rename(of_former(user.uid), &folder).is_err() {
        DirBuilder::new().mode(0o700).create(&folder)?;
        lchown(&folder, Some(user.uid), Some(user.gid))?;
    }
    Ok(folder)
}

/// A warning for the user when the front may not reach its folder.
pub fn unreachable(server_root: &Path, user: Option<&Identity>) -> Option<String> {
    let user = user.filter(|user| user.uid != effective_uid())?;
    let real = fs::canonicalize(server_root).ok()?;
    let closed = |folder: &&Path| fs::metadata(folder).is_ok_and(|found| !may_enter(&found, user));
    let closed = real.ancestors().filter(closed).last()?;
    let name = user.name.clone().unwrap_or_else(|| format!("#{}", user.uid));
    Some(format!(
        "user {name} may not enter {}, so the front cannot write below the server root {}: uploads that do not fit into memory are \
         answered 503 and there is no history; put the server root elsewhere with ServerRoot or --server-root",
        closed.display(),
        server_root.display()
    ))
}

fn may_enter(folder: &Metadata, user: &Identity) -> bool {
    let bit = match folder {
        folder if folder.uid() == user.uid => 0o100,
        folder if folder.gid() == user.gid || user.groups.contains(&folder.gid()) => 0o010,
        _ => 0o001,
    };
    folder.mode() & bit != 0
}

impl Drop for Root {
    fn drop(&mut self) {
        if !self.owned {
            return;
        }
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

    #[test]
    fn git_does_not_see_a_server_root_in_a_repository() {
        let dir = tempfile::tempdir().unwrap();
        let (outside, inside) = (dir.path().join("a/root"), dir.path().join("b/site/root"));
        fs::create_dir_all(dir.path().join("b/.git")).unwrap();
        for path in [&outside, &inside] {
            drop(Root::take(path, None, false).unwrap());
        }
        assert!(!outside.join(".gitignore").exists());
        assert_eq!(fs::read_to_string(inside.join(".gitignore")).unwrap(), "# Made by gilkeeper.\n*\n");
        // Nothing is written where the folder was there before.
        fs::remove_file(inside.join(".gitignore")).unwrap();
        drop(Root::take(&inside, None, false).unwrap());
        assert!(!inside.join(".gitignore").exists());
    }

    #[test]
    fn a_server_root_passes_to_another_server_with_its_lock() {
        let dir = tempfile::tempdir().unwrap();
        let (path, old_file, new_file) =
            (dir.path().join("a"), dir.path().join("old"), dir.path().join("new"));
        let mut old = Root::take(&path, Some(&old_file), false).unwrap();
        let control = old.control().unwrap();
        let lock = || old.lock().try_clone_to_owned().unwrap();
        let elsewhere = Root::inherit(&dir.path().join("b"), None, lock()).unwrap_err();
        assert!(elsewhere.0.contains("restart the server to change it"), "{elsewhere}");
        // One that fails leaves everything as it is.
        drop(Root::inherit(&path, Some(&new_file), lock()).unwrap());
        assert!(path.join(CONTROL_SOCKET).exists() && old_file.exists() && !new_file.exists());
        let mut new = Root::inherit(&path, Some(&new_file), lock()).unwrap();
        new.claim().unwrap();
        old.leave();
        drop(old);
        assert!(path.join(CONTROL_SOCKET).exists() && !old_file.exists() && new_file.exists());
        assert!(Root::take(&path, None, false).unwrap_err().0.contains("another server"));
        drop((new, control));
        assert!(!path.join(CONTROL_SOCKET).exists() && !new_file.exists());
    }

    fn user(uid: u32) -> Identity {
        Identity { uid, gid: 77, groups: vec![78], name: Some(format!("u{uid}")), home: None }
    }

    /// Reported: with `User daemon` every upload that did not fit into memory was answered 503, and the history was lost. Met by
    /// servers that root starts.
    #[test]
    fn a_front_of_another_user_has_a_folder_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let ours = effective_uid();
        assert_eq!(front_folder(dir.path(), None).unwrap(), dir.path());
        assert_eq!(front_folder(dir.path(), Some(&user(ours))).unwrap(), dir.path());
        if ours != 0 {
            // Only root can give a folder away.
            assert!(front_folder(dir.path(), Some(&user(4242))).is_err());
            return;
        }
        for uid in [4242, 4243, 4242, 4243] {
            let folder = front_folder(dir.path(), Some(&user(uid))).unwrap();
            assert_eq!(folder, dir.path().join(FRONT_FOLDER));
            let found = fs::symlink_metadata(&folder).unwrap();
            assert_eq!((found.uid(), found.gid(), found.mode() & 0o777), (uid, 77, 0o700));
            // The files of a user are there again when it is.
            fs::write(folder.join(uid.to_string()), "").unwrap();
            assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
            assert_eq!(front_folder(dir.path(), Some(&user(uid))).unwrap(), folder);
        }
    }

    /// Reported: uploads of a server with `--user` were answered 503, and it had no history. Met when another server had run without
    /// `--user` before, both by root and with their server roots in /var/lib/gilkeeper.
    #[test]
    fn the_folder_of_all_server_roots_lets_other_users_pass() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        let roots = dir.path().join(ROOTS);
        let (one, other) = (roots.join("one"), roots.join("other"));
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        drop(Root::take(&one, None, false).unwrap());
        assert_eq!((mode(&roots), mode(&one)), (0o700, 0o700));
        drop(Root::take(&other, None, true).unwrap());
        assert_eq!((mode(&roots), mode(&one), mode(&other)), (0o711, 0o700, 0o711));
        assert_eq!(unreachable(&other, Some(&user(effective_uid() + 1))), None);
        // Folders of other names are somebody else's.
        let theirs = dir.path().join("theirs");
        drop(Root::take(&theirs.join("one"), None, false).unwrap());
        drop(Root::take(&theirs.join("other"), None, true).unwrap());
        assert_eq!(mode(&theirs), 0o700);
    }

    #[test]
    fn a_server_root_that_the_front_cannot_reach_is_told_of() {
        let dir = tempfile::tempdir().unwrap();
        let (closed, root) = (dir.path().join("closed"), dir.path().join("closed/root"));
        drop(Root::take(&root, None, false).unwrap());
        let mode = |path: &Path, mode: u32| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        mode(dir.path(), 0o755);
        mode(&closed, 0o755);
        mode(&root, 0o700);
        let other = user(effective_uid() + 1);
        let told = unreachable(&root, Some(&other)).unwrap();
        assert!(
            told.starts_with(&format!(
                "user {} may not enter {}, so",
                other.name.clone().unwrap(),
                root.display()
            )),
            "{told}"
        );
        // What is ours is opened, and nothing else.
        drop(Root::take(&root, None, true).unwrap());
        assert_eq!(fs::metadata(&root).unwrap().mode() & 0o777, 0o711);
        assert_eq!(unreachable(&root, Some(&other)), None);
        mode(&closed, 0o750);
        assert!(unreachable(&root, Some(&other)).unwrap().contains(&format!("enter {},", closed.display())));
        assert_eq!(
            (unreachable(&root, None), unreachable(&root, Some(&user(effective_uid())))),
            (None, None)
        );
    }
}
