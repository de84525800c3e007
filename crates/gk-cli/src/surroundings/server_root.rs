//! The folder of a server's state where nobody names one: outside of the project, and another one for each project.

use super::{Disk, here};
use crate::{Failure, say};
use clap::ArgMatches;
use gk_config::express::ServeOptions;
use gk_config::express::layers::{Sources, gather};
use gk_sys::child::identity;
use gk_wire::admin::CONTROL_SOCKET;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Folder in the project that was the default. Where it is, it is used.
const FORMER: &str = "gilkeeper-root";
/// Parent for a server that root starts: `/root` is closed to the users that its processes may run as.
const OF_ROOT: &str = "/var/lib";

/// The default for a server that is started in this folder.
pub fn default(directory: &Path, environment: &BTreeMap<String, String>) -> PathBuf {
    let former = directory.join(FORMER);
    if former.is_dir() {
        return former;
    }
    let variable = |name: &str| environment.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let is_root = identity::effective_uid() == 0;
    let of_root = || is_root.then(|| PathBuf::from(OF_ROOT));
    let of_home = || {
        let account = || identity::user_by_id(identity::effective_uid()).map(|user| user.home);
        variable("HOME").or_else(account).map(|home| home.join(".local/state"))
    };
    let parent = variable("XDG_STATE_HOME").or_else(of_root).or_else(of_home);
    parent.unwrap_or_else(|| OF_ROOT.into()).join("gilkeeper").join(name(directory))
}

/// The folder's own name, and a number of its whole path: two projects may have one name.
fn name(directory: &Path) -> String {
    let own = directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let own: String = own
        .chars()
        .map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' })
        .take(24)
        .collect();
    // FNV-1a: the same in every version.
    let bytes = directory.as_os_str().as_encoded_bytes().iter();
    let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    format!("{own}-{hash:08x}")
}

/// The server root of the running server that a command is about.
pub fn of_running(given: &ArgMatches) -> Result<PathBuf, Failure> {
    let mut surroundings = here()?;
    let mut options = ServeOptions::new("");
    if let Some(named) = given.get_one::<PathBuf>("server-root") {
        return Ok(named.clone());
    }
    let gathered = gather(&mut options, &Disk, &mut surroundings, Sources::All);
    let named = gathered.map(|_| options.one("server-root").map(PathBuf::from));
    let default = default(&surroundings.directory, &surroundings.environment);
    let (root, remark) = chosen(named, default).map_err(Failure::Input)?;
    remark.iter().for_each(|remark| say(&format!("gilkeeper: {remark}")));
    Ok(root)
}

/// The server root that the options name, or the default. A file of options with a fault keeps nobody from stopping the server that runs with
/// the default one; the fault is a remark then.
fn chosen(
    named: Result<Option<PathBuf>, String>,
    default: PathBuf,
) -> Result<(PathBuf, Option<String>), String> {
    match named {
        Ok(named) => Ok((named.unwrap_or(default), None)),
        Err(why) if default.join(CONTROL_SOCKET).exists() => Ok((default, Some(why))),
        Err(why) => Err(format!("{why}; --server-root names a running server all the same")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reported: with a fault in `gilkeeper.toml`, or any in `pyproject.toml`, `gilkeeper stop` did not stop the server of the folder. Met
    /// in the middle of an edit, and with the marks of a merge.
    #[test]
    fn a_file_with_a_fault_keeps_nobody_from_a_running_server() {
        let root = tempfile::tempdir().unwrap();
        let (default, broken) = (root.path().to_owned(), || Err("x is no TOML".to_owned()));
        let refused = chosen(broken(), default.clone()).unwrap_err();
        assert_eq!(refused, "x is no TOML; --server-root names a running server all the same");
        std::fs::write(default.join(CONTROL_SOCKET), "").unwrap();
        assert_eq!(chosen(broken(), default.clone()), Ok((default.clone(), Some("x is no TOML".to_owned()))));
        assert_eq!(chosen(Ok(Some("other".into())), default.clone()), Ok(("other".into(), None)));
        assert_eq!(chosen(Ok(None), default.clone()), Ok((default, None)));
    }

    #[test]
    fn each_project_has_a_folder_of_its_own_outside_of_it() {
        let environment = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let of = |directory: &str| default(Path::new(directory), &environment("XDG_STATE_HOME", "/state"));
        let (one, other) = (of("/home/a/site"), of("/home/b/site"));
        assert_ne!(one, other);
        assert_eq!(one, of("/home/a/site"));
        assert!(one.to_str().unwrap().starts_with("/state/gilkeeper/site-"), "{one:?}");
        assert!(of("/srv/a b\u{1b}").to_str().unwrap().starts_with("/state/gilkeeper/a-b--"));
        assert!(of("/").to_str().unwrap().starts_with("/state/gilkeeper/-"));
        let at_home = default(Path::new("/srv/x"), &environment("HOME", "/home/a"));
        let root = identity::effective_uid() == 0;
        assert!(at_home.starts_with(if root {
            "/var/lib/gilkeeper"
        } else {
            "/home/a/.local/state/gilkeeper"
        }));
        // One that is there from former versions is used.
        let project = tempfile::tempdir().unwrap();
        let former = project.path().join(FORMER);
        std::fs::create_dir(&former).unwrap();
        assert_eq!(default(project.path(), &BTreeMap::new()), former);
    }
}
