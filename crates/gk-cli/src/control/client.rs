//! `status`, `reload` and `stop`: a question to a running server over its control socket, and its answer on the screen.

use super::admin_pages::Pages;
use super::status_table;
use crate::{Failure, print, say};
use clap::ArgMatches;
use gk_wire::admin::{Answer, CONTROL_SOCKET, Command, LOCK_FILE, Status};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest wait for a status.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// Longest wait for each step of reading the admin pages' figures.
const TELEMETRY: Duration = Duration::from_millis(400);

/// What a server said in the end.
struct Outcome {
    ok: bool,
    text: String,
    status: Option<Box<Status>>,
}

pub fn status(given: &ArgMatches) -> Result<i32, Failure> {
    let outcome = ask(given, &Command::Status)?;
    let Some(status) = outcome.status else { return Err(Failure::Failed(outcome.text)) };
    let json = given.get_one::<String>("format").is_some_and(|format| format == "json");
    print(&if json {
        let mut whole =
            serde_json::to_value(&status).expect("a status holds only strings, numbers and lists");
        // The figures of the admin pages, where there are any.
        if let Some(url) = status.admin.as_ref().filter(|url| url.starts_with("http:")) {
            let pages = Pages::new(url, &root(given)).within(TELEMETRY);
            whole["telemetry"] = pages.read("/api/v1/status").unwrap_or_default();
        }
        format!("{whole:#}")
    } else {
        status_table::status(&status)
    });
    Ok(0)
}

/// The admin pages of the running server.
pub fn pages(given: &ArgMatches) -> Result<Pages, Failure> {
    let outcome = ask(given, &Command::Status)?;
    let Some(status) = outcome.status else { return Err(Failure::Failed(outcome.text)) };
    match &status.admin {
        Some(url) if url.starts_with("https:") => {
            let text = format!("the admin pages speak TLS, which this command does not; look at {url}");
            Err(Failure::Failed(text))
        }
        Some(url) => Ok(Pages::new(url, &root(given))),
        None => {
            Err(Failure::Failed("the server has no admin pages (`GilkeeperAdmin off`, `--admin off`)".into()))
        }
    }
}

/// The server root of the running server.
fn root(given: &ArgMatches) -> PathBuf {
    given.get_one::<PathBuf>("server-root").cloned().unwrap_or_else(|| PathBuf::from("gilkeeper-root"))
}

pub fn reload(given: &ArgMatches) -> Result<i32, Failure> {
    let process_group = given.get_one::<String>("group").cloned();
    finish(ask(given, &Command::Reload { process_group })?)
}

pub fn stop(given: &ArgMatches) -> Result<i32, Failure> {
    finish(ask(given, &Command::Stop { now: given.get_flag("now") })?)
}

fn finish(outcome: Outcome) -> Result<i32, Failure> {
    match outcome.ok {
        true => {
            print(&outcome.text);
            Ok(0)
        }
        false => Err(Failure::Failed(outcome.text)),
    }
}

/// The supervisor hangs or was stopped.
fn silent(root: &Path) -> Failure {
    let pid = std::fs::read_to_string(root.join(LOCK_FILE)).unwrap_or_default();
    let pid = pid.trim();
    let named = if pid.is_empty() { String::new() } else { format!(" (pid {pid})") };
    Failure::Failed(format!(
        "the supervisor{named} gives no sign of life for {} s: it hangs, or a signal has stopped it",
        PATIENCE.as_secs_f64()
    ))
}

/// Asks and shows how it goes.
fn ask(given: &ArgMatches, command: &Command) -> Result<Outcome, Failure> {
    let root = root(given);
    let path = root.join(CONTROL_SOCKET);
    let stream = UnixStream::connect(&path).map_err(|e| {
        let shown = root.display();
        Failure::Failed(match e.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
                format!("no server runs with the server root {shown}; --server-root or GILKEEPER_ROOT names another")
            }
            ErrorKind::PermissionDenied => {
                format!("this user may not talk to the server in {shown}; become the one who started it")
            }
            _ => format!("{} cannot be reached: {e}", path.display()),
        })
    })?;
    if *command == Command::Status {
        // The supervisor itself waits half a second for the other processes.
        let _ = stream.set_read_timeout(Some(PATIENCE));
    }
    let gone = |e: std::io::Error| match e.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => silent(&root),
        _ => Failure::Failed(format!("the server does not answer any more: {e}")),
    };
    let mut line = serde_json::to_vec(command).expect("commands hold only strings");
    line.push(b'\n');
    (&stream).write_all(&line).map_err(gone)?;
    let mut status = None;
    for line in BufReader::new(&stream).lines() {
        match serde_json::from_str(&line.map_err(gone)?) {
            Ok(Answer::Progress { text }) => say(&text),
            Ok(Answer::Status { status: given }) => status = Some(given),
            Ok(Answer::Done { ok, text }) => return Ok(Outcome { ok, text, status }),
            Err(e) => {
                let text = format!("the server's answer was not understood ({e}); is it of another version?");
                return Err(Failure::Failed(text));
            }
        }
    }
    // A server that was asked to stop may be gone before its last line.
    match command {
        Command::Stop { .. } => Ok(Outcome { ok: true, text: "stopped".into(), status: None }),
        _ => Err(Failure::Failed("the server ended before it answered".into())),
    }
}
