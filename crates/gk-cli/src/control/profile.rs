//! `gilkeeper profile`: the functions in which request threads use the processor, from the admin pages.

use super::client;
use super::holders::encoded;
use crate::{Failure, print, say};
use clap::ArgMatches;
use gk_wire::printable;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// Time that the answer may take beyond the profile itself.
const PATIENCE: Duration = Duration::from_secs(8);
/// Lines of the table.
const ROWS: usize = 25;

pub fn run(given: &ArgMatches) -> Result<i32, Failure> {
    let seconds = given.get_one::<f64>("seconds").copied().unwrap_or(10.0);
    if !(1.0..=300.0).contains(&seconds) {
        return Err(Failure::Input(format!("--seconds takes a number from 1 to 300, not {seconds}")));
    }
    let file = given.get_one::<String>("output");
    let format = match given.get_one::<String>("format") {
        Some(format) => format.as_str(),
        None => file.map_or("text", |file| of_name(file)),
    };
    if format == "pprof" && file.is_none() && std::io::stdout().is_terminal() {
        return Err(Failure::Input("a file of pprof is not for a terminal; name a file with -o".into()));
    }
    let mut path = format!("/api/v1/profile?seconds={seconds}");
    let _ = write!(path, "&format={}", if format == "text" { "json" } else { format });
    for (option, name) in [("process-group", "process_group"), ("route", "route")] {
        if let Some(value) = given.get_one::<String>(option) {
            let _ = write!(path, "&{name}={}", encoded(value));
        }
    }
    let pages = client::pages(given)?.within(Duration::from_secs_f64(seconds) + PATIENCE);
    let mut page = pages.read_bytes(&path).map_err(Failure::Failed)?;
    if format == "text" {
        let answer = serde_json::from_slice(&page)
            .map_err(|why| Failure::Failed(format!("the admin pages answer what is not JSON ({why})")))?;
        page = table(&answer).into_bytes();
    }
    match file {
        Some(file) => {
            std::fs::write(file, &page)
                .map_err(|why| Failure::Failed(format!("{file} cannot be written: {why}")))?;
            say(&format!("{file}: {} bytes, {format}", page.len()));
        }
        // Not printed as text: one of the formats is none.
        None if format == "pprof" => std::io::stdout()
            .write_all(&page)
            .map_err(|why| Failure::Failed(format!("the profile cannot be written: {why}")))?,
        None => print(String::from_utf8_lossy(&page).trim_end()),
    }
    Ok(0)
}

/// The format of a file with that name.
fn of_name(file: &str) -> &'static str {
    match file {
        _ if file.ends_with(".speedscope.json") => "speedscope",
        _ if file.ends_with(".json") => "json",
        _ if file.ends_with(".pb") || file.ends_with(".gz") || file.ends_with(".pprof") => "pprof",
        _ if file.ends_with(".folded") || file.ends_with(".txt") => "folded",
        _ if file.ends_with(".svg") => "svg",
        _ => "text",
    }
}

