//! One generator thread: its connections on epoll, from the first request to the last response. Decides when to send, and counts.

use crate::connection::{Connection, ConnectionState, ResponseEvent};
use crate::framing::Head;
use crate::pace::{Due, Pace};
use crate::report::{Failure, Report};
use crate::request::Prepared;
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, clock_gettime, timerfd_create,
    timerfd_settime,
};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// Nanoseconds between checks for timeouts.
const LOOK: u64 = 20_000_000;
/// Nanoseconds before a failed connection is tried again.
const REST: u64 = 10_000_000;
/// Nanoseconds that a closed loop waits for its last responses, so that the server is quiet afterwards.
const DRAIN: u64 = 2_000_000_000;
/// Data of the timer's events; no connection has this number.
const TIMER: u64 = u64::MAX;

/// Data shared by the threads of one load.
#[derive(Debug)]
pub struct Shared {
    /// The ready-made requests.
    pub requests: Vec<Prepared>,
    /// The order in which they are sent.
    pub cycle: Vec<u16>,
    /// The server.
    pub address: SocketAddr,
    /// Keep connections open between requests.
    pub keep_alive: bool,
    /// Send back the cookies that responses set.
    pub keep_cookies: bool,
    /// Nanoseconds a request may take.
    pub timeout: u64,
    /// Zero of all times.
    pub start: Instant,
    /// Nanoseconds after which counting begins.
    pub begin: u64,
    /// Nanoseconds after which it ends; brought forward to end early.
    pub end: AtomicU64,
}

/// One thread.
pub struct Engine<'s> {
    shared: &'s Shared,
    closed: bool,
    /// The load is over when its last request is answered, not only at the end.
    listed: bool,
    /// The measured interval has begun.
    counting: bool,
    due: Due,
    epoll: OwnedFd,
    timer: OwnedFd,
    /// Time to which the timer is set.
    armed: u64,
    connections: Vec<Connection>,
    /// Numbers of connections without a request.
    idle: VecDeque<u32>,
    /// Number of connections with a request.
    busy: usize,
    statuses: Box<[u64; 1000]>,
    failures: [u64; Failure::ALL.len()],
    report: Report,
    buffer: Vec<u8>,
}

