//! `script-user=` and `script-group=`: a process group runs only scripts that nobody but their owner can have written. The file
//! and its directory are checked at each request of such a group.

use gk_config::site::ProcessGroup;
use gk_sys::child::identity;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const GROUP_WRITES: u32 = 0o020;
const EVERYONE_WRITES: u32 = 0o002;

/// Required owner of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequiredOwner {
    name: String,
    /// `None`: the name does not exist, so no script passes.
    id: Option<u32>,
    is_user: bool,
}

/// Owner and mode of a file or directory.
#[derive(Debug, Clone, Copy)]
struct Ownership {
    id: u32,
    mode: u32,
}

/// The line for the error log: its code and text.
pub type Objection = (&'static str, String);

impl RequiredOwner {
    /// The owner that a process group requires, if any.
    pub fn of(group: &ProcessGroup) -> Option<Self> {
        if let Some(name) = &group.script_user {
            let id = identity::user(name).map(|user| user.uid);
            return Some(Self { name: name.clone(), id, is_user: true });
        }
        let name = group.script_group.as_ref()?;
        Some(Self { name: name.clone(), id: identity::group(name), is_user: false })
    }

    /// Why this script may not run, if so. A missing file is left to the worker that loads it.
    pub fn objection(&self, script: &Path) -> Option<Objection> {
        let file = self.look(script)?;
        let parent = script.parent().and_then(|parent| self.look(parent));
        let (code, why) = self.judge(file, parent)?;
        let option = if self.is_user { "script-user" } else { "script-group" };
        Some((code, format!("{} is not run: {why} ({option}={})", script.display(), self.name)))
    }

    fn look(&self, path: &Path) -> Option<Ownership> {
        let found = std::fs::metadata(path).ok()?;
        Some(Ownership { id: if self.is_user { found.uid() } else { found.gid() }, mode: found.mode() })
    }

    fn judge(&self, file: Ownership, parent: Option<Ownership>) -> Option<(&'static str, &'static str)> {
        let other = |found: Ownership| Some(found.id) != self.id;
        let writes = |found: Ownership, who: u32| found.mode & who != 0;
        if self.is_user {
            Some(match parent {
                _ if other(file) => ("WSGI0164", "it belongs to another user"),
                _ if writes(file, GROUP_WRITES) => ("WSGI0166", "its group may write it"),
                _ if writes(file, EVERYONE_WRITES) => ("WSGI0168", "everyone may write it"),
                None => ("WSGI0169", "its directory cannot be looked at"),
                Some(dir) if other(dir) => ("WSGI0171", "its directory belongs to another user"),
                Some(dir) if writes(dir, EVERYONE_WRITES) => {
                    ("WSGI0172", "everyone may write in its directory")
                }
                Some(dir) if writes(dir, GROUP_WRITES) => {
                    ("WSGI0173", "its directory's group may write there")
                }
                Some(_) => return None,
            })
        } else {
            Some(match parent {
                _ if other(file) => ("WSGI0155", "it belongs to another group"),
                _ if writes(file, EVERYONE_WRITES) => ("WSGI0157", "everyone may write it"),
                None => ("WSGI0158", "its directory cannot be looked at"),
                Some(dir) if other(dir) => ("WSGI0160", "its directory belongs to another group"),
                Some(dir) if writes(dir, EVERYONE_WRITES) => {
                    ("WSGI0161", "everyone may write in its directory")
                }
                Some(_) => return None,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scripts_that_nobody_but_the_owner_can_have_written_pass() {
        let seen = |id, mode| Ownership { id, mode };
        let judge = |is_user, file, parent| {
            let owner = RequiredOwner { name: "x".to_owned(), id: Some(7), is_user };
            owner.judge(file, parent).map(|(code, _)| code)
        };
        let (file, dir) = (seen(7, 0o100644), Some(seen(7, 0o40755)));
        assert_eq!(judge(true, file, dir), None);
        assert_eq!(judge(true, seen(8, 0o100644), dir), Some("WSGI0164"));
        assert_eq!(judge(true, seen(7, 0o100664), dir), Some("WSGI0166"));
        assert_eq!(judge(true, seen(7, 0o100646), dir), Some("WSGI0168"));
        assert_eq!(judge(true, file, None), Some("WSGI0169"));
        assert_eq!(judge(true, file, Some(seen(8, 0o40755))), Some("WSGI0171"));
        assert_eq!(judge(true, file, Some(seen(7, 0o40757))), Some("WSGI0172"));
        assert_eq!(judge(true, file, Some(seen(7, 0o40775))), Some("WSGI0173"));
        assert_eq!(judge(false, seen(7, 0o100664), Some(seen(7, 0o40775))), None);
        assert_eq!(judge(false, seen(8, 0o100644), dir), Some("WSGI0155"));
        assert_eq!(judge(false, seen(7, 0o100646), dir), Some("WSGI0157"));
        assert_eq!(judge(false, file, Some(seen(8, 0o40755))), Some("WSGI0160"));
        assert_eq!(judge(false, file, Some(seen(7, 0o40757))), Some("WSGI0161"));
        let nobody = RequiredOwner { name: "x".to_owned(), id: None, is_user: true };
        assert_eq!(nobody.judge(file, dir).map(|(code, _)| code), Some("WSGI0164"));
    }
}
