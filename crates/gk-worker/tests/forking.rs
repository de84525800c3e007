//! Applications that fork, in a real worker: the child ends where the server's code would go on, the parent answers once and
//! goes on to serve. Each test is a process of its own (nextest).

#![allow(clippy::unwrap_used, reason = "a test may panic with the place")]

mod support;

use gk_sys::memory::SharedWords;
use gk_telemetry::Board;
use gk_wire::control::{FromWorker, ToWorker};
use gk_wire::setup::InterpreterSetup;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};
use support::{with_other_setup, with_worker};

/// The parent answers with the exit status of its child, or with its signal as a negative number.
const APP: &str = r#"
import gc, os, pty, subprocess, sys, threading, time

def ended(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def work():
    end = time.process_time() + 0.05
    while time.process_time() < end:
        pass
    gc.collect()

def in_thread():
    seen = []
    def run():
        pid = os.fork()
        if pid == 0:
            return
        seen.append(ended(pid))
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return seen[0]

def target(queue):
    print("printed by a child of multiprocessing")
    queue.put(os.getpid())

def in_multiprocessing():
    import multiprocessing
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=target, args=(queue,))
    process.start()
    assert queue.get() == process.pid
    process.join()
    # Up to CPython 3.12 (seen with 3.11.7 and 3.12.1) the end of threading fails in the child of a thread that threading did not start.
    return 0 if process.exitcode == 1 and sys.version_info < (3, 13) else process.exitcode

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/plain":
        status = 0
    elif path == "/thread":
        status = in_thread()
    elif path == "/multiprocessing":
        status = in_multiprocessing()
    elif path == "/preexec":
        status = subprocess.run(["/bin/sh", "-c", "exit 4"], preexec_fn=os.getpid).returncode
    elif path == "/subprocess":
        status = subprocess.run(["/bin/sh", "-c", "exit 5"]).returncode
    elif path == "/generator":
        return generator(start_response)
    else:
        pid = pty.fork()[0] if path == "/pty" else os.fork()
        if pid == 0:
            return child(path, environ, start_response)
        status = ended(pid)
    start_response("200 OK", [])
    return [str(status).encode()]

def child(path, environ, start_response):
    work()
    if path == "/raise":
        raise ValueError("raised in a child")
    if path == "/exit":
        print("printed before the exit", end="")
        sys.exit(3)
    if path == "/exit/text":
        sys.exit("said by a child")
    if path == "/os_exit":
        os._exit(7)
    if path == "/write":
        write = start_response("200 OK", [])
        write(b"written by a child")
        os._exit(5)
    if path == "/read":
        try:
            environ["wsgi.input"].read()
        except OSError:
            os._exit(9)
        os._exit(8)
    if path == "/double":
        grandchild = os.fork()
        if grandchild == 0:
            raise ValueError("raised in a grandchild")
        sys.exit(ended(grandchild) + 10)
    start_response("200 OK", [("Content-Length", "5")])
    return [b"child"]

class generator:
    def __init__(self, start_response):
        start_response("200 OK", [])
        self.left = 1
    def __iter__(self):
        return self
    def __next__(self):
        if not self.left:
            raise StopIteration
        self.left = 0
        pid = os.fork()
        return b"child" if pid == 0 else str(ended(pid)).encode()
    def close(self):
        print("closed", flush=True)
"#;

/// Reported: a child that returned from the call, raised or called `sys.exit` went on as a second server on its parent's rings,
/// outlived the server, and its time was booked to its parent. Met with `os.fork` in a view.
#[test]
fn a_forked_child_ends_with_its_call() {
    let cases = [
        ("/return", "0"),
        ("/raise", "1"),
        ("/exit", "3"),
        ("/exit/text", "1"),
        ("/os_exit", "7"),
        ("/write", "5"),
        ("/read", "9"),
        ("/double", "11"),
        ("/pty", "0"),
        ("/thread", "0"),
        ("/generator", "0"),
        ("/multiprocessing", "0"),
        ("/preexec", "4"),
        ("/subprocess", "5"),
        ("/plain", "0"),
    ];
    let mut log = Log::divert();
    let scoreboard = |setup: &mut gk_wire::setup::WorkerSetup| setup.scoreboard = true;
    let code = with_other_setup(2, APP, "", scoreboard, move |front| {
        for (path, status) in cases {
            let answer = if path == "/read" { front.post(path, b"body") } else { front.get(path) };
            assert_eq!((answer.status, &*answer.text()), (200, status), "{path}");
        }
        let board = Board::open(SharedWords::map(front.scoreboard.as_ref().unwrap()).unwrap()).unwrap();
        let sample = board.sample(0);
        let completed: u64 = sample.slots.iter().map(|slot| slot.completed).sum();
        assert!(completed <= cases.len() as u64, "{completed} requests are booked");
        assert_eq!(sample.pid, std::process::id());
        front.tell(&ToWorker::Stop { reason: "shutdown_signal".to_owned() });
        let messages = front.messages_until(|m| matches!(m, FromWorker::Stopping { .. }));
        let ready = messages.iter().filter(|m| matches!(m, FromWorker::Ready { .. })).count();
        assert_eq!((ready, messages.len()), (1, 2), "{messages:?}");
    });
    let text = log.restored();
    assert_eq!(code, 0, "{text}");
    let count = |what: &str| text.lines().filter(|line| line.contains(what)).count();
    // The grandchild raised, too.
    assert_eq!(count("ValueError: raised in a"), 2, "{text}");
    assert_eq!(count("an exception ended the WSGI call in its child"), 2, "{text}");
    assert_eq!(
        count("its child returned from the WSGI call"),
        2,
        "returned and yielded, not the terminal's: {text}"
    );
    assert_eq!(count("said by a child"), 1, "{text}");
    assert_eq!(count("printed before the exit"), 1, "{text}");
    assert_eq!(count("printed by a child of multiprocessing"), 1, "{text}");
    assert_eq!(count("closed"), 1, "close() is the parent's: {text}");
}

