//! The pages of `gilkeeper top`: tables of process groups, processes, routes, requests in flight and answers. Pure: the API's JSON in,
//! text out.

use super::top_table::{Cell, GAP, Order, Table, count, fine, length, number, rate, seconds, share, size};
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
    /// Answers by status and reason.
    Answers,
}

impl View {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Groups, Self::Processes, Self::Routes, Self::Requests, Self::Answers];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Groups => "groups",
            Self::Processes => "processes",
            Self::Routes => "routes",
            Self::Requests => "in flight",
            Self::Answers => "answers",
        }
    }

    /// The order of its rows, until another one is chosen.
    pub fn order(self) -> Order {
        match self {
            Self::Groups | Self::Processes => Order { column: 0, rising: true },
            Self::Routes => Order { column: 3, rising: false },
            Self::Requests => Order { column: 1, rising: false },
            Self::Answers => Order { column: 3, rising: false },
        }
    }
}

/// The keys, for the page `?`.
pub const KEYS: [&str; 9] = [
    "1 to 5, tab, arrows  page: groups, processes, routes, requests in flight, answers",
    "s                    sort by the next column",
    "r                    turn the order round",
    "g                    only the next process group; after the last one, all",
    "space                pause",
    "?                    this page",
    "q, escape            leave",
    "",
    "Answers, 5xx and percentiles are those of the last minute, as clients saw them; threads and CPU are those of the last second.",
];

/// A part of the API's answers: a process group alone, or all.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// `/api/v1/status`.
    pub status: &'a Value,
    /// `/api/v1/requests`, of that group alone.
    pub requests: &'a Value,
    /// The group.
    pub group: Option<&'a str>,
}

impl<'a> Source<'a> {
    fn groups(self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        let all = self.status["groups"].as_object().into_iter().flatten();
        all.filter(move |(name, _)| self.group.is_none_or(|group| group == name.as_str()))
    }

    /// The figures of the last second, and of the last minute.
    fn points(self) -> (&'a Value, &'a Value) {
        let of = match self.group {
            None => return (&self.status["total"], &self.status["minute"]["point"]),
            Some(group) => &self.status["groups"][group],
        };
        (&of["point"], &of["minute"]["point"])
    }
}

/// Answers per second, the share of errors and the time, as clients saw them; as workers did where no front tells.
fn seen(point: &Value) -> (f64, Option<f64>, &Value) {
    let (answers, failed, time) = match number(&point["answers"]) {
        0.0 => (number(&point["requests"]), number(&point["errors"]), &point["response"]),
        answers => (answers, number(&point["answers_failed"]), &point["answer_time"]),
    };
    (answers, (answers > 0.0).then(|| failed / answers), time)
}

fn percent(part: Option<f64>) -> Cell {
    Cell { text: part.map_or_else(|| "–".into(), share), value: part }
}

/// Requests that no worker took, since the start.
fn refused(queue: &Value) -> f64 {
    ["full", "timed_out", "no_worker", "no_place"].iter().map(|key| number(&queue[key])).sum()
}

/// The two lines above every page.
pub fn summary(source: Source<'_>) -> [String; 2] {
    let (second, minute) = source.points();
    let (answers, failed, time) = seen(minute);
    let shown = |value: &Value| Cell::of(value, seconds).text;
    let mut all_refused = 0.0;
    source.groups().for_each(|(name, _)| all_refused += refused(&source.status["queues"][name]));
    [
        format!(
            "{}  {} answers/s  5xx {}  p50 {}  p99 {}  queued {}  refused {}",
            if source.status["ready"] == true { "ready" } else { "NOT READY" },
            rate(answers),
            percent(failed).text,
            shown(&time["p50"]),
            shown(&time["p99"]),
            count(number(&second["queued"])),
            count(all_refused),
        ),
        format!(
            "{} of {} threads busy  CPU {:.1} of {:.0}  GIL wait {} of each second{}",
            count(number(&second["busy"])),
            count(number(&second["threads"])),
            number(&second["cpu"]),
            number(&source.status["limits"]["cpus"]),
            shown(&second["gil_wait"]),
            source.group.map_or_else(String::new, |group| format!("  group {}", Cell::text(group).text)),
        ),
    ]
}

