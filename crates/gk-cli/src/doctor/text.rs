//! The report on a terminal: verdicts, the table of extension modules, what the application does, what to change.

use super::event::CodeOrigin;
use super::report::{FindingLevel, ModuleReport, Report, Verdict};
use super::study::{InterpreterKind, ModuleOutcome};
use std::fmt::Write as _;

/// Width of the text.
const WIDTH: usize = 100;

/// Behind the name of a module that the import of the application does not load.
const NOT_LOADED: &str = " (not loaded)";

/// The report as text.
pub fn page(report: &Report) -> String {
    let mut out = String::new();
    let t = if report.python.free_threaded { ", free-threaded build" } else { "" };
    let _ = writeln!(out, "Application {}", report.script);
    let _ = writeln!(out, "Python      CPython {}{t}, {}\n", report.python.version, report.python.executable);
    for mode in &report.modes {
        let against = |f: &&super::report::Finding| {
            f.level == FindingLevel::Unsafe && f.mode.is_none_or(|of| of == mode.mode)
        };
        let verdict = match mode.verdict {
            Verdict::Safe => "safe".to_owned(),
            Verdict::Unsafe => match report.findings.iter().filter(against).count() {
                1 => "unsafe, 1 finding".to_owned(),
                many => format!("unsafe, {many} findings"),
            },
            Verdict::Untried => "not tried".to_owned(),
        };
        let error = mode.import_error.as_ref().map(|e| format!("; the import ends with {}", short(e)));
        let why = mode.why.as_ref().map(|why| format!(": {why}")).or(error).unwrap_or_default();
        let _ = writeln!(out, "{:15}  {verdict}{why}", mode.mode.name());
    }
    modules(&mut out, report);
    threads(&mut out, report);
    if report.findings.is_empty() {
        out.push_str("\nNothing to change.\n");
        return out;
    }
    out.push_str("\nWhat to change\n");
    for (number, finding) in report.findings.iter().enumerate() {
        let mode = finding.mode.map_or("every mode", |m| m.name());
        let level = match finding.level {
            FindingLevel::Unsafe => "unsafe",
            FindingLevel::Caution => "caution",
            FindingLevel::Note => "note",
        };
        let _ = writeln!(out, "\n{}. {mode}, {level}", number + 1);
        let dot = if finding.text.ends_with(['.', '…', '!']) { "" } else { "." };
        out.push_str(&wrapped(&format!("{}{dot}", finding.text), "   "));
        out.push_str(&wrapped(&format!("-> {}", finding.remedy), "   "));
    }
    out
}

/// The table of extension modules; of Python's own library only those with a finding.
fn modules(out: &mut String, report: &Report) {
    let shown = |m: &&ModuleReport| {
        m.kind != CodeOrigin::Standard || m.outcomes.values().any(ModuleOutcome::speaks_against)
    };
    let rest = report.modules.iter().filter(|m| !shown(m)).count();
    let listed: Vec<&ModuleReport> = report.modules.iter().filter(shown).collect();
    if !listed.is_empty() {
        let places: Vec<InterpreterKind> = InterpreterKind::ALL
            .into_iter()
            .filter(|p| listed.iter().any(|m| m.outcomes.contains_key(p)))
            .collect();
        let mut rows: Vec<Vec<String>> = Vec::new();
        let mut more: Vec<usize> = Vec::new();
        for row in listed.iter().map(|m| row(m, &places)) {
            // Modules of one distribution that share everything but the name share a line.
            let same = |r: &Vec<String>| r[1].ends_with(NOT_LOADED) == row[1].ends_with(NOT_LOADED);
            match rows.iter().position(|r| r[0] != "-" && r[0] == row[0] && r[2..] == row[2..] && same(r)) {
                Some(at) => more[at] += 1,
                None => {
                    rows.push(row);
                    more.push(0);
                }
            }
        }
        for (row, more) in rows.iter_mut().zip(more).filter(|(_, more)| *more > 0) {
            row[1].push_str(&format!(" and {more} more"));
        }
        rows.insert(0, head(&places));
        out.push('\n');
        table(out, &rows);
    }
    match (listed.is_empty(), rest) {
        (_, 0) => {}
        (true, rest) => {
            let _ =
                writeln!(out, "\nNo extension modules but {rest} of Python's own, which load everywhere.");
        }
        (false, rest) => {
            let _ = writeln!(out, "{rest} more of Python's own load everywhere.");
        }
    }
}

