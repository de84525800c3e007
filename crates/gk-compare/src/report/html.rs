//! The comparison as one HTML page without external files: tables, and the pictures of `chart`.

use super::chart::{Axis, Shape, bars, distributions, escaped};
use super::text::{cells, heads};
use crate::table::columns::{COLUMNS, PARTS, Part, quantile, three_digits};
use crate::table::row::Row;
use crate::table::{Comparison, Table};
use gk_telemetry::histogram::edges;
use std::fmt::Write as _;

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --line: #d0d7de; --soft: #6e7781; --cpu: #2f7d4f;
  --gil: #d9822b; --runnable: #8250df; --blocked: #9aa4af; --shape: #2f6db5; --mark: #d9822b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --line: #30363d; --soft: #8b949e;
  --cpu: #56a878; --gil: #e39a4d; --runnable: #a582ec; --blocked: #59636e; --shape: #5b97dc; --mark: #e39a4d; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
  max-width: 1400px; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; } h3 { font-size: 1rem; margin-bottom: .2rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .5rem; text-align: right; vertical-align: bottom; }
td { white-space: nowrap; vertical-align: top; } td small { display: block; color: var(--soft); font-size: 11px; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: var(--paper); white-space: normal; min-width: 8em; } .about, .soft { color: var(--soft); } .notes { max-width: 90ch; }
svg { width: 100%; height: auto; display: block; } svg text { fill: var(--ink); font-size: 12px; }
svg .name { text-anchor: end; } svg .about { text-anchor: end; fill: var(--soft); font-size: 11px; } svg .tick { text-anchor: middle; fill: var(--soft); }
svg .unit { text-anchor: end; fill: var(--soft); } svg .word { fill: var(--soft); font-size: 10px; }
.grid, .base { stroke: var(--line); } .mark { stroke: var(--mark); stroke-dasharray: 2 3; } .line { stroke: var(--soft); }
.shape { fill: var(--shape); fill-opacity: .75; } .cpu { fill: var(--cpu); } .gil { fill: var(--gil); }
.runnable { fill: var(--runnable); } .blocked { fill: var(--blocked); } .process { fill: var(--shape); stroke: var(--paper); }
.key { display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 1em; vertical-align: -.05em; }
.key.cpu { background: var(--cpu); } .key.gil { background: var(--gil); } .key.runnable { background: var(--runnable); }
.key.blocked { background: var(--blocked); }
";

/// The page.
pub fn page(comparison: &Comparison) -> String {
    let title = escaped(&comparison.title);
    let machine = &comparison.machine;
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n\
         <p class=\"about\">{}; {}, {} cores, {}; Gilkeeper {}. Medians over the rounds, with half the range.</p>\n",
        escaped(&comparison.conditions),
        escaped(&machine.processor),
        machine.cores,
        escaped(&machine.kernel),
        escaped(&machine.version)
    );
    for problem in &comparison.problems {
        let _ = writeln!(
            out,
            "<p><b>Not measured:</b> {}: {}</p>",
            escaped(&problem.variant),
            escaped(&problem.why)
        );
    }
    for table in comparison.tables.iter().filter(|table| !table.rows.is_empty()) {
        section(&mut out, table);
    }
    out.push_str("<h2>The columns</h2>\n<dl>\n");
    for column in COLUMNS {
        let _ = writeln!(out, "<dt>{}</dt><dd class=\"soft\">{}</dd>", column.head, column.about);
    }
    out + "</dl>\n</body>\n</html>\n"
}

fn section(out: &mut String, table: &Table) {
    if !table.form.is_empty() {
        let _ = writeln!(out, "<h2>{}</h2>", escaped(&table.form));
    }
    out.push_str("<div class=\"scroll\"><table>\n<thead><tr>");
    heads().iter().for_each(|head| out.push_str(&format!("<th>{head}</th>")));
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        out.push_str("<tr>");
        for (column, text) in cells(row).iter().enumerate() {
            // The spread below its value: beside it the table is wider than a window.
            let cell = match text.split_once(' ') {
                Some((value, spread)) if column > 0 => {
                    format!("{}<small>{}</small>", escaped(value), escaped(spread))
                }
                _ => escaped(text),
            };
            let _ = write!(out, "<td>{cell}</td>");
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n<ul class=\"notes\">\n");
    for note in table.note.iter().chain(&table.remarks) {
        let _ = writeln!(out, "<li>{}</li>", escaped(note));
    }
    out.push_str("</ul>\n");
    waits(out, table);
    latencies(out, table);
    split(out, table);
    processes(out, table);
}

