//! `gilkeeper holders`: which lines of the applications held the GIL while others waited for it, from the admin pages.

use super::client;
use crate::{Failure, print};
use clap::ArgMatches;
use gk_wire::printable;
use serde_json::Value;
use std::fmt::Write as _;

/// Most letters of a function, a file and a route.
const MOST: usize = 60;

pub fn run(given: &ArgMatches) -> Result<i32, Failure> {
    let last = given.get_one::<f64>("last").copied().unwrap_or(300.0).max(1.0);
    let mut path = format!("/api/v1/holders?from=-{last}");
    for (option, name) in [("process-group", "process_group"), ("route", "route")] {
        if let Some(value) = given.get_one::<String>(option) {
            let _ = write!(path, "&{name}={}", encoded(value));
        }
    }
    let answer = client::pages(given)?.read(&path).map_err(Failure::Failed)?;
    let json = given.get_one::<String>("format").is_some_and(|format| format == "json");
    print(&if json { format!("{answer:#}") } else { table(&answer) });
    Ok(0)
}

/// The value of a query.
pub(super) fn encoded(value: &str) -> String {
    let mut out = String::new();
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' => out.push(byte.into()),
            _ => {
                let _ = write!(out, "%{byte:02x}");
            }
        }
    }
    out
}

/// A text of bounded length. Of a path the end says more.
fn short(text: String, is_path: bool) -> String {
    let Some(beyond) = text.chars().count().checked_sub(MOST).filter(|beyond| *beyond > 0) else {
        return text;
    };
    match is_path {
        true => format!("…{}", text.chars().skip(beyond + 1).collect::<String>()),
        false => format!("{}…", text.chars().take(MOST - 1).collect::<String>()),
    }
}

/// The places, the costliest first, as text.
fn table(answer: &Value) -> String {
    let number = |value: &Value| value.as_f64().unwrap_or(0.0);
    let text = |value: &Value| printable::line(value.as_str().unwrap_or("")).into_owned();
    let holders = answer["holders"].as_array().map_or(&[][..], Vec::as_slice);
    let (span, waited) = (number(&answer["span"]), number(&answer["gil_wait_seconds"]));
    if holders.is_empty() {
        return format!(
            "no wait for the GIL was booked to a line in the last {span:.0} s (all waits together: {waited:.3} s)"
        );
    }
    let mut rows = vec![
        ["share", "waited", "waits", "longest", "function", "line", "route"].map(str::to_owned).to_vec(),
    ];
    for holder in holders {
        let file = short(text(&holder["file"]), true);
        let place =
            if file.is_empty() { String::new() } else { format!("{file}:{}", number(&holder["line"])) };
        rows.push(vec![
            format!("{:.1} %", number(&holder["share"]) * 100.0),
            format!("{:.3} s", number(&holder["seconds"])),
            number(&holder["waits"]).to_string(),
            format!("{:.1} ms", number(&holder["longest"]) * 1e3),
            short(text(&holder["function"]), false),
            place,
            short(text(&holder["route"]), false),
        ]);
    }
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut out = String::new();
    for row in &rows {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            // Numbers stand to the right.
            let _ = match column {
                0..=3 => write!(out, "{cell:>width$}  "),
                _ => write!(out, "{cell:<width$}  "),
            };
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
    }
    let booked = number(&answer["seconds"]);
    let _ = write!(out, "{booked:.3} s of waits in the last {span:.0} s; all waits together: {waited:.3} s");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn places_stand_in_columns() {
        let place = |function: &str, share: f64| {
            json!({
                "function": function, "file": "/srv/views.py", "line": 31, "route": "/report", "share": share,
                "seconds": share * 2.0, "waits": 40, "longest": 0.0123,
            })
        };
        let mut other = place("(not seen)", 0.25);
        (other["file"], other["line"]) = (json!(""), json!(0));
        let answer = json!({
            "span": 60.0, "gil_wait_seconds": 2.5, "seconds": 2.0, "holders": [place("render\u{1b}[2J", 0.75), other],
        });
        insta::assert_snapshot!(table(&answer), @r"
         share   waited  waits  longest  function       line              route
        75.0 %  1.500 s     40  12.3 ms  render\x1b[2J  /srv/views.py:31  /report
        25.0 %  0.500 s     40  12.3 ms  (not seen)                       /report
        2.000 s of waits in the last 60 s; all waits together: 2.500 s
        ");
        assert!(table(&json!({"span": 60.0, "holders": []})).starts_with("no wait for the GIL"));
    }

    /// Reported: a function with a name of a thousand letters moved the lines of all others out of the terminal. Met with generated code.
    #[test]
    fn long_names_are_cut() {
        let place =
            |function: &str, file: &str| json!({"function": function, "file": file, "line": 7, "route": "/"});
        let places =
            [place(&"f".repeat(1000), "/srv/a.py"), place("g", &format!("/{}/views.py", "x".repeat(1000)))];
        let table = table(&json!({"span": 60.0, "holders": places}));
        assert!(table.lines().all(|line| line.chars().count() < 200), "{table}");
        assert!(
            table.contains("fff…") && table.contains("…xxx") && table.contains("xx/views.py:7"),
            "{table}"
        );
    }

    #[test]
    fn names_are_encoded() {
        assert_eq!(encoded("/a b&c=ü"), "/a%20b%26c%3d%c3%bc");
    }
}
