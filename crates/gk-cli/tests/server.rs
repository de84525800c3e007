//! The command with real processes and real signals.
#![allow(clippy::unwrap_used, reason = "a test: the harness functions run in tests only")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::Instant;
use support::{PATIENCE, Server, command, lives, text};

#[test]
fn serves_reports_and_stops_without_a_trace() {
    let mut server = Server::start("fine", &["--processes", "2", "--threads", "5"]);
    let line = server.serving();
    assert!(
        line.starts_with("Serving http://127.0.0.1:")
            && line.contains(" with 2 processes x 5 threads; admin http")
    );
    let status = text(&server.run(&["status"]).stdout);
    assert!(status.contains("front: pid") && status.matches("ready  3.99.0").count() == 2, "{status}");
    let pids = server.pids();
    assert_eq!(pids.len(), 3);
    server.signal(rustix::process::Signal::TERM);
    assert_eq!(server.end(), Some(0));
    assert!(pids.into_iter().all(|pid| !lives(pid)));
    assert!(!server.path("gilkeeper-root/control.sock").exists());
    let trace = server.read("trace");
    assert!(
        trace.contains("front stops within 4") && trace.contains("worker 1 stops: shutdown_signal"),
        "{trace}"
    );
    // Reported: each start warned that there is no such script. Met with every script that is given on the command line.
    assert!(!server.read("log").contains("there is no script"));
    let after = server.run(&["status"]);
    assert_eq!(after.status.code(), Some(1));
    assert!(text(&after.stderr).starts_with("gilkeeper: no server runs with the server root"));
}

#[test]
fn a_killed_worker_and_a_killed_front_come_back() {
    let mut server = Server::start("fine", &["--processes", "2"]);
    server.serving();
    let pids = server.pids();
    let kill = |pid: i32| {
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    };
    kill(pids[0]);
    server.until("trace", "front hears that 1 ended: signal 9 (KILL)");
    server.until("trace", "has worker 3 of default: hello from 3");
    kill(pids[2]);
    server.until("log", "the front (pid");
    let link = |front: i32, worker: u32| {
        format!("front {front} has worker {worker} of default: hello from {worker}")
    };
    server.until("log", "signal 9 (KILL)");
    let end = Instant::now() + PATIENCE;
    let front = loop {
        let status: serde_json::Value =
            serde_json::from_slice(&server.run(&["status", "--format", "json"]).stdout).unwrap();
        match status["front"]["pid"].as_i64() {
            Some(pid) if pid as i32 != pids[2] => break pid as i32,
            _ => assert!(Instant::now() < end, "no new front"),
        }
    };
    server.until("trace", &link(front, 2));
    server.until("trace", &link(front, 3));
    server.signal(rustix::process::Signal::INT);
    assert_eq!(server.end(), Some(0));
}

