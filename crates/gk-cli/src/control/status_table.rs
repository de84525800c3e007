//! A status as text for a terminal. Pure.

use gk_wire::admin::{Certificate, Status, Worker};
use gk_wire::printable;
use gk_wire::queue::DeadlyRoute;
use std::fmt::Write as _;

const COLUMNS: [&str; 10] =
    ["process group", "worker", "pid", "state", "python", "gil mode", "threads", "busy", "requests", "up"];

const INTERPRETERS: [&str; 6] =
    ["worker", "application group", "gil mode", "switch interval", "busy", "memory added"];

/// Seconds of silence of the admin process that are shown: it is asked once a second.
const SILENT: u32 = 3;

/// The status on a page.
pub fn status(status: &Status) -> String {
    let mut out = String::new();
    let listen = status.listen.join(" ");
    let _ = writeln!(
        out,
        "gilkeeper {} (pid {}), up {}, generation {}, serving {listen}",
        status.version,
        status.pid,
        duration(status.uptime),
        status.generation
    );
    if let Some(admin) = &status.admin {
        let _ = writeln!(out, "admin {admin}");
    }
    if status.draining {
        out.push_str("draining: it serves, and is not ready for load balancers (`gilkeeper drain --undo`)\n");
    }
    match &status.front {
        None => out.push_str("front: none\n"),
        Some(front) => {
            let queued: u64 = front.figures.queued.values().sum();
            let figures = match front.unanswered {
                true => "its figures are not known".to_owned(),
                false => format!(
                    "{} connections, {} requests, {queued} queued",
                    front.figures.connections, front.figures.requests
                ),
            };
            let state = match front.accepting {
                None => front.state.clone(),
                Some(0) => "no process accepts connections".to_owned(),
                Some(1) => format!("{} (1 process accepts connections)", front.state),
                Some(several) => format!("{} ({several} processes accept connections)", front.state),
            };
            let _ =
                writeln!(out, "front: pid {}, {state}, {figures}, {} restarts", front.pid, front.restarts);
            if front.silent > 0.0 {
                let _ = writeln!(out, "the front gives no sign of life for {:.1} s", front.silent);
            }
        }
    }
    for (group, queue) in status.front.iter().flat_map(|front| &front.figures.queues) {
        let group = printable::line(group);
        if queue.overloaded {
            let _ = writeln!(
                out,
                "process group '{group}' is overloaded: {} requests were answered 503 since the front started",
                queue.full + queue.timed_out + queue.no_place
            );
        }
        for DeadlyRoute { route, deaths } in &queue.deadly {
            let _ = writeln!(
                out,
                "process group '{group}': workers die again and again while they serve {} ({deaths} lately)",
                printable::line(route)
            );
        }
    }
    for Certificate { facts, days_left } in &status.certificates {
        let names = if facts.names.is_empty() { &facts.host } else { &facts.names.join(" ") };
        let when = match days_left {
            ..0 => "has expired".to_owned(),
            0 => "expires within a day".to_owned(),
            1 => "expires in 1 day".to_owned(),
            days => format!("expires in {days} days"),
        };
        let (file, names) = (printable::line(&facts.file), printable::line(names));
        let _ = writeln!(out, "certificate {file} ({names}) {when}");
    }
    let mut rows = vec![COLUMNS.map(str::to_owned)];
    rows.extend(status.workers.iter().map(|w| {
        [
            w.process_group.clone(),
            w.worker.to_string(),
            w.pid.to_string(),
            w.state.clone(),
            w.python.clone(),
            w.gil_mode.clone(),
            of_requests(w, w.threads.into()),
            answered(w, w.busy.into()),
            answered(w, w.requests),
            duration(w.uptime),
        ]
    }));
    lines(&mut out, &rows);
    let mut rows = vec![INTERPRETERS.map(str::to_owned)];
    for worker in status.workers.iter().filter(|worker| !worker.front) {
        rows.extend(worker.interpreters.iter().map(|interpreter| {
            let name = &*interpreter.application_group;
            [
                worker.worker.to_string(),
                if name.is_empty() { "%{GLOBAL}" } else { name }.to_owned(),
                interpreter.gil_mode.clone(),
                interpreter.switch_interval.map_or("-".to_owned(), |s| format!("{:.3} ms", s * 1e3)),
                interpreter.busy.to_string(),
                format!("{:.1} MB", interpreter.memory as f64 / 1e6),
            ]
        }));
    }
    if rows.len() > 1 {
        out.push('\n');
        lines(&mut out, &rows);
    }
    lazy_imports(&mut out, status);
    if let Some(admin) = status.front.as_ref().and_then(|front| front.figures.admin.as_ref())
        && admin.silent >= SILENT
    {
        let _ = writeln!(
            out,
            "the admin process (pid {}) gives no sign of life for {} s",
            admin.pid, admin.silent
        );
    }
    for worker in &status.workers {
        if worker.silent > 0.0 {
            let _ = writeln!(
                out,
                "worker {} (pid {}) gives no sign of life for {:.1} s",
                worker.worker, worker.pid, worker.silent
            );
        }
        for import in &worker.importing {
            let _ = writeln!(out, "worker {}, {}", worker.worker, printable::line(import));
        }
        if let Some(module) = &worker.gil_returned {
            let _ = writeln!(
                out,
                "worker {}: it is to run without a GIL, but {} turned it on again",
                worker.worker,
                printable::line(module)
            );
        }
    }
    out
}

