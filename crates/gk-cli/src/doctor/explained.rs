//! `gilkeeper doctor --explain PACKAGE`: what was tried of a package, out of the reference page. `scripts/packages-by-mode` writes that.

use super::text::table;

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

/// The rows of a package, which may be named by a module of it; the error names it and others that its name is a part of.
pub fn explained(given: &str) -> Result<String, String> {
    let tables = tables(PAGE);
    // Behind a name, requirements have versions and conditions.
    let name = given.trim().split(['<', '>', '=', '!', '~', ';', ' ']).next().unwrap_or_default();
    if name.is_empty() {
        return Err(format!("--explain takes the name of a package, such as lxml, not `{given}`"));
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
    let mut rows: Vec<Vec<String>> = vec![Vec::new()];
    rows[0].extend(["", "version"].into_iter().chain(columns.iter().copied()).map(str::to_owned));
    let mut shown = None;
    for tried in &tables {
        for row in tried.rows.iter().filter(|row| is(row[0], &wanted)) {
            let of = |name: &str| tried.head.iter().position(|one| *one == name).and_then(|at| row.get(at));
            let mut line = vec![tried.cpython.to_owned(), row[1].to_owned()];
            line.extend(columns.iter().map(|name| of(name).copied().unwrap_or("-").to_owned()));
            rows.push(line);
            shown = Some((row[0], tried.when));
        }
    }
    let Some((shown, when)) = shown else { return Err(unknown(name, &tables)) };
    let module = of_module.map(|_| format!("{name} is a module of {shown}.\n\n")).unwrap_or_default();
    let mut out = format!("{module}{shown} in each kind of interpreter. {when}\n\n");
    table(&mut out, &rows);
    out.push_str("\nThe words: docs/reference/packages.md. Run `gilkeeper doctor SCRIPT` for the versions that you have.");
    Ok(out)
}

/// The package that a module belongs to, by the module's name or that of one around it.
fn package_of(module: &str, is_package: impl Fn(&str) -> bool) -> Option<String> {
    let (_, rest) = PAGE.split_once(MODULES)?;
    let other_names: Vec<(&str, &str)> = rest
        .lines()
        .skip(2)
        .map_while(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "))
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

fn tables(page: &str) -> Vec<Tried<'_>> {
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
            let told = explained(name).unwrap();
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
        ] {
            let told = explained(module).unwrap();
            let wanted = format!("{module} is a module of {package}.\n\n{package} in each kind");
            assert!(told.starts_with(&wanted), "{module}: {told}");
        }
        assert!(explained("google.cloud").unwrap_err().starts_with("google.cloud is none of"));
        assert!(explained("lxml==6.1.3").unwrap().starts_with("lxml in each kind"));
        assert!(explained("psycopg[binary]>=3").unwrap().starts_with("psycopg[binary] in each kind"));
    }

    #[test]
    fn a_name_is_asked_for() {
        for nothing in ["", " ", "==1"] {
            let told = explained(nothing).unwrap_err();
            assert_eq!(told, format!("--explain takes the name of a package, such as lxml, not `{nothing}`"));
        }
    }

    #[test]
    fn an_unknown_package_is_one_sentence() {
        let told = explained("psyco").unwrap_err();
        assert!(told.contains("those are: psycopg2-binary, psycopg[binary]"), "{told}");
        assert!(explained("nothing-like-it").unwrap_err().contains("packages that were tried; "));
    }
}