fn head(places: &[InterpreterKind]) -> Vec<String> {
    let mut head: Vec<String> =
        ["distribution", "extension module", "init", "declares"].map(str::to_owned).into();
    head.extend(places.iter().map(|place| {
        match place {
            InterpreterKind::SubInterpreter => "sub-interpreter",
            InterpreterKind::SecondSubInterpreter => "a second one",
            InterpreterKind::OwnGil => "own GIL",
            InterpreterKind::FreeThreading => "no GIL",
        }
        .to_owned()
    }));
    head
}

fn row(module: &ModuleReport, places: &[InterpreterKind]) -> Vec<String> {
    let declares = module.declares.as_ref();
    let mut row = vec![
        module.distribution.as_ref().map_or_else(|| "-".to_owned(), |_| module.owner()),
        if module.loaded { module.name.clone() } else { format!("{}{NOT_LOADED}", module.name) },
        declares
            .map_or_else(|| "?".to_owned(), |d| format!("{}-phase", d.phases).replace("unknown-phase", "?")),
        declares.map_or_else(|| "?".to_owned(), |d| declared(&d.interpreters, &d.gil)),
    ];
    row.extend(
        places
            .iter()
            .map(|place| module.outcomes.get(place).map_or("-", ModuleOutcome::word).replace('-', " ")),
    );
    row
}

fn declared(interpreters: &str, gil: &str) -> String {
    let interpreters = match interpreters {
        "own-gil" => Some("own GIL"),
        "shared-gil" => Some("shared GIL"),
        "none" => Some("one interpreter"),
        "unknown" => Some("?"),
        _ => None,
    };
    let gil = match gil {
        "not-used" => Some("no GIL needed"),
        "used" => Some("GIL needed"),
        _ => None,
    };
    match (interpreters, gil) {
        (None, None) => "nothing".to_owned(),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (Some(interpreters), Some(gil)) => format!("{interpreters}, {gil}"),
    }
}

/// Rows below each other, in columns.
pub fn table(out: &mut String, rows: &[Vec<String>]) {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let _ = writeln!(out, "{}", cells.join("  ").trim_end());
    }
}

fn threads(out: &mut String, report: &Report) {
    if report.threads.is_empty() {
        return;
    }
    out.push_str("\nThreads started by the import\n");
    for thread in &report.threads {
        let kind = if thread.daemon == Some(true) { "daemon" } else { "not daemon" };
        let state = if thread.alive == Some(true) { "running" } else { "ended" };
        let name = thread.name.as_deref().unwrap_or("?");
        let _ = writeln!(out, "  {name}: {kind}, {state}, by {}", super::wording::place(thread));
    }
}

/// An exception at the end of a line.
fn short(error: &str) -> String {
    const MOST: usize = 60;
    match error.len() > MOST {
        true => format!("{}…", error[..error.floor_char_boundary(MOST)].trim_end()),
        false => error.to_owned(),
    }
}

/// A paragraph, broken at spaces.
fn wrapped(text: &str, indent: &str) -> String {
    let mut out = String::new();
    let mut line = String::from(indent);
    for word in text.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH && line.trim() != "" {
            let _ = writeln!(out, "{}", line.trim_end());
            line = String::from(indent);
        }
        line.push_str(word);
        line.push(' ');
    }
    let _ = writeln!(out, "{}", line.trim_end());
    out
}
