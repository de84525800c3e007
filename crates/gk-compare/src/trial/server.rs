//! The server of a trial: `gilkeeper serve` as a child process, from its first line on standard output to its end.

use super::totals;
use gk_telemetry::totals::Totals;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for a server to serve.
const START: Duration = Duration::from_secs(60);
/// Longest wait for it to end before it is killed.
const STOP: Duration = Duration::from_secs(15);
/// Longest output, in bytes, before the line that says where it serves.
const LONGEST: usize = 64 << 10;

/// Starts servers.
pub trait ServerStarter {
    /// Starts one; an `Err` is one sentence.
    fn start(&self, order: &ServerCommand) -> Result<Box<dyn RunningServer>, String>;
}

/// A running server.
pub trait RunningServer {
    /// `http://host:port`, without a path.
    fn url(&self) -> &str;
    /// Its own counters at this moment.
    fn totals(&self) -> Result<Totals, String>;
    /// Ends it.
    fn stop(self: Box<Self>);
}

/// Command line, environment and cores of a server to start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServerCommand {
    /// Arguments of `gilkeeper`, from `serve` on.
    pub arguments: Vec<String>,
    /// The configuration names the addresses to listen on.
    pub listens: bool,
    /// More environment.
    pub environment: BTreeMap<String, String>,
    /// Working directory.
    pub folder: PathBuf,
    /// Cores for all of its processes; empty: any.
    pub cpus: Vec<usize>,
}

/// Starts real servers.
#[derive(Debug, Clone)]
pub struct Gilkeeper {
    /// Program and first arguments of the command `gilkeeper`.
    pub command: Vec<OsString>,
}

impl ServerStarter for Gilkeeper {
    fn start(&self, order: &ServerCommand) -> Result<Box<dyn RunningServer>, String> {
        let root = tempfile::Builder::new().prefix("gilkeeper-compare-").tempdir();
        let root = root.map_err(|why| format!("no folder for the server: {why}"))?;
        let log = root.path().join("errors");
        let failed = |why: std::io::Error| format!("the server cannot be started: {why}");
        let errors = fs::File::create(&log).map_err(failed)?;
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).args(&order.arguments).arg("--server-root").arg(root.path());
        command.args(["--admin", "127.0.0.1:0"]);
        if !order.listens {
            command.args(["--host", "127.0.0.1", "--port", "0"]);
            // Standard error is a file, from which the reason of a failed start is read.
            let to_terminal = "--log-to-terminal";
            if !order.arguments.iter().any(|argument| argument == to_terminal) {
                command.arg(to_terminal);
            }
        }
        let folder = if order.folder.as_os_str().is_empty() { Path::new(".") } else { &order.folder };
        // The server ends with this process, however that ends.
        command.env("GILKEEPER_ENDS_WITH_PARENT", std::process::id().to_string());
        command.envs(&order.environment).env_remove("GILKEEPER_ROOT").current_dir(folder);
        // Ctrl-C reaches this command only, which then stops the server in order.
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        // A child inherits the cores its parent may use at that moment.
        let before = gk_load::cpus::allowed();
        let kept = !order.cpus.is_empty() && gk_load::cpus::keep_to(&order.cpus);
        let spawned = command.spawn();
        if kept {
            gk_load::cpus::keep_to(&before);
        }
        let mut server = ServerProcess {
            child: spawned.map_err(failed)?,
            url: String::new(),
            admin: String::new(),
            output: None,
            root: Some(root),
        };
        match server.announced() {
            Ok(()) => Ok(Box::new(server)),
            Err(why) => {
                server.end();
                let said = fs::read_to_string(&log).unwrap_or_default();
                Err(complaint(&said).unwrap_or(why))
            }
        }
    }
}

/// A server's process.
struct ServerProcess {
    child: Child,
    url: String,
    admin: String,
    /// Kept open, so that later output does not fail.
    output: Option<ChildStdout>,
    root: Option<tempfile::TempDir>,
}

