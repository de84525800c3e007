//! Processes of other servers in the hub: an OTLP push read back, silence, restarts, too many processes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

use gk_admin::heard::otlp_message::read;
use gk_admin::kept::hub::Hub;
use gk_admin::pages::api;
use gk_admin::told::families::{Families, Family, Form, Point, Value};
use gk_admin::told::otlp::{ServerIdentity, message};
use gk_admin::told::prometheus;
use gk_telemetry::Histogram;
use gk_telemetry::datagram::{Datagram, Kind, fields};
use gk_wire::control::What;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message;

fn hub() -> Hub {
    Hub::of_other_servers()
}

fn family(name: &'static str, form: Form, labels: &[(&'static str, &str)], value: Value) -> Family {
    let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Family { name, form, help: "", points: vec![Point { labels, value }] }
}

/// Metrics of a server after `requests` requests of 20 ms.
fn figures(requests: u64) -> Families {
    let mut histogram = Histogram::default();
    (0..requests).for_each(|_| histogram.record(20_000_000));
    let app = [("process_group", "shop"), ("application_group", "")];
    let code = [("process_group", "shop"), ("application_group", ""), ("code", "200")];
    let process = [("process_group", "shop"), ("pid", "5")];
    let number = |name, form, labels: &[_], value| family(name, form, labels, Value::Number(value));
    Families(vec![
        number("gilkeeper_requests_total", Form::Counter, &code, requests as f64),
        family("gilkeeper_request_seconds", Form::Histogram, &app, Value::Histogram(histogram.clone())),
        family("gilkeeper_application_seconds", Form::Histogram, &app, Value::Histogram(histogram)),
        number("gilkeeper_process_cpu_seconds_total", Form::Counter, &process, requests as f64 / 100.0),
        number("gilkeeper_process_resident_memory_bytes", Form::Gauge, &process, 5e7),
        number("gilkeeper_threads", Form::Gauge, &process, 4.0),
        number("gilkeeper_threads_busy", Form::Gauge, &process, 3.0),
        number("gilkeeper_gil_enabled", Form::Gauge, &process, 1.0),
        number("gilkeeper_gil_wait_exact", Form::Gauge, &process, 1.0),
        number("other_metric_total", Form::Counter, &app, 7.0),
    ])
}

fn pushed(host: &str, requests: u64) -> ExportMetricsServiceRequest {
    let identity = ServerIdentity { host: host.into(), instance: "/srv/root".into(), started: 1 };
    message(&figures(requests), "shop", &identity, 2)
}

#[test]
fn a_push_is_read_back_in_both_forms() {
    let message = pushed("web1", 50);
    let binary = ExportMetricsServiceRequest::decode(&message.encode_to_vec()[..]).unwrap();
    let json: ExportMetricsServiceRequest =
        serde_json::from_str(&serde_json::to_string(&message).unwrap()).unwrap();
    assert_eq!(read(&binary), read(&json));
    let [push] = &read(&binary)[..] else { panic!("one process group") };
    assert_eq!(
        (push.host.as_str(), push.instance.as_str(), push.group.as_str()),
        ("web1", "/srv/root", "shop")
    );
    let pushed = &push.figures;
    assert_eq!((pushed.cpu, pushed.resident, pushed.threads, pushed.exact), (0.5, 50_000_000, (4, 3), true));
    let figures = &pushed.groups[0].figures;
    assert_eq!((figures.requests, figures.statuses[&200], figures.response.count()), (50, 50, 50));
    assert_eq!(figures.response.sum, 1_000_000_000);
    let median = figures.response.quantile(0.5).unwrap();
    assert!((10e6..25e6).contains(&median), "{median}");
}

