//! Figures that a worker writes onto its scoreboard: the time of requests by kind, waits with their culprits, running
//! requests.

#![allow(clippy::unwrap_used, reason = "a test may panic with the place")]

mod support;

use bytes::BytesMut;
use gk_sys::memory::SharedWords;
use gk_telemetry::sample::Finished;
use gk_telemetry::{Board, WorkerSample};
use gk_wire::control::{FromWorker, ToWorker};
use gk_wire::setup::InterpreterSetup;
use std::time::{Duration, Instant};
use support::{Front, with_other_setup};

const APP: &str = r#"
import os, threading, time

BOTH = threading.Barrier(2)

def spin(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        for _ in range(200):
            pass

def hold(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in range(200):
            pass

def until(path):
    while not os.path.exists(path):
        time.sleep(0.001)

def application(environ, start_response):
    path = environ["PATH_INFO"]
    body = b"ok"
    if path == "/meet":
        BOTH.wait()
    elif path == "/spin":
        spin(0.2)
    elif path == "/short":
        spin(0.0001)
        body = str(time.thread_time_ns()).encode()
    elif path == "/sleep":
        time.sleep(0.1)
        threading.Event().wait(0.1)
    elif path == "/heavy":
        hold(0.4)
    elif path == "/until":
        until(environ["QUERY_STRING"])
    elif path.startswith("/light"):
        for _ in range(20):
            time.sleep(0.001)
    elif path == "/thread":
        thread = threading.Thread(target=hold, args=(0.8,), name="reporting")
        thread.start()
    elif path == "/echo":
        body = environ["wsgi.input"].read()
    elif path == "/metrics":
        import json, mod_wsgi
        if environ["QUERY_STRING"]:
            mod_wsgi.start_recording_metrics()
        body = json.dumps([mod_wsgi.request_metrics(), mod_wsgi.process_metrics()]).encode()
    elif path == "/collect":
        import gc
        rubbish = [[] for _ in range(1000)]
        for one in rubbish:
            one.append(one)
        del one, rubbish
        gc.collect()
    elif path == "/raise":
        raise ValueError("x")
    start_response("200 OK", [])
    return [body]
"#;

fn sample(front: &Front) -> WorkerSample {
    let words = SharedWords::map(front.scoreboard.as_ref().unwrap()).unwrap();
    Board::open(words).unwrap().sample(0)
}

/// The reading in which so many requests have finished: an answer may arrive a moment before its figures are written.
fn finished(front: &Front, count: usize) -> WorkerSample {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let sample = sample(front);
        // A thread adds its request to the counts after the list.
        let counted = sample.total().statuses.values().sum::<u64>() >= count as u64;
        if (sample.finished.len() >= count && counted) || Instant::now() > deadline {
            return sample;
        }
        std::thread::yield_now();
    }
}

fn of<'s>(sample: &'s WorkerSample, path: &str) -> Vec<&'s Finished> {
    sample.finished.iter().filter(|one| one.path == path).collect()
}

fn measured(threads: u32, group: &'static str, with: impl FnOnce(&mut Front) + Send + 'static) {
    with_slow(0.0, threads, group, with);
}

fn with_slow(slow: f64, threads: u32, group: &'static str, with: impl FnOnce(&mut Front) + Send + 'static) {
    let code = with_other_setup(
        threads,
        APP,
        group,
        |setup| {
            setup.scoreboard = true;
            setup.slow_requests = slow;
            setup.interpreters = vec![InterpreterSetup {
                application_group: Some("own".to_owned()),
                specificity: 1,
                per_interpreter_gil: Some(true),
                ..InterpreterSetup::default()
            }];
        },
        with,
    );
    assert_eq!(code, 0);
}

const GIL: bool = !gk_python::version::FREE_THREADED_BUILD;

/// Nanoseconds that a hypervisor has taken from all CPUs together.
fn stolen() -> u64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap();
    stat.split_whitespace().nth(8).unwrap().parse::<u64>().unwrap() * 10_000_000
}