#[test]
fn a_reload_replaces_and_a_broken_one_is_refused_with_its_traceback() {
    let mut server = Server::start("fine", &[]);
    server.serving();
    let reload = server.run(&["reload"]);
    assert_eq!(reload.status.code(), Some(0), "{}", text(&reload.stderr));
    assert!(text(&reload.stderr).contains("starting 1 new worker"));
    server.until("trace", "worker 1 has served everything");
    fs::write(server.path("behaviour"), "broken").unwrap();
    let refused = server.run(&["reload"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused.stderr);
    assert!(said.contains("the old workers stay") && said.contains("SyntaxError: as asked"), "{said}");
    server.until("trace", "worker 3 stops: reload refused");
    fs::write(server.path("behaviour"), "fine").unwrap();
    server.signal(rustix::process::Signal::USR1);
    server.until("trace", "worker 2 leaves: eviction_signal");
    server.signal(rustix::process::Signal::HUP);
    server.until("trace", "worker 4 leaves: reload");
    assert_eq!(server.run(&["stop"]).status.code(), Some(0));
    assert_eq!(server.end(), Some(0));
}

#[test]
fn no_child_survives_a_killed_supervisor() {
    let mut server = Server::start("fine", &["--processes", "2"]);
    server.serving();
    let pids = server.pids();
    server.signal(rustix::process::Signal::KILL);
    server.child.wait().unwrap();
    let end = Instant::now() + PATIENCE;
    while pids.iter().any(|pid| lives(*pid)) {
        assert!(Instant::now() < end, "a child survived");
        std::thread::yield_now();
    }
    // And the server root is free again, stale control socket or not.
    let mut next = command(server.dir.path(), &["serve", "wsgi.py", "--port", "0", "--admin", "off"]);
    let mut next = next.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(next.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("Serving "), "{line:?}");
    assert_eq!(server.run(&["stop", "--now"]).status.code(), Some(0));
    assert_eq!(next.wait().unwrap().code(), Some(0));
}

#[test]
fn a_stubborn_worker_is_killed_after_shutdown_timeout() {
    let mut server = Server::start("stubborn", &[]);
    server.serving();
    assert_eq!(server.run(&["stop"]).status.code(), Some(0));
    assert_eq!(server.end(), Some(0));
    assert!(server.read("log").contains("did not stop within shutdown-timeout and is killed"));
}

#[test]
fn a_worker_python_without_gilkeeper_ends_the_start_with_2() {
    let mut server = Server::start("exit 78", &[]);
    assert_eq!(server.end(), Some(2));
    assert!(server.read("log").contains("giving up: a process group cannot be started"));
}

/// Reported: a server whose application could not be imported said that it serves. Met with every container whose image has a
/// mistake: it ran, and nobody was told.
#[test]
fn an_application_that_cannot_be_imported_ends_the_start_with_3_and_its_traceback() {
    for (log, more) in [(true, &[][..]), (false, &["--log-directory", "logs"][..])] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("wsgi.py"), "").unwrap();
        fs::write(dir.path().join("behaviour"), "broken").unwrap();
        fs::create_dir(dir.path().join("logs")).unwrap();
        let args = ["serve", "wsgi.py", "--port", "0", "--admin", "off", "--processes", "2"];
        let output = command(dir.path(), &[&args[..], more].concat()).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(3), ""), "{said}");
        let last = said.lines().rev().take(2).collect::<Vec<_>>();
        // Where the log is read, too, the worker's traceback stands in it.
        let short = last[0].starts_with("gilkeeper: the server ends: process group 'default' cannot serve");
        match log {
            true => assert!(short && last[0].contains(": SyntaxError: as asked"), "{said}"),
            false => {
                assert!(last[0].starts_with("SyntaxError: as asked") && last[1] == "site.wsgi:", "{said}")
            }
        }
        assert_eq!(said.lines().count() > 4, log, "{said}");
    }
}

#[test]
fn a_server_that_keeps_trying_serves_when_the_application_can_be_imported() {
    let mut server = Server::start("broken", &["--keep-trying"]);
    server.until("log", "the import is tried again in 0.4 s");
    fs::write(server.path("behaviour"), "fine").unwrap();
    server.serving();
    assert_eq!(server.run(&["stop"]).status.code(), Some(0));
    assert_eq!(server.end(), Some(0));
}

/// Reported: a worker that closed its sockets stayed ready for ever. Met with `os.closerange` in applications.
#[test]
fn a_worker_that_closes_its_control_socket_is_replaced() {
    let mut server = Server::start("hangs-up", &[]);
    server.until("log", "its control socket was closed; it is stopped and replaced");
    fs::write(server.path("behaviour"), "fine").unwrap();
    server.until("trace", "hello from");
    assert_eq!(server.run(&["stop"]).status.code(), Some(0));
    assert_eq!(server.end(), Some(0));
}

/// Reported: `status` waited for ever for a supervisor that a signal had stopped, and said nothing of other silent processes.
#[test]
fn status_never_waits_for_a_silent_process() {
    use rustix::process::Signal;
    let mut server = Server::start("fine", &[]);
    server.serving();
    let [worker, front] = server.pids()[..] else { panic!("more processes") };
    let signal = |pid: i32, signal| {
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal).unwrap();
    };
    for (pid, line) in [(worker, "worker 1 (pid "), (front, "the front gives no sign of life for ")] {
        signal(pid, Signal::STOP);
        let said = text(&server.run(&["status"]).stdout);
        assert!(said.contains(line) && said.contains("gives no sign of life for "), "{said}");
        signal(pid, Signal::CONT);
    }
    server.signal(Signal::STOP);
    let output = server.run(&["status"]);
    let said = text(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("a signal has stopped it"), "{said}");
    server.signal(Signal::CONT);
    assert_eq!(server.run(&["stop"]).status.code(), Some(0));
    assert_eq!(server.end(), Some(0));
}

