//! A server of real processes for the tests: the command, in front of a fake front and fake workers (`fake/`) that speak the control
//! protocol and write down what they hear.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long something that must happen may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A running server.
pub struct Server {
    pub dir: tempfile::TempDir,
    pub child: Child,
    pub out: BufReader<ChildStdout>,
}

pub fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gilkeeper"));
    let fake = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake");
    let python = std::env::var_os("PYO3_PYTHON").unwrap_or_else(|| "python3".into());
    command
        .args(args)
        .current_dir(dir)
        .env("GILKEEPER_DEV_PYTHON", python)
        .env("GILKEEPER_DEV_PACKAGE", fake);
    command.env("FAKE_TRACE", dir.join("trace")).env("FAKE_BEHAVIOUR", dir.join("behaviour"));
    command.env_remove("GILKEEPER_ROOT").env("XDG_STATE_HOME", dir.join("state-of-all"));
    command
}

impl Server {
    /// Starts a server whose workers behave so.
    pub fn start(behaviour: &str, more: &[&str]) -> Self {
        Self::start_with(behaviour, more, |_| {})
    }

    /// The same with changes to its command.
    pub fn start_with(behaviour: &str, more: &[&str], change: impl FnOnce(&mut Command)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("wsgi.py"), "def application(environ, start_response): ...\n").unwrap();
        fs::write(dir.path().join("behaviour"), behaviour).unwrap();
        // Where the tests look for it.
        fs::create_dir(dir.path().join("gilkeeper-root")).unwrap();
        let mut args =
            vec!["serve", "wsgi.py", "--host", "127.0.0.1", "--port", "0", "--admin", "127.0.0.1:0"];
        args.extend(["--log-to-terminal", "--log-level", "info", "--shutdown-timeout", "1"]);
        args.extend(more);
        let mut command = command(dir.path(), &args);
        change(&mut command);
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { dir, child, out }
    }

    /// The line that says that it serves.
    pub fn serving(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        assert!(line.starts_with("Serving "), "{line:?}; log:\n{}", self.read("log"));
        line
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Waits until a file of the test holds the text.
    pub fn until(&self, file: &str, text: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.read(file).contains(text) {
            assert!(
                Instant::now() < end,
                "no {text:?} in {file}:\n{}\nlog:\n{}",
                self.read(file),
                self.read("log")
            );
            std::thread::yield_now();
        }
    }

    pub fn run(&self, args: &[&str]) -> Output {
        command(self.dir.path(), args).output().unwrap()
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for the end; the exit code.
    pub fn end(&mut self) -> Option<i32> {
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        self.child.wait().unwrap().code()
    }

    /// Process ids of front and workers, as `status` gives them.
    pub fn pids(&self) -> Vec<i32> {
        let output = self.run(&["status", "--format", "json"]);
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let workers = status["workers"].as_array().unwrap().iter().map(|w| &w["pid"]);
        workers.chain([&status["front"]["pid"]]).map(|pid| pid.as_i64().unwrap() as i32).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn lives(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // A dead child whose new parent has not looked yet is dead.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