/// A page, in its own order.
pub fn table(view: View, source: Source<'_>) -> Table {
    match view {
        View::Groups => groups(source),
        View::Processes => processes(source),
        View::Routes => routes(source.requests),
        View::Requests => in_flight(source.requests),
        View::Answers => answers(source),
    }
}

fn groups(source: Source<'_>) -> Table {
    let head = vec![
        "process group",
        "label",
        "answers/s",
        "5xx",
        "p50",
        "p99",
        "busy",
        "queued",
        "refused",
        "CPU",
        "memory",
        "p95",
        "CPU/req",
        "GIL/req",
        "waits/s",
    ];
    let mut table = Table { head, ..Table::default() };
    for (name, group) in source.groups() {
        let (point, label, queue) = (&group["point"], &group["label"], &source.status["queues"][name]);
        let minute = &group["minute"]["point"];
        let (answers, failed, time) = seen(minute);
        let busy = number(&point["busy"]);
        table.rows.push(vec![
            Cell::text(name),
            Cell::text(label["kind"].as_str().unwrap_or("idle")),
            Cell::number(answers, rate),
            percent(failed),
            Cell::of(&time["p50"], seconds),
            Cell::of(&time["p99"], seconds),
            Cell { text: format!("{}/{}", count(busy), count(number(&point["threads"]))), value: Some(busy) },
            Cell::number(number(&point["queued"]), count),
            Cell::number(refused(queue), count),
            Cell::number(number(&point["cpu"]), fine),
            Cell::number(number(&point["resident"]), size),
            Cell::of(&time["p95"], seconds),
            Cell::of(&minute["cpu_per_request"], seconds),
            Cell::of(&minute["gil_per_request"], seconds),
            Cell::number(number(&minute["gil_waits"]), rate),
        ]);
        let exact = if group["gil_wait_exact"] == false { " GIL waits are a lower bound." } else { "" };
        if queue["overloaded"] == true {
            table.notes.push(Cell::text(&format!("{name} is overloaded: requests are answered 503.")).text);
        }
        let say = |key: &str| label[key].as_str().unwrap_or("").to_owned();
        table.notes.push(Cell::text(&format!("{name}: {} {}{exact}", say("why"), say("advice"))).text);
    }
    for waiting in source.status["waiting"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        table.notes.insert(0, Cell::text(&format!("Not ready: {waiting}.")).text);
    }
    table
}

fn processes(source: Source<'_>) -> Table {
    let head = vec![
        "process group",
        "pid",
        "state",
        "busy",
        "requests/s",
        "CPU",
        "memory",
        "GIL wait/s",
        "served",
        "up",
        "python",
        "GIL",
        "interval",
        "reason",
    ];
    let mut table = Table { head, ..Table::default() };
    for worker in source.status["workers"].as_array().into_iter().flatten() {
        let group = worker["process_group"].as_str().unwrap_or("");
        if source.group.is_some_and(|wanted| wanted != group) {
            continue;
        }
        let say = |key: &str| worker[key].as_str().unwrap_or("");
        let gil = if worker["gil_enabled"] == false {
            "none"
        } else {
            worker["gil_mode"].as_str().unwrap_or("–")
        };
        let busy = number(&worker["busy"]);
        table.rows.push(vec![
            Cell::text(group),
            Cell::number(number(&worker["pid"]), count),
            Cell::text(say("state")),
            Cell {
                text: format!("{}/{}", count(busy), count(number(&worker["threads"]))),
                value: Some(busy),
            },
            Cell::number(number(&worker["requests_now"]), rate),
            Cell::number(number(&worker["cpu_now"]), fine),
            Cell::number(number(&worker["resident"]), size),
            Cell::of(&worker["gil_wait_now"], seconds),
            Cell::number(number(&worker["requests"]), count),
            Cell::of(&worker["uptime"], seconds),
            Cell::text(say("python")),
            Cell::text(gil),
            Cell::of(&worker["switch_interval"], seconds),
            Cell::text(say("reason")),
        ]);
        if let Some(module) = worker["gil_returned"].as_str() {
            let pid = &worker["pid"];
            let note = format!("The GIL is on again in pid {pid}: module {module} turned it on.");
            table.notes.push(Cell::text(&note).text);
        }
    }
    table
}

