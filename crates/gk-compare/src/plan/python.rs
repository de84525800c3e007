//! A Python by the name that a plan gives it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The executable of `name`: from `given` (the command line before the plan), a path relative to the plan's folder, or
/// `pythonNAME` or `NAME` on the search path. The error is one sentence.
pub fn find(
    name: &str,
    given: &BTreeMap<String, String>,
    folder: &Path,
    search: &[PathBuf],
) -> Result<PathBuf, String> {
    let there = |path: PathBuf, what: &str| match path.is_file() {
        true => Ok(path),
        false => Err(format!("python {what}: there is no {}", path.display())),
    };
    if let Some(path) = given.get(name) {
        return there(folder.join(path), name);
    }
    if name.contains('/') {
        return there(folder.join(name), name);
    }
    let candidates = search.iter().flat_map(|dir| [dir.join(format!("python{name}")), dir.join(name)]);
    candidates.into_iter().find(|path| path.is_file()).ok_or_else(|| {
        format!(
            "python {name}: there is no python{name} on the PATH; say where it is with --python {name}=PATH"
        )
    })
}

/// The directories of `PATH`.
pub fn search_path() -> Vec<PathBuf> {
    std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_paths_and_what_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["python3.14t", "mine"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let at = |name: &str| folder.path().join(name);
        let given =
            BTreeMap::from([("x".to_owned(), "mine".to_owned()), ("y".to_owned(), "gone".to_owned())]);
        let find = |name: &str| find(name, &given, folder.path(), &[folder.path().to_owned()]);
        assert_eq!(find("3.14t").unwrap(), at("python3.14t"));
        assert_eq!(find("x").unwrap(), at("mine"));
        assert_eq!(find("./mine").unwrap(), at("./mine"));
        assert!(find("y").unwrap_err().starts_with("python y: there is no "));
        assert!(find("3.99").unwrap_err().ends_with("--python 3.99=PATH"));
    }
}
