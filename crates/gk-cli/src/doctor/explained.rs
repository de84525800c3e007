//! `gilkeeper doctor --explain PACKAGE`: what was tried of a package, out of the reference page. `scripts/packages-by-mode` writes that.

use super::text::table;
use serde_json::{Value, json};
use std::cmp::Ordering;

/// The page with a table for each CPython.
const PAGE: &str = include_str!("../../../../docs/reference/packages.md");

/// Head of the page's table of modules that do not have their package's name.
const MODULES: &str = "| module | package |";

/// The columns in front of those of the kinds of interpreter.
const NAMES: usize = 2;

/// A table of the page.
struct Tried<'a> {
    /// `CPython 3.14.7, free-threaded build`.
    cpython: &'a str,
    /// Its sentence with the date.
    when: &'a str,
    /// Names of the columns.
    head: Vec<&'a str>,
    /// Its lines.
    rows: Vec<Vec<&'a str>>,
}

/// Names in the doctor's own table of extension modules that are neither a package nor a module of the page, and the package.
const PARTS: &[(&str, &str)] = &[
    ("_argon2_cffi_bindings", "argon2-cffi"),
    ("argon2-cffi-bindings", "argon2-cffi"),
    ("_brotli", "brotli"),
    ("_cffi_backend", "cffi"),
    ("_polars_runtime_32", "polars"),
    ("polars-runtime-32", "polars"),
    ("_ruamel_yaml", "ruamel.yaml"),
    ("_yaml", "PyYAML"),
    ("psycopg_binary", "psycopg[binary]"),
];

/// What was tried of a package.
pub struct Explained<'a> {
    /// As the page names it.
    package: &'a str,
    /// The module that was asked for.
    module: Option<&'a str>,
    /// The requirement as it was given, and the versions tried that it excludes.
    excluded: Option<(&'a str, Vec<&'a str>)>,
    when: &'a str,
    /// Names of the kinds of interpreter.
    columns: Vec<&'a str>,
    /// CPython, version, and a word for each column.
    rows: Vec<(&'a str, &'a str, Vec<&'a str>)>,
}

/// The rows of a package, which may be named by a module of it; the error names it and others that its name is a part of.
pub fn explained(given: &str) -> Result<Explained<'_>, String> {
    let tables = tables(PAGE);
    // Behind a name, requirements have versions and conditions.
    let requirement = given.split(';').next().unwrap_or_default().trim();
    let end = requirement.find(['<', '>', '=', '!', '~', ' ']).unwrap_or(requirement.len());
    let (name, versions) = (&requirement[..end], requirement[end..].trim());
    if name.is_empty() {
        return Err(format!("--explain takes the name of a package, such as lxml, not `{given}`"));
    }
    if !versions.is_empty() && !versions.starts_with(['<', '>', '=', '!', '~']) {
        return Err(format!("--explain takes the name of one package, such as {name}, not `{given}`"));
    }
    let is_package = |name: &str| {
        let wanted = plain(name);
        tables.iter().flat_map(|tried| &tried.rows).any(|row| is(row[0], &wanted))
    };
    let of_module = if is_package(name) { None } else { package_of(name, is_package) };
    let wanted = plain(of_module.as_deref().unwrap_or(name));
    let mut columns: Vec<&str> = Vec::new();
    for name in tables.iter().flat_map(|tried| tried.head.iter().skip(NAMES)) {
        if !columns.contains(name) {
            columns.push(name);
        }
    }
    let mut rows = Vec::new();
    let mut shown = None;
    for tried in &tables {
        for row in tried.rows.iter().filter(|row| is(row[0], &wanted)) {
            let of = |name: &str| tried.head.iter().position(|one| *one == name).and_then(|at| row.get(at));
            let words = columns.iter().map(|name| of(name).copied().unwrap_or("-")).collect();
            rows.push((tried.cpython, row[1], words));
            shown = Some((row[0], tried.when));
        }
    }
    let Some((package, when)) = shown else { return Err(unknown(name, &tables)) };
    let mut outside: Vec<&str> =
        rows.iter().map(|row| row.1).filter(|version| excludes(versions, version)).collect();
    outside.sort_unstable();
    outside.dedup();
    let excluded = (!outside.is_empty()).then_some((requirement, outside));
    Ok(Explained { package, module: of_module.map(|_| name), excluded, when, columns, rows })
}