/// Which process groups on CPython 3.15 run lazy imports where they stand, and which leave them to a request.
fn lazy_imports(out: &mut String, status: &Status) {
    for (word, text) in [
        ("eager", "lazy imports are run where they stand"),
        ("application", "lazy imports wait for the first request that uses them"),
    ] {
        let of = status.workers.iter().filter(|worker| worker.lazy_imports == word);
        let mut groups: Vec<_> = of.map(|worker| printable::line(&worker.process_group)).collect();
        groups.sort_unstable();
        groups.dedup();
        if !groups.is_empty() {
            let _ = writeln!(out, "{text} (lazy-imports={word}) in: {}", groups.join(", "));
        }
    }
}

/// A number that a process which runs no request does not have.
fn of_requests(worker: &Worker, number: u64) -> String {
    if worker.threads == 0 || worker.front { "-".to_owned() } else { number.to_string() }
}

/// The same for a number that the process tells when it is asked.
fn answered(worker: &Worker, number: u64) -> String {
    if worker.unanswered { "-".to_owned() } else { of_requests(worker, number) }
}

/// Rows as columns that line up. No cell begins a row of its own: names and states come from configurations and workers.
fn lines<const N: usize>(out: &mut String, rows: &[[String; N]]) {
    let rows: Vec<_> = rows.iter().map(|row| row.each_ref().map(|cell| printable::line(cell))).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    for row in &rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let _ = writeln!(out, "{}", cells.join("  ").trim_end());
    }
}