impl ServerProcess {
    /// Waits for the line that says where it serves.
    fn announced(&mut self) -> Result<(), String> {
        let mut output = self.child.stdout.take().ok_or("the server has no standard output")?;
        let end = Instant::now() + START;
        let mut said: Vec<u8> = Vec::new();
        while !said.contains(&b'\n') {
            let left = end.saturating_duration_since(Instant::now());
            let wait = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
            let mut fds = [PollFd::new(&output, PollFlags::IN)];
            let ready = poll(&mut fds, Some(&wait)).unwrap_or(0);
            if ready == 0 && Instant::now() >= end {
                return Err(format!("the server does not serve within {} s", START.as_secs()));
            }
            let mut some = [0; 4096];
            match output.read(&mut some) {
                Ok(0) | Err(_) => return Err("the server ended before it served".into()),
                Ok(count) => said.extend_from_slice(&some[..count]),
            }
            if said.len() > LONGEST {
                return Err("the server says too much before it serves".into());
            }
        }
        self.output = Some(output);
        let line = String::from_utf8_lossy(&said).into_owned();
        (self.url, self.admin) = addresses(&line)?;
        Ok(())
    }

    fn end(&mut self) {
        if let Ok(Some(_)) = self.child.try_wait() {
            return;
        }
        let pid = Pid::from_child(&self.child);
        // It may have ended by itself.
        let _ = kill_process(pid, Signal::TERM);
        let end = Instant::now() + STOP;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > end {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl RunningServer for ServerProcess {
    fn url(&self) -> &str {
        &self.url
    }

    fn totals(&self) -> Result<Totals, String> {
        totals::totals(&self.admin)
    }

    fn stop(self: Box<Self>) {
        drop(self);
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.end();
        drop(self.output.take());
        drop(self.root.take());
    }
}

/// Site and admin address from `Serving http://… with …; admin http://…`.
fn addresses(line: &str) -> Result<(String, String), String> {
    let strange = || format!("the server says `{}` in place of where it serves", line.trim());
    let rest = line.trim().strip_prefix("Serving ").ok_or_else(strange)?;
    let urls = rest.split(" with ").next().unwrap_or(rest);
    let url = urls.split(" and ").find(|url| url.starts_with("http://")).ok_or_else(strange)?;
    let local = |url: &str| url.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:");
    let (_, admin) = rest.rsplit_once("; admin ").ok_or_else(strange)?;
    let admin = admin.trim_start_matches("http://").trim_end_matches('/');
    Ok((local(url.trim_end_matches('/')), local(admin)))
}

/// The reason in the output of a server that did not start.
fn complaint(said: &str) -> Option<String> {
    let lines = || said.lines().map(str::trim).filter(|line| !line.is_empty());
    let own = lines().filter_map(|line| line.strip_prefix("gilkeeper: ")).next_back();
    own.or_else(|| lines().rfind(|line| line.contains(":error]")))
        .or_else(|| lines().next_back())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_from_the_first_line() {
        let line = "Serving http://0.0.0.0:8000/ and http://x:1/ with 1 process x 5 threads; admin http://127.0.0.1:8001/\n";
        assert_eq!(addresses(line).unwrap(), ("http://127.0.0.1:8000".into(), "127.0.0.1:8001".into()));
        assert!(addresses("Hello\n").unwrap_err().contains("`Hello`"));
    }

    #[test]
    fn the_last_message_is_the_reason() {
        assert_eq!(complaint("x\ngilkeeper: port 80 is in use\n").as_deref(), Some("port 80 is in use"));
        assert_eq!(complaint("[a] [wsgi:error] b\nTraceback\n").as_deref(), Some("[a] [wsgi:error] b"));
        assert_eq!(complaint(""), None);
    }

    #[test]
    fn a_server_that_does_not_start_gives_one_sentence() {
        let start = |script: &str| {
            let command = ["sh", "-c", script].map(OsString::from).into();
            let started = Gilkeeper { command }.start(&ServerCommand::default());
            started.map(|server| server.url().to_owned())
        };
        assert_eq!(start("echo 'gilkeeper: no such file' >&2; exit 2").unwrap_err(), "no such file");
        assert_eq!(start("exit 1").unwrap_err(), "the server ended before it served");
        assert!(start("echo hello; sleep 5").unwrap_err().contains("`hello`"));
        let line = "Serving http://127.0.0.1:1/ with x; admin http://127.0.0.1:2/";
        assert_eq!(start(&format!("echo '{line}'; exec sleep 60")).unwrap(), "http://127.0.0.1:1");
        let missing = Gilkeeper { command: vec!["/no/such/program".into()] }.start(&ServerCommand::default());
        assert!(missing.err().unwrap().starts_with("the server cannot be started: "));
    }
}
