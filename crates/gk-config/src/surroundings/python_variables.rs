//! Variables of the environment with which CPython ends at its start: every worker would end like that, with CPython's words only.
//!
//! One row for each variable whose value CPython 3.11 to 3.15 refuses. Two are left out, because only that Python can tell:
//! `PYTHONIOENCODING` (which codecs it has) and `PYTHONPLATLIBDIR` (where its library lies). `PYTHON_GIL` reaches a worker only on a
//! free-threaded build, and one without a GIL only where it is 0.

use super::PythonBuild;
use crate::source::Source;
use std::path::Path;

/// A variable that CPython reads strictly. An empty value is none.
struct Variable {
    name: &'static str,
    /// The first CPython 3 that reads it.
    since: u32,
    /// Only free-threaded builds read it.
    free_threaded: bool,
    accepts: fn(&str, PythonBuild) -> bool,
    /// Words for the values that it takes.
    takes: fn(PythonBuild) -> &'static str,
    /// Another way to the same, for a hint.
    instead: Option<&'static str>,
}

const BIT: &str = "0 or 1";
const VARIABLES: &[Variable] = &[
    row("PYTHONUTF8", 11, |text, _| matches!(text, "0" | "1"), |_| BIT)
        .instead("utf8-mode= of the process group"),
    row("PYTHONHASHSEED", 11, hash_seed, |_| "random or a whole number from 0 to 4294967295")
        .instead("WSGIPythonHashSeed"),
    row("PYTHONMALLOC", 11, allocator, allocators),
    row(
        "PYTHONINTMAXSTRDIGITS",
        11,
        |text, _| number(text).is_some_and(|n| n == 0 || (640..=INT_MAX).contains(&n)),
        |_| "0, for no limit, or a whole number from 640 on",
    ),
    row(
        "PYTHONTRACEMALLOC",
        11,
        |text, _| number(text).is_some_and(|n| (0..=65_535).contains(&n)),
        |_| "a whole number of frames from 0 to 65535",
    ),
    row(
        "PYTHON_CPU_COUNT",
        13,
        |text, _| text == "default" || number(text).is_some_and(|n| (1..=INT_MAX).contains(&n)),
        |_| "default or a whole number from 1 on",
    ),
    row("PYTHON_FROZEN_MODULES", 13, |text, _| matches!(text, "on" | "off"), |_| "on or off"),
    row("PYTHON_GIL", 13, |text, _| matches!(text, "0" | "1"), |_| BIT)
        .instead("WSGIFreeThreading")
        .free_threaded(),
    // What is no number means 1.
    row(
        "PYTHONPROFILEIMPORTTIME",
        14,
        |text, _| number(text).is_none_or(|n| (0..=2).contains(&n) || i32::try_from(n).is_err()),
        |_| "0, 1 or 2 where it is a number",
    ),
    row("PYTHON_CONTEXT_AWARE_WARNINGS", 14, bit, |_| BIT),
    row("PYTHON_THREAD_INHERIT_CONTEXT", 14, bit, |_| BIT),
    row("PYTHON_TLBC", 14, bit, |_| BIT).free_threaded(),
    row("PYTHON_LAZY_IMPORTS", 15, |text, _| matches!(text, "all" | "normal"), |_| "all or normal")
        .instead("lazy-imports=eager, the default, which needs no variable"),
    row("PYTHON_PATHCONFIG_WARNINGS", 15, bit, |_| BIT),
];

/// The variable that names the folder of the standard library.
const HOME: &str = "PYTHONHOME";
/// The variable that names the library's folder within it.
const PLATLIBDIR: &str = "PYTHONPLATLIBDIR";
/// The greatest `int` of C.
const INT_MAX: i64 = i32::MAX as i64;

const fn row(
    name: &'static str,
    since: u32,
    accepts: fn(&str, PythonBuild) -> bool,
    takes: fn(PythonBuild) -> &'static str,
) -> Variable {
    Variable { name, since, free_threaded: false, accepts, takes, instead: None }
}

impl Variable {
    const fn instead(self, other: &'static str) -> Self {
        Self { instead: Some(other), ..self }
    }