/// `42 s`, `3 min`, `2 h 5 min`, `4 d 2 h`.
fn duration(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min"),
        3600..86400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gk_wire::admin::Front;
    use gk_wire::control::InterpreterFigures;
    use gk_wire::queue::QueueFigures;

    #[test]
    fn interpreters_follow_with_what_they_have_for_themselves() {
        let interpreter = |name: &str, switch_interval, memory| InterpreterFigures {
            application_group: name.into(),
            gil_mode: "own".into(),
            switch_interval,
            busy: 1,
            memory,
        };
        let interpreters = vec![interpreter("", Some(0.0005), 2_000_000), interpreter("x\n\u{9b}", None, 0)];
        let worker = Worker {
            worker: 3,
            interpreters,
            gil_returned: Some("the module 'm'\n\u{1b}[2J".into()),
            ..Worker::default()
        };
        let text = status(&Status { workers: vec![worker], ..Status::default() });
        let lines: Vec<&str> = text.lines().skip(5).collect();
        assert_eq!(
            lines,
            [
                "worker  application group  gil mode  switch interval  busy  memory added",
                "3       %{GLOBAL}          own       0.500 ms         1     2.0 MB",
                "3       x\\n\\u009b          own       -                1     0.0 MB",
                "worker 3: it is to run without a GIL, but the module 'm'\\n\\x1b[2J turned it on again",
            ]
        );
    }

    #[test]
    fn lazy_imports_and_requests_that_import_are_named() {
        let worker = |number, group: &str, mode: &str, importing: &[&str]| Worker {
            worker: number,
            process_group: group.into(),
            lazy_imports: mode.into(),
            importing: importing.iter().map(|&text| text.to_owned()).collect(),
            ..Worker::default()
        };
        let workers = vec![
            worker(
                1,
                "shop",
                "application",
                &["application group '': GET /a\u{1b}[2J imports report lazily"],
            ),
            worker(2, "shop", "application", &[]),
            worker(3, "site", "eager", &[]),
            worker(4, "old", "", &[]),
        ];
        let text = status(&Status { workers, ..Status::default() });
        let lines: Vec<&str> =
            text.lines().filter(|line| line.contains("lazy") || line.contains("lazily")).collect();
        assert_eq!(
            lines,
            [
                "lazy imports are run where they stand (lazy-imports=eager) in: site",
                "lazy imports wait for the first request that uses them (lazy-imports=application) in: shop",
                "worker 1, application group '': GET /a\\x1b[2J imports report lazily",
            ]
        );
    }

    #[test]
    fn a_front_that_accepts_nothing_says_who_does() {
        let words = |accepting| {
            let front = Front { pid: 7, state: "ready".into(), accepting, ..Front::default() };
            let worker = Worker {
                process_group: "fronts".into(),
                threads: 1,
                front: true,
                interpreters: vec![InterpreterFigures::default()],
                ..Worker::default()
            };
            let text = status(&Status { front: Some(front), workers: vec![worker], ..Status::default() });
            let cells: Vec<&str> = text.lines().last().unwrap().split_whitespace().collect();
            assert_eq!(cells, ["fronts", "0", "0", "-", "-", "-", "0", "s"], "{text}");
            text.lines().nth(1).unwrap().split(", 0 conn").next().unwrap().to_owned()
        };
        assert_eq!(words(None), "front: pid 7, ready");
        assert_eq!(words(Some(0)), "front: pid 7, no process accepts connections");
        assert_eq!(words(Some(1)), "front: pid 7, ready (1 process accepts connections)");
        assert_eq!(words(Some(2)), "front: pid 7, ready (2 processes accept connections)");
    }

    /// Reported: a stopped front had "0 connections, 0 requests".
    #[test]
    fn what_a_front_does_not_tell_is_not_known() {
        let front = Front { pid: 7, state: "ready".into(), unanswered: true, ..Front::default() };
        let text = status(&Status { front: Some(front), ..Status::default() });
        assert_eq!(text.lines().nth(1), Some("front: pid 7, ready, its figures are not known, 0 restarts"));
    }

    #[test]
    fn an_overloaded_group_and_a_deadly_route_are_named() {
        let deadly = vec![DeadlyRoute { route: "GET /crash".into(), deaths: 4 }];
        let queue =
            QueueFigures { overloaded: true, full: 2, timed_out: 1, deadly, ..QueueFigures::default() };
        let mut front = Front::default();
        front.figures.queues.insert("site".into(), queue);
        let text = status(&Status { front: Some(front), ..Status::default() });
        assert!(text.contains("'site' is overloaded: 3 requests were answered 503"), "{text}");
        assert!(
            text.contains("'site': workers die again and again while they serve GET /crash (4 lately)"),
            "{text}"
        );
    }

    #[test]
    fn a_server_that_drains_says_so() {
        for draining in [true, false] {
            let text = status(&Status { draining, ..Status::default() });
            assert_eq!(text.lines().nth(1).unwrap().starts_with("draining: "), draining, "{text}");
        }
    }

    #[test]
    fn columns_line_up() {
        let worker =
            Worker { worker: 12, process_group: "g".into(), state: "ready".into(), ..Worker::default() };
        let serving = Worker { threads: 5, requests: 7, ..worker.clone() };
        let stopped = Worker { threads: 5, unanswered: true, ..worker.clone() };
        let text = status(&Status {
            workers: vec![worker, serving, stopped],
            listen: vec!["http://x/".into()],
            ..Status::default()
        });
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], "front: none");
        assert_eq!(lines[2].find("state"), lines[3].find("ready"));
        assert!(lines[3].ends_with("-        -     -         0 s"), "{}", lines[3]);
        assert!(lines[4].ends_with("5        0     7         0 s"), "{}", lines[4]);
        assert!(lines[5].ends_with("5        -     -         0 s"), "{}", lines[5]);
        assert_eq!(
            (duration(59.9), duration(3700.0), duration(90000.0)),
            ("59 s".into(), "1 h 1 min".into(), "1 d 1 h".into())
        );
    }
}
