//! A process that stays in front of the server that has replaced it, because somebody watches it by its process id: a container, as
//! process 1; a shell or a program that starts and watches others. It passes signals on and ends as the server does.

use crate::child::Child;
use gk_sys::child::reap::{self, Exit};
use gk_sys::signal::{SIGCHLD, Signals};
use gk_wire::control::MAX_PACKET;
use gk_wire::handover::ToPredecessor;
use rustix::event::{PollFd, PollFlags, poll};
use std::os::fd::AsFd;
use std::time::Duration;

/// Added to the number of a signal that ended a process, as shells do.
const SIGNALLED: i32 = 128;

/// Stays until the server has ended, and returns its exit code. `server`: the one that has taken over.
pub fn stay(signals: &mut Signals, mut server: Child) -> i32 {
    let mut last = 0;
    let mut buffer = vec![0; MAX_PACKET];
    loop {
        // A server that has replaced the first one says so here, before that ends.
        while let Some(message) = server.receive::<ToPredecessor>(&mut buffer, Duration::ZERO) {
            if let Ok(ToPredecessor::Successor { pid }) = message {
                server.pid = pid;
            }
        }
        loop {
            match reap::any() {
                Ok(None) => break,
                Ok(Some((pid, exit))) => {
                    last = code(exit);
                    if pid == server.pid {
                        return last;
                    }
                }
                // The server was not a child yet when it ended, and whoever had started it has ended as well.
                Err(_) => return last,
            }
        }
        let mut sources = vec![PollFd::new(&*signals, PollFlags::IN)];
        if server.open() {
            sources.push(PollFd::from_borrowed_fd(server.as_fd(), PollFlags::IN));
        }
        let _ = poll(&mut sources, None);
        drop(sources);
        for signal in signals.take().unwrap_or_default() {
            if signal != SIGCHLD {
                let _ = reap::signal(server.pid, signal);
            }
        }
    }
}

fn code(exit: Exit) -> i32 {
    match exit {
        Exit::Status(status) => status,
        Exit::Signal(signal) => SIGNALLED + signal,
    }
}
