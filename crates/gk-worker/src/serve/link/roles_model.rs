//! A loom model of the roles: every interleaving of two request threads on one link.
//!
//! It leaves out bytes and frames (a lock and a condition stand for the ring), the outbox, giving back, a link that breaks,
//! and time: a tick may come at any moment. It has both ways of waking: at each taken request, as with slow applications,
//! and by the ticker alone, as with fast ones. A thread that nobody wakes is a deadlock, which loom reports.

use super::roles::{Guarded, Held, Roles};
use loom::sync::{Arc, Condvar, Mutex};
use std::collections::VecDeque;

/// A frame of the front.
#[derive(Clone, Copy)]
enum Frame {
    Request,
    /// The body of the first request.
    Body,
    Drain,
}

/// Events that the first request waits for while it runs.
#[derive(Clone, Copy, Default)]
struct First {
    /// Its body.
    body: bool,
    /// Then the end of the second request, as if the application called itself.
    second: bool,
}

#[derive(Default)]
struct Stream {
    queued: u32,
    running: u32,
    drained: bool,
}

struct Link {
    roles: Roles<Stream>,
    ring: Mutex<VecDeque<Frame>>,
    arrived: Condvar,
    /// Wakes at each taken request.
    eager: bool,
    /// Taken by the first request.
    first: Mutex<Option<First>>,
    requests: u32,
    body: Mutex<bool>,
    served: Mutex<u32>,
    ended: Condvar,
}

impl Link {
    /// As `Link::read`, one frame at a time.
    fn read<'a>(&'a self, held: Held<'a, Stream>) -> Held<'a, Stream> {
        let receive = || {
            let mut ring = self.ring.lock().unwrap();
            loop {
                match ring.pop_front() {
                    Some(frame) => return frame,
                    None => ring = self.arrived.wait(ring).unwrap(),
                }
            }
        };
        self.roles.read(held, receive, |frame, stream| {
            match frame {
                Frame::Request => stream.queued += 1,
                Frame::Body => *self.body.lock().unwrap() = true,
                Frame::Drain => stream.drained = true,
            }
            true
        })
    }

    /// As `Link::take`.
    fn take(&self, held: &mut Guarded<Stream>) -> Option<()> {
        held.stream.queued = held.stream.queued.checked_sub(1)?;
        held.stream.running += 1;
        if self.eager && (!held.reading() || held.stream.queued > 0) {
            held.wake_one();
        }
        Some(())
    }

    /// As `Link::tick` of a link without progress.
    fn tick(&self) {
        let mut held = self.roles.lock();
        let busy = held.stream.running > 0 || held.stream.queued > 0;
        if held.stream.queued > 0 || (!held.reading() && busy) {
            held.wake_one();
        }
    }

    /// A request thread.
    fn serve(&self) {
        let next =
            || self.roles.next(|held| self.take(held), |stream| stream.drained, |held| self.read(held));
        while next().is_some() {
            let first = self.first.lock().unwrap().take().unwrap_or_default();
            if first.body {
                self.roles.wait_for(|| *self.body.lock().unwrap(), |_| false, |held| self.read(held));
            }
            if first.second {
                let mut served = self.served.lock().unwrap();
                while *served == 0 {
                    served = self.ended.wait(served).unwrap();
                }
            }
            let served = {
                let mut served = self.served.lock().unwrap();
                *served += 1;
                *served
            };
            self.ended.notify_all();
            if served == self.requests {
                self.ring.lock().unwrap().push_back(Frame::Drain);
                self.arrived.notify_one();
            }
            self.roles.lock().stream.running -= 1;
        }
    }
}

/// Runs both threads until the link is drained, which the front does when both requests were served.
fn model(eager: bool, first: First, frames: &'static [Frame]) {
    let mut builder = loom::model::Builder::new();
    // Without a bound the model takes minutes; a lost wake-up needs one or two preemptions.
    builder.preemption_bound = Some(if eager { 3 } else { 2 });
    builder.check(move || {
        let link = Arc::new(Link {
            roles: Roles::new(Stream::default()),
            ring: Mutex::new(frames.iter().copied().collect()),
            arrived: Condvar::new(),
            eager,
            first: Mutex::new(Some(first)),
            requests: 2,
            body: Mutex::new(false),
            served: Mutex::new(0),
            ended: Condvar::new(),
        });
        let other = Arc::clone(&link);
        let other = loom::thread::spawn(move || other.serve());
        let ticker = (!eager).then(|| {
            let link = Arc::clone(&link);
            loom::thread::spawn(move || {
                while *link.served.lock().unwrap() < link.requests {
                    link.tick();
                    loom::thread::yield_now();
                }
            })
        });
        link.serve();
        other.join().unwrap();
        if let Some(ticker) = ticker {
            ticker.join().unwrap();
        }
        assert_eq!((*link.served.lock().unwrap(), link.roles.lock().stream.running), (link.requests, 0));
    });
}

#[test]
fn a_request_is_taken_while_another_one_runs() {
    for eager in [true, false] {
        model(eager, First { body: false, second: true }, &[Frame::Request, Frame::Request]);
    }
}

#[test]
fn a_request_gets_its_body_whoever_reads_it() {
    for eager in [true, false] {
        model(eager, First { body: true, second: false }, &[Frame::Request, Frame::Request, Frame::Body]);
    }
}

#[test]
fn a_request_that_has_its_body_leaves_the_role_to_others() {
    for eager in [true, false] {
        model(eager, First { body: true, second: true }, &[Frame::Request, Frame::Body, Frame::Request]);
    }
}