#[test]
fn servers_are_kept_apart_and_may_restart() {
    let mut hub = hub();
    for (t, requests) in [(100.0, 50), (110.0, 150), (120.0, 10)] {
        hub.push(read(&pushed("web1", requests)), t);
        hub.push(read(&pushed("web2", requests * 2)), t);
        hub.advance(t);
        hub.advance(t + 9.9);
    }
    hub.advance(130.0);
    let status = api::status(&hub, 130.0);
    let workers = status["workers"].as_array().unwrap();
    assert_eq!(workers.len(), 2);
    for (worker, host) in workers.iter().zip(["web1", "web2"]) {
        assert_eq!((&worker["host"], &worker["source"]), (&host.into(), &"otlp".into()));
        assert_eq!(
            (&worker["process_group"], &worker["instance"]),
            (&format!("{host}/shop").into(), &"/srv/root".into())
        );
        assert_eq!((&worker["threads"], &worker["gil_wait_exact"]), (&4.into(), &true.into()));
        // The number of serving threads is known, their requests are not.
        assert_eq!(worker["busy"], 3);
        let states = worker["slots"].as_array().unwrap().iter().map(|slot| slot["state"].as_str().unwrap());
        assert_eq!(states.filter(|state| *state != "idle").count(), 3);
    }
    assert!(prometheus::page(&hub, false).lines().any(|line| {
        line.starts_with("gilkeeper_threads_busy{process_group=\"web1/shop\"") && line.ends_with(" 3")
    }));
    // 50 at the start, 100 more, then a restart and 10.
    let minute = hub.last_minute().window(60.0);
    let requests = |group: &str| minute[group].total().requests;
    assert_eq!((requests("web1/shop"), requests("web2/shop")), (110, 220));
}

fn record(pid: u32, seq: u32, host: &str, requests: u64) -> Vec<u8> {
    let mut out = Datagram::new(Kind::RequestMetrics, pid, 1_000.0);
    out.seq = seq;
    out.text(fields::HOSTNAME, host, 127);
    out.text(fields::PROCESS_GROUP, "app", 63);
    out.number(fields::SAMPLE_PERIOD, 1.0);
    out.number(fields::TELEMETRY_INTERVAL, 1.0);
    out.count(fields::REQUEST_COUNT, requests);
    out.encode()
}

fn lifecycle(kind: Kind, pid: u32, stamp: f64) -> Vec<u8> {
    let mut out = Datagram::new(kind, pid, stamp);
    out.text(fields::HOSTNAME, "web", 127);
    out.encode()
}

/// Advances the hub each second from `from` to `to`.
fn seconds(hub: &mut Hub, from: u32, to: u32) -> Vec<What> {
    let advance = |t: u32| hub.advance(f64::from(t)).events.into_iter().map(|event| event.happened.what);
    (from..to).flat_map(advance).collect()
}

#[test]
fn a_server_that_pushes_seldom_is_one_server_from_its_first_push_on() {
    for (period, requests) in [(10u32, 400), (36, 400), (60, 400), (120, 400)] {
        let mut hub = hub();
        let mut events = Vec::new();
        for n in 0..5 {
            hub.push(read(&pushed("web", 100 * u64::from(n))), f64::from(1_000 + n * period));
            events.extend(seconds(&mut hub, 1_000 + n * period, 1_000 + (n + 1) * period));
        }
        let totals: u64 = hub.counters().figures().map(|figures| figures.requests).sum();
        // All but a little of the last interval has been handed out.
        assert!((requests - 15..=requests).contains(&totals), "{period} s: {totals}");
        assert_eq!((hub.workers().len(), events.len()), (1, 0), "{period} s: {events:?}");
        // Then it is silent for three intervals.
        events.extend(seconds(&mut hub, 1_000 + 5 * period, 1_000 + 8 * period + 10));
        assert_eq!((hub.workers().len(), events), (0, vec![What::WorkerGone]), "{period} s");
    }
}

#[test]
fn a_process_of_unknown_interval_is_waited_for() {
    let mut hub = hub();
    hub.datagram(&lifecycle(Kind::ProcessStarted, 7, 1_000.0), Some(90), 100.0);
    assert_eq!(seconds(&mut hub, 100, 160), [What::WorkerReady]);
    assert_eq!(hub.workers().len(), 1);
    // But not for ever.
    assert_eq!(seconds(&mut hub, 160, 420), [What::WorkerGone]);
    assert!(hub.workers().is_empty());
}

#[test]
fn a_process_that_is_heard_of_again_is_back_unless_it_reported_its_end() {
    for (last, left) in [(None, 1), (Some(Kind::ProcessStopped), 0)] {
        let mut hub = hub();
        hub.datagram(&record(7, 1, "web", 5), Some(90), 100.0);
        if let Some(kind) = last {
            hub.datagram(&lifecycle(kind, 7, 1_000.0), Some(90), 111.0);
        }
        seconds(&mut hub, 100, 113);
        let gone = |hub: &Hub| hub.workers().values().filter(|worker| !worker.is_alive()).count();
        assert_eq!(gone(&hub), 1);
        hub.datagram(&record(7, 2, "web", 5), Some(90), 113.0);
        assert_eq!(gone(&hub), 1 - left, "{last:?}");
        seconds(&mut hub, 113, 121);
        assert_eq!(hub.workers().len(), left, "{last:?}");
    }
}

