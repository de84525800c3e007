//! The decisions of a pool as a value: which worker gets a request, which request waits, which one is refused. Pure: workers
//! come through [`Candidate`], times are numbers, decisions are return values. The waiting itself is in `pool`.

use gk_config::site::ProcessGroup;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Why no worker takes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueRefusal {
    /// The requests in the queue hold as much memory as they may.
    Full,
    /// The request waited in the queue for `queue-timeout`.
    TimedOut,
    /// There was no worker for `connect-timeout`.
    NoWorker,
    /// The request stood behind `listen-backlog` others for `connect-timeout`.
    NoPlace,
}

/// The options of `WSGIDaemonProcess` that the front applies. Times in milliseconds; 0 is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolLimits {
    /// `queue-memory`, in bytes.
    pub queue: u64,
    /// `listen-backlog`: places in the queue that are waited in without `connect-timeout`.
    pub backlog: usize,
    /// `queue-timeout`.
    pub queue_timeout: u64,
    /// `connect-timeout`.
    pub connect_timeout: u64,
    /// `socket-timeout`.
    pub socket_timeout: u64,
    /// `response-socket-timeout`.
    pub write_timeout: u64,
    /// `header-buffer-size`, in bytes.
    pub header_line: usize,
    /// `retry=safe`.
    pub retry: bool,
    /// Fronts that send requests to the group.
    pub fronts: u32,
}

impl PoolLimits {
    /// From the configuration; `timeout` is the server's `Timeout` in seconds, the default of `socket-timeout`. `fronts`: how many send
    /// requests to the group.
    pub fn of(group: &ProcessGroup, timeout: f64, fronts: u32) -> Self {
        let millis = |seconds: f64| (seconds * 1_000.0) as u64;
        let or = |value: u64, other: u64| if value == 0 { other } else { value };
        let socket_timeout = or(millis(group.socket_timeout), millis(timeout));
        Self {
            queue: or(group.queue_memory, u64::MAX),
            backlog: group.listen_backlog.map_or(usize::MAX, |places| places as usize),
            queue_timeout: millis(group.queue_timeout),
            connect_timeout: millis(group.connect_timeout).max(1),
            socket_timeout,
            write_timeout: or(millis(group.response_socket_timeout), socket_timeout),
            header_line: or(group.header_buffer_size, 32_768) as usize,
            retry: group.retry == "safe",
            fronts,
        }
    }
}

/// A request that waits for a worker, as far as the decisions depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Its number. Requests leave the queue in the order of their numbers.
    pub request: u64,
    /// Coarse time in milliseconds from which its wait counts.
    pub since: u64,
    /// Bytes of memory that it holds while it waits.
    pub bytes: u64,
    /// It was at a worker before, and no bound of the queue refuses it.
    pub again: bool,
    /// Address of its client, if it has one.
    pub client: Option<IpAddr>,
}

/// A worker, as far as the choice depends on it.
pub trait Candidate: Clone {
    /// Whether it takes requests.
    fn is_open(&self) -> bool;
    /// Whether it takes another request now.
    fn has_room(&self, now_micros: u64) -> bool;
    /// Requests that it has not ended, whoever sent them.
    fn in_flight(&self) -> u32;
    /// Request threads.
    fn threads(&self) -> u32;
    /// Reserves a place for a request.
    fn reserve(&self, now_micros: u64);
}

/// A request in the queue.
struct Queued<T> {
    arrival: Arrival,
    ticket: T,
}

/// The workers `W` and the queue of one process group. A ticket `T` stands for a request that waits.
///
/// Thousands may wait, so whatever happens to one request takes logarithmic time; only [`Dispatcher::expire`], which the clock
/// calls, looks at all. Requests of a barred client that a search for the next one meets are put aside until then, so that no search
/// meets them again.
pub struct Dispatcher<W, T> {
    limits: PoolLimits,
    workers: Vec<W>,
    /// By the numbers of the requests.
    queue: BTreeMap<u64, Queued<T>>,
    /// Those that were put aside, by client.
    aside: BTreeMap<Option<IpAddr>, BTreeMap<u64, Queued<T>>>,
    /// Bytes that the requests in the queue hold.
    held: u64,
    /// Milliseconds since when no worker takes requests; `None` while one does.
    no_worker_since: Option<u64>,
}