/// Reported: what was asked of a stopped supervisor was done after SIGCONT, long after the command had told its user that it failed.
#[test]
fn a_command_that_ended_before_it_was_begun_is_not_carried_out() {
    use rustix::process::Signal;
    let mut server = Server::start("fine", &[]);
    server.serving();
    server.signal(Signal::STOP);
    let asked: [&[&str]; 3] = [&["reload"], &["drain", "--wait", "0"], &["stop"]];
    std::thread::scope(|scope| {
        let failing = asked.map(|command| scope.spawn(|| server.run(command)));
        for told in failing {
            let told = told.join().unwrap();
            let said = text(&told.stderr);
            assert!(
                told.status.code() == Some(1) && said.contains("done only if it had been begun"),
                "{said}"
            );
        }
    });
    server.signal(Signal::CONT);
    for command in ["reload", "drain", "stop"] {
        server.until("log", &format!("`gilkeeper {command}` is not carried out"));
    }
    let status: serde_json::Value =
        serde_json::from_slice(&server.run(&["status", "--format", "json"]).stdout).unwrap();
    assert_eq!((status["generation"].as_u64(), status["draining"].as_bool()), (Some(1), Some(false)));
    assert_eq!(server.run(&["stop"]).status.code(), Some(0));
    assert_eq!(server.end(), Some(0));
}

#[test]
fn a_front_without_a_sign_of_life_is_replaced() {
    let mut server = Server::start("fine", &["--front-timeout", "1"]);
    server.serving();
    let front = *server.pids().last().unwrap();
    let pid = rustix::process::Pid::from_raw(front).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    server.until("log", "the front gives no sign of life for");
    server.until("log", &format!("the front (pid {front}) ended: signal 9 (KILL)"));
    let end = Instant::now() + PATIENCE;
    while server.read("trace").matches("has worker 1 of default").count() < 2 {
        assert!(Instant::now() < end, "no new front");
        std::thread::yield_now();
    }
    assert_eq!(server.run(&["stop"]).status.code(), Some(0));
    assert_eq!(server.end(), Some(0));
}

#[test]
fn a_changed_script_reloads_its_group() {
    let mut server = Server::start("script", &[]);
    server.until("trace", "worker 1 of default starts");
    server.until("log", "reload begins: script changed");
    fs::write(server.path("behaviour"), "fine").unwrap();
    server.serving();
    server.until("trace", "leaves: reload");
}

#[test]
fn two_servers_do_not_share_a_server_root() {
    let mut server = Server::start("fine", &[]);
    server.serving();
    let second = server.run(&["serve", "wsgi.py", "--port", "0", "--admin", "off"]);
    assert_eq!(second.status.code(), Some(2));
    let said = text(&second.stderr);
    assert!(said.starts_with("gilkeeper: another server (pid ") && said.lines().count() == 1, "{said}");
}

#[test]
fn a_silent_client_and_a_babbling_one_hurt_nobody() {
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    let mut server = Server::start("fine", &[]);
    server.serving();
    let socket = server.path("gilkeeper-root/control.sock");
    let silent: Vec<UnixStream> = (0..20).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    let mut babbling = UnixStream::connect(&socket).unwrap();
    babbling.write_all(b"GET / HTTP/1.1\n").unwrap();
    let mut answer = String::new();
    babbling.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("the command was not understood"), "{answer}");
    assert_eq!(server.run(&["status"]).status.code(), Some(0));
    drop(silent);
}