#[test]
fn the_last_interval_of_a_process_counts_in_full() {
    for interval in [1.0, 5.0, 20.0, 600.0] {
        let mut hub = hub();
        for (seq, requests, at) in [(1, 5, 100.0), (2, 70, 105.0)] {
            let mut out = Datagram::decode(&record(7, seq, "web", requests)).unwrap();
            out.fields.retain(|(id, _)| ![fields::SAMPLE_PERIOD, fields::TELEMETRY_INTERVAL].contains(id));
            out.number(fields::SAMPLE_PERIOD, interval);
            out.number(fields::TELEMETRY_INTERVAL, interval);
            hub.datagram(&out.encode(), Some(90), at);
        }
        hub.datagram(&lifecycle(Kind::ProcessStopped, 7, 1_000.0), Some(90), 105.2);
        seconds(&mut hub, 106, 120);
        assert!(hub.workers().is_empty());
        let minute = hub.last_minute().window(60.0);
        assert_eq!(minute["web/app"].total().requests, 75, "{interval} s");
        let totals: u64 = hub.counters().figures().map(|figures| figures.requests).sum();
        assert_eq!(totals, 75, "{interval} s");
    }
}

#[test]
fn senders_that_the_kernel_does_not_see_differ_by_their_host() {
    let mut hub = hub();
    let collection = |pid: u32| Datagram::new(Kind::GcEvent, pid, 1_000.0).encode();
    // About an unknown process.
    hub.datagram(&collection(7), None, 100.0);
    assert!(hub.workers().is_empty());
    for (host, pid, requests) in [("one", 7, 5), ("two", 7, 6), ("two", 8, 7)] {
        hub.datagram(&record(pid, 1, host, requests), None, 100.0);
    }
    // Two processes have the number 7, so this one is about neither; that one is about the only 8.
    hub.datagram(&collection(7), None, 100.0);
    hub.datagram(&collection(8), None, 100.0);
    hub.advance(102.0);
    assert_eq!(hub.workers().len(), 3);
    let minute = hub.last_minute().window(60.0);
    let requests = |group: &str| minute[group].total().requests;
    assert_eq!((requests("one/app"), requests("two/app")), (5, 13));
    // A sender that the kernel sees is a process of its own, whatever host it names.
    hub.datagram(&record(7, 1, "one", 1), Some(90), 102.0);
    hub.datagram(&collection(7), Some(90), 102.0);
    assert_eq!(hub.workers().len(), 4);
}

#[test]
fn a_silent_process_is_gone_and_a_restarted_one_is_another() {
    let mut hub = hub();
    let mut what = Vec::new();
    let mut advance = |hub: &mut Hub, now: f64| {
        what.extend(hub.advance(now).events.into_iter().map(|event| event.happened.what));
    };
    hub.datagram(&record(7, 1, "web", 5), Some(90), 100.0);
    advance(&mut hub, 101.0);
    assert_eq!(hub.workers().len(), 1);
    advance(&mut hub, 109.0);
    // The same process id again, but a process that began now: the old one is gone.
    hub.datagram(&lifecycle(Kind::ProcessStarted, 7, 1_500.0), Some(90), 110.0);
    advance(&mut hub, 110.5);
    assert_eq!(hub.living().count(), 1);
    hub.datagram(&record(7, 1, "web", 5), Some(90), 111.0);
    advance(&mut hub, 122.0);
    advance(&mut hub, 130.0);
    assert!(hub.workers().is_empty());
    assert_eq!(what, [What::WorkerGone, What::WorkerReady, What::WorkerGone]);
}

#[test]
fn the_number_of_processes_and_their_figures_are_bounded() {
    let mut hub = hub();
    for pid in 0..4_200 {
        hub.datagram(&record(pid, 1, "web", u64::MAX), Some(90), 100.0);
    }
    assert_eq!((hub.workers().len(), hub.intake().unwrap().crowded), (4096, 4_200 - 4096));
    for pid in 0..4_200 {
        hub.datagram(&record(pid, 2, "web", u64::MAX), Some(90), 101.0);
    }
    hub.advance(101.0);
    let second = hub.advance(102.0);
    assert!(second.tick.groups["web/app"].point().rates.requests.is_finite());
    let _ = api::status(&hub, 102.0);
}
