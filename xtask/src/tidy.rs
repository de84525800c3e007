//! House rules a machine can check: the floors of crates, and how a source file looks.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Longest source file, in lines.
const LONGEST: usize = 450;
/// Crates without IO: what they may not depend on.
const VALUES: &[&str] = &["gk-wire", "gk-config", "gk-telemetry"];
const NOT_IN_VALUES: &[&str] = &["tokio", "libc", "rustix", "hyper", "socket2", "pyo3-ffi"];
/// Crates that run as a process; they meet in gk-wire only.
const PROCESSES: &[&str] = &["gk-supervisor", "gk-front", "gk-worker", "gk-wsgi", "gk-admin"];
const FENCES: &[&str] = &["gk-sys", "gk-python"];
const EDGES: &[&str] = &["gk-load", "gk-compare", "gk-cli", "gk-native"];
/// The sideways arrows that are allowed.
const SIDEWAYS: &[(&str, &str)] = &[("gk-worker", "gk-wsgi")];
/// Crates that may hold unsafe code; the last one for the symbol it exports.
const UNSAFE: &[&str] = &["gk-sys", "gk-python", "gk-native"];
/// Module names that say nothing.
const EMPTY_NAMES: &[&str] = &["util", "utils", "helper", "helpers", "common", "manager", "misc"];

/// Everything that is wrong.
pub fn check(root: &Path) -> Result<Vec<String>, String> {
    let crates = crates(root)?;
    let mut problems = floors(&crates);
    for name in crates.keys() {
        let folder = if name == "xtask" { root.join("xtask") } else { root.join("crates").join(name) };
        for path in sources(&folder) {
            let text = fs::read_to_string(&path).map_err(|why| format!("{}: {why}", path.display()))?;
            let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            problems.extend(file(&shown, &text, name));
        }
    }
    problems.sort();
    Ok(problems)
}

/// The crates of the workspace with their dependencies outside of tests.
fn crates(root: &Path) -> Result<BTreeMap<String, Vec<String>>, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root)
        .output()
        .map_err(|why| format!("cargo metadata does not start: {why}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let metadata: Value =
        serde_json::from_slice(&output.stdout).map_err(|why| format!("cargo metadata: {why}"))?;
    let packages = metadata["packages"].as_array().cloned().unwrap_or_default();
    let name = |value: &Value| value["name"].as_str().unwrap_or("").to_owned();
    let dependencies = |package: &Value| {
        let all = package["dependencies"].as_array().cloned().unwrap_or_default();
        all.iter().filter(|d| d["kind"] != "dev").map(name).collect()
    };
    Ok(packages.iter().map(|package| (name(package), dependencies(package))).collect())
}

/// Arrows that lead up or sideways.
fn floors(crates: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, dependencies) in crates.iter().filter(|(name, _)| *name != "xtask") {
        let name = name.as_str();
        let Some(floor) = floor(name) else {
            problems.push(format!("{name} stands on no floor: add it to xtask/src/tidy.rs"));
            continue;
        };
        for dependency in dependencies.iter().map(String::as_str) {
            if VALUES.contains(&name) && NOT_IN_VALUES.contains(&dependency) {
                problems.push(format!("{name} is values only and may not depend on {dependency}"));
            }
            if (dependency == "pyo3-ffi" && name != "gk-python") || dependency == "pyo3" {
                problems.push(format!("{name} may not depend on {dependency}: CPython is behind gk-python"));
            }
            let Some(below) = self::floor(dependency) else { continue };
            let between = PROCESSES.contains(&name) && PROCESSES.contains(&dependency);
            if below > floor || (between && !SIDEWAYS.contains(&(name, dependency))) {
                problems.push(format!("{name} may not depend on {dependency}"));
            }
        }
    }
    problems
}

fn floor(name: &str) -> Option<usize> {
    [VALUES, FENCES, PROCESSES, EDGES].iter().position(|floor| floor.contains(&name))
}

/// What is wrong with one file.
fn file(shown: &str, text: &str, package: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if !text.starts_with("//!") {
        problems.push(format!("{shown}: opens without a `//!` that says what lives here"));
    }
    let lines = text.lines().count();
    if lines > LONGEST {
        problems.push(format!("{shown}: {lines} lines, more than {LONGEST}: split it by noun"));
    }
    let stem =
        Path::new(shown).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    if EMPTY_NAMES.contains(&stem.as_str()) {
        problems.push(format!("{shown}: `{stem}` says nothing about what lives there"));
    }
    let is_root = shown.ends_with("src/lib.rs") || shown.ends_with("src/main.rs");
    if is_root && !UNSAFE.contains(&package) && !text.contains("#![forbid(unsafe_code)]") {
        problems.push(format!("{shown}: lacks #![forbid(unsafe_code)]"));
    }
    // Split, so that this file does not name them itself. The last ones belong to one machine or to a registry.
    let never = [
        ("todo", "!("),
        ("#[ig", "nore"),
        ("unimplemented", "!("),
        ("/wo", "rk/"),
        ("/ro", "ot/"),
        ("py", "pi.org"),
        ("deb.", "debian.org"),
    ];
    for (one, two) in never {
        if text.contains(&format!("{one}{two}")) {
            problems.push(format!("{shown}: contains {one}{two}"));
        }
    }
    problems
}

/// The Rust files of a crate.
pub fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> =
        ["src", "tests", "examples", "benches"].map(|name| folder.join(name)).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tree_is_tidy() {
        let problems = check(&crate::root()).unwrap();
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    }

    #[test]
    fn wrong_arrows_are_found() {
        let crates = |name: &str, on: &str| BTreeMap::from([(name.to_owned(), vec![on.to_owned()])]);
        assert_eq!(floors(&crates("gk-front", "gk-worker")), ["gk-front may not depend on gk-worker"]);
        assert_eq!(floors(&crates("gk-wire", "gk-sys")), ["gk-wire may not depend on gk-sys"]);
        assert!(floors(&crates("gk-config", "tokio"))[0].contains("values only"));
        assert!(floors(&crates("gk-wsgi", "pyo3-ffi"))[0].contains("behind gk-python"));
        assert!(floors(&crates("gk-worker", "gk-wsgi")).is_empty());
        assert!(floors(&crates("gk-new", "libc"))[0].contains("no floor"));
    }

    #[test]
    fn files_are_judged() {
        let long = "//! x\n".to_owned() + &"\n".repeat(LONGEST);
        assert_eq!(file("crates/gk-cli/src/util.rs", &long, "gk-cli").len(), 2);
        assert_eq!(file("crates/gk-cli/src/lib.rs", "fn x() {}", "gk-cli").len(), 2);
        assert!(file("crates/gk-sys/src/lib.rs", "//! x\n", "gk-sys").is_empty());
    }
}