impl Explained<'_> {
    /// The rows below each other.
    pub fn text(&self) -> String {
        let shown = self.package;
        let mut out = String::new();
        if let Some(module) = self.module {
            out.push_str(&format!("{module} is a module of {shown}.\n\n"));
        }
        out.push_str(&format!("{shown} in each kind of interpreter. {}\n\n", self.when));
        if let Some((requirement, versions)) = &self.excluded {
            out.push_str(&format!("`{requirement}` excludes what was tried: {}.\n\n", versions.join(", ")));
        }
        let head = ["", "version"].into_iter().chain(self.columns.iter().copied());
        let mut rows: Vec<Vec<String>> = vec![head.map(str::to_owned).collect()];
        rows.extend(self.rows.iter().map(|(cpython, version, words)| {
            [*cpython, *version].into_iter().chain(words.iter().copied()).map(str::to_owned).collect()
        }));
        table(&mut out, &rows);
        out.push_str("\nThe words: docs/reference/packages.md. Run `gilkeeper doctor SCRIPT` for the versions that you have.");
        out
    }

    /// The same for programs.
    pub fn json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|(cpython, version, words)| {
                let outcomes: serde_json::Map<String, Value> = self
                    .columns
                    .iter()
                    .zip(words)
                    .filter(|(_, word)| **word != "-")
                    .map(|(column, word)| ((*column).to_owned(), json!(word)))
                    .collect();
                let excluded = self.excluded.as_ref().is_some_and(|(_, all)| all.contains(version));
                let version = (*version != "no wheel").then_some(version);
                json!({"cpython": cpython, "version": version, "excluded": excluded, "outcomes": outcomes})
            })
            .collect();
        json!({"package": self.package, "module": self.module, "tried": rows})
    }
}

/// Whether `<2,!=1.4` keeps a version out. A version that is more than numbers is not judged.
fn excludes(versions: &str, version: &str) -> bool {
    let Some(tried) = release(version) else { return false };
    versions.split(',').map(str::trim).any(|one| {
        let at = one.find(|c: char| !"<>=!~".contains(c)).unwrap_or(one.len());
        let (operator, wanted) = (&one[..at], one[at..].trim());
        let (wanted, is_start) = match wanted.strip_suffix(".*") {
            Some(start) => (start, true),
            None => (wanted, false),
        };
        let Some(wanted) = release(wanted) else { return false };
        let order = compared(&tried, &wanted);
        let starts = |parts: &[u64]| {
            parts.iter().enumerate().all(|(at, part)| tried.get(at).copied().unwrap_or(0) == *part)
        };
        match operator {
            "<" => order != Ordering::Less,
            "<=" => order == Ordering::Greater,
            ">" => order != Ordering::Greater,
            ">=" => order == Ordering::Less,
            "==" | "===" => {
                if is_start {
                    !starts(&wanted)
                } else {
                    order != Ordering::Equal
                }
            }
            "!=" => {
                if is_start {
                    starts(&wanted)
                } else {
                    order == Ordering::Equal
                }
            }
            "~=" => order == Ordering::Less || !starts(&wanted[..wanted.len().saturating_sub(1)]),
            _ => false,
        }
    })
}

/// The numbers of a version.
fn release(version: &str) -> Option<Vec<u64>> {
    version.split('.').map(|part| part.parse().ok()).collect()
}

/// Numbers that are missing are 0.
fn compared(one: &[u64], other: &[u64]) -> Ordering {
    let at = |all: &[u64], at: usize| all.get(at).copied().unwrap_or(0);
    let orders = (0..one.len().max(other.len())).map(|n| at(one, n).cmp(&at(other, n)));
    orders.fold(Ordering::Equal, Ordering::then)
}

