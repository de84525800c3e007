//! The front as an operator sees it: access log, status, reload.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod support;

use gk_config::site::{AccessLog, LogForm, Mount, MountTarget, Site};
use gk_wire::certificates::Certificates;
use gk_wire::control::{EmbeddedFigures, FromFront, Silence, ToFront};
use gk_wire::frame::ToFrontFrame;
use support::{Frame, Running};

/// A front with one access log, and the path of the log.
fn with_log(form: LogForm, format: &str) -> (Running, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap().keep();
    let path = folder.join("access.log");
    let log = AccessLog { path: Some(path.clone()), format: format.into(), form, when: None };
    (Running::start(|site| site.hosts[0].access_logs = vec![log]), path)
}

#[test]
fn the_access_log_has_a_line_per_request() {
    let (mut front, path) = with_log(
        LogForm::Text,
        "%a \"%r\" %>s %b %I %O %X %{X-In}i %{Content-Type}o %{process_group}g %{worker}g",
    );
    let mut worker = front.worker(1);
    worker.welcome();
    let mut client = front.client();
    client.send("GET /x?y HTTP/1.1\r\nHost: a\r\nX-In: \"q\"\r\n\r\n");
    let id = worker.request().id();
    worker.hello(id);
    let answer = client.answer();
    let sent = answer.head.len() + 4 + 5;
    client.get("/a%2fb").answer();
    client.get("/cut");
    let id = worker.request().id();
    worker.respond(id, 200, &[], b"part", false);
    client.head();
    drop(worker);
    client.rest();
    front.stop(0.0).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert_eq!(
        lines[0],
        format!("127.0.0.1 \"GET /x?y HTTP/1.1\" 200 5 41 {sent} + \\\"q\\\" text/plain g 1001")
    );
    assert!(lines[1].starts_with("127.0.0.1 \"GET /a%2fb HTTP/1.1\" 404 "), "{text}");
    assert!(lines[2].contains("\"GET /cut HTTP/1.1\" 200 4 "), "{text}");
    assert!(lines[2].contains(" X - "), "{text}");
}

/// Reported: the access log had no line of a response that was under way at a reload.
/// Met with downloads and deploys.
#[test]
fn a_response_under_way_at_a_reload_or_a_stop_is_logged() {
    let (mut front, path) = with_log(LogForm::Text, "%U %>s %X");
    let mut worker = front.worker(2);
    worker.welcome();
    let (mut over, mut cut) = (front.client(), front.client());
    over.get("/over");
    let first = worker.request().id();
    worker.respond(first, 200, &[], b"part", false);
    over.head();
    front.reload(&support::site(front.root.path()));
    front.until(|_| true);
    worker.send(&ToFrontFrame::Data { id: first, end: true, data: b"end" });
    support::eventually(|| std::fs::read_to_string(&path).unwrap() == "/over 200 +\n");

    let mut site = support::site(front.root.path());
    site.hosts[0].access_logs = vec![AccessLog {
        path: Some(path.clone()),
        format: "%U %>s %X".into(),
        form: LogForm::Text,
        when: None,
    }];
    front.reload(&site);
    front.until(|_| true);
    cut.get("/cut");
    let second = loop {
        if let Some(Frame::Request { id, .. }) = worker.next() {
            break id;
        }
    };
    worker.respond(second, 200, &[], b"part", false);
    cut.head();
    let mut waiting = front.client();
    waiting.get("/waiting");
    front.until(|status| status.in_flight.values().sum::<u64>() == 2);
    front.stop(0.0).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["/cut 200 X", "/over 200 +", "/waiting 499 X"]);
}

/// Reported: a download that the client broke off was logged as complete.
/// Met with static files of several megabytes.
#[test]
fn a_download_that_is_broken_off_is_logged_as_broken_off() {
    let tree = tempfile::tempdir().unwrap();
    std::fs::File::create(tree.path().join("large")).unwrap().set_len(64 << 20).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let log =
        AccessLog { path: Some(path.clone()), format: "%U %>s %X".into(), form: LogForm::Text, when: None };
    let front = Running::start(|site| {
        site.hosts[0].access_logs = vec![log];
        site.hosts[0].mounts.clear();
        site.hosts[0].document_root = Some(tree.path().to_owned());
    });
    let mut client = front.client();
    assert_eq!(client.get("/large").head().status, 200);
    drop(client);
    support::eventually(|| std::fs::read_to_string(&path).unwrap() == "/large 200 X\n");
}

