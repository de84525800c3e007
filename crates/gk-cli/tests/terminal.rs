//! Each command with text from elsewhere that would do something to a terminal: what a worker, an application, a configuration, an
//! admin page or another server says is shown and does nothing.
#![allow(clippy::unwrap_used, reason = "a test: the harness functions run in tests only")]

use gk_wire::admin::{Answer, CONTROL_SOCKET, Front, Status, Worker};
use gk_wire::control::InterpreterFigures;
use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output};

/// Sets the title, clears the screen, colours, goes back to the first column and over it, turns letters around.
const EVIL: &str = "owned\u{1b}]0;title\u{7}\u{9b}2J\u{1b}[31m\r\u{8}\u{7f}\u{202e}gpj.exe\u{2066}\u{2028}";

fn run(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gilkeeper"));
    command.args(args).current_dir(dir).env_remove("GILKEEPER_ROOT");
    // No Python that could be asked for its build: what is printed does not depend on the machine.
    command.env("GILKEEPER_DEV_PYTHON", "/nowhere/python3");
    command.output().unwrap()
}

/// Everything that the command said; nothing in it acts on a terminal.
fn harmless(what: &str, output: &Output) -> String {
    let said = [&output.stdout[..], &output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    let acts = |c: char| {
        c.is_control() && !"\n\t".contains(c)
            || "\u{61c}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}"
                .contains(c)
    };
    assert!(!said.contains(acts), "{what}: {said:?}");
    assert!(said.contains("owned"), "{what} does not say it: {said}");
    said
}

fn evil() -> String {
    EVIL.into()
}

fn status(admin: Option<String>) -> Status {
    let interpreter = InterpreterFigures {
        application_group: format!("{EVIL}\nforged row"),
        gil_mode: evil(),
        ..InterpreterFigures::default()
    };
    let worker = Worker {
        process_group: format!("{EVIL}\nforged row"),
        state: evil(),
        gil_mode: evil(),
        python: evil(),
        gil_returned: Some(format!("{EVIL}\nforged row")),
        interpreters: vec![interpreter],
        importing: vec![format!("{EVIL}\nforged row")],
        ..Worker::default()
    };
    let front = Front { state: evil(), ..Front::default() };
    Status { front: Some(front), workers: vec![worker], admin, ..Status::default() }
}

/// A server that answers so over its control socket, once.
fn server(dir: &Path, answers: Vec<Answer>) -> std::thread::JoinHandle<()> {
    let root = dir.join("gilkeeper-root");
    std::fs::create_dir_all(&root).unwrap();
    let _ = std::fs::remove_file(root.join(CONTROL_SOCKET));
    let listener = UnixListener::bind(root.join(CONTROL_SOCKET)).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        for answer in answers {
            writeln!(stream, "{}", serde_json::to_string(&answer).unwrap()).unwrap();
        }
    })
}

/// Admin pages that answer each request with this status and text; their address.
fn pages(status: u16, text: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // It lives as long as the test.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).unwrap();
            write!(stream, "HTTP/1.1 {status} x\r\nConnection: close\r\n\r\n{text}").unwrap();
        }
    });
    format!("http://{address}/")
}

/// Reported: `status`, `reload` and `top` passed on the escape sequences that a worker had put into its Python version, its state or
/// the text of a failed import. Met by everybody who looks at a server whose worker was taken over.
#[test]
fn what_a_server_says_does_nothing_to_the_terminal() {
    let done = |ok, text: &str| Answer::Done { ok, text: text.into() };
    let told = |admin| Answer::Status { status: Box::new(status(admin)) };
    let table = [
        (vec!["status"], vec![told(None), done(true, EVIL)]),
        (vec!["status", "--format", "json"], vec![told(None), done(true, EVIL)]),
        (vec!["status"], vec![done(false, EVIL)]),
        (vec!["reload"], vec![Answer::Progress { text: evil() }, done(true, EVIL)]),
        (vec!["reload"], vec![done(false, EVIL)]),
        (vec!["stop"], vec![Answer::Progress { text: evil() }, done(true, EVIL)]),
    ];
    for (args, answers) in table {
        let dir = tempfile::tempdir().unwrap();
        let asked = server(dir.path(), answers);
        let output = run(dir.path(), &args);
        asked.join().unwrap();
        let said = harmless(&args.join(" "), &output);
        assert!(!said.lines().any(|line| line.starts_with("forged row")), "{said}");
        if args.len() > 1 {
            let read: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(read["workers"][0]["python"], EVIL, "JSON says what was said");
        }
    }
}

#[test]
fn what_the_admin_pages_say_does_nothing_to_the_terminal() {
    let point = json!({"requests": 1.0, "response": {"p50": 0.1}});
    let page = json!({
        "total": point, "ready": true, "limits": {"cpus": 1.0}, "window": 10.0,
        "groups": {EVIL: {"point": point, "label": {"kind": EVIL, "why": EVIL, "advice": EVIL}}},
        "workers": [{"pid": 7, "process_group": EVIL, "python": EVIL, "gil_mode": EVIL, "gil_returned": EVIL}],
        "in_flight": [{"method": EVIL, "path": EVIL, "seconds": 1.0, "application_group": EVIL}],
        "routes": {EVIL: {"requests": 20, "response": 0.4}},
    });
    let table = [
        ("top", vec!["top", "--once"], pages(200, page.to_string())),
        ("top, refused", vec!["top", "--once"], pages(500, evil())),
        ("status", vec!["status", "--format", "json"], pages(200, page.to_string())),
    ];
    for (what, args, address) in table {
        let dir = tempfile::tempdir().unwrap();
        let answers = vec![
            Answer::Status { status: Box::new(status(Some(address))) },
            Answer::Done { ok: true, text: evil() },
        ];
        let asked = server(dir.path(), answers);
        harmless(what, &run(dir.path(), &args));
        asked.join().unwrap();
    }
}

/// Each other command, with names, files and values that act.
#[test]
fn what_files_and_arguments_say_does_nothing_to_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("good.conf", &format!("WSGIDaemonProcess a\nSetEnv X \"{}\"\n", EVIL.replace('\r', "")));
    write("bad.conf", &format!("{}\n", EVIL.replace('\r', "")));
    let name = EVIL.replace('\r', "");
    let quoted: String = name.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
    let quoted = format!("\"{quoted}\"");
    write("bad.toml", &format!("[workload]\n{quoted} = 1\n"));
    let plan = "[workload]\nscript = \"none.py\"\nduration = 1\nwarm-up = 0\nrounds = 1\n";
    write("plan.toml", &format!("{plan}[[variant]]\nname = {quoted}\nprocesses = 1\n"));
    let table: &[&[&str]] = &[
        &["check", "-c", "good.conf"],
        &["check", "-c", "good.conf", "--format", "json"],
        &["check", "-c", "bad.conf"],
        &["serve", "-c", "bad.conf"],
        &["serve", EVIL],
        &["explain", EVIL],
        &["completion", EVIL],
        &["compare", "bad.toml"],
        &["compare", "plan.toml"],
        &["compare", EVIL],
        &["tune", EVIL],
        &["doctor", EVIL],
        &["load", EVIL],
        &["telemetry", "serve", "--listen", EVIL],
        &["status", "--server-root", EVIL],
        &["top", "--server-root", EVIL],
        &["man", EVIL],
        &[EVIL],
    ];
    for args in table {
        harmless(&args.join(" "), &run(dir.path(), args));
    }
}