/// The package that a module belongs to, by the module's name or that of one around it.
fn package_of(module: &str, is_package: impl Fn(&str) -> bool) -> Option<String> {
    let (_, rest) = PAGE.split_once(MODULES)?;
    let other_names: Vec<(&str, &str)> = rest
        .lines()
        .skip(2)
        .map_while(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "))
        .chain(PARTS.iter().copied())
        .collect();
    let ends = module.match_indices('.').map(|(at, _)| at).chain([module.len()]);
    let around: Vec<&str> = ends.map(|end| &module[..end]).collect();
    around.into_iter().rev().find_map(|name| {
        let other = other_names.iter().find(|(module, _)| plain(module) == plain(name));
        match other {
            Some((_, package)) => Some((*package).to_owned()),
            None => is_package(name).then(|| name.to_owned()),
        }
    })
}

fn unknown(package: &str, tables: &[Tried<'_>]) -> String {
    let mut names: Vec<&str> = tables.iter().flat_map(|tried| &tried.rows).map(|row| row[0]).collect();
    names.sort_unstable();
    names.dedup();
    let like: Vec<&str> =
        names.iter().copied().filter(|name| plain(name).contains(&plain(package))).take(5).collect();
    let like = if like.is_empty() { String::new() } else { format!(" (those are: {})", like.join(", ")) };
    format!(
        "{package} is none of the {} packages that were tried{like}; `gilkeeper doctor SCRIPT` judges it as it is installed",
        names.len()
    )
}

/// A name as package indexes compare it.
fn plain(name: &str) -> String {
    name.trim().to_lowercase().replace(['_', '.'], "-")
}

/// Whether a row is about a package, with or without its extra.
fn is(row: &str, wanted: &str) -> bool {
    let row = plain(row);
    row == *wanted || row.split('[').next() == Some(wanted)
}

fn tables(page: &'static str) -> Vec<Tried<'static>> {
    let mut found: Vec<Tried<'_>> = Vec::new();
    for line in page.lines() {
        if let Some(cpython) = line.strip_prefix("## ") {
            found.push(Tried { cpython, when: "", head: Vec::new(), rows: Vec::new() });
        }
        let Some(last) = found.last_mut() else { continue };
        let cells = || line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>();
        match line {
            _ if line.starts_with("Tried on") => last.when = line,
            _ if !line.starts_with('|') || line.starts_with("|---") => {}
            _ if last.head.is_empty() => last.head = cells(),
            _ => last.rows.push(cells()),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_table_of_the_page_is_whole() {
        let tables = tables(PAGE);
        assert!(!tables.is_empty());
        for tried in &tables {
            assert!(tried.when.starts_with("Tried on 20"), "{}", tried.cpython);
            assert_eq!(tried.head[..NAMES], ["package", "version"]);
            assert!(tried.rows.len() >= 60, "{}: {}", tried.cpython, tried.rows.len());
            assert!(tried.rows.iter().all(|row| row.len() == tried.head.len()), "{}", tried.cpython);
        }
    }

    #[test]
    fn a_package_is_found_by_any_spelling_of_its_name() {
        for (name, shown) in
            [("pyyaml", "PyYAML"), ("zope_interface", "zope.interface"), ("psycopg", "psycopg[binary]")]
        {
            let told = explained(name).unwrap().text();
            assert!(told.starts_with(shown), "{told}");
            assert!(told.contains("own GIL"), "{told}");
        }
    }

    /// Reported: `--explain lxml.etree` did not know it, although lxml is among the packages.
    #[test]
    fn a_package_is_found_by_its_modules() {
        for (module, package) in [
            ("lxml.etree", "lxml"),
            ("yaml", "PyYAML"),
            ("PIL.Image", "pillow"),
            ("sklearn.linear_model", "scikit-learn"),
            ("google.protobuf", "protobuf"),
            ("google.protobuf.json_format", "protobuf"),
            ("bson", "pymongo"),
            ("opentelemetry.sdk.trace", "opentelemetry-sdk"),
            // Reported: the doctor's own table has these names.
            ("psycopg-binary", "psycopg[binary]"),
            ("psycopg_binary.pq", "psycopg[binary]"),
            ("_cffi_backend", "cffi"),
            ("_yaml", "PyYAML"),
            ("argon2_cffi_bindings", "argon2-cffi"),
            ("_polars_runtime_32", "polars"),
            ("_ruamel_yaml", "ruamel.yaml"),
        ] {
            let told = explained(module).unwrap().text();
            let wanted = format!("{module} is a module of {package}.\n\n{package} in each kind");
            assert!(told.starts_with(&wanted), "{module}: {told}");
        }
        assert!(explained("google.cloud").err().unwrap().starts_with("google.cloud is none of"));
        assert!(explained("lxml==6.1.3").unwrap().text().starts_with("lxml in each kind"));
        assert!(explained("psycopg[binary]>=3").unwrap().text().starts_with("psycopg[binary] in each kind"));
    }

    #[test]
    fn a_name_is_asked_for() {
        for nothing in ["", " ", "==1"] {
            let told = explained(nothing).err().unwrap();
            assert_eq!(told, format!("--explain takes the name of a package, such as lxml, not `{nothing}`"));
        }
    }

    /// Reported: for these the answer was that of a version, or of a package, that was not asked for.
    #[test]
    fn a_requirement_that_excludes_what_was_tried_is_told() {
        for (requirement, is_told) in
            [("lxml<2", true), ("lxml == 99", true), ("lxml>=2,!=3", false), ("lxml", false)]
        {
            let told = explained(requirement).unwrap();
            assert_eq!(told.text().contains("` excludes what was tried: "), is_told, "{requirement}");
            assert_eq!(told.json()["tried"][0]["excluded"], is_told, "{requirement}");
            assert_eq!(told.json()["package"], "lxml");
        }
        let told = explained("numpy pandas").err().unwrap();
        assert_eq!(told, "--explain takes the name of one package, such as numpy, not `numpy pandas`");
        for (versions, version, excluded) in [
            ("~=2.1", "2.4.0", false),
            ("~=2.1", "3.0", true),
            ("==2.*", "2.4", false),
            ("==2.*", "3.4", true),
            ("!=2.4.0", "2.4", true),
            (">=2,<2.4", "2.4", true),
            ("<=2.4", "2.4.0", false),
            (">2.4", "2.10", false),
            ("<2", "2.9.0.post0", false),
        ] {
            assert_eq!(excludes(versions, version), excluded, "{version} {versions}");
        }
    }

    #[test]
    fn an_unknown_package_is_one_sentence() {
        let told = explained("psyco").err().unwrap();
        assert!(told.contains("those are: psycopg2-binary, psycopg[binary]"), "{told}");
        assert!(explained("nothing-like-it").err().unwrap().contains("packages that were tried; "));
    }
}