fn waits(out: &mut String, table: &Table) {
    let rows: Vec<&Row> = table.rows.iter().filter(|row| row.waits.count() > 0).collect();
    let far = rows.iter().filter_map(|row| row.waits.quantile(0.995)).fold(0.0, f64::max) / 1e6;
    if far <= 0.0 {
        return;
    }
    let interval = rows.iter().filter_map(|row| row.switch_interval).fold(0.0, f64::max) * 1e3;
    let most = far.max(interval).min(interval.max(1.0) * 12.0);
    let shapes: Vec<Shape> = rows
        .iter()
        .map(|row| Shape {
            name: row.variant.clone(),
            about: match row.waits.count() {
                1 => "1 wait".to_owned(),
                many => format!("{} waits", three_digits(many as f64)),
            },
            parts: row
                .waits
                .filled()
                .map(|(bucket, count)| {
                    let (low, high) = edges(bucket);
                    (low as f64 / 1e6, high.min(low * 2 + 1024) as f64 / 1e6, count as f64)
                })
                .collect(),
            // Marks closer than a hundredth of the picture would cover it.
            every: row.switch_interval.map(|s| s * 1e3).filter(|every| most / every <= 100.0),
            lines: Vec::new(),
        })
        .collect();
    out.push_str(
        "<h3>Waits for the GIL</h3>\n<p class=\"soft\">Single waits in ms, each row with its own height; dashed: the multiples \
         of the row's switch interval.</p>\n",
    );
    out.push_str(&distributions(&shapes, Axis::Linear(most), "ms", "Distributions of waits for the GIL"));
}

fn latencies(out: &mut String, table: &Table) {
    let ms = |ns: u64| ns as f64 / 1e6;
    let all = || table.rows.iter().flat_map(|row| &row.latency).map(|(ns, _)| ms(*ns));
    let (least, most) = (all().fold(f64::MAX, f64::min), all().fold(0.0, f64::max));
    if most <= 0.0 {
        return;
    }
    let shapes: Vec<Shape> = table
        .rows
        .iter()
        .map(|row| {
            let mut before = 0;
            let parts = row.latency.iter().map(|(ns, count)| {
                let low = before.max(ns - ns / 16);
                before = *ns;
                (ms(low), ms(*ns), *count as f64)
            });
            let parts = parts.collect();
            // Of what is drawn: the table's medians of the rounds' percentiles may lie beside it.
            let line = |q, word| quantile(&row.latency, q).map(|ns| (ms(ns), word));
            let lines = [line(0.5, "p50"), line(0.95, "p95"), line(0.99, "p99")];
            Shape {
                name: row.variant.clone(),
                about: format!(
                    "{} responses",
                    three_digits(row.latency.iter().map(|(_, n)| *n as f64).sum())
                ),
                parts,
                every: None,
                lines: lines.into_iter().flatten().collect(),
            }
        })
        .collect();
    out.push_str(
        "<h3>Response times</h3>\n<p class=\"soft\">As the generator sees them, on a logarithmic axis; all rounds of a row together, percentiles \
         included.</p>\n",
    );
    let axis = Axis::Logarithmic((least * 0.9).max(1e-3), (most * 1.1).max(least * 2.0));
    out.push_str(&distributions(&shapes, axis, "ms", "Distributions of response times"));
}

fn split(out: &mut String, table: &Table) {
    let rows: Vec<(String, Vec<f64>)> = table
        .rows
        .iter()
        .filter_map(|row| Some((row.variant.clone(), row.split?.iter().map(|s| s * 1e3).collect())))
        .collect();
    let most = rows.iter().map(|(_, parts)| parts.iter().sum::<f64>()).fold(0.0, f64::max);
    if most <= 0.0 {
        return;
    }
    out.push_str("<h3>Where a request's time goes</h3>\n<p class=\"soft\">Mean request, from a thread that takes it to the end.");
    for Part { class, title, .. } in PARTS {
        let _ = write!(out, "<span class=\"key {class}\"></span>{title}");
    }
    out.push_str("</p>\n");
    let classes: Vec<&str> = PARTS.iter().map(|part| part.class).collect();
    out.push_str(&bars(&rows, &classes, most, "ms", "Time of a mean request in its parts"));
}

fn processes(out: &mut String, table: &Table) {
    let rows: Vec<(String, Vec<f64>)> =
        table.rows.iter().map(|row| (row.variant.clone(), row.workers.clone())).collect();
    let most = table.rows.iter().map(Row::cores).fold(0.0, f64::max);
    if most <= 0.0 {
        return;
    }
    out.push_str(
        "<h3>CPU of each process</h3>\n<p class=\"soft\">Cores used, one piece for each worker.</p>\n",
    );
    out.push_str(&bars(&rows, &["process"], most.max(1.0), "cores", "CPU of each worker process"));
}