#[test]
fn bad_input_is_one_sentence_and_2() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("wsgi.py"), "").unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    fs::write(dir.path().join("manage.py"), "").unwrap();
    let table: [(&[&str], &str); 16] = [
        // Reported: `check` found nothing, and `serve` spoke of "its home= directory".
        (
            &["serve", "wsgi.py", "--working-directory", "nothere"],
            "--working-directory nothere is no directory",
        ),
        (
            &["check", "wsgi.py", "--working-directory", "nothere"],
            "--working-directory nothere is no directory",
        ),
        (&["serve", "wsgi.py", "--socket-mode", "660"], "--socket-mode goes with --socket PATH"),
        // Reported: the options were named without what to write.
        (&["systemd-unit", "serve", "wsgi.py", "--bind", ":80"], "write `--port 80`"),
        (&["tune"], "name the application: a file, or package.module[:callable]; did you mean `wsgi.py`?"),
        (&["serve", "manage.py"], "is no WSGI script; did you mean `wsgi.py`?"),
        (&["serve"], "name what to serve"),
        (&["dev"], "name what to serve: a file, or package.module[:callable]; did you mean `wsgi.py`?"),
        (&["serve", "nowhere/wsgi.py"], "nowhere/wsgi.py; name a WSGI script"),
        (&["explain", "WSGI9999"], "there is no message code"),
        (&["serve", "-c", "none.conf"], "there is no configuration file none.conf"),
        (
            &["serve", "wsgi.py", "--host", "127.0.0.1", "--port", &port, "--admin", "off"],
            "another program uses that port",
        ),
        (&["serve", "wsgi.py", "--proceses", "2"], "did you mean '--processes'?"),
        (&["serve", "wsgi.py", "--admin", "off", "--port", "0", "--python", "/none"], "is no file"),
        (&["check", "-c", "none.conf"], "there is no configuration file none.conf"),
        (&["serve", "-c", "wsgi.py", "--threads", "3"], "--threads does not go with -c"),
    ];
    for (args, expected) in table {
        let output = command(dir.path(), args).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.starts_with("gilkeeper: ") && said.contains(expected), "{args:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{args:?}: {said}");
    }
}

#[test]
fn a_configuration_file_is_served_and_read_again() {
    let mut server = Server::start("fine", &["--set", "MaxKeepAliveRequests 5"]);
    server.serving();
    drop(server);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("behaviour"), "fine").unwrap();
    fs::write(dir.path().join("wsgi.py"), "").unwrap();
    let conf = dir.path().join("site.conf");
    let script = dir.path().join("wsgi.py").display().to_string();
    let text_of = |processes: u32| {
        format!(
            "Listen 127.0.0.1:0\nWSGIDaemonProcess a processes={processes} threads=2\nWSGIProcessGroup a\nWSGIScriptAlias /gone gone.wsgi\nWSGIScriptAlias / {}\n",
            script
        )
    };
    fs::write(&conf, text_of(1)).unwrap();
    let log = fs::File::create(dir.path().join("log")).unwrap();
    let mut serve = command(dir.path(), &["serve", "-c", "site.conf", "--admin", "off"]);
    let mut child = serve.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let mut server = Server { dir, child, out };
    assert!(server.serving().contains("with 1 process x 2 threads"));
    // Reported: a script that does not exist was answered 404 and never mentioned.
    let log = server.read("log");
    assert!(log.contains("site.conf:4:23: warning: there is no script "), "{log}");
    fs::write(&conf, text_of(3)).unwrap();
    assert_eq!(server.run(&["reload"]).status.code(), Some(0));
    server.until("trace", "front has generation");
    let status = text(&server.run(&["status"]).stdout);
    // The old worker may still be there, leaving.
    assert_eq!(status.lines().filter(|line| line.contains(" ready ")).count(), 3, "{status}");
    fs::write(&conf, "WSGIDaemonProces a\n").unwrap();
    let refused = server.run(&["reload"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("WSGIDaemonProcess"), "{}", text(&refused.stderr));
    assert_eq!(server.run(&["stop"]).status.code(), Some(0));
    assert_eq!(server.end(), Some(0));
}

#[test]
fn paths_on_the_command_line_are_seen_from_the_working_directory() {
    // The state directory is somewhere else, and is no place to look for a script.
    let mut server = Server::start("fine", &["--server-root", "state", "--python-path", "lib"]);
    assert!(server.serving().contains("with 1 process"));
    assert!(server.dir.path().join("state").is_dir());
}