#[test]
fn computing_and_waiting_are_told_apart() {
    measured(2, "", |front| {
        // So that both threads are there.
        front.all(&["/meet", "/meet"]);
        let before = stolen();
        front.all(&["/spin", "/spin"]);
        let taken = stolen() - before;
        front.all(&["/sleep"]);
        let sample = finished(front, 5);
        assert!(sample.exact, "{}", sample.why);
        assert_eq!(sample.why.as_str(), if GIL { "" } else { "no GIL" });
        for spin in of(&sample, "/spin") {
            let r = &spin.record;
            println!("{r:?}");
            assert!(r.cpu > 195_000_000 && r.cpu < 230_000_000, "{r:?}");
            let wall = r.daemon + r.application;
            assert_eq!(r.cpu + r.gil_wait() + r.runnable + r.blocked, wall);
            // Time stolen by a hypervisor is in none of the thread's clocks.
            assert!(r.blocked < wall / 20 + taken, "{r:?}, {taken} ns stolen");
            if GIL {
                assert!(r.gil_wait() > wall / 5 && r.waits > 5, "{r:?}");
                assert_eq!(spin.culprit, "/spin");
            } else {
                assert_eq!((r.gil_wait(), r.waits), (0, 0));
            }
        }
        let [sleep] = of(&sample, "/sleep")[..] else { panic!("{:?}", sample.finished) };
        let r = &sleep.record;
        println!("{r:?}");
        assert!(r.blocked > 190_000_000 && r.gil_application < 2_000_000, "{r:?}");
        // On a busy machine the thread of a /spin may still hold the GIL while this request attaches.
        assert!(r.gil_server <= r.daemon, "{r:?}");
        assert_eq!((r.status, r.error, r.bytes_out, r.writes), (200, false, 2, 1));
    });
}

#[test]
fn short_requests_with_sleep_between_have_their_cpu() {
    const COUNT: u64 = 300;
    measured(1, "", |front| {
        let mut clock = || front.get("/short").text().parse::<u64>().unwrap();
        let first = clock();
        let last = (1..COUNT).fold(first, |_, _| clock());
        // The thread's own clock, with what the link costs it between the requests.
        let whole = (last - first) / (COUNT - 1);
        let deadline = Instant::now() + Duration::from_secs(10);
        let figures = loop {
            let figures = sample(front).groups[0].figures.clone();
            if figures.requests == COUNT || Instant::now() > deadline {
                break figures;
            }
        };
        let each = figures.cpu.sum / COUNT;
        println!("{each} ns of {whole} ns each");
        assert!(each >= 100_000 && each <= whole, "{each} of {whole} ns each");
    });
}

#[test]
fn a_wait_is_booked_to_who_suffered_and_who_caused_it() {
    measured(2, "", |front| {
        front.all(&["/heavy", "/light"]);
        let sample = finished(front, 2);
        let caused = |culprit: &str, victim: &str| -> u64 {
            let names = |pair: &&gk_telemetry::sample::PairSample| {
                (culprit.is_empty() || sample.route_name(pair.culprit) == culprit)
                    && sample.route_name(pair.victim) == victim
            };
            sample.pairs.iter().filter(names).map(|pair| pair.ns).sum()
        };
        if GIL {
            let (heavy, any) = (caused("/heavy", "/light"), caused("", "/light"));
            println!("{heavy} of {any}");
            assert!(heavy > 10_000_000 && heavy as f64 >= 0.9 * any as f64, "{heavy} of {any}");
        } else {
            assert_eq!(sample.pairs, []);
        }
        let [light] = of(&sample, "/light")[..] else { panic!("one") };
        assert_eq!(light.record.gil_wait() > 0, GIL, "{light:?}");
    });
}

#[test]
fn threads_of_the_application_are_named() {
    if !GIL {
        return;
    }
    measured(1, "", |front| {
        front.all(&["/thread"]);
        front.all(&["/light/1"]);
        // Its name is asked for after it was first seen.
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            front.all(&["/light/2"]);
            let sample = sample(front);
            let named = |route: &&gk_telemetry::figures::routes::RouteSample| {
                let name = route.name.strip_prefix("reporting, started at ");
                name.is_some_and(|place| place.contains(".wsgi:") || place.contains(".py:"))
                    && route.caused > 0
            };
            if sample.routes.iter().any(|route| named(&route)) {
                break;
            }
            if Instant::now() > deadline {
                panic!("{:?}", sample.routes);
            }
            front.all(&["/thread"]);
        }
    });
}

#[test]
fn what_went_in_and_out_is_counted_and_failures_are_errors() {
    measured(1, "", |front| {
        assert_eq!(front.post("/echo", b"twelve bytes").body, b"twelve bytes");
        assert_eq!(front.get("/raise").status, 500);
        let sample = finished(front, 2);
        let [echo] = of(&sample, "/echo")[..] else { panic!("one") };
        let r = &echo.record;
        assert_eq!((r.bytes_in, r.bytes_out, r.reads, r.writes, r.status), (12, 12, 1, 1, 200));
        assert!(r.input > 0 && r.response > r.application, "{r:?}");
        let [raised] = of(&sample, "/raise")[..] else { panic!("one") };
        assert_eq!((raised.record.status, raised.record.error), (500, true));
        let total = sample.total();
        assert_eq!((total.requests, total.errors, total.statuses[&200], total.statuses[&500]), (2, 1, 1, 1));
        assert_eq!((sample.process_group.as_str(), sample.threads, sample.worker), ("app", 1, 1));
    });
}

