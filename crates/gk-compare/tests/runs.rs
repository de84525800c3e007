//! Runs of plans on fake servers: the order of trials, variants that cannot be measured, ending early and resuming.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

use gk_compare::plan::Plan;
use gk_compare::report;
use gk_compare::runner::{Progress, RunEnd, Runner, server_command};
use gk_compare::saved::{ResultsHeader, Saved};
use gk_compare::table;
use gk_compare::trial::server::{RunningServer, ServerCommand, ServerStarter};
use gk_telemetry::Figures;
use gk_telemetry::totals::{Process, Totals, Worker};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// A server that answers at once, or not at all, and reports 3 ms of CPU for each request.
struct Fake {
    url: String,
    served: Arc<AtomicU64>,
    begun: Instant,
}

impl Fake {
    fn start(mute: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let served: Arc<AtomicU64> = Arc::default();
        let counted = Arc::clone(&served);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let counted = Arc::clone(&counted);
                std::thread::spawn(move || if mute { None } else { answer(&stream.ok()?, &counted) });
            }
        });
        Self { url, served, begun: Instant::now() }
    }
}

fn answer(stream: &TcpStream, counted: &AtomicU64) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            counted.fetch_add(1, Relaxed);
            (&*stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").ok()?;
        }
    }
}

impl RunningServer for Fake {
    fn url(&self) -> &str {
        &self.url
    }

    fn totals(&self) -> Result<Totals, String> {
        let requests = self.served.load(Relaxed);
        let mut figures = Figures { requests, ..Figures::default() };
        (0..requests).for_each(|_| figures.cpu.record(3_000_000));
        let passed = self.begun.elapsed();
        let seconds = passed.as_secs_f64();
        let process = Process { pid: 1, cpu: seconds / 2.0, resident: 10_000_000, run_delay: 0.0 };
        let worker = Worker { process, exact: true, gil_enabled: true, ..Worker::default() };
        Ok(Totals { at: passed.as_nanos() as u64, workers: vec![worker], figures, ..Totals::default() })
    }

    fn stop(self: Box<Self>) {}
}

/// Starts fakes; `--threads 3` does not start, `--threads 4` does not answer.
#[derive(Default)]
struct Fakes(RefCell<Vec<String>>);

impl ServerStarter for Fakes {
    fn start(&self, command: &ServerCommand) -> Result<Box<dyn RunningServer>, String> {
        let threads = command.arguments.iter().skip_while(|a| *a != "--threads").nth(1);
        let threads = threads.cloned().unwrap_or_default();
        self.0.borrow_mut().push(threads.clone());
        match threads.as_str() {
            "3" => Err("port 80 is in use".into()),
            _ => Ok(Box::new(Fake::start(threads == "4"))),
        }
    }
}

const PLAN: &str = "
title = 'Two ways'
[workload]
script = 'app.py'
connections = 2
duration = 0.4
warm-up = 0
timeout = 0.3
rounds = 2
[[form]]
name = 'one'
path = '/one'
[[form]]
name = 'two'
path = '/two'
note = 'Two is more than one.'
";

fn plan(variants: &[&str]) -> Plan {
    let variants = variants.iter().map(|v| format!("[[variant]]\nname = 'T{v}'\nthreads = {v}\n"));
    let text = PLAN.to_owned() + &variants.collect::<String>();
    Plan::parse(&text, "p.toml", Path::new("/plans")).unwrap()
}