impl<W: Candidate, T: Clone> Dispatcher<W, T> {
    /// Without workers yet.
    pub fn new(limits: PoolLimits, now_millis: u64) -> Self {
        let no_worker_since = Some(now_millis);
        let (queue, aside) = (BTreeMap::new(), BTreeMap::new());
        Self { limits, workers: Vec::new(), queue, aside, held: 0, no_worker_since }
    }

    /// The limits in force.
    pub fn limits(&self) -> PoolLimits {
        self.limits
    }

    /// Other limits, after a reload. Requests in the queue stay, even beyond its new bounds.
    pub fn set_limits(&mut self, limits: PoolLimits) {
        self.limits = limits;
    }

    /// The workers.
    pub fn workers(&self) -> &[W] {
        &self.workers
    }

    /// A worker that takes requests has come.
    pub fn add(&mut self, worker: W) {
        self.workers.push(worker);
        self.no_worker_since = None;
    }

    /// A worker has ended.
    pub fn remove(&mut self, is: impl Fn(&W) -> bool, now_millis: u64) {
        self.workers.retain(|worker| !is(worker));
        self.check_workers(now_millis);
    }

    /// A worker may have stopped taking requests: without any, `connect-timeout` begins.
    pub fn check_workers(&mut self, now_millis: u64) {
        if self.workers.iter().any(W::is_open) {
            self.no_worker_since = None;
        } else {
            self.no_worker_since.get_or_insert(now_millis);
        }
    }

    /// Requests in the queue.
    pub fn queued(&self) -> usize {
        self.queue.len() + self.aside.values().map(BTreeMap::len).sum::<usize>()
    }

