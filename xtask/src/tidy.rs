//! House rules a machine can check: the floors of crates, the order of files inside them, and how a source file looks.

use crate::circles::circles;
use crate::modules::{Modules, Use};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Longest source file, in lines.
const LONGEST: usize = 450;
/// Circles that may stay: the crate, and the files among which uses do not count. Each with its reason.
const ALLOWED_CIRCLES: &[(&str, &[&str])] = &[];
/// Most source files in one folder of a crate.
const MOST_FILES: usize = 16;
/// Folders with Python and JavaScript files of ours.
const SCRIPTS: &[&str] = &["apps", "bench", "compat", "crates", "python", "scripts", "tests"];
/// Folders that hold files of others, or built ones.
const NOT_OURS: &[&str] = &["vendor", "node_modules", "target", "__pycache__"];
/// Crates without IO: what they may not depend on.
const VALUES: &[&str] = &["gk-options", "gk-rules", "gk-wire", "gk-messages", "gk-config", "gk-telemetry"];
const NOT_IN_VALUES: &[&str] = &["tokio", "libc", "rustix", "hyper", "socket2", "pyo3-ffi"];
/// Crates that run as a process; they meet in gk-wire only.
const PROCESSES: &[&str] = &["gk-supervisor", "gk-front", "gk-worker", "gk-wsgi", "gk-admin"];
const FENCES: &[&str] = &["gk-sys", "gk-python"];
const EDGES: &[&str] = &["gk-load", "gk-compare", "gk-cli", "gk-native"];
/// The sideways arrows that are allowed.
const SIDEWAYS: &[(&str, &str)] = &[("gk-worker", "gk-wsgi")];
/// Crates that may hold unsafe code; the last one for the symbol it exports.
const UNSAFE: &[&str] = &["gk-sys", "gk-python", "gk-native"];
/// The crate whose tasks threads run in turn (`gk_sys::event_loop`), and its one file with a value of a thread, which is set for each poll.
const RUN_IN_TURN: (&str, &str) = ("gk-front", "log/host_log.rs");
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
        let shown = |path: &Path| path.strip_prefix(root).unwrap_or(path).display().to_string();
        problems.extend(flat_folders(&folder.join("src"), &shown));
        let allowed = ALLOWED_CIRCLES.iter().filter(|(of, _)| of == name).map(|(_, files)| *files);
        problems.extend(files_in_circles(&folder.join("src"), &shown, &allowed.collect::<Vec<_>>())?);
    }
    problems.extend(long_scripts(root));
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
    // What is built beside the server.
    let outside = ["xtask", "gilkeeper-fuzz"];
    for (name, dependencies) in crates.iter().filter(|(name, _)| !outside.contains(&name.as_str())) {
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
        problems.push(format!("{shown}: opens without a `//!` about its contents"));
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
    let (run_in_turn, known) = RUN_IN_TURN;
    if package == run_in_turn && !shown.ends_with(known) && text.contains("thread_local!") {
        problems
            .push(format!("{shown}: a value of a thread; its tasks are run by several, one after the other"));
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

/// Folders of a crate in which nobody finds a file any more.
fn flat_folders(src: &Path, shown: &impl Fn(&Path) -> String) -> Vec<String> {
    let mut files: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for inside in product_files(src, &["rs", "py", "js"]) {
        *files.entry(src.join(inside).parent().unwrap_or(src).to_owned()).or_default() += 1;
    }
    let too_many = files.iter().filter(|(_, count)| **count > MOST_FILES);
    let told = |(folder, count): (&PathBuf, &usize)| {
        format!(
            "{}: {count} source files in one folder, more than {MOST_FILES}: give them rooms",
            shown(folder)
        )
    };
    too_many.map(told).collect()
}

/// Circles of files inside a crate, apart from the allowed ones; and those of them that are no circles any more.
fn files_in_circles(
    src: &Path,
    shown: &impl Fn(&Path) -> String,
    allowed: &[&[&str]],
) -> Result<Vec<String>, String> {
    let mut modules = Modules::default();
    // A binary is a crate of its own.
    for inside in product_files(src, &["rs"]).iter().filter(|inside| !inside.starts_with("bin")) {
        let path = src.join(inside);
        let text = fs::read_to_string(&path).map_err(|why| format!("{}: {why}", path.display()))?;
        modules.add(&inside.display().to_string(), &text);
    }
    // The files of an allowed circle count as one.
    let one_name = |file: &str| {
        let files = allowed.iter().find(|files| files.contains(&file));
        files.map_or(file.to_owned(), |files| files.join("+"))
    };
    let uses = modules.uses();
    let counted =
        uses.iter().map(|one| Use { from: one_name(&one.from), to: one_name(&one.to), ..one.clone() });
    let counted: Vec<Use> = counted.filter(|one| one.from != one.to).collect();
    let step = |one: &Use| format!("{} uses `{}` of {} (line {})", one.from, one.item, one.to, one.line);
    let told = |circle: &Vec<Use>| {
        let steps: Vec<String> = circle.iter().map(step).collect();
        let advice = "move what both need into a file that uses neither (a file may use its own parent)";
        format!("{}: a circle of files: {}: {advice}", shown(src), steps.join(", "))
    };
    let mut problems: Vec<String> = circles(&counted).iter().map(told).collect();
    for files in allowed {
        let is_among = |one: &&Use| [&one.from, &one.to].iter().all(|end| files.contains(&end.as_str()));
        let among: Vec<Use> = uses.iter().filter(is_among).cloned().collect();
        if circles(&among).is_empty() {
            let files = files.join(", ");
            problems
                .push(format!("{}: {files}: no circle any more, strike it in xtask/src/tidy.rs", shown(src)));
        }
    }
    Ok(problems)
}

/// Files below `src`, as paths inside it, without those that only hold unit tests.
fn product_files(src: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let is_test = |inside: &Path| {
        let of_tests = |part: &str| part == "tests" || part == "tests.rs" || part.ends_with("_tests.rs");
        inside.iter().any(|part| of_tests(&part.to_string_lossy()))
    };
    let all = below(vec![src.to_owned()], extensions);
    let inside = all.iter().filter_map(|path| path.strip_prefix(src).ok());
    inside.filter(|inside| !is_test(inside)).map(Path::to_owned).collect()
}

/// Python and JavaScript files that are too long.
fn long_scripts(root: &Path) -> Vec<String> {
    let folders = SCRIPTS.iter().map(|name| root.join(name)).collect();
    let mut problems = Vec::new();
    for path in below(folders, &["py", "js"]) {
        let lines = fs::read_to_string(&path).map_or(0, |text| text.lines().count());
        if lines > LONGEST {
            let shown = path.strip_prefix(root).unwrap_or(&path).display();
            problems.push(format!("{shown}: {lines} lines, more than {LONGEST}: split it by noun"));
        }
    }
    problems
}

/// The Rust files of a crate.
pub fn sources(folder: &Path) -> Vec<PathBuf> {
    below(["src", "tests", "examples", "benches"].map(|name| folder.join(name)).into(), &["rs"])
}

/// Our files below the folders, with one of the extensions.
fn below(mut folders: Vec<PathBuf>, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if path.is_dir() {
                if !name.starts_with('.') && !NOT_OURS.contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|one| extensions.iter().any(|wanted| one == *wanted)) {
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

    /// A folder `src` with these files, each as its path and text.
    fn planted(files: &[(String, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join("src").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn a_planted_circle_is_found() {
        let file = |path: &str, text: &'static str| (path.to_owned(), text);
        let mut files = vec![
            file("lib.rs", "mod a; mod b; mod room;"),
            file("a.rs", "use crate::b::B;"),
            file("b.rs", "fn f() { crate::room::c::g() }"),
            file("room.rs", "pub mod c;"),
            file("room/c.rs", "use super::Room;\n#[cfg(test)] mod tests { use crate::a::A; }"),
            file("a_tests.rs", "use crate::a::A;"),
            file("bin/tool.rs", "use crate::a::A;"),
        ];
        let but = |files: &[(String, &str)], allowed: &[&[&str]]| {
            files_in_circles(&planted(files).path().join("src"), &|_| "crates/x/src".to_owned(), allowed)
                .unwrap()
        };
        let told = |files: &[(String, &str)]| but(files, &[]);
        assert_eq!(told(&files), [""; 0]);
        assert!(but(&files, &[&["a", "b", "room::c"]])[0].contains("a, b, room::c: no circle any more"));
        files[4].1 = "\nuse crate::a::A;";
        let [problem] = &told(&files)[..] else { panic!("one circle") };
        let circle =
            "a uses `B` of b (line 1), b uses `g` of room::c (line 1), room::c uses `A` of a (line 2)";
        assert!(problem.starts_with(&format!("crates/x/src: a circle of files: {circle}: ")), "{problem}");
        assert_eq!(but(&files, &[&["a", "b", "room::c"]]), [""; 0]);
        let [circle, no_circle] = &but(&files, &[&["a", "b"]])[..] else { panic!("two problems") };
        assert!(
            circle.contains("a+b uses `g` of room::c") && no_circle.contains("a, b: no circle"),
            "{circle}"
        );
    }

    #[test]
    fn a_planted_flat_folder_is_found() {
        let mut files: Vec<(String, &str)> =
            (0..MOST_FILES).map(|number| (format!("room/f{number}.rs"), "")).collect();
        files.extend([
            ("room/f1_tests.rs".to_owned(), ""),
            ("room/tests/f2.rs".to_owned(), ""),
            ("lib.rs".to_owned(), ""),
        ]);
        let told = |files: &[(String, &str)]| {
            let folder = planted(files);
            let shown = |path: &Path| path.strip_prefix(folder.path()).unwrap().display().to_string();
            flat_folders(&folder.path().join("src"), &shown)
        };
        assert_eq!(told(&files), [""; 0]);
        files.push(("room/one_more.py".to_owned(), ""));
        assert_eq!(told(&files), ["src/room: 17 source files in one folder, more than 16: give them rooms"]);
    }

    #[test]
    fn a_planted_long_script_is_found() {
        let long = "x = 1\n".repeat(LONGEST + 1);
        let files = ["room/long.py", "room/page.js", "vendor/chart.js", ".venv/lib/long.py"];
        let folder = planted(&files.map(|path| (format!("../apps/{path}"), long.as_str())));
        let wanted = |path: &str| format!("apps/{path}: 451 lines, more than 450: split it by noun");
        assert_eq!(long_scripts(folder.path()), [wanted("room/long.py"), wanted("room/page.js")]);
    }

    #[test]
    fn files_are_judged() {
        let long = "//! x\n".to_owned() + &"\n".repeat(LONGEST);
        assert_eq!(file("crates/gk-cli/src/util.rs", &long, "gk-cli").len(), 2);
        assert_eq!(file("crates/gk-cli/src/lib.rs", "fn x() {}", "gk-cli").len(), 2);
        assert!(file("crates/gk-sys/src/lib.rs", "//! x\n", "gk-sys").is_empty());
        let of_thread = "//! x\nthread_local! {}\n";
        assert_eq!(file("crates/gk-front/src/log/x.rs", of_thread, "gk-front").len(), 1);
        assert!(file("crates/gk-front/src/log/host_log.rs", of_thread, "gk-front").is_empty());
        assert!(file("crates/gk-sys/src/x.rs", of_thread, "gk-sys").is_empty());
    }
}
