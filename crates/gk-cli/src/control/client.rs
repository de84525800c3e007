//! `status`, `reload`, `drain` and `stop`: a question to a running server over its control socket, and its answer on the screen.

use super::admin_pages::Pages;
use super::status_table;
use crate::surroundings::server_root::of_running;
use crate::{Failure, print, say};
use clap::ArgMatches;
use gk_supervisor::PythonRuntime;
use gk_wire::admin::{Answer, CONTROL_SOCKET, Command, LOCK_FILE, Status};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Time after which a supervisor that has not answered a question is looked at.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// Time without a word of `reload` or `stop` after which the supervisor is asked for a sign of life.
const QUIET: Duration = Duration::from_secs(5);
/// Longest wait for an answer of one that no signal has stopped: it comes late where a machine has too much to do.
const BUSY: Duration = Duration::from_secs(9);
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
            let pages = Pages::new(url, &of_running(given)?).within(TELEMETRY);
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
        Some(url) => Ok(Pages::new(url, &of_running(given)?)),
        None => {
            Err(Failure::Failed("the server has no admin pages (`GilkeeperAdmin off`, `--admin off`)".into()))
        }
    }
}

pub fn reload(given: &ArgMatches) -> Result<i32, Failure> {
    let process_group = given.get_one::<String>("group").cloned();
    finish(ask(given, &Command::Reload { process_group })?)
}

pub fn drain(given: &ArgMatches) -> Result<i32, Failure> {
    let wait = given.get_one::<f64>("wait").copied().unwrap_or_default();
    finish(ask(given, &Command::Drain { wait, undo: given.get_flag("undo") })?)
}

pub fn upgrade(given: &ArgMatches, python: &PythonRuntime) -> Result<i32, Failure> {
    finish(ask(given, &Command::Upgrade { program: python.command() })?)
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
fn silent(root: &Path, command: &Command) -> Failure {
    let named = pid(root).map_or_else(String::new, |pid| format!(" (pid {pid})"));
    let then = match command {
        Command::Status => "",
        _ => "; what was asked is then done only if it had been begun",
    };
    let why = match state(root) {
        Some('T') => ": a signal has stopped it, and SIGCONT lets it go on".to_owned() + then,
        Some('t') => ": a debugger holds it".to_owned() + then,
        _ => format!(" for {} s: it hangs, or the machine has far too much to do", BUSY.as_secs()),
    };
    Failure::Failed(format!("the supervisor{named} gives no sign of life{why}"))
}

/// The supervisor's, as it wrote it down.
fn pid(root: &Path) -> Option<u32> {
    std::fs::read_to_string(root.join(LOCK_FILE)).ok()?.trim().parse().ok()
}

/// The supervisor's state in /proc/PID/stat, see `proc_pid_stat(5)`.
fn state(root: &Path) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid(root)?)).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Whether a signal or a debugger has stopped the supervisor.
fn is_stopped(root: &Path) -> bool {
    matches!(state(root), Some('T' | 't'))
}

/// Asks and shows how it goes.
fn ask(given: &ArgMatches, command: &Command) -> Result<Outcome, Failure> {
    let root = of_running(given)?;
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
    // The supervisor itself waits half a second for the other processes.
    let quiet = if *command == Command::Status { PATIENCE } else { QUIET };
    converse(&root, &stream, command, quiet)
}

/// Asks whether the supervisor says anything at all: one that was stopped accepts connections, too, and a reload may take long.
fn sign_of_life(root: &Path) -> std::io::Result<()> {
    let mut stream = UnixStream::connect(root.join(CONTROL_SOCKET))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&line(&Command::Status))?;
    let asked = Instant::now();
    loop {
        match stream.read_exact(&mut [0]) {
            Err(e) if is_timeout(&e) && is_waited_for(root, asked) => {}
            other => return other,
        }
    }
}

