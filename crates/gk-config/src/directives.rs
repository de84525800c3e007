//! The table of directives, grouped in files by area. Each file holds its rows, what they apply, and their tests;
//! a new directive is one row in one of them.

pub mod access;
pub(crate) mod daemon_process;
pub mod directive;
mod interpreter;
mod logging;
pub(crate) mod mapping;
mod process;
mod python;
mod request;
mod rules;
mod sections;
mod server;
mod telemetry;
mod tls;
mod tolerated;
pub(crate) mod walk;

use crate::directive::{Directive, Status};
pub(crate) use crate::raw;
pub use logging::{LOG_AREAS, NICKNAMES};
use std::collections::HashMap;
use std::sync::OnceLock;

/// One area of the reference: a title and its rows.
#[derive(Debug, Clone, Copy)]
pub struct Area {
    /// File name of its page.
    pub slug: &'static str,
    /// Title of its page.
    pub title: &'static str,
    /// Its directives.
    pub rows: &'static [Directive],
}

/// All areas, in the order of the reference.
pub const AREAS: &[Area] = &[
    Area { slug: "mapping", title: "Scripts and URLs", rows: mapping::ROWS },
    Area { slug: "handlers", title: "Files and handlers", rows: mapping::handlers::ROWS },
    Area { slug: "process", title: "Process groups", rows: process::ROWS },
    Area { slug: "interpreter", title: "Interpreters and the GIL", rows: interpreter::ROWS },
    Area { slug: "python", title: "Python", rows: python::ROWS },
    Area { slug: "request", title: "Requests and responses", rows: request::ROWS },
    Area { slug: "remote", title: "The client behind a proxy", rows: request::remote::ROWS },
    Area { slug: "server", title: "The HTTP server", rows: server::ROWS },
    Area { slug: "http2", title: "HTTP/2", rows: server::http2::ROWS },
    Area { slug: "sections", title: "Sections", rows: sections::ROWS },
    Area { slug: "logging", title: "Logs", rows: logging::ROWS },
    Area { slug: "access", title: "Access control", rows: access::ROWS },
    Area { slug: "variables", title: "Variables that depend on the request", rows: rules::variables::ROWS },
    Area { slug: "redirects", title: "Redirections", rows: rules::redirects::ROWS },
    Area { slug: "headers", title: "Header fields", rows: rules::headers::ROWS },
    Area { slug: "answers", title: "Error documents", rows: rules::answers::ROWS },
    Area { slug: "users", title: "Users and access scripts", rows: access::users::ROWS },
    Area { slug: "rewriting", title: "Rewriting", rows: rules::rewrite::ROWS },
    Area { slug: "conditions", title: "Conditional sections", rows: sections::branches::ROWS },
    Area { slug: "types", title: "Media types, files and expiry", rows: rules::types::ROWS },
    Area { slug: "files", title: "How files are served", rows: rules::served::ROWS },
    Area { slug: "compression", title: "Compression", rows: rules::compression::ROWS },
    Area { slug: "tls", title: "TLS", rows: tls::ROWS },
    Area { slug: "telemetry", title: "Metrics and telemetry", rows: telemetry::ROWS },
    Area { slug: "tolerated", title: "Apache directives that are tolerated", rows: tolerated::ROWS },
    Area {
        slug: "modules",
        title: "Directives of Apache's modules that are tolerated",
        rows: tolerated::modules::ROWS,
    },
    Area {
        slug: "protective",
        title: "Unsupported directives that protect: access is denied",
        rows: tolerated::protective::ROWS,
    },
    Area { slug: "proxied", title: "Directives for a web server in front", rows: tolerated::proxied::ROWS },
];

/// All rows.
pub fn all() -> impl Iterator<Item = &'static Directive> {
    AREAS.iter().flat_map(|area| area.rows.iter())
}

/// The names of all rows that stand for one directive.
pub fn names() -> impl Iterator<Item = &'static str> {
    all().map(|row| row.name).filter(|name| !name.ends_with('*'))
}

/// The row of a name, without regard to case; sections are found as `<name>`. A row whose name ends with `*` stands for the
/// names that begin so and have no row of their own; among several the longest counts.
pub fn find(name: &str) -> Option<&'static Directive> {
    static INDEX: OnceLock<HashMap<String, &'static Directive>> = OnceLock::new();
    let index = INDEX.get_or_init(|| all().map(|row| (row.name.to_ascii_lowercase(), row)).collect());
    let lower = name.to_ascii_lowercase();
    let family = || {
        let begins = |end: usize| index.get(&format!("{}*", lower.get(..end)?)).copied();
        (1..lower.len()).rev().find_map(begins)
    };
    index.get(&lower).copied().or_else(family)
}

/// The name to show of a directive: the row's spelling, or the file's where the row stands for several.
pub fn shown<'n>(row: &'static Directive, written: &'n str) -> &'n str {
    if row.name.ends_with('*') { written } else { row.name }
}

/// Whether a directive may refuse a client.
pub fn protects(name: &str) -> bool {
    access::protects(name) || closes(name)
}

/// Whether a directive protects its scope and is not honoured, so that it closes it.
pub fn closes(name: &str) -> bool {
    find(name).is_some_and(|row| matches!(row.status, Status::Closes(_)))
}

/// The syntax line of a row.
pub fn usage(row: &Directive) -> String {
    match row.name.strip_suffix('>') {
        Some(open) => format!("{open} {}>", row.syntax).replace(" >", ">"),
        None => format!("{} {}", row.name, row.syntax).trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_documented() {
        let mut seen = std::collections::HashSet::new();
        for row in all() {
            assert!(seen.insert(row.name.to_ascii_lowercase()), "{} stands twice", row.name);
            let explained =
                !row.doc.is_empty() || !matches!(row.status, Status::Honoured | Status::NotBuiltYet(_));
            assert!(explained, "{} has no description", row.name);
            assert!(row.arity.least <= row.arity.most, "{}", row.name);
        }
    }
}