#[test]
fn garbage_collections_are_told_of_by_interpreter() {
    measured(1, "own", |front| {
        let begun = gk_sys::clock::epoch_micros() * 1000;
        (0..2).for_each(|_| assert_eq!(front.get("/collect").status, 200));
        let sample = finished(front, 2);
        let gc = |name: &str| sample.groups.iter().find(|group| group.name == name).map(|group| &group.gc);
        let own = gc("own").unwrap();
        assert!(own.collections[2] >= 2 && own.collected >= 2_000, "{own:?}");
        assert!(own.pause > 0 && own.longest <= own.pause, "{own:?}");
        let words = SharedWords::map(front.scoreboard.as_ref().unwrap()).unwrap();
        let (collections, last) = Board::open(words).unwrap().collections(0);
        let whole: Vec<_> =
            collections.iter().filter(|one| one.generation == 2 && one.collected >= 1_000).collect();
        assert!(whole.len() >= 2 && last >= 2, "{collections:?}");
        assert!(whole.iter().all(|one| one.start >= begun - 1_000_000 && one.pause > 0), "{whole:?}");
    });
}

#[test]
fn an_interpreter_with_its_own_gil_is_measured_too() {
    measured(2, "own", |front| {
        front.all(&["/heavy", "/light"]);
        let sample = finished(front, 2);
        assert!(sample.exact, "{}", sample.why);
        let [light] = of(&sample, "/light")[..] else { panic!("one") };
        assert_eq!(light.application_group, "own");
        assert_eq!(light.record.gil_wait() > 5_000_000, GIL, "{:?}", light.record);
        assert!(!GIL || light.culprit == "/heavy", "{light:?}");
    });
}

#[test]
fn a_slow_request_is_reported_with_its_stack_and_any_other_when_asked_for() {
    with_slow(0.05, 2, "", |front| {
        let mut out = BytesMut::new();
        let flag = front.directory.join("flag");
        let slow = front.request(&format!("/until?{}", flag.display()), "GET", b"", &mut out);
        front.send(&out);
        let is_stack = |m: &FromWorker| matches!(m, FromWorker::Stack(_));
        let Some(FromWorker::Stack(stack)) = front.messages_until(is_stack).pop() else { panic!("a stack") };
        assert_eq!(
            (stack.request, stack.method.as_str(), stack.path.as_str()),
            (slow.into(), "GET", "/until")
        );
        assert!(stack.slow && stack.seconds >= 0.05, "{stack:?}");
        assert!(
            stack.stack.contains("in until") && stack.stack.contains("in application"),
            "{}",
            stack.stack
        );
        // While it runs it is on the scoreboard, also when nobody is left to ask.
        let running: Vec<_> = sample(front).slots.into_iter().filter_map(|slot| slot.request).collect();
        assert!(running.len() == 1 && running[0].path == "/until", "{running:?}");
        front.tell(&ToWorker::Stack { request: slow.into() });
        let Some(FromWorker::Stack(asked)) = front.messages_until(is_stack).pop() else { panic!("a stack") };
        assert!(!asked.slow && asked.request == u64::from(slow), "{asked:?}");
        std::fs::write(flag, "").unwrap();
        front.await_all(vec![(slow, "")]);
    });
}

#[test]
fn the_application_sees_its_own_figures() {
    measured(2, "", |front| {
        let ask = |front: &mut Front, path: &str| -> serde_json::Value {
            serde_json::from_slice(&front.get(path).body).unwrap()
        };
        assert_eq!(ask(front, "/metrics"), serde_json::json!([null, null]));
        // The first traceback of an interpreter pays for the modules that write it.
        assert_eq!(front.get("/raise").status, 500);
        // Or they would be counted within the window that begins now.
        finished(front, 2);
        ask(front, "/metrics?start");
        front.all(&["/sleep"]);
        assert_eq!(front.get("/raise").status, 500);
        finished(front, 5);
        let both = ask(front, "/metrics");
        let (requests, process) = (&both[0], &both[1]);
        assert_eq!(
            (&requests["request_count"], &requests["status_5xx"]),
            (&3.into(), &1.into()),
            "{requests}"
        );
        assert_eq!(requests["application_time_buckets"].as_array().unwrap().len(), 65);
        let mean = requests["application_time"].as_f64().unwrap();
        assert!(mean > 0.06 && mean < 0.3, "{requests}");
        assert_eq!(requests["gil_wait_exact"], true);
        assert_eq!(process["request_threads"], 2);
        assert!(process["memory_rss"].as_u64() > Some(1 << 20) && process["threads"].as_array().is_some());
    });
}