/// Whether there is still hope of an answer to a question `asked` then.
fn is_waited_for(root: &Path, asked: Instant) -> bool {
    asked.elapsed() < BUSY && !is_stopped(root)
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn line(command: &Command) -> Vec<u8> {
    let mut line = serde_json::to_vec(command).expect("commands hold only strings");
    line.push(b'\n');
    line
}

/// Asks on a connection and shows how it goes. `quiet`: time without a word.
fn converse(
    root: &Path,
    stream: &UnixStream,
    command: &Command,
    quiet: Duration,
) -> Result<Outcome, Failure> {
    let _ = stream.set_read_timeout(Some(quiet));
    let gone = |e: std::io::Error| match is_timeout(&e) {
        true => silent(root, command),
        false => Failure::Failed(format!("the server does not answer any more: {e}")),
    };
    let (mut status, mut ends, asked) = (None, false, Instant::now());
    (&*stream).write_all(&line(command)).map_err(gone)?;
    let (mut reader, mut said) = (BufReader::new(stream), Vec::new());
    loop {
        match reader.read_until(b'\n', &mut said) {
            Ok(0) => break,
            Ok(_) => {}
            Err(e) if is_timeout(&e) && *command == Command::Status && is_waited_for(root, asked) => continue,
            Err(e) if is_timeout(&e) && is_stopped(root) => return Err(gone(e)),
            Err(e) if is_timeout(&e) && *command != Command::Status && !ends => match sign_of_life(root) {
                Ok(()) => continue,
                Err(why) if is_timeout(&why) => return Err(gone(e)),
                // Its socket is closed, so it ends: this connection's end is to come.
                Err(_) => {
                    ends = true;
                    continue;
                }
            },
            Err(e) => return Err(gone(e)),
        }
        match serde_json::from_slice(&said) {
            Ok(Answer::Progress { text }) => say(&text),
            Ok(Answer::Status { status: given }) => status = Some(given),
            Ok(Answer::Done { ok, text }) => return Ok(Outcome { ok, text, status }),
            Err(e) => {
                let text = format!("the server's answer was not understood ({e}); is it of another version?");
                return Err(Failure::Failed(text));
            }
        }
        said.clear();
    }
    // A server that was asked to stop may be gone before its last line.
    match command {
        Command::Drain { .. } | Command::Stop { .. } => {
            Ok(Outcome { ok: true, text: "stopped".into(), status: None })
        }
        _ => Err(Failure::Failed("the server ended before it answered".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    const STOP: Command = Command::Stop { now: false };

    fn outcome(folder: &Path) -> Result<String, String> {
        let stream = UnixStream::connect(folder.join(CONTROL_SOCKET)).unwrap();
        match converse(folder, &stream, &STOP, Duration::from_millis(50)) {
            Ok(outcome) => Ok(outcome.text),
            Err(Failure::Failed(text)) => Err(text),
            Err(_) => Err(String::new()),
        }
    }

    /// Reported: `reload` and `stop` waited for ever for a supervisor that was stopped. Met after Ctrl-Z, and in containers that are paused.
    #[test]
    fn a_supervisor_that_says_nothing_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let _listener = UnixListener::bind(folder.path().join(CONTROL_SOCKET)).unwrap();
        let why = outcome(folder.path()).unwrap_err();
        assert!(why.contains("gives no sign of life for 9 s: it hangs"), "{why}");
    }

    /// Reported: on a busy machine `status` said of a supervisor that was late that it hangs, or that a signal had stopped it.
    #[test]
    fn a_supervisor_that_a_signal_has_stopped_is_told_from_one_that_hangs() {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(CONTROL_SOCKET)).unwrap();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        std::fs::write(folder.path().join(LOCK_FILE), format!("{}\n", child.id())).unwrap();
        assert!(!is_stopped(folder.path()));
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
        let why = outcome(folder.path()).unwrap_err();
        let expected =
            format!("the supervisor (pid {}) gives no sign of life: a signal has stopped it", child.id());
        assert!(why.starts_with(&expected), "{why}");
        // It was not asked for a sign of life, which it could not give.
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_ok() && listener.accept().is_err());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Reported: `stop --now` failed with "gives no sign of life" when the server ended just as it was asked for one, five seconds after
    /// the stop. Met where a request holds on until `shutdown-timeout=`, which is five seconds, too.
    #[test]
    fn a_supervisor_that_has_ended_meanwhile_is_not_silent() {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(CONTROL_SOCKET)).unwrap();
        let server = std::thread::spawn(move || {
            let (slow, _) = listener.accept().unwrap();
            BufReader::new(&slow).read_line(&mut String::new()).unwrap();
            let (asks, _) = listener.accept().unwrap();
            drop((slow, listener));
            drop(asks);
        });
        assert_eq!(outcome(folder.path()), Ok("stopped".to_owned()));
        server.join().unwrap();
    }

    #[test]
    fn a_supervisor_that_lives_may_take_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(CONTROL_SOCKET)).unwrap();
        let server = std::thread::spawn(move || {
            let (mut slow, _) = listener.accept().unwrap();
            let text = "still".to_owned();
            let said = serde_json::to_vec(&Answer::Progress { text }).unwrap();
            let (first, rest) = said.split_at(5);
            slow.write_all(first).unwrap();
            // Asked twice whether it lives, while a line of it is half sent.
            for _ in 0..2 {
                let (mut asks, _) = listener.accept().unwrap();
                BufReader::new(&asks).read_line(&mut String::new()).unwrap();
                asks.write_all(b"{").unwrap();
            }
            slow.write_all(rest).unwrap();
            slow.write_all(b"\n{\"type\":\"done\",\"ok\":true,\"text\":\"stopped\"}\n").unwrap();
        });
        assert_eq!(outcome(folder.path()), Ok("stopped".to_owned()));
        server.join().unwrap();
    }
}
