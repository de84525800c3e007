//! The machine that a command runs on: its files, the working directory, the environment.

pub mod application;
pub mod server_root;

use crate::Failure;
use gk_config::Surroundings;
use gk_config::source::{Source, names};
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// Files on disk.
pub struct Disk;

impl Source for Disk {
    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        gk_sys::whole_file::read(path).map_err(|e| e.to_string())
    }

    fn read_if_there(&self, path: &Path) -> Result<Option<Vec<u8>>, String> {
        match std::fs::metadata(path) {
            Ok(found) if found.is_file() => self.read(path).map(Some),
            Ok(_) => Err("it is no file".to_owned()),
            // A link that leads nowhere, or to a place without rights.
            Err(error) if path.symlink_metadata().is_ok() => Err(error.to_string()),
            Err(_) => Ok(None),
        }
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn is_file(&self, path: &Path) -> bool {
        path.is_file()
    }

    fn glob(&self, pattern: &Path) -> Result<Vec<PathBuf>, String> {
        let mut found = vec![PathBuf::new()];
        for part in pattern.components() {
            let wild =
                matches!(part, Component::Normal(name) if name.to_string_lossy().contains(['*', '?', '[']));
            found = match wild {
                true => found.iter().flat_map(|dir| entries(dir)).filter(|p| last_matches(part, p)).collect(),
                false => found.into_iter().map(|dir| dir.join(part)).filter(|p| p.exists()).collect(),
            };
        }
        let mut files = Vec::new();
        for path in found {
            collect(path, &mut files);
        }
        files.sort();
        Ok(files)
    }
}

fn last_matches(pattern: Component<'_>, path: &Path) -> bool {
    path.file_name().is_some_and(|name| names(Path::new(&pattern), Path::new(name)))
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn collect(path: PathBuf, files: &mut Vec<PathBuf>) {
    if path.is_dir() {
        entries(&path).into_iter().for_each(|entry| collect(entry, files));
    } else {
        files.push(path);
    }
}

/// The surroundings of a command: working directory and environment.
pub fn here() -> Result<Surroundings, Failure> {
    let directory = std::env::current_dir()
        .map_err(|e| Failure::Input(format!("the working directory cannot be determined: {e}")))?;
    let directory = as_named(directory, std::env::var_os("PWD").as_deref());
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    Ok(Surroundings { directory, environment, ..Surroundings::default() })
}

/// The working directory by the name that the shell has for it (`$PWD`), when that is the same folder: a link in it, such as
/// `current`, leads elsewhere when it has been switched, and a reload goes there.
fn as_named(directory: PathBuf, named: Option<&OsStr>) -> PathBuf {
    let folder = |path: &Path| std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    let plain = |path: &PathBuf| {
        path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
    };
    let named = named.map(PathBuf::from).filter(|path| path.is_absolute() && plain(path));
    named.filter(|path| folder(path).is_some() && folder(path) == folder(&directory)).unwrap_or(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reported: after the link `current` was switched, a reload served the old release. Met with deploys by link.
    #[test]
    fn the_working_directory_has_the_name_that_the_shell_has_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("release"), dir.path().join("current"));
        std::fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let cases = [
            (Some(link.clone()), &link),
            (Some(real.clone()), &real),
            (Some(dir.path().to_owned()), &real),
            (Some(dir.path().join("gone")), &real),
            (Some(dir.path().join("current/../current")), &real),
            (Some("current".into()), &real),
            (None, &real),
        ];
        for (named, wanted) in cases {
            let named = named.map(PathBuf::into_os_string);
            assert_eq!(&as_named(real.clone(), named.as_deref()), wanted, "{named:?}");
        }
    }

    /// Reported: a `gilkeeper.toml` that could not be read was passed over, and the site was served without the passwords that it asks for.
    /// Met with links to a folder of another user, and with links that lead nowhere.
    #[test]
    fn what_is_there_and_cannot_be_read_is_no_absent_file() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("file"), "x").unwrap();
        std::fs::create_dir(at("folder")).unwrap();
        for (link, to) in
            [("good", "file"), ("dangling", "gone"), ("looped", "looped"), ("through", "file/x")]
        {
            std::os::unix::fs::symlink(to, at(link)).unwrap();
        }
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), rustix::fs::Mode::RUSR).unwrap();
        for there in ["file", "good"] {
            assert_eq!(Disk.read_if_there(&at(there)), Ok(Some(b"x".to_vec())), "{there}");
        }
        for absent in ["gone", "gone/x", "file/x"] {
            assert_eq!(Disk.read_if_there(&at(absent)), Ok(None), "{absent}");
        }
        for wrong in ["folder", "dangling", "looped", "through", "pipe"] {
            assert!(Disk.read_if_there(&at(wrong)).is_err(), "{wrong}");
        }
    }

    /// Reported: `serve --log-config` with a pipe did not start, and did not end at SIGTERM either. Met where the file of logging is
    /// made by another program.
    #[test]
    fn a_pipe_is_refused_before_anybody_waits_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        assert_eq!(Disk.read(&pipe), Err("it is a pipe, not a file".to_owned()));
    }

    #[test]
    fn include_patterns_name_files_and_directories() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.conf", "a.conf", "c.txt", "d.d/x.conf"] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let found = |pattern: &str| -> Vec<String> {
            let found = Disk.glob(&dir.path().join(pattern)).unwrap();
            found.iter().map(|p| p.strip_prefix(dir.path()).unwrap().display().to_string()).collect()
        };
        assert_eq!(found("*.conf"), ["a.conf", "b.conf"]);
        assert_eq!(found("d.d"), ["d.d/x.conf"]);
        assert_eq!(found("*.d/*.conf"), ["d.d/x.conf"]);
        assert!(found("none*").is_empty());
    }
}
