//! A load from its description to its report: threads, warm-up, the measured interval.

use crate::cpus;
use crate::descriptors::RaisedLimit;
use crate::engine::{Engine, Shared};
use crate::mix;
use crate::pace::Pace;
use crate::report::Report;
use crate::request::{Prepared, Request};
use crate::target::Target;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Most connections; each has a descriptor.
const MOST: usize = 60_000;
/// Longest warm-up, interval and timeout: a day.
pub const LONGEST: Duration = Duration::from_secs(86_400);
/// Interval between calls of `watch`.
const TICK: Duration = Duration::from_millis(20);

/// A load.
#[derive(Debug, Clone)]
pub struct Load {
    /// The server.
    pub target: Target,
    /// The requests with their weights.
    pub requests: Vec<Request>,
    /// Closed loop, rate or schedule.
    pub pace: Pace,
    /// Connections.
    pub connections: usize,
    /// Generator threads.
    pub threads: usize,
    /// Keep connections open between requests.
    pub keep_alive: bool,
    /// Send back the cookies that responses set, each connection its own.
    pub keep_cookies: bool,
    /// Timeout of a request, from the moment it is due to the last byte.
    pub timeout: Duration,
    /// Load before the measured interval.
    pub warm_up: Duration,
    /// The measured interval.
    pub duration: Duration,
    /// Cores for the threads; empty: any.
    pub cpus: Vec<usize>,
}

/// A report to `watch`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Moment {
    /// Elapsed seconds of warm-up and interval.
    Running(f64),
    /// The measured interval begins.
    Begin,
    /// It has ended, by itself or early.
    End,
}

impl Load {
    /// A closed loop on one connection for `duration`, without warm-up.
    pub fn new(target: Target, duration: Duration) -> Self {
        Self {
            requests: vec![Request::get(&target.path)],
            target,
            pace: Pace::Closed,
            connections: 1,
            threads: 1,
            keep_alive: true,
            keep_cookies: false,
            timeout: Duration::from_secs(10),
            warm_up: Duration::ZERO,
            duration,
            cpus: Vec::new(),
        }
    }

    fn check(&self) -> Result<(), String> {
        self.requests.iter().try_for_each(Request::check)?;
        if !(1..=MOST).contains(&self.connections) {
            return Err(format!("connections: 1 to {MOST}, not {}", self.connections));
        }
        if self.threads < 1 || self.threads > self.connections {
            return Err(format!("threads: 1 to the number of connections, not {}", self.threads));
        }
        for (name, value) in
            [("duration", self.duration), ("warm-up", self.warm_up), ("timeout", self.timeout)]
        {
            if value > LONGEST {
                return Err(format!("{name}: at most {} s", LONGEST.as_secs()));
            }
        }
        match self.pace {
            Pace::Rate(rate) if !(0.01..=10_000_000.0).contains(&rate) => {
                Err(format!("rate: 0.01 to 10,000,000 requests per second, not {rate}"))
            }
            _ => Ok(()),
        }
    }
}

/// Runs a load. `watch` is called at its begin, at its end and regularly between them; when it returns `false`, the load ends early
/// and the report holds the figures until then. `Err`: nothing could be measured; one sentence.
pub fn run(load: &Load, mut watch: impl FnMut(Moment) -> bool) -> Result<Report, String> {
    load.check()?;
    let _room = RaisedLimit::make(load.connections)?;
    let address = reached(&load.target)?;
    let weights: Vec<u32> = load.requests.iter().map(|request| request.weight).collect();
    let cycle = match load.pace {
        // A schedule names its requests; in a mix, requests without weight are left out.
        Pace::Schedule(_) => vec![0; load.requests.len().min(1)],
        _ => mix::cycle(&weights),
    };
    if cycle.is_empty() {
        return Err("there is no request with a weight above 0".into());
    }
    let host = &load.target.host;
    // A day, at most.
    let nanos = |duration: Duration| duration.as_nanos() as u64;
    let shared = Shared {
        requests: load.requests.iter().map(|r| Prepared::new(r, host, load.keep_alive)).collect(),
        cycle,
        address,
        keep_alive: load.keep_alive,
        keep_cookies: load.keep_cookies,
        timeout: nanos(load.timeout),
        start: Instant::now(),
        begin: nanos(load.warm_up),
        end: AtomicU64::new(nanos(load.warm_up + load.duration)),
    };
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for thread in 0..load.threads {
            let share = (load.connections + load.threads - 1 - thread) / load.threads;
            let (shared, pace) = (&shared, load.pace.clone());
            let cpu = load.cpus.get(thread).copied();
            let work = move || -> std::io::Result<Report> {
                let pinned = cpu.filter(|cpu| cpus::keep_to(&[*cpu]));
                let mut report = Engine::new(shared, pace, thread, load.threads, share)?.run()?;
                report.pinned.extend(pinned);
                Ok(report)
            };
            let spawned =
                std::thread::Builder::new().name(format!("load {thread}")).spawn_scoped(scope, work);
            threads.push(spawned.map_err(|why| format!("no thread for the load: {why}"))?);
        }
        look_on(&shared, &mut watch, || threads.iter().all(|thread| thread.is_finished()));
        let mut report = Report::default();
        for thread in threads {
            let done = thread.join().map_err(|_| "a thread of the load generator failed")?;
            report.add(&done.map_err(|why| format!("the load generator cannot go on: {why}"))?);
        }
        Ok(report)
    })
}

/// The first address of the server that accepts a connection. A refusal is one sentence here; inside the loop it would be a
/// thousand failures.
fn reached(target: &Target) -> Result<SocketAddr, String> {
    let mut said = None;
    for address in &target.addresses {
        match TcpStream::connect_timeout(address, Duration::from_secs(5)) {
            Ok(_) => return Ok(*address),
            Err(why) => said = said.or(Some(format!("no connection to {address}: {why}"))),
        }
    }
    Err(said.unwrap_or_else(|| format!("{} has no address", target.host)))
}

/// Calls `watch` and ends the load when it returns `false`.
fn look_on(shared: &Shared, watch: &mut impl FnMut(Moment) -> bool, finished: impl Fn() -> bool) {
    let mut begun = false;
    loop {
        let now = shared.start.elapsed().as_nanos() as u64;
        let end = shared.end.load(Relaxed);
        let mut go_on = true;
        if !begun && now >= shared.begin {
            begun = true;
            go_on = watch(Moment::Begin);
        }
        go_on &= watch(Moment::Running(now as f64 / 1e9));
        if !go_on {
            shared.end.store((shared.start.elapsed().as_nanos() as u64).min(end), Relaxed);
        }
        if !go_on || now >= end || finished() {
            watch(Moment::End);
            return;
        }
        let next = if begun { end } else { shared.begin };
        std::thread::sleep(TICK.min(Duration::from_nanos(next.saturating_sub(now))));
    }
}
