//! The command under a service manager, and replaced by another one of itself.
#![allow(clippy::unwrap_used, reason = "a test: the harness functions run in tests only")]

mod support;

use std::fs;
use support::{PATIENCE, Server, lives, text};

/// The status of the server as JSON.
fn status(server: &Server) -> serde_json::Value {
    let output = server.run(&["status", "--format", "json"]);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)))
}

#[test]
fn an_upgrade_hands_everything_over_and_a_broken_one_changes_nothing() {
    let mut server = Server::start("fine", &[]);
    server.serving();
    let old = status(&server);
    fs::write(server.path("behaviour"), "broken").unwrap();
    let refused = server.run(&["upgrade"]);
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("the old server stays") && said.contains("SyntaxError: as asked"), "{said}");
    assert_eq!(status(&server)["pid"], old["pid"]);
    fs::write(server.path("behaviour"), "fine").unwrap();
    for _ in 0..2 {
        let before = status(&server)["pid"].clone();
        let done = server.run(&["upgrade"]);
        assert_eq!(done.status.code(), Some(0), "{}\n{}", text(&done.stderr), server.read("log"));
        let new = status(&server);
        assert_ne!(new["pid"], before);
        assert_eq!((&new["listen"], &new["admin"]), (&old["listen"], &old["admin"]));
        let pid_file = server.read("gilkeeper-root/gilkeeper.pid");
        assert_eq!(pid_file.trim(), new["pid"].to_string());
    }
    server.until("trace", "worker 1 stops: shutdown_signal");
    // The first process stays, passes signals on, and ends as the server does.
    let last = status(&server)["pid"].as_i64().unwrap() as i32;
    server.signal(rustix::process::Signal::HUP);
    server.until("log", "reload done");
    server.signal(rustix::process::Signal::TERM);
    assert_eq!(server.end(), Some(0));
    assert!(!lives(last) && !server.path("gilkeeper-root/control.sock").exists());
}

#[test]
fn the_first_process_ends_with_the_status_of_the_server_that_took_over() {
    let mut server = Server::start("fine", &[]);
    server.serving();
    assert_eq!(server.run(&["upgrade"]).status.code(), Some(0));
    let new = status(&server)["pid"].as_i64().unwrap() as i32;
    server.until("trace", "front stops within 15");
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(new).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    // 137 when it stays already, 1 while it still ends.
    assert!(matches!(server.end(), Some(137 | 1)));
}

#[test]
fn a_service_manager_is_told_in_the_words_of_its_protocol() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let hear = || {
        let mut buffer = [0; 4096];
        let count = socket.recv(&mut buffer).unwrap();
        text(&buffer[..count])
    };
    let mut server = Server::start_with("fine", &[], |command| {
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "1000000");
    });
    server.serving();
    let until = |start: &str| loop {
        let heard = hear();
        if heard.starts_with(start) {
            break heard;
        }
    };
    assert!(until("READY=1\n").contains("\nSTATUS=Serving http://127.0.0.1:"));
    until("WATCHDOG=1");
    let front = status(&server)["front"]["pid"].to_string();
    let environment = fs::read(format!("/proc/{front}/environ")).unwrap();
    assert!(!text(&environment).contains("NOTIFY_SOCKET") && !text(&environment).contains("WATCHDOG_USEC"));
    server.signal(rustix::process::Signal::HUP);
    assert!(until("RELOADING=1\nMONOTONIC_USEC=").contains("signal HUP"));
    assert!(until("READY=1\n").contains("reload done"));
    server.signal(rustix::process::Signal::TERM);
    until("STOPPING=1\n");
    assert_eq!(server.end(), Some(0));
}
