//! Password and group files as they are at the request: read again whenever the file has changed, else kept.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Bytes of the largest file that is read.
const LARGEST: u64 = 32 << 20;

/// Most files that are kept; a configuration names a few.
const MOST: usize = 256;

/// What a file looked like when it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Version {
    fn of(meta: &std::fs::Metadata) -> Self {
        Self {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

/// Contents of a kind of file.
pub trait Contents {
    /// Reads the lines, without comments and empty ones.
    fn of<'l>(lines: impl Iterator<Item = &'l str>) -> Self;
}

/// Files of one kind.
pub struct Kept<T>(RefCell<HashMap<PathBuf, (Version, Rc<T>)>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<T: Contents> Kept<T> {
    /// The present contents of a file.
    pub fn load(&self, path: &Path) -> io::Result<Rc<T>> {
        let meta = std::fs::metadata(path)?;
        // To open a pipe could wait for ever.
        if !meta.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
        }
        let version = Version::of(&meta);
        if let Some((known, contents)) = self.0.borrow().get(path)
            && *known == version
        {
            return Ok(Rc::clone(contents));
        }
        let file = File::open(path)?;
        let meta = file.metadata()?;
        if !meta.is_file() || meta.size() > LARGEST {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file, or larger than 32 MiB"));
        }
        let mut text = Vec::new();
        file.take(LARGEST).read_to_end(&mut text)?;
        let text = String::from_utf8_lossy(&text);
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let contents = Rc::new(T::of(lines));
        let mut kept = self.0.borrow_mut();
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(path.to_owned(), (Version::of(&meta), Rc::clone(&contents)));
        Ok(contents)
    }
}

/// The lines of `AuthUserFile`, by user: what stands after the name. For Digest that is realm and hash.
#[derive(Debug, Default)]
pub struct Users(HashMap<String, Vec<String>>);

impl Contents for Users {
    fn of<'l>(lines: impl Iterator<Item = &'l str>) -> Self {
        let mut users = HashMap::<String, Vec<String>>::new();
        for (user, rest) in lines.filter_map(|line| line.split_once(':')) {
            users.entry(user.to_owned()).or_default().push(rest.to_owned());
        }
        Self(users)
    }
}

impl Users {
    /// The stored form of a user's password: that of the first line.
    pub fn password(&self, user: &str) -> Option<&str> {
        let rest = self.0.get(user)?.first()?;
        Some(rest.split_once(':').map_or(rest.as_str(), |(password, _)| password))
    }

    /// The hash of a user in a realm.
    pub fn realm_hash(&self, user: &str, realm: &str) -> Option<&str> {
        self.0
            .get(user)?
            .iter()
            .find_map(|rest| rest.split_once(':').filter(|(of, _)| *of == realm))
            .map(|(_, hash)| hash)
    }
}

/// The lines of `AuthGroupFile`: the groups of each user.
#[derive(Debug, Default)]
pub struct Groups(HashMap<String, Vec<String>>);

impl Contents for Groups {
    fn of<'l>(lines: impl Iterator<Item = &'l str>) -> Self {
        let mut groups = HashMap::<String, Vec<String>>::new();
        for (group, users) in lines.filter_map(|line| line.split_once(':')) {
            for user in users.split_whitespace().map(|user| user.trim_matches('"')) {
                groups.entry(user.to_owned()).or_default().push(group.to_owned());
            }
        }
        Self(groups)
    }
}

impl Groups {
    /// The groups that name a user.
    pub fn of_user(&self, user: &str) -> Vec<String> {
        self.0.get(user).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        let kept = Kept::<Users>::default();
        assert!(kept.load(&path).is_err());
        std::fs::write(&path, "# who\n\nbob:one:more\nbob:two\r\n al:x:realm:hash\nnobody\nal:realm:abc\n")
            .unwrap();
        let users = kept.load(&path).unwrap();
        assert_eq!((users.password("bob"), users.password("al")), (Some("one"), Some("x")));
        assert_eq!((users.password("nobody"), users.password("#")), (None, None));
        assert_eq!((users.realm_hash("al", "realm"), users.realm_hash("al", "other")), (Some("abc"), None));
        assert!(Rc::ptr_eq(&users, &kept.load(&path).unwrap()));
        std::fs::write(folder.path().join("new"), "bob:three\n").unwrap();
        std::fs::rename(folder.path().join("new"), &path).unwrap();
        assert_eq!(kept.load(&path).unwrap().password("bob"), Some("three"));
        std::fs::remove_file(&path).unwrap();
        assert!(kept.load(&path).is_err(), "what was read before does not count");
        assert!(kept.load(folder.path()).is_err());
    }

    #[test]
    fn groups_of_users() {
        let groups = Groups::of(["ops: bob al", "staff:bob \"a-b\"", "none:"].into_iter());
        assert_eq!(groups.of_user("bob"), ["ops", "staff"]);
        assert_eq!((groups.of_user("a-b"), groups.of_user("x")), (vec!["staff".to_owned()], vec![]));
    }
}