#[test]
fn json_lines_are_objects() {
    let (mut front, path) = with_log(LogForm::Json, "");
    let _worker = front.hello_worker();
    front.client().get("/").answer();
    front.stop(1.0).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
    assert_eq!((&line["status"], &line["process_group"]), (&200.into(), &"g".into()));
}

#[test]
fn a_reload_takes_effect_between_requests() {
    let mut front = Running::start(|_| {});
    let mut worker = front.worker(2);
    worker.welcome();
    let mut client = front.client();
    client.get("/app/x");
    let request = worker.request();
    assert_eq!(request.get("SCRIPT_NAME"), Some(""));
    let mut site = support::site(front.root.path());
    site.hosts[0].mounts = vec![Mount::new("/app", MountTarget::Module("site.wsgi".into()))];
    front.reload(&site);
    front.until(|_| true);
    worker.hello(request.id());
    assert_eq!(client.answer().status, 200);
    client.get("/app/x");
    let Some(Frame::Profile(_, profile)) = worker.next() else { panic!("no profile") };
    assert_eq!((&profile["script"], &profile["module"]), (&"site.wsgi".into(), &true.into()));
    let request = worker.request();
    assert_eq!(request.get("SCRIPT_NAME"), Some("/app"));
    worker.hello(request.id());
    assert_eq!(client.answer().status, 200);
    assert_eq!(client.get("/").answer().status, 404);
}

#[test]
fn the_front_gives_a_sign_of_life_when_it_is_asked() {
    let front = Running::start(|_| {});
    for silent in [vec![], vec![Silence { worker: 3, seconds: 7.5 }]] {
        front.say(&ToFront::Ping { silent });
        assert_eq!(front.hear(), FromFront::Alive);
    }
}

/// Reported: the front kept a pool for every process group that any reload had named.
/// Met where deploys rename their groups.
#[test]
fn the_pool_of_a_removed_group_goes_with_its_last_worker() {
    let mut front = Running::start(|_| {});
    let mut worker = front.worker(1);
    worker.welcome();
    let mut client = front.client();
    client.get("/");
    let request = worker.request();
    let mut site = support::site(front.root.path());
    site.groups[0].name = "other".into();
    front.reload(&site);
    front.until(|status| status.queued.contains_key("g") && status.queued.contains_key("other"));
    worker.hello(request.id());
    assert_eq!(client.answer().status, 200);
    drop(worker);
    front.until(|status| !status.queued.contains_key("g"));
}

#[test]
fn a_unix_socket_serves_too() {
    use std::io::{Read, Write};
    let mut front = Running::start_unix();
    let _worker = front.hello_worker();
    let mut stream = std::os::unix::net::UnixStream::connect(front.root.path().join("front.sock")).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    assert!(all.starts_with("HTTP/1.1 200 OK") && all.ends_with("hello"), "{all}");
}

#[test]
fn the_front_tells_of_workers_that_speak_http_themselves() {
    let mut front = Running::start(|site| site.embedded = true);
    let figures = |connections, requests| EmbeddedFigures {
        connections,
        requests,
        queued: [("g".to_owned(), 2)].into(),
        ..EmbeddedFigures::default()
    };
    front.say(&ToFront::EmbeddedFigures { worker: 1, figures: figures(3, 10) });
    front.say(&ToFront::EmbeddedFigures { worker: 2, figures: figures(1, 5) });
    front.until(|status| (status.connections, status.requests, status.queued["g"]) == (4, 15, 4));
    front.say(&ToFront::WorkerExited { worker: 1, how: "exit status 0".into(), died: false });
    front.until(|status| (status.connections, status.requests, status.queued["g"]) == (1, 15, 2));
    // Whether it has clients is decided at its start.
    let other = Site { embedded: false, ..support::site(front.root.path()) };
    let refused = front.reload_tls(&other, &Certificates::default()).unwrap();
    assert!(refused.contains("only when the server is restarted"), "{refused}");
    front.stop(0.0).unwrap();
}
