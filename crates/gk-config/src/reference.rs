//! The reference pages, made from the tables. Nothing is written here; `cargo xtask reference` does that.

use crate::codes;
use crate::daemon::OPTIONS;
use crate::directive::{Directive, Status};
use crate::directives::{AREAS, Area, usage};
use std::fmt::Write as _;

const NOTE: &str =
    "<!-- Made by `cargo xtask reference` from the tables in crates/gk-config. Do not edit. -->\n\n";

/// Every page: its path below `docs/reference/`, and its text.
pub fn pages() -> Vec<(String, String)> {
    let mut pages = vec![("directives/README.md".to_owned(), index())];
    pages.extend(AREAS.iter().map(|area| (format!("directives/{}.md", area.slug), area_page(area))));
    pages.push(("daemon-process-options.md".to_owned(), options_page()));
    pages.push(("codes.md".to_owned(), codes_page()));
    pages
}

fn index() -> String {
    let mut out = format!(
        "{NOTE}# Directives\n\nEvery directive that is known, by name. \
        `gilkeeper check -c FILE` says the same of the ones a configuration uses.\n\n\
        | directive | status |\n|---|---|\n"
    );
    let mut rows: Vec<(&Area, &Directive)> =
        AREAS.iter().flat_map(|a| a.rows.iter().map(move |r| (a, r))).collect();
    rows.sort_by_key(|(_, row)| row.name.trim_start_matches('<').to_ascii_lowercase());
    for (area, row) in rows {
        let status = match row.status {
            Status::Honoured => "honoured",
            Status::WithoutEffect(_) => "accepted without effect",
            Status::NotBuiltYet(_) => "not built yet",
            Status::Removed(_) => "removed",
        };
        let _ = writeln!(out, "| [`{}`]({}.md) | {status} |", row.name, area.slug);
    }
    out
}

fn area_page(area: &Area) -> String {
    let mut out = format!("{NOTE}# {}\n", area.title);
    for row in area.rows {
        let _ = write!(out, "\n## `{}`\n\n```apache\n{}\n```\n\n", row.name, usage(row));
        if !row.doc.is_empty() {
            let _ = write!(out, "{}\n\n", row.doc);
        }
        if row.default != "none" {
            let _ = writeln!(out, "- Default: {}", row.default);
        }
        let _ = writeln!(out, "- May stand in: {}", row.contexts.words());
        let _ = writeln!(out, "- Status: {}", row.status.words());
        if row.ours {
            let _ = writeln!(out, "- An addition of Gilkeeper");
        }
    }
    out
}

fn options_page() -> String {
    let mut out = format!(
        "{NOTE}# Options of WSGIDaemonProcess\n\n```apache\nWSGIDaemonProcess NAME option=value option=\"value with blanks\"\n```\n\n\
         Numbers are plain: no unit suffixes, and nothing behind the digits. Seconds may have decimals. \
         An option that is not known is an error.\n\n\
         | option | value | default | what it does |\n|---|---|---|---|\n"
    );
    for row in OPTIONS {
        let mut doc = row.doc.to_owned();
        if row.ours {
            doc.push_str(" An addition of Gilkeeper.");
        }
        if row.status != Status::Honoured {
            let _ = write!(doc, " **{}.**", capital(&row.status.words()));
        }
        let _ = writeln!(out, "| `{}=` | {} | {} | {doc} |", row.name, row.value, row.default);
    }
    out
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn codes_page() -> String {
    let mut out = format!(
        "{NOTE}# Message codes\n\nThe numbers are mod_wsgi's, so that alert rules go on working; `GK` codes are ours. \
         `gilkeeper explain WSGI0084` prints one of them.\n\n\
         | code | level | when | then | what to do |\n|---|---|---|---|---|\n"
    );
    for code in codes::all() {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            code.name(),
            code.level.name(),
            code.condition,
            code.effect,
            code.remedy
        );
    }
    let retired: Vec<String> = codes::RETIRED.iter().map(|n| format!("WSGI{n:04}")).collect();
    let _ = writeln!(out, "\nWithdrawn, and never used again: {}.", retired.join(", "));
    out
}