/// The lines with the most CPU time of their own, as text.
fn table(answer: &Value) -> String {
    let number = |value: &Value| value.as_f64().unwrap_or(0.0);
    let list = |name: &str| answer[name].as_array().map_or(&[][..], Vec::as_slice);
    let (functions, calls) = (list("functions"), list("calls"));
    let mut below: Vec<f64> = calls.iter().map(|call| number(&call["ns"]) / 1e9).collect();
    let own = below.clone();
    let from = |call: &Value| call["from"].as_u64().map(|from| from as usize);
    for index in (0..calls.len()).rev() {
        if let Some(from) = from(&calls[index]).filter(|from| *from < index) {
            below[from] += below[index];
        }
    }
    let key =
        |call: &Value| (call["function"].as_u64().unwrap_or(0) as usize, call["line"].as_u64().unwrap_or(0));
    // A line that calls itself again counts once.
    let again = |index: usize| {
        let mut up = from(&calls[index]);
        while let Some(at) = up.filter(|at| *at < calls.len()) {
            if key(&calls[at]) == key(&calls[index]) {
                return true;
            }
            up = from(&calls[at]).filter(|next| *next < at);
        }
        false
    };
    let mut lines: BTreeMap<(usize, u64), (f64, f64)> = BTreeMap::new();
    for (index, call) in calls.iter().enumerate() {
        let line = lines.entry(key(call)).or_default();
        line.0 += own[index];
        line.1 += if again(index) { 0.0 } else { below[index] };
    }
    let all: f64 = own.iter().sum();
    let mut out = String::new();
    let why = answer["why"].as_array().map_or(&[][..], Vec::as_slice);
    for why in why.iter().filter_map(Value::as_str) {
        let _ = writeln!(out, "a worker could not be profiled: {}", printable::line(why));
    }
    let (seconds, workers) = (number(&answer["seconds"]), number(&answer["workers"]));
    if all <= 0.0 {
        let _ =
            write!(out, "no request thread of {workers} workers used 20 ms of the processor in {seconds} s");
        return out;
    }
    let mut sorted: Vec<_> = lines.into_iter().filter(|(_, (own, _))| *own > 0.0).collect();
    sorted.sort_by(|a, b| b.1.0.total_cmp(&a.1.0));
    let _ = writeln!(out, "{:>7}  {:>9}  {:>7}  function", "share", "own", "in all");
    for ((function, line), (own, below)) in sorted.iter().take(ROWS) {
        let function = functions.get(*function).cloned().unwrap_or_default();
        let text = |name: &str| printable::line(function[name].as_str().unwrap_or("")).into_owned();
        let (name, file) = (text("name"), text("file"));
        let place = if file.is_empty() { String::new() } else { format!("  {file}:{line}") };
        let _ = writeln!(
            out,
            "{:>5.1} %  {own:>7.3} s  {:>5.1} %  {name}{place}",
            own / all * 100.0,
            below / all * 100.0
        );
    }
    let lost = number(&answer["lost_seconds"]);
    let _ = write!(out, "{all:.3} s of CPU time of request threads of {workers} workers in {seconds} s");
    if lost > 0.0 {
        let _ = write!(out, "; {lost:.3} s more have no stack");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_name_of_a_file_says_its_format() {
        let names = ["a.speedscope.json", "a.json", "a.pb.gz", "a.folded", "a.svg", "a"];
        assert_eq!(names.map(of_name), ["speedscope", "json", "pprof", "folded", "svg", "text"]);
    }

    #[test]
    fn lines_are_sorted_by_their_own_time() {
        let call = |from: Value, function: u64, line: u64, ms: u64| json!({"from": from, "function": function, "line": line, "ns": ms * 1_000_000});
        let answer = json!({
            "seconds": 2.0, "workers": 1, "lost_seconds": 0.02, "why": [],
            "functions": [
                {"name": "/report", "file": ""}, {"name": "walk\u{1b}[2J", "file": "/srv/tree.py"}, {"name": "render", "file": "/srv/app.py"},
            ],
            // `walk` calls itself.
            "calls": [
                call(Value::Null, 0, 0, 0), call(json!(0), 1, 9, 100), call(json!(1), 1, 9, 100), call(json!(2), 2, 31, 600), call(json!(0), 2, 31, 0),
            ],
        });
        insta::assert_snapshot!(table(&answer), @r"
          share        own   in all  function
         75.0 %    0.600 s   75.0 %  render  /srv/app.py:31
         25.0 %    0.200 s  100.0 %  walk\x1b[2J  /srv/tree.py:9
        0.800 s of CPU time of request threads of 1 workers in 2 s; 0.020 s more have no stack
        ");
        let nothing =
            json!({"seconds": 2.0, "workers": 2, "why": ["no frames"], "functions": [], "calls": []});
        assert_eq!(
            table(&nothing),
            "a worker could not be profiled: no frames\nno request thread of 2 workers used 20 ms of the processor in 2 s"
        );
    }
}