/// A child that a script forked while it was imported came back as a second worker, which said that it was ready.
#[test]
fn a_child_forked_at_import_ends_with_the_script() {
    let source = "
import os
pid = os.fork()
if pid != 0:
    STATUS = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def application(environ, start_response):
    start_response('200 OK', [])
    return [str(STATUS).encode()]
";
    let code = with_worker(1, source, "", |front| {
        assert_eq!(front.get("/").text(), "0");
        front.tell(&ToWorker::Stop { reason: "shutdown_signal".to_owned() });
        let messages = front.messages_until(|m| matches!(m, FromWorker::Stopping { .. }));
        assert!(
            matches!(&messages[..], [FromWorker::Ready { failed, .. }, _] if failed.is_empty()),
            "{messages:?}"
        );
    });
    assert_eq!(code, 0);
}

/// The child of a service script that reached the script's last line ran the endings of its parent.
#[test]
fn a_service_scripts_child_ends_with_the_script() {
    let source = "
import atexit, os, sys
here = os.path.dirname(__file__)
atexit.register(lambda: open(here + '/ended', 'a').write(f'{os.getpid()}\\n'))
pid = os.fork()
if pid == 0:
    sys.exit(6)
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
assert not os.path.exists(here + '/ended')
sys.exit(status + 10)
";
    let code = with_worker(0, source, "", |front| {
        // The worker would take the end of this socket, after its own end, for the supervisor's and end this process.
        std::mem::forget(front.control.try_clone().unwrap());
        let message = front.message();
        assert!(matches!(message, FromWorker::Ready { .. }), "{message:?}");
    });
    assert_eq!(code, 16);
}

/// Functions that the application gave to the server may fork as well.
#[test]
fn a_child_of_a_subscriber_ends_with_it() {
    let source = "
import os, gilkeeper
here = os.path.dirname(__file__)

@gilkeeper.subscribe_shutdown
def stopping(name, **event):
    pid = os.fork()
    if pid != 0:
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with open(here + '/status', 'a') as file:
            file.write(f'{status}')

def application(environ, start_response):
    start_response('200 OK', [])
    return [b'ok']
";
    let (told, status) = std::sync::mpsc::channel();
    let code = with_worker(1, source, "", move |front| {
        assert_eq!(front.get("/").text(), "ok");
        front.tell(&ToWorker::Stop { reason: "shutdown_signal".to_owned() });
        let path = front.directory.join("status");
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while std::fs::read(&path).unwrap_or_default().is_empty() && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        told.send(std::fs::read_to_string(&path).unwrap_or_default()).unwrap();
    });
    assert_eq!((code, &*status.recv().unwrap()), (0, "0"));
}

/// In sub-interpreters it is CPython that decides: it ends the child. The worker serves on.
#[test]
fn a_fork_in_a_sub_interpreter_leaves_the_worker_as_it_is() {
    fork_in_another(false, "1");
}

/// With a GIL of its own it refuses to fork.
#[test]
fn a_fork_in_an_interpreter_with_its_own_gil_is_refused() {
    if gk_python::interpreter::OWN_GIL && !gk_python::version::FREE_THREADED_BUILD {
        fork_in_another(true, "fork not supported for isolated subinterpreters");
    }
}

fn fork_in_another(own: bool, answer: &'static str) {
    let source = "
import os
def application(environ, start_response):
    try:
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        text = str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    except RuntimeError as error:
        text = str(error)
    start_response('200 OK', [])
    return [text.encode()]
";
    let change = move |setup: &mut gk_wire::setup::WorkerSetup| {
        let interpreter = InterpreterSetup { per_interpreter_gil: Some(own), ..InterpreterSetup::default() };
        setup.interpreters = vec![interpreter];
    };
    let code = with_other_setup(1, source, "other", change, move |front| {
        for _ in 0..2 {
            assert_eq!(front.get("/").text(), answer);
        }
    });
    assert_eq!(code, 0);
}

/// Descriptor 2 in a file, until it is restored.
struct Log {
    file: std::fs::File,
    before: OwnedFd,
}

impl Log {
    fn divert() -> Self {
        let file = tempfile::tempfile().unwrap();
        let before = std::io::stderr().as_fd().try_clone_to_owned().unwrap();
        rustix::stdio::dup2_stderr(&file).unwrap();
        Self { file, before }
    }

    /// What was written.
    fn restored(&mut self) -> String {
        rustix::stdio::dup2_stderr(&self.before).unwrap();
        let mut text = String::new();
        self.file.seek(SeekFrom::Start(0)).unwrap();
        self.file.read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.restored());
        }
    }
}
