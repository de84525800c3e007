//! The output of `gilkeeper top`: headings and rows of text. Pure: the API's JSON in, text out.

use gk_wire::printable;
use serde_json::Value;

/// The pages of `top`, in the order of their keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// Process groups.
    Groups,
    /// Processes.
    Processes,
    /// Routes.
    Routes,
    /// Requests in flight.
    Requests,
}

impl View {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Groups, Self::Processes, Self::Routes, Self::Requests];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Groups => "groups",
            Self::Processes => "processes",
            Self::Routes => "routes (last minute)",
            Self::Requests => "in flight",
        }
    }
}

/// A table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    /// Headings.
    pub head: Vec<&'static str>,
    /// Cells.
    pub rows: Vec<Vec<String>>,
    /// Sentences below.
    pub notes: Vec<String>,
}

/// The line above every page.
pub fn summary(status: &Value) -> String {
    let total = &status["total"];
    format!(
        "{} requests/s  p50 {}  p99 {}  {} of {} threads busy  CPU {:.1} of {:.0}  GIL wait {} of each second  {}",
        rate(&total["requests"]),
        time(&total["response"]["p50"]),
        time(&total["response"]["p99"]),
        count(&total["busy"]),
        count(&total["threads"]),
        number(&total["cpu"]),
        number(&status["limits"]["cpus"]),
        time(&total["gil_wait"]),
        if status["ready"] == true { "ready" } else { "NOT READY" },
    )
}

/// A page.
pub fn rows(view: View, status: &Value, requests: &Value) -> Rows {
    match view {
        View::Groups => groups(status),
        View::Processes => processes(status),
        View::Routes => routes(requests),
        View::Requests => in_flight(requests),
    }
}

fn groups(status: &Value) -> Rows {
    let head = vec![
        "process group",
        "label",
        "requests/s",
        "p50",
        "p95",
        "p99",
        "CPU/req",
        "GIL/req",
        "waits/s",
        "busy",
        "CPU",
        "memory",
        "queued",
    ];
    let mut rows = Rows { head, ..Rows::default() };
    for (name, group) in status["groups"].as_object().into_iter().flatten() {
        let (point, label) = (&group["point"], &group["label"]);
        rows.rows.push(vec![
            text(name),
            text(label["kind"].as_str().unwrap_or("idle")),
            rate(&point["requests"]),
            time(&point["response"]["p50"]),
            time(&point["response"]["p95"]),
            time(&point["response"]["p99"]),
            time(&point["cpu_per_request"]),
            time(&point["gil_per_request"]),
            rate(&point["gil_waits"]),
            format!("{}/{}", count(&point["busy"]), count(&point["threads"])),
            format!("{:.2}", number(&point["cpu"])),
            size(&point["resident"]),
            count(&point["queued"]),
        ]);
        let exact = if group["gil_wait_exact"] == false { " GIL waits are a lower bound." } else { "" };
        if status["queues"][name]["overloaded"] == true {
            rows.notes.push(text(&format!("{name} is overloaded: requests are answered 503.")));
        }
        let say = |key: &str| label[key].as_str().unwrap_or("").to_owned();
        rows.notes.push(text(&format!("{name}: {} {}{exact}", say("why"), say("advice"))));
    }
    rows
}

fn processes(status: &Value) -> Rows {
    let head = vec![
        "pid",
        "process group",
        "python",
        "GIL",
        "interval",
        "threads",
        "busy",
        "requests/s",
        "CPU",
        "GIL wait/s",
        "memory",
        "served",
        "up",
    ];
    let mut rows = Rows { head, ..Rows::default() };
    for worker in status["workers"].as_array().into_iter().flatten() {
        let gil = if worker["gil_enabled"] == false {
            "none"
        } else {
            worker["gil_mode"].as_str().unwrap_or("–")
        };
        rows.rows.push(vec![
            count(&worker["pid"]),
            text(worker["process_group"].as_str().unwrap_or("")),
            text(worker["python"].as_str().unwrap_or("")),
            text(gil),
            time(&worker["switch_interval"]),
            count(&worker["threads"]),
            count(&worker["busy"]),
            rate(&worker["requests_now"]),
            format!("{:.2}", number(&worker["cpu_now"])),
            time(&worker["gil_wait_now"]),
            size(&worker["resident"]),
            count(&worker["requests"]),
            time(&worker["uptime"]),
        ]);
        if let Some(module) = worker["gil_returned"].as_str() {
            rows.notes.push(text(&format!(
                "The GIL is on again in pid {}: module {module} turned it on.",
                worker["pid"]
            )));
        }
    }
    rows
}