    const fn free_threaded(self) -> Self {
        Self { free_threaded: true, ..self }
    }
}

/// A value that CPython refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The variable.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// Why: a part of a sentence behind a colon.
    pub why: String,
    /// Another way to the same, for a hint.
    pub instead: Option<&'static str>,
}

impl Refused {
    /// The beginning of the sentence: variable, place and value. `place`: a file, if the value is not from the environment.
    pub fn subject(&self, place: Option<&str>) -> String {
        let place = place.unwrap_or("the environment");
        format!("{} in {place} is `{}`", self.name, self.value)
    }

    /// What to do.
    pub fn hint(&self) -> String {
        match self.instead {
            Some(other) => format!("change it or take it out; there is also {other}"),
            None => "change it or take it out".to_owned(),
        }
    }
}

/// The values with which this CPython does not start. `value`: of a variable by its name, where it reaches the process. `source`: where
/// the folders are looked for that a variable names.
pub fn refused<'a>(
    build: PythonBuild,
    value: impl Fn(&str) -> Option<&'a str>,
    source: &dyn Source,
) -> Vec<Refused> {
    let set = |name: &str| value(name).filter(|value| !value.is_empty());
    let strict = VARIABLES.iter().filter_map(|row| {
        let value = set(row.name)?;
        let reads = build.minor >= row.since && (build.free_threaded || !row.free_threaded);
        (reads && !(row.accepts)(value, build)).then(|| Refused {
            name: row.name,
            value: value.to_owned(),
            why: format!("it takes {}", (row.takes)(build)),
            instead: row.instead,
        })
    });
    // A folder of another name may hold the library then.
    let home = set(HOME).filter(|_| set(PLATLIBDIR).is_none()).and_then(|value| {
        let why = no_library(build, value.split(':').next().unwrap_or_default(), source)?;
        let instead = Some("python-home= of the process group");
        Some(Refused { name: HOME, value: value.to_owned(), why, instead })
    });
    strict.chain(home).collect()
}

/// Why a folder holds no standard library of this build.
fn no_library(build: PythonBuild, prefix: &str, source: &dyn Source) -> Option<String> {
    let prefix = Path::new(prefix);
    // A relative one starts in each process's own working directory.
    if prefix.is_relative() {
        return None;
    }
    let zip = format!("python{}.zip", build.to_string().replace('.', ""));
    let folder = format!("python{build}");
    let is_there = |lib: &str| {
        source.exists(&prefix.join(lib).join(&zip))
            || source.exists(&prefix.join(lib).join(&folder).join("os.py"))
    };
    (!["lib", "lib64"].into_iter().any(is_there))
        .then(|| format!("the standard library of CPython {build} is not in lib/{folder} there"))
}

/// A number as C's `strtol` reads it: blanks and a sign may stand before it, nothing behind it.
fn number(text: &str) -> Option<i64> {
    text.trim_ascii_start().parse().ok()
}

fn bit(text: &str, _: PythonBuild) -> bool {
    number(text).is_some_and(|n| n == 0 || n == 1)
}

fn hash_seed(text: &str, _: PythonBuild) -> bool {
    text == "random" || number(text).is_some_and(|n| u32::try_from(n).is_ok())
}

fn allocator(text: &str, build: PythonBuild) -> bool {
    match text.strip_suffix("_debug").unwrap_or(text) {
        "default" | "debug" => !text.ends_with("_debug"),
        "mimalloc" => build.minor >= 13,
        "malloc" | "pymalloc" => !build.free_threaded,
        _ => false,
    }
}

fn allocators(build: PythonBuild) -> &'static str {
    match (build.free_threaded, build.minor >= 13) {
        (true, _) => "default, debug, mimalloc or mimalloc_debug on a free-threaded build",
        (false, true) => {
            "default, debug, malloc, malloc_debug, pymalloc, pymalloc_debug, mimalloc or mimalloc_debug"
        }
        (false, false) => "default, debug, malloc, malloc_debug, pymalloc or pymalloc_debug",
    }
}
