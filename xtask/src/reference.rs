//! Writes `docs/reference/` from the tables of gk-config, or says which pages are stale.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const FOLDER: &str = "docs/reference";

/// Writes every page.
pub fn write(root: &Path) -> Result<(), String> {
    for (name, text) in gk_config::reference::pages() {
        let path = root.join(FOLDER).join(name);
        let folder = path.parent().expect("a page lies in a folder");
        fs::create_dir_all(folder).map_err(|why| format!("{}: {why}", folder.display()))?;
        fs::write(&path, text).map_err(|why| format!("{}: {why}", path.display()))?;
    }
    Ok(())
}

/// Pages that differ from the tables, are missing, or belong to no table.
pub fn stale(root: &Path) -> Result<Vec<String>, String> {
    let folder = root.join(FOLDER);
    let mut problems = Vec::new();
    let mut known = BTreeSet::new();
    for (name, text) in gk_config::reference::pages() {
        let path = folder.join(&name);
        let stands = fs::read_to_string(&path).unwrap_or_default();
        if stands != text {
            problems.push(format!("{FOLDER}/{name} is stale: run `cargo xtask reference`"));
        }
        known.insert(path);
    }
    for path in pages_in(&folder.join("directives")) {
        if !known.contains(&path) {
            problems.push(format!("{} is no page of the reference: delete it", path.display()));
        }
    }
    Ok(problems)
}

fn pages_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "md")).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn reference_is_fresh() {
        let problems = super::stale(&crate::root()).unwrap();
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    }

    /// Each heading of the differences names a test that exists.
    #[test]
    fn differences_are_held_by_tests() {
        let root = crate::root();
        let page = std::fs::read_to_string(root.join("docs/mod_wsgi-differences-configuration.md")).unwrap();
        let mut code = String::new();
        for path in ["crates/gk-config", "crates/gk-rules"]
            .map(|path| crate::tidy::sources(&root.join(path)))
            .concat()
        {
            code.push_str(&std::fs::read_to_string(path).unwrap());
        }
        let sections: Vec<&str> = page.split("\n## ").skip(1).collect();
        assert!(!sections.is_empty());
        for section in sections {
            let heading = section.lines().next().unwrap_or("");
            let test = section.split_once("\n- Test: `").and_then(|(_, rest)| rest.split_once('`'));
            let (test, _) = test.unwrap_or_else(|| panic!("{heading}: names no test"));
            assert!(code.contains(&format!("fn {test}()")), "{heading}: there is no test {test}");
        }
    }
}