    /// Whether no request is in the queue.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.aside.is_empty()
    }

    /// Bytes that the requests in the queue hold.
    pub fn held(&self) -> u64 {
        self.held
    }

    /// Milliseconds that the first request of the queue has waited.
    pub fn longest_wait(&self, now_millis: u64) -> u64 {
        let aside = self.aside.values().filter_map(|some| some.values().next());
        let since =
            self.queue.values().next().into_iter().chain(aside).map(|first| first.arrival.since).min();
        since.map_or(0, |since| now_millis.saturating_sub(since))
    }

    /// The tickets in the queue.
    pub fn tickets(&self) -> impl Iterator<Item = &T> {
        self.aside.values().flat_map(BTreeMap::values).chain(self.queue.values()).map(|queued| &queued.ticket)
    }

    /// Reserves a place for a new request, unless others wait already; `again`: also past those that wait.
    pub fn try_reserve(&self, again: bool, now_micros: u64) -> Option<W> {
        if self.is_empty() || again { self.reserve(now_micros) } else { None }
    }

    /// Puts a request into the queue, at the place of its number. The newest is refused when the queue holds too much; a request
    /// alone may hold any amount, or it would never be served.
    pub fn enqueue(&mut self, arrival: Arrival, ticket: T) -> Result<(), QueueRefusal> {
        let held = self.held.saturating_add(arrival.bytes);
        if !arrival.again && held > self.limits.queue && !self.is_empty() {
            return Err(QueueRefusal::Full);
        }
        self.held = held;
        self.queue.insert(arrival.request, Queued { arrival, ticket });
        Ok(())
    }

    /// Takes a request out of the queue.
    pub fn leave(&mut self, request: u64) {
        self.take(request);
    }

    fn take(&mut self, request: u64) -> Option<Queued<T>> {
        let found = self.queue.remove(&request);
        let queued = found.or_else(|| self.aside.values_mut().find_map(|some| some.remove(&request)))?;
        self.aside.retain(|_, some| !some.is_empty());
        self.held -= queued.arrival.bytes;
        Some(queued)
    }

    /// Request threads of the workers that take requests.
    pub fn threads(&self) -> u32 {
        self.workers.iter().filter(|worker| worker.is_open()).map(W::threads).sum()
    }

    /// Number of the first request of the queue whose client is not `barred`. Clients are barred while they hold almost all threads of a
    /// group, so there are few of them.
    pub fn first(&mut self, barred: impl Fn(Option<IpAddr>) -> bool) -> Option<u64> {
        while let Some(first) = self.queue.first_entry()
            && barred(first.get().arrival.client)
        {
            let (request, queued) = first.remove_entry();
            self.aside.entry(queued.arrival.client).or_default().insert(request, queued);
        }
        let aside = self.aside.iter().filter(|(client, _)| !barred(**client));
        let aside = aside.filter_map(|(_, some)| some.keys().next());
        self.queue.keys().next().into_iter().chain(aside).min().copied()
    }

    /// What is known of a request of the queue.
    pub fn arrival_of(&self, request: u64) -> Option<&Arrival> {
        let mut aside = self.aside.values();
        let queued = self.queue.get(&request).or_else(|| aside.find_map(|some| some.get(&request)))?;
        Some(&queued.arrival)
    }

    /// The first request of the queue whose client is not `barred`, with a place at a worker, if a worker has room. Those whose client
    /// is to be `last` come after all others.
    pub fn next_grant(
        &mut self,
        now_micros: u64,
        barred: impl Fn(Option<IpAddr>) -> bool,
        last: impl Fn(Option<IpAddr>) -> bool,
    ) -> Option<(T, W)> {
        if !self.workers.iter().any(|worker| worker.has_room(now_micros)) {
            return None;
        }
        let request = match self.first(|client| barred(client) || last(client)) {
            Some(request) => request,
            None => self.first(barred)?,
        };
        let worker = self.reserve(now_micros)?;
        Some((self.take(request)?.ticket, worker))
    }

    /// Takes the requests out of the queue that have waited too long.
    pub fn expire(&mut self, now_millis: u64) -> Vec<(T, QueueRefusal)> {
        let PoolLimits { connect_timeout, queue_timeout, backlog, .. } = self.limits;
        let no_worker =
            self.no_worker_since.is_some_and(|since| now_millis.saturating_sub(since) >= connect_timeout);
        let (mut refused, mut freed, mut places) = (Vec::new(), 0, 0);
        for mut some in std::mem::take(&mut self.aside).into_values() {
            self.queue.append(&mut some);
        }
        self.queue.retain(|_, Queued { arrival, ticket }| {
            let waited = now_millis.saturating_sub(arrival.since);
            let late = waited >= connect_timeout;
            let why = if no_worker && late {
                QueueRefusal::NoWorker
            } else if queue_timeout != 0 && waited >= queue_timeout {
                QueueRefusal::TimedOut
            } else if late && places >= backlog && !arrival.again {
                QueueRefusal::NoPlace
            } else {
                // One that comes again took its place before the others and pushes none out.
                places += usize::from(!arrival.again);
                return true;
            };
            freed += arrival.bytes;
            refused.push((ticket.clone(), why));
            false
        });
        self.held -= freed;
        refused
    }

    /// Reserves a place at the worker with the fewest requests per thread, among those with room.
    fn reserve(&self, now_micros: u64) -> Option<W> {
        let mut best: Option<&W> = None;
        for worker in self.workers.iter().filter(|worker| worker.has_room(now_micros)) {
            let lighter = best.is_none_or(|best| {
                u64::from(worker.in_flight()) * u64::from(best.threads())
                    < u64::from(best.in_flight()) * u64::from(worker.threads())
            });
            if lighter {
                best = Some(worker);
            }
        }
        let worker = best?;
        worker.reserve(now_micros);
        Some(worker.clone())
    }
}

#[cfg(test)]
#[path = "dispatcher_tests.rs"]
mod tests;