fn routes(requests: &Value) -> Rows {
    let head = vec![
        "route",
        "requests/s",
        "errors",
        "response",
        "CPU",
        "GIL wait",
        "blocked",
        "made wait/s",
        "waited/s",
    ];
    let window = number(&requests["window"]).max(1.0);
    let mut all: Vec<(&String, &Value)> = requests["routes"].as_object().into_iter().flatten().collect();
    all.sort_by(|a, b| number(&b.1["response"]).total_cmp(&number(&a.1["response"])));
    let row = |(name, sums): (&String, &Value)| {
        let count = number(&sums["requests"]);
        let each = |key: &str| if count > 0.0 { seconds(number(&sums[key]) / count) } else { "–".into() };
        vec![
            text(&if sums["thread"] == true { format!("thread {name}") } else { name.clone() }),
            format!("{:.1}", count / window),
            self::count(&sums["errors"]),
            each("response"),
            each("cpu"),
            each("gil_wait"),
            each("blocked"),
            seconds(number(&sums["caused"]) / window),
            seconds(number(&sums["suffered"]) / window),
        ]
    };
    Rows { head, rows: all.into_iter().map(row).collect(), notes: Vec::new() }
}

fn in_flight(requests: &Value) -> Rows {
    let head = vec!["since", "request", "pid", "thread", "CPU", "GIL wait", "queue", "application group"];
    let mut all: Vec<&Value> = requests["in_flight"].as_array().into_iter().flatten().collect();
    all.sort_by(|a, b| number(&b["seconds"]).total_cmp(&number(&a["seconds"])));
    let row = |one: &Value| {
        let say = |key: &str| one[key].as_str().unwrap_or("").to_owned();
        vec![
            time(&one["seconds"]),
            text(&format!("{} {}", say("method"), say("path"))),
            count(&one["pid"]),
            count(&one["thread"]),
            time(&one["cpu"]),
            time(&one["gil_wait"]),
            time(&one["queue"]),
            text(&say("application_group")),
        ]
    };
    Rows { head, rows: all.into_iter().map(row).collect(), notes: Vec::new() }
}

/// The whole as plain lines, for `--once`.
pub fn plain(status: &Value, requests: &Value) -> String {
    let mut out = summary(status);
    out.push('\n');
    for view in View::ALL {
        let table = rows(view, status, requests);
        out.push_str(&format!("\n{}\n", view.name()));
        let lines: Vec<Vec<String>> =
            std::iter::once(table.head.iter().map(|cell| (*cell).to_owned()).collect())
                .chain(table.rows)
                .collect();
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..table.head.len()).map(width).collect();
        for line in &lines {
            let cells: Vec<String> =
                line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            out.push_str(cells.join("  ").trim_end());
            out.push('\n');
        }
        table.notes.iter().for_each(|note| out.push_str(&format!("{note}\n")));
    }
    out
}

/// Text of an application, a worker or a request, for one line.
pub fn text(text: &str) -> String {
    printable::line(text).into_owned()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(0.0)
}

fn rate(value: &Value) -> String {
    let value = number(value);
    if value < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

fn count(value: &Value) -> String {
    format!("{:.0}", number(value))
}

fn time(value: &Value) -> String {
    value.as_f64().map_or_else(|| "–".into(), seconds)
}

fn seconds(value: f64) -> String {
    match value {
        v if v < 0.000_001 => "0".into(),
        v if v < 0.001 => format!("{:.0} µs", v * 1e6),
        v if v < 1.0 => format!("{:.1} ms", v * 1e3),
        v if v < 120.0 => format!("{v:.1} s"),
        v => format!("{:.0} min", v / 60.0),
    }
}

fn size(value: &Value) -> String {
    format!("{:.1} MB", number(value) / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn figures_are_shown_and_control_characters_are_not() {
        let point = json!({"requests": 12.34, "response": {"p50": 0.0031, "p99": null}, "busy": 1.2, "threads": 5.0, "cpu": 1.5});
        let status = json!({
            "ready": true, "limits": {"cpus": 2.0}, "total": point,
            "groups": {"site": {"point": point, "label": {"kind": "gil-bound", "why": "Because.", "advice": ""}, "gil_wait_exact": false}},
            "workers": [{"pid": 7, "process_group": "site", "gil_enabled": false, "threads": 5}],
        });
        let requests = json!({"window": 10.0, "in_flight": [{"method": "GET", "path": "/\u{1b}[2J", "seconds": 3.0}],
            "routes": {"/a": {"requests": 20, "response": 0.4}}});
        let text = plain(&status, &requests);
        assert!(
            text.starts_with("12 requests/s  p50 3.1 ms  p99 –  1 of 5 threads busy  CPU 1.5 of 2"),
            "{text}"
        );
        assert!(
            text.contains("gil-bound") && text.contains("lower bound") && text.contains("20.0 ms"),
            "{text}"
        );
        assert!(text.contains("GET /\\x1b[2J") && !text.contains('\u{1b}'));
        assert!(plain(&Value::Null, &Value::Null).contains("NOT READY"));
    }
}
