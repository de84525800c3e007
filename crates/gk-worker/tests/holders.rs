//! Who held the GIL, on a worker's scoreboard: requests, threads of the application's own, and the lines of their code.

#![allow(clippy::unwrap_used, reason = "a test may panic with the place")]

mod support;

use gk_sys::memory::SharedWords;
use gk_telemetry::{Board, WorkerSample};
use gk_wire::setup::InterpreterSetup;
use std::time::{Duration, Instant};
use support::{Front, with_other_setup};

const GIL: bool = !gk_python::version::FREE_THREADED_BUILD;

const APP: &str = r#"
import threading, time

def hold(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in range(200):
            pass

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/tiny":
        hold(0.002)
    elif path == "/heavy":
        hold(0.2)
    elif path.startswith("/light"):
        for _ in range(20):
            time.sleep(0.001)
    elif path == "/collect":
        import gc
        # Few objects and many collections: what makes them holds the GIL in the route's own name.
        much = [[] for _ in range(100_000)]
        for _ in range(40):
            gc.collect()
        del much
    elif path == "/threads":
        for _ in range(10):
            thread = threading.Thread(target=hold, args=(0.03,))
            thread.start()
            thread.join()
    start_response("200 OK", [])
    return [b"ok"]
"#;

fn measured(group: &'static str, holders: Option<f64>, with: impl FnOnce(&mut Front) + Send + 'static) {
    let change = move |setup: &mut gk_wire::setup::WorkerSetup| {
        setup.scoreboard = true;
        setup.holders = holders;
        setup.interpreters = vec![InterpreterSetup {
            application_group: Some("own".to_owned()),
            specificity: 1,
            per_interpreter_gil: Some(true),
            ..InterpreterSetup::default()
        }];
    };
    assert_eq!(with_other_setup(2, APP, group, change, with), 0);
}

fn sample(front: &Front) -> WorkerSample {
    let words = SharedWords::map(front.scoreboard.as_ref().unwrap()).unwrap();
    Board::open(words).unwrap().sample(0)
}

/// Nanoseconds that a culprit made others wait.
fn caused(sample: &WorkerSample, culprit: impl Fn(&str) -> bool) -> u64 {
    sample.pairs.iter().filter(|pair| culprit(sample.route_name(pair.culprit))).map(|pair| pair.ns).sum()
}

/// Reported: "(unknown)" led the culprits of every busy site, since a holder whose request was over by the end of the wait had no
/// name, nor had a thread that ended before it was asked for one. Met with requests shorter than the switch interval.
#[test]
fn holders_that_are_gone_when_the_wait_ends_have_their_names() {
    if !GIL {
        return;
    }
    measured("", Some(-1.0), |front| {
        for _ in 0..40 {
            front.all(&["/tiny", "/tiny", "/tiny", "/tiny"]);
        }
        let sample = sample(front);
        let (unknown, all) = (caused(&sample, |name| name == "(unknown)"), caused(&sample, |_| true));
        let tiny = caused(&sample, |name| name == "/tiny");
        println!("{tiny} by /tiny, {unknown} unknown of {all}: {:?}", sample.pairs);
        // On a busy machine a thread may lose its processor with the GIL in hand outside of a request.
        assert!(all > 20_000_000 && tiny as f64 >= 0.75 * all as f64, "{tiny} of {all}");
        assert!(unknown as f64 <= 0.02 * all as f64, "{unknown} of {all}");
    });
}

#[test]
fn threads_that_end_soon_have_their_names_too() {
    if !GIL {
        return;
    }
    measured("", Some(-1.0), |front| {
        front.all(&["/threads", "/light/1"]);
        for _ in 0..4 {
            front.all(&["/threads", "/light/2", "/light/3"]);
        }
        let sample = sample(front);
        let threads = caused(&sample, |name| name.starts_with("Thread (hold), started at "));
        let unknown = caused(&sample, |name| name == "(unknown)");
        println!("{threads} by threads, {unknown} unknown: {:?}", sample.routes);
        assert!(threads > 50_000_000, "{threads}");
        // A thread that gets no processor between its first hold and its first line has no name yet.
        assert!(unknown as f64 <= 0.1 * threads as f64, "{unknown} beside {threads}");
        // Fifty threads of one kind are one entry.
        assert_eq!(sample.routes.iter().filter(|route| route.name.starts_with("Thread")).count(), 1);
    });
}

#[test]
fn garbage_collections_have_their_name() {
    if !GIL {
        return;
    }
    measured("", Some(-1.0), |front| {
        front.all(&["/collect", "/light/1"]);
        front.all(&["/collect", "/light/2"]);
        let sample = sample(front);
        let (collections, all) =
            (caused(&sample, |name| name == "(garbage collection)"), caused(&sample, |_| true));
        println!("{collections} of {all}: {:?}", sample.pairs);
        assert!(collections > 10_000_000 && collections as f64 >= 0.5 * all as f64, "{collections} of {all}");
    });
}

#[test]
fn waits_are_booked_to_the_lines_that_held_the_gil() {
    lines_of("");
}

#[test]
fn waits_for_a_gil_of_its_own_are_booked_to_lines_too() {
    lines_of("own");
}

/// Nanoseconds that `/heavy` made others wait.
#[derive(Debug)]
struct Caused {
    all: u64,
    /// Nobody takes a note of a hold's end when the next holder comes by a way without a wait: more often with other work.
    unseen: u64,
    /// In the function that the route computes in.
    held: u64,
}

impl Caused {
    fn of(sample: &WorkerSample, group: &str) -> Self {
        // The server's own threads wait, too, and are waited for.
        let sum = |function: Option<&str>| {
            let holds = sample.holds.iter();
            let of_route = holds
                .filter(|hold| sample.route_name(hold.route) == "/heavy" && hold.application_group == group);
            of_route.filter(|hold| function.is_none_or(|one| hold.function == one)).map(|hold| hold.ns).sum()
        };
        Self { all: sum(None), unseen: sum(Some("(not seen)")), held: sum(Some("hold")) }
    }

    /// A thread that loses its processor with the GIL in hand, before its first line or while the script is compiled, made others wait
    /// there. That happens now and then; most of all waits is in the line.
    fn is_in_the_line(&self) -> bool {
        let seen = (self.all - self.unseen) as f64;
        self.held > 50_000_000
            && self.held as f64 >= 0.95 * seen
            && self.unseen as f64 <= 0.3 * self.all as f64
    }
}

fn lines_of(group: &'static str) {
    if GIL {
        measured(group, Some(-1.0), move |front| {
            let deadline = Instant::now() + Duration::from_secs(30);
            let sample = loop {
                front.all(&["/heavy", "/light"]);
                let sample = sample(front);
                let caused = Caused::of(&sample, group);
                if caused.is_in_the_line() {
                    break sample;
                }
                assert!(Instant::now() < deadline, "{caused:?} of {:#?}", sample.holds);
            };
            let first = 2 + APP.lines().position(|line| line.starts_with("def hold")).unwrap() as u32;
            for hold in sample.holds.iter().filter(|hold| hold.function == "hold") {
                assert!((first..=first + 3).contains(&hold.line), "{hold:?}");
                assert!(hold.waits > 0 && hold.longest <= hold.ns, "{hold:?}");
            }
        });
    }
}

#[test]
fn no_wait_is_booked_to_a_line_where_that_is_off() {
    measured("", None, |front| {
        for _ in 0..3 {
            front.all(&["/heavy", "/light"]);
        }
        let sample = sample(front);
        assert_eq!(sample.holds, []);
        assert_eq!(caused(&sample, |name| name == "/heavy") > 0, GIL, "waits are measured as before");
    });
}
