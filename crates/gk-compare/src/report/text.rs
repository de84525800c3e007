//! The tables as text: columns that line up for a terminal, and Markdown.

use crate::table::columns::{COLUMNS, MedianRange, three_digits};
use crate::table::row::Row;
use crate::table::{Comparison, Table};
use gk_wire::printable;
use std::fmt::Write as _;

/// Spreads below this share are not shown.
const SMALL: f64 = 0.005;

/// Median and spread in one cell: `18.7k ±2%`.
pub(super) fn cell(middle: Option<&MedianRange>) -> String {
    let Some(middle) = middle else { return "-".into() };
    let shown = three_digits(middle.median);
    match middle.spread() {
        // A percentage of 0.00 says nothing.
        Some(spread) if spread >= SMALL && shown != "0.00" => format!("{shown} ±{:.0}%", spread * 100.0),
        _ => shown,
    }
}

pub(super) fn heads() -> Vec<&'static str> {
    ["configuration"].into_iter().chain(COLUMNS.iter().map(|column| column.head)).chain(["errors"]).collect()
}

pub(super) fn cells(row: &Row) -> Vec<String> {
    let values = row.values.iter().map(|middle| cell(middle.as_ref()));
    [printable::line(&row.variant).into_owned()]
        .into_iter()
        .chain(values)
        .chain([row.errors.to_string()])
        .collect()
}

fn about(comparison: &Comparison) -> String {
    let machine = &comparison.machine;
    let cores = if machine.cores == 1 { "core" } else { "cores" };
    format!(
        "{}; {}, {} {cores}, {}; Gilkeeper {}",
        comparison.conditions, machine.processor, machine.cores, machine.kernel, machine.version
    )
}

/// For a terminal.
pub fn terminal(comparison: &Comparison) -> String {
    let mut out = format!("{}\n{}\n", comparison.title, about(comparison));
    for table in comparison.tables.iter().filter(|table| !table.rows.is_empty()) {
        let form = if table.form.is_empty() { String::new() } else { format!("{}\n", table.form) };
        let _ = write!(out, "\n{form}{}", lined_up(table));
        for note in notes(table) {
            let _ = write!(out, "\n{}", wrapped(&note, 118));
        }
    }
    for problem in &comparison.problems {
        // What a server said when it did not start is text of its application.
        let (variant, why) = (printable::line(&problem.variant), printable::page(&problem.why));
        let _ = writeln!(out, "\nnot measured: {variant}: {why}");
    }
    out
}

fn notes(table: &Table) -> Vec<String> {
    table.note.iter().chain(&table.remarks).map(|note| format!("* {note}")).collect()
}

fn lined_up(table: &Table) -> String {
    let mut rows = vec![heads().into_iter().map(str::to_owned).collect::<Vec<_>>()];
    rows.extend(table.rows.iter().map(cells));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let mut out = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(at, (cell, width))| match at {
            0 => format!("{cell:width$}"),
            _ => format!("{cell:>width$}"),
        });
        let _ = writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    out
}

/// Lines of at most so many characters; further lines are indented.
fn wrapped(text: &str, width: usize) -> String {
    let (mut out, mut length) = (String::new(), 0);
    for word in text.split(' ') {
        let size = word.chars().count();
        if length > 0 && length + 1 + size > width {
            out.push_str("\n  ");
            length = 2;
        } else if length > 0 {
            out.push(' ');
            length += 1;
        }
        out.push_str(word);
        length += size;
    }
    out.push('\n');
    out
}

/// As Markdown.
pub fn markdown(comparison: &Comparison) -> String {
    let mut out = format!("## {}\n\n{}.\n", comparison.title, about(comparison));
    for table in comparison.tables.iter().filter(|table| !table.rows.is_empty()) {
        if !table.form.is_empty() {
            let _ = write!(out, "\n### {}\n", table.form);
        }
        let heads = heads();
        let _ = write!(out, "\n| {} |\n|---|{}\n", heads.join(" | "), "---:|".repeat(heads.len() - 1));
        for row in &table.rows {
            let cells: Vec<String> = cells(row).iter().map(|cell| cell.replace('|', "\\|")).collect();
            let _ = writeln!(out, "| {} |", cells.join(" | "));
        }
        out.push('\n');
        for note in notes(table) {
            let _ = writeln!(out, "{note}");
        }
    }
    for problem in &comparison.problems {
        let _ = write!(out, "\nNot measured: {}: {}\n", problem.variant, problem.why);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_show_the_spread_of_the_rounds() {
        let middle = |values: &[f64]| MedianRange::of(values.to_vec());
        let cell = |values: &[f64]| cell(middle(values).as_ref());
        assert_eq!(cell(&[18_700.0, 19_000.0, 18_400.0]), "18.7k ±2%");
        assert_eq!(cell(&[0.001, 0.004]), "0.00");
        assert_eq!((cell(&[5.0]), cell(&[5.0, 5.0]), cell(&[])), ("5.00".into(), "5.00".into(), "-".into()));
    }

    #[test]
    fn long_notes_are_wrapped() {
        assert_eq!(wrapped("* one two three four", 10), "* one two\n  three\n  four\n");
    }
}