fn routes(requests: &Value) -> Table {
    let head = vec![
        "route",
        "requests/s",
        "errors",
        "share",
        "p50",
        "p95",
        "p99",
        "CPU",
        "GIL wait",
        "blocked",
        "made wait/s",
        "waited/s",
    ];
    let window = number(&requests["window"]).max(1.0);
    let all: Vec<(&String, &Value)> = requests["routes"].as_object().into_iter().flatten().collect();
    let whole: f64 = all.iter().map(|(_, sums)| number(&sums["response"])).sum();
    let row = |(name, sums): (&String, &Value)| {
        let count = number(&sums["requests"]);
        let each = |key: &str| match count {
            0.0 => Cell::of(&Value::Null, seconds),
            count => Cell::number(number(&sums[key]) / count, seconds),
        };
        let errors = (count > 0.0).then(|| number(&sums["errors"]) / count);
        let share = (whole > 0.0).then(|| number(&sums["response"]) / whole);
        let kind = if sums["thread"] == true && !name.starts_with("thread ") { "thread " } else { "" };
        vec![
            Cell::text(&format!("{kind}{name}")),
            Cell::number(count / window, rate),
            percent(errors),
            percent(share),
            Cell::of(&sums["p50"], seconds),
            Cell::of(&sums["p95"], seconds),
            Cell::of(&sums["p99"], seconds),
            each("cpu"),
            each("gil_wait"),
            each("blocked"),
            Cell::number(number(&sums["caused"]) / window, seconds),
            Cell::number(number(&sums["suffered"]) / window, seconds),
        ]
    };
    Table { head, rows: all.into_iter().map(row).collect(), notes: Vec::new() }
}

fn in_flight(requests: &Value) -> Table {
    let head =
        vec!["request", "since", "pid", "thread", "CPU", "GIL wait", "queue", "id", "application group"];
    let row = |one: &Value| {
        let say = |key: &str| one[key].as_str().unwrap_or("").to_owned();
        vec![
            Cell::text(&format!("{} {}", say("method"), say("path"))),
            Cell::of(&one["seconds"], seconds),
            Cell::number(number(&one["pid"]), count),
            Cell::number(number(&one["thread"]), count),
            Cell::of(&one["cpu"], seconds),
            Cell::of(&one["gil_wait"], seconds),
            Cell::of(&one["queue"], seconds),
            Cell::number(number(&one["request"]), count),
            Cell::text(&say("application_group")),
        ]
    };
    let all = requests["in_flight"].as_array().into_iter().flatten();
    Table { head, rows: all.map(row).collect(), notes: Vec::new() }
}

fn answers(source: Source<'_>) -> Table {
    let head = vec!["reason", "status", "answered by", "answers/s", "share", "process group"];
    let mut rows = Vec::new();
    for (name, group) in source.groups() {
        let minute = &group["minute"];
        let span = number(&minute["span"]).max(1.0);
        let all: Vec<&Value> = minute["answered"].as_array().into_iter().flatten().collect();
        let whole: f64 = all.iter().map(|one| number(&one["count"])).sum();
        rows.extend(all.into_iter().map(|one| {
            let say = |key: &str| one[key].as_str().unwrap_or("");
            vec![
                Cell::text(say("words")),
                Cell::number(number(&one["code"]), count),
                Cell::text(say("source")),
                Cell::number(number(&one["count"]) / span, rate),
                percent((whole > 0.0).then(|| number(&one["count"]) / whole)),
                Cell::text(name),
            ]
        }));
    }
    Table { head, rows, notes: Vec::new() }
}

