//! The reference pages, made from the tables. Nothing is written here; `cargo xtask reference` does that.

use crate::codes;
use crate::directive::{Directive, Status};
use crate::directives::{AREAS, Area, usage};
use crate::express::options;
use gk_options::{Kind, OPTIONS};
use std::fmt::Write as _;

const NOTE: &str = "<!-- Made by `cargo xtask reference` from the tables in crates/gk-config and crates/gk-options. Do not edit. -->\n\n";

/// Every page: its path below `docs/reference/`, and its text.
pub fn pages() -> Vec<(String, String)> {
    let mut pages = vec![("directives/README.md".to_owned(), index())];
    pages.extend(AREAS.iter().map(|area| (format!("directives/{}.md", area.slug), area_page(area))));
    pages.push(("daemon-process-options.md".to_owned(), options_page()));
    pages.push(("serve-options.md".to_owned(), serve_page()));
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
            Status::Closes(_) => "denies access (403)",
            Status::ToProxy(_) => "an error: to move to a proxy",
            Status::InProxy(_) => "to move to a proxy",
            Status::Otherwise(_) => "an error: to write otherwise",
            Status::Removed(_) => "removed, without effect",
        };
        let _ = writeln!(out, "| [`{}`]({}.md) | {status} |", row.name, area.slug);
    }
    out
}

fn area_page(area: &Area) -> String {
    let mut out = format!("{NOTE}# {}\n", area.title);
    let alike = |a: &Directive, b: &Directive| {
        a.doc.is_empty() && b.doc.is_empty() && (a.status, a.contexts) == (b.status, b.contexts)
    };
    for rows in area.rows.chunk_by(alike) {
        let [row] = rows else {
            let _ = write!(out, "\n## {}\n\n", capital(&rows[0].status.words()));
            let names: Vec<String> = rows.iter().map(|row| format!("`{}`", row.name)).collect();
            let _ = writeln!(out, "{}\n\n- Context: {}", names.join(", "), rows[0].contexts.words());
            continue;
        };
        let _ = write!(out, "\n## `{}`\n\n```apache\n{}\n```\n\n", row.name, usage(row));
        if !row.doc.is_empty() {
            let _ = write!(out, "{}\n\n", row.doc);
        }
        if row.default != "none" {
            let _ = writeln!(out, "- Default: {}", row.default);
        }
        let _ = writeln!(out, "- Context: {}", row.contexts.words());
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
         Numbers are plain, without unit suffixes. Seconds may have decimals; the longest time is {} s (31 years), \
         the greatest number {}. An unknown option is an error. \
         The embedded group that no `WSGIDaemonProcess` declares has the same options, behind [`GilkeeperEmbedded`](directives/process.md).\n\n\
         | option | value | default | what it does |\n|---|---|---|---|\n",
        Kind::LONGEST,
        Kind::MOST,
    );
    for row in OPTIONS {
        let mut doc = row.help().to_owned();
        if !row.zero.is_empty() && !row.default().is_some_and(|value| value.is_zero()) {
            let _ = write!(doc, " 0: {}.", row.zero);
        }
        if row.ours {
            doc.push_str(" An addition of Gilkeeper.");
        }
        if row.status != Status::Honoured {
            let _ = write!(doc, " **{}.**", capital(&row.status.words()));
        }
        let _ = writeln!(out, "| `{}=` | {} | {} | {doc} |", row.name, row.kind.words(), row.default_words());
    }
    out
}

fn serve_page() -> String {
    let mut out = format!(
        "{NOTE}# Options of `gilkeeper serve`\n\n`gilkeeper serve SCRIPT [OPTION …]` serves a file (`wsgi.py`, `site.wsgi`) or \
         `package.module`, either with the application in it (`:app`, `:create_app('x')`); `gilkeeper serve -c FILE` serves a configuration. The same texts are in \
         `gilkeeper serve --help` and `gilkeeper man serve`. Options marked with * go together with `-c` and beat the file; an address to listen on is one more. \
         Each option is also a variable (`GILKEEPER_PROCESSES`) and a key of [files](../guide/configuration.md#options-from-the-environment-and-from-files).\n"
    );
    for heading in options::HEADINGS {
        let _ =
            write!(out, "\n## {heading}\n\n| option | what it does | default and range |\n|---|---|---|\n");
        for option in options::all().filter(|option| option.heading == heading) {
            let values: Vec<String> = option.placeholders().iter().map(|name| format!(" {name}")).collect();
            let star = if option.with_file { " *" } else { "" };
            let values = values.concat().replace('|', "\\|");
            let _ =
                writeln!(out, "| `--{}{values}`{star} | {} | {} |", option.name, option.help, option.facts());
        }
    }
    out
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn codes_page() -> String {
    let mut out = format!(
        "{NOTE}# Message codes\n\nThe numbers are mod_wsgi's, so that alert rules go on working; `GK` codes are ours. `AH` codes are Apache's, of \
         lines that are written as Apache does. \
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