impl<'s> Engine<'s> {
    /// Thread `thread` of `threads`, with its share of `connections`.
    pub fn new(
        shared: &'s Shared,
        pace: Pace,
        thread: usize,
        threads: usize,
        connections: usize,
    ) -> std::io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        // Edge-triggered, so that nobody has to read it.
        epoll::add(&epoll, &timer, EventData::new_u64(TIMER), EventFlags::IN | EventFlags::ET)?;
        let (closed, listed) = (pace == Pace::Closed, matches!(pace, Pace::Schedule(_)));
        let new = |index| {
            let mut connection = Connection::new(index, shared.keep_cookies);
            connection.place = index * threads + thread;
            connection
        };
        Ok(Self {
            shared,
            closed,
            listed,
            counting: false,
            due: Due::new(pace, thread, threads, shared.end.load(Relaxed)),
            epoll,
            timer,
            armed: 0,
            connections: (0..connections).map(new).collect(),
            idle: (0..connections as u32).rev().collect(),
            busy: 0,
            statuses: Box::new([0; 1000]),
            failures: [0; Failure::ALL.len()],
            report: Report { threads: 1, ..Report::default() },
            buffer: vec![0; 64 << 10],
        })
    }

    /// Works until the end; returns the counts.
    pub fn run(mut self) -> std::io::Result<Report> {
        let mut events = Vec::with_capacity(512);
        let (mut looked, mut cpu_begun, mut cpu) = (0, None, None);
        loop {
            let now = self.now();
            let end = self.shared.end.load(Relaxed);
            if cpu_begun.is_none() && now >= self.shared.begin {
                cpu_begun = Some(thread_cpu());
            }
            self.counting = now >= self.shared.begin && now < end;
            self.start(now, end);
            if now >= end {
                cpu = cpu.or_else(|| Some(thread_cpu()));
            }
            if self.over(now, end) {
                break;
            }
            if now >= looked + LOOK {
                looked = now;
                self.look(now);
            }
            self.listen(&mut events, LOOK)?;
            if self.closed && !self.idle.is_empty() && self.busy > 0 {
                // Connections answered in the meantime send together with these: see `start`.
                self.listen(&mut events, 0)?;
            }
        }
        let cpu = cpu.unwrap_or_else(thread_cpu);
        Ok(self.close(cpu.saturating_sub(cpu_begun.unwrap_or(cpu))))
    }

    /// Waits at most `nanoseconds` for events and handles all of them.
    fn listen(&mut self, events: &mut Vec<epoll::Event>, patience: u64) -> std::io::Result<()> {
        let wait = Timespec { tv_sec: 0, tv_nsec: patience as i64 };
        events.clear();
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(events), Some(&wait)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(why) => return Err(why.into()),
        }
        for event in events.iter() {
            let (data, flags) = (event.data.u64(), event.flags);
            if data != TIMER {
                self.happened(data, flags);
            }
        }
        Ok(())
    }

    fn now(&self) -> u64 {
        self.shared.start.elapsed().as_nanos() as u64
    }

    /// Sends the requests that are due now. Of a schedule that is everything due before the end, even when the thread is late.
    fn start(&mut self, now: u64, end: u64) {
        if self.closed {
            if now >= end {
                return;
            }
            // All connections answered since the last wait send together, so that the server finds several requests at a time,
            // as it does with other generators. Sent one by one, each would wake it.
            for _ in 0..self.idle.len() {
                let Some(index) = self.idle.pop_front() else { break };
                let now = self.now();
                self.ask(index as usize, now, None);
            }
            return;
        }
        while let Some((due, request)) = self.due.peek() {
            if due >= end || self.idle.is_empty() {
                break;
            }
            if due > now {
                self.arm(due, now);
                break;
            }
            self.due.advance();
            if let Some(index) = self.idle.pop_back() {
                self.ask(index as usize, due, request);
            }
        }
    }

    /// Wakes the thread at `due`.
    fn arm(&mut self, due: u64, now: u64) {
        if self.armed == due {
            return;
        }
        self.armed = due;
        let left = due - now;
        let value =
            Timespec { tv_sec: (left / 1_000_000_000) as i64, tv_nsec: (left % 1_000_000_000) as i64 };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        // If that fails, the next check is at most 20 ms away.
        let _ = timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once);
    }

    fn ask(&mut self, index: usize, due: u64, request: Option<u16>) {
        let connection = &mut self.connections[index];
        connection.request = request.unwrap_or_else(|| {
            let cycle = &self.shared.cycle;
            let request = cycle[connection.place % cycle.len()];
            connection.place += 1;
            request
        });
        connection.due = due;
        connection.deadline = due.saturating_add(self.shared.timeout);
        self.busy += 1;
        let event = connection.ask(self.epoll.as_fd(), &self.shared.address, &self.shared.requests);
        self.react(index, event);
    }

    fn happened(&mut self, data: u64, flags: EventFlags) {
        let (index, generation) = Connection::who(data);
        let connection = &mut self.connections[index];
        if !connection.is(generation) {
            return;
        }
        if flags.contains(EventFlags::OUT) {
            let event = connection.writable(self.epoll.as_fd(), &self.shared.requests);
            self.react(index, event);
        }
        let connection = &mut self.connections[index];
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) && connection.is(generation) {
            let head_only = self.shared.requests[usize::from(connection.request)].head;
            let mut bytes = 0;
            let event = connection.readable(&mut self.buffer, head_only, &mut bytes);
            if self.counting {
                self.report.bytes += bytes;
            }
            self.react(index, event);
        }
    }

    fn react(&mut self, index: usize, event: ResponseEvent) {
        match event {
            ResponseEvent::Nothing => {}
            ResponseEvent::Response(head) => self.answered(index, head),
            ResponseEvent::Failed(failure) => self.failed(index, failure),
        }
    }

    fn answered(&mut self, index: usize, head: Head) {
        let now = self.now();
        let connection = &mut self.connections[index];
        let due = connection.due;
        connection.state = ConnectionState::Idle;
        if head.close || !self.shared.keep_alive {
            connection.close();
        }
        self.busy -= 1;
        let end = self.shared.end.load(Relaxed);
        // A closed loop counts responses that end in the interval, an open loop requests that were due in it.
        let moment = if self.closed { now } else { due };
        if moment >= self.shared.begin && moment < end {
            self.report.responses += 1;
            self.report.record(now - due);
            self.statuses[usize::from(head.status).min(999)] += 1;
        }
        self.next(index, now, end);
    }

    fn failed(&mut self, index: usize, failure: Failure) {
        let now = self.now();
        let connection = &mut self.connections[index];
        connection.close();
        if !matches!(connection.state, ConnectionState::Busy | ConnectionState::Connecting) {
            return;
        }
        let end = self.shared.end.load(Relaxed);
        let moment = if self.closed { now } else { connection.due };
        if moment >= self.shared.begin && moment < end {
            self.failures[failure as usize] += 1;
        }
        self.busy -= 1;
        if failure == Failure::Connect {
            // Trying again at once would only spin.
            let connection = &mut self.connections[index];
            (connection.state, connection.deadline) = (ConnectionState::Resting, now + REST);
            return;
        }
        self.connections[index].state = ConnectionState::Idle;
        self.next(index, now, end);
    }

    /// A connection is free again.
    fn next(&mut self, index: usize, now: u64, end: u64) {
        if !self.closed
            && let Some((due, request)) = self.due.peek()
            && due <= now
            && due < end
        {
            self.due.advance();
            return self.ask(index, due, request);
        }
        self.idle.push_back(index as u32);
    }

    /// Ends requests that timed out and wakes connections that wait to reconnect.
    fn look(&mut self, now: u64) {
        for index in 0..self.connections.len() {
            let connection = &mut self.connections[index];
            if connection.deadline > now {
                continue;
            }
            match connection.state {
                ConnectionState::Busy | ConnectionState::Connecting => self.failed(index, Failure::Timeout),
                ConnectionState::Resting => {
                    connection.state = ConnectionState::Idle;
                    self.idle.push_back(index as u32);
                }
                ConnectionState::Idle => {}
            }
        }
    }

    /// Nothing is left to do.
    fn over(&self, now: u64, end: u64) -> bool {
        if now >= end {
            let patience = if self.closed { DRAIN } else { self.shared.timeout };
            return self.busy == 0 || now >= end.saturating_add(patience);
        }
        self.listed && self.busy == 0 && self.due.peek().is_none()
    }

    fn close(mut self, cpu: u64) -> Report {
        let end = self.shared.end.load(Relaxed);
        let now = self.now();
        let over = end.min(now);
        self.report.seconds = over.saturating_sub(self.shared.begin) as f64 / 1e9;
        self.report.cpu = cpu as f64 / 1e9;
        self.report.unsent = self.due.missed(self.shared.begin, over);
        let open = |c: &&Connection| matches!(c.state, ConnectionState::Busy | ConnectionState::Connecting);
        let hanging = self.connections.iter().filter(open);
        if self.closed {
            // A closed loop counts responses that end in the interval: these have not ended, and have not timed out.
            self.report.unanswered = hanging.count() as u64;
        } else {
            // Requests due in the interval that never ended have timed out.
            let counted = hanging.filter(|c| c.due >= self.shared.begin && c.due < end).count();
            self.failures[Failure::Timeout as usize] += counted as u64;
        }
        let statuses = self.statuses.iter().enumerate().filter(|(_, count)| **count > 0);
        self.report.statuses = statuses.map(|(status, count)| (status as u16, *count)).collect();
        let failures = Failure::ALL.iter().map(|(kind, _)| (*kind, self.failures[*kind as usize]));
        self.report.failures = failures.filter(|(_, count)| *count > 0).collect();
        self.report
    }
}

fn thread_cpu() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