/// The whole as plain lines, for `--once`.
pub fn plain(source: Source<'_>) -> String {
    let mut out = summary(source).join("\n");
    out.push('\n');
    for view in View::ALL {
        let mut table = table(view, source);
        table.sort(view.order());
        out.push_str(&format!("\n{}\n", view.name()));
        let head = table.head.iter().map(|cell| (*cell).to_owned()).collect();
        let cells = |row: &Vec<Cell>| row.iter().map(|cell| cell.text.clone()).collect();
        let lines: Vec<Vec<String>> = std::iter::once(head).chain(table.rows.iter().map(cells)).collect();
        let width = |column: usize| lines.iter().map(|line| length(&line[column])).max().unwrap_or(0);
        let widths: Vec<usize> = (0..table.head.len()).map(width).collect();
        for line in &lines {
            let cells: Vec<String> =
                line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            out.push_str(cells.join(&" ".repeat(GAP)).trim_end());
            out.push('\n');
        }
        table.notes.iter().for_each(|note| out.push_str(&format!("{note}\n")));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status() -> Value {
        let second = json!({"busy": 1.2, "threads": 5.0, "cpu": 1.5, "queued": 3});
        let point =
            json!({"answers": 12.34, "answers_failed": 3.085, "answer_time": {"p50": 0.0031, "p99": null}});
        let minute = json!({"span": 60.0, "point": point, "answered": [
            {"code": 503, "source": "front", "reason": "busy", "words": "no worker took the request", "count": 180},
            {"code": 200, "source": "application", "reason": "", "words": "the application", "count": 540},
        ]});
        let label = json!({"kind": "gil-bound", "why": "Because.", "advice": ""});
        json!({
            "ready": true, "limits": {"cpus": 2.0}, "total": second, "minute": minute,
            "queues": {"site": {"timed_out": 180}},
            "groups": {
                "site": {"point": second, "minute": minute, "label": label, "gil_wait_exact": false},
                "quiet": {"point": {"threads": 2.0}, "label": {"kind": "idle"}},
            },
            "workers": [{"pid": 7, "process_group": "site", "gil_enabled": false, "threads": 5, "state": "leaving", "reason": "reload"}],
        })
    }

    fn requests() -> Value {
        json!({"window": 10.0, "in_flight": [{"method": "GET", "path": "/\u{1b}[2J", "seconds": 3.0}],
            "routes": {"/a": {"requests": 20, "response": 0.4, "p95": 0.02, "errors": 1}, "/b": {"requests": 2, "response": 1.2}}})
    }

    #[test]
    fn figures_are_shown_and_control_characters_are_not() {
        let (status, requests) = (status(), requests());
        let text = plain(Source { status: &status, requests: &requests, group: None });
        let first = "ready  12 answers/s  5xx 25 %  p50 3.1 ms  p99 –  queued 3  refused 180\n\
                     1 of 5 threads busy  CPU 1.5 of 2";
        assert!(text.starts_with(first), "{text}");
        for wanted in ["gil-bound", "lower bound", "20.0 ms", "no worker took the request", "leaving", "75 %"]
        {
            assert!(text.contains(wanted), "{wanted} in {text}");
        }
        assert!(text.contains("GET /\\x1b[2J") && !text.contains('\u{1b}'));
        assert!(text.find("/b").unwrap() < text.find("/a ").unwrap(), "the route with most time comes first");
        let nothing = Source { status: &Value::Null, requests: &Value::Null, group: None };
        assert!(plain(nothing).contains("NOT READY"));
    }

    #[test]
    fn a_group_can_be_seen_alone() {
        let (status, requests) = (status(), requests());
        let of =
            |group| table(View::Groups, Source { status: &status, requests: &requests, group }).rows.len();
        assert_eq!((of(None), of(Some("quiet")), of(Some("gone"))), (2, 1, 0));
        let quiet = Source { status: &status, requests: &requests, group: Some("quiet") };
        assert!(table(View::Processes, quiet).rows.is_empty());
        assert!(summary(quiet)[0].contains("5xx –  p50 –"), "{:?}", summary(quiet));
    }

    /// Reported: at 80 columns the figures of the last columns stood cut off at the edge.
    #[test]
    fn a_terminal_of_eighty_columns_has_whole_figures() {
        let (status, requests) = (status(), requests());
        let source = Source { status: &status, requests: &requests, group: None };
        let [first, second] = summary(source);
        assert!(length(&first) <= 80 && length(&second) <= 80, "{first}\n{second}");
        for view in View::ALL {
            let table = table(view, source);
            let fit = table.fit(80);
            let whole = fit.widths.iter().sum::<usize>() + GAP * (fit.widths.len() - 1);
            assert!(whole <= 80, "{view:?}: {whole}");
            assert!(fit.widths.len() >= 5, "{view:?} shows {:?}", fit.widths);
            for row in &table.rows {
                for (cell, shown) in row.iter().zip(Table::shown(row, &fit)).skip(1) {
                    assert_eq!(cell.text, shown, "{view:?}: a figure is cut");
                }
            }
        }
    }
}