fn run(
    plan: &Plan,
    out: &Path,
    starter: &dyn ServerStarter,
    look: &mut dyn FnMut(&Progress<'_>) -> bool,
) -> (RunEnd, Saved) {
    let mut saved =
        Saved::open(out, ResultsHeader { name: "p.toml".into(), ..ResultsHeader::default() }, false).unwrap();
    let pythons = BTreeMap::new();
    let ended = Runner { plan, starter, pythons: &pythons, saved: &mut saved, look }.run().unwrap();
    (ended, saved)
}

#[test]
fn rounds_are_interleaved_and_failing_variants_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let (plan, fakes) = (plan(&["1", "2", "3", "4"]), Fakes::default());
    let mut seen = Vec::new();
    let (ended, saved) = run(&plan, &folder.path().join("r.jsonl"), &fakes, &mut |progress| {
        if progress.begins {
            seen.push(format!("{} {} {}", progress.round, progress.variant, progress.form));
        }
        true
    });
    assert_eq!(ended, RunEnd::Done);
    let wanted = [
        "1 T1 one", "1 T1 two", "1 T2 one", "1 T2 two", "1 T4 one", "2 T1 one", "2 T1 two", "2 T2 one",
        "2 T2 two",
    ];
    assert_eq!(seen, wanted);
    // A variant that does not start is not tried again.
    assert_eq!(*fakes.0.borrow(), ["1", "2", "3", "4", "1", "2"]);
    let problems: Vec<String> = saved.problems.iter().map(|p| format!("{}: {}", p.variant, p.why)).collect();
    assert_eq!(problems[0], "T3: port 80 is in use");
    assert!(problems[1].starts_with("T4: not one request was answered as it should be ("), "{problems:?}");
    let comparison = table::comparison(&plan, &saved);
    let text = report::terminal(&comparison);
    for part in ["Two ways", "T1", "3.00", "* Two is more than one.", "not measured: T3: port 80 is in use"] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    assert_eq!(comparison.tables.len(), 2);
    let cpu = comparison.tables[0].rows[0].value("cpu_per_process").unwrap();
    assert!((cpu.median - 0.5).abs() < 0.05 && cpu.rounds == 2, "{cpu:?}");
    let markdown = report::markdown(&comparison);
    assert!(markdown.contains("| T1 | ") && markdown.contains("|---|---:|"), "{markdown}");
    let html = report::html(&comparison);
    assert!(
        html.contains("<svg")
            && !html.contains("<script")
            && !html.contains("http://")
            && !html.contains("src=")
    );
    let json = report::json(&comparison);
    assert_eq!(json["tables"][0]["rows"][1]["figures"]["cpu_per_request_ms"]["rounds"], 2);
}

#[test]
fn an_ended_run_is_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let (plan, out) = (plan(&["1", "2"]), folder.path().join("r.jsonl"));
    let mut trials = 0;
    let (ended, saved) = run(&plan, &out, &Fakes::default(), &mut |progress| {
        trials += u32::from(progress.begins);
        trials < 4
    });
    assert_eq!((ended, saved.samples.len()), (RunEnd::Early, 3));
    drop(saved);
    let mut seen = Vec::new();
    let (ended, saved) = run(&plan, &out, &Fakes::default(), &mut |progress| {
        if progress.begins {
            seen.push(format!("{} {} {}", progress.round, progress.variant, progress.form));
        }
        true
    });
    assert_eq!((ended, saved.samples.len()), (RunEnd::Done, 8));
    assert_eq!(seen[0], "1 T2 two");
    // All results exist: no server is started.
    let fakes = Fakes::default();
    let (_, saved) = run(&plan, &out, &fakes, &mut |_| true);
    assert_eq!((saved.samples.len(), fakes.0.borrow().len()), (8, 0));
}

#[test]
fn server_commands_follow_the_plan() {
    let mut plan = plan(&["5"]);
    plan.workload.options = vec!["--python-path".into(), "lib".into()];
    plan.workload.environment.insert("A".into(), "1".into());
    let none = BTreeMap::new();
    let made = server_command(&plan, &plan.variants[0], &none, vec![]).unwrap();
    assert_eq!(made.arguments.join(" "), "serve --threads 5 app.py --python-path lib");
    assert!(!made.listens && made.environment["A"] == "1");
    plan.variants[0].options = vec!["--port=0".into()];
    plan.variants[0].python = Some("9.9".into());
    let why = server_command(&plan, &plan.variants[0], &none, vec![]).unwrap_err();
    assert!(why.starts_with("python 9.9: there is no python9.9 on the PATH"), "{why}");
    plan.variants[0].python = None;
    assert!(server_command(&plan, &plan.variants[0], &none, vec![]).unwrap().listens);
}
