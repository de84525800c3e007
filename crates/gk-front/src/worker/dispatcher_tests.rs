//! Tables of a dispatcher's decisions: events go in, tickets and workers come out.

use super::*;
use std::cell::Cell;
use std::rc::Rc;

/// A worker that takes a fixed number of requests.
#[derive(Debug)]
struct FakeWorker {
    name: &'static str,
    threads: u32,
    capacity: u32,
    in_flight: Cell<u32>,
    open: Cell<bool>,
}

impl Candidate for Rc<FakeWorker> {
    fn is_open(&self) -> bool {
        self.open.get()
    }

    fn has_room(&self, _: u64) -> bool {
        self.open.get() && self.in_flight.get() < self.capacity
    }

    fn in_flight(&self) -> u32 {
        self.in_flight.get()
    }

    fn threads(&self) -> u32 {
        self.threads
    }

    fn reserve(&self, _: u64) {
        self.in_flight.set(self.in_flight.get() + 1);
    }
}

fn worker(name: &'static str, threads: u32, in_flight: u32) -> Rc<FakeWorker> {
    let (in_flight, open) = (Cell::new(in_flight), Cell::new(true));
    Rc::new(FakeWorker { name, threads, capacity: threads, in_flight, open })
}

const LIMITS: PoolLimits = PoolLimits {
    queue: 300,
    backlog: usize::MAX,
    queue_timeout: 500,
    connect_timeout: 200,
    socket_timeout: 0,
    write_timeout: 0,
    header_line: 0,
    retry: true,
    fronts: 1,
};

/// Without workers since the time 1000; tickets are the numbers of the requests.
fn dispatcher(limits: PoolLimits) -> Dispatcher<Rc<FakeWorker>, u64> {
    Dispatcher::new(limits, 1_000)
}

/// A request of 100 bytes.
fn arrival(request: u64, since: u64, again: bool) -> Arrival {
    Arrival { request, since, bytes: 100, again, client: None }
}

fn enqueue(dispatcher: &mut Dispatcher<Rc<FakeWorker>, u64>, requests: &[u64]) {
    for request in requests {
        dispatcher.enqueue(arrival(*request, 1_000, false), *request).unwrap();
    }
}

/// Grants until no worker has room: tickets and workers in order.
fn grants(dispatcher: &mut Dispatcher<Rc<FakeWorker>, u64>) -> Vec<(u64, &'static str)> {
    std::iter::from_fn(|| dispatcher.next_grant(0, |_| false, |_| false))
        .map(|(ticket, worker)| (ticket, worker.name))
        .collect()
}

#[test]
fn a_request_goes_to_the_worker_with_the_fewest_requests_per_thread() {
    /// Threads and requests in flight of two workers, and the one that is chosen.
    type Case = ((u32, u32), (u32, u32), Option<&'static str>);
    let cases: [Case; 7] = [
        ((2, 0), (2, 0), Some("first")),
        ((2, 1), (2, 0), Some("second")),
        ((4, 2), (2, 1), Some("first")),
        ((4, 1), (2, 1), Some("first")),
        ((2, 1), (4, 1), Some("second")),
        ((1, 1), (4, 3), Some("second")),
        ((1, 1), (2, 2), None),
    ];
    for ((threads, in_flight), (other_threads, other_in_flight), chosen) in cases {
        let mut dispatcher = dispatcher(LIMITS);
        dispatcher.add(worker("first", threads, in_flight));
        dispatcher.add(worker("second", other_threads, other_in_flight));
        let before: u32 = in_flight + other_in_flight;
        let got = dispatcher.try_reserve(false, 0).map(|worker| worker.name);
        assert_eq!(got, chosen, "{threads}/{in_flight} {other_threads}/{other_in_flight}");
        let after: u32 = dispatcher.workers().iter().map(|worker| worker.in_flight.get()).sum();
        assert_eq!(after, before + u32::from(chosen.is_some()), "a chosen worker has one more reserved");
    }
}

#[test]
fn a_new_request_does_not_pass_those_that_wait() {
    let mut dispatcher = dispatcher(LIMITS);
    enqueue(&mut dispatcher, &[1]);
    dispatcher.add(worker("w", 1, 0));
    assert!(dispatcher.try_reserve(false, 0).is_none());
    assert!(dispatcher.try_reserve(true, 0).is_some(), "one that a worker did not begin does");
}

#[test]
fn the_queue_is_served_in_the_order_of_request_numbers() {
    let mut dispatcher = dispatcher(LIMITS);
    enqueue(&mut dispatcher, &[4, 7, 5]);
    // Request 2 was at a worker that died before it began the request; the queue is full.
    dispatcher.enqueue(arrival(2, 1_000, true), 2).unwrap();
    dispatcher.add(worker("w", 3, 0));
    assert_eq!(grants(&mut dispatcher), [(2, "w"), (4, "w"), (5, "w")]);
    assert_eq!((dispatcher.queued(), dispatcher.tickets().collect::<Vec<_>>()), (1, vec![&7]));
}

#[test]
fn a_queue_that_holds_too_much_refuses_new_requests_only() {
    let mut dispatcher = dispatcher(LIMITS);
    enqueue(&mut dispatcher, &[1, 2, 3]);
    assert_eq!(dispatcher.held(), 300);
    assert_eq!(dispatcher.enqueue(arrival(4, 1_000, false), 4), Err(QueueRefusal::Full));
    assert_eq!(dispatcher.enqueue(arrival(4, 1_000, true), 4), Ok(()));
    dispatcher.leave(2);
    dispatcher.leave(2);
    assert_eq!((dispatcher.tickets().collect::<Vec<_>>(), dispatcher.held()), (vec![&1, &3, &4], 300));
    dispatcher.set_limits(PoolLimits { queue: 50, ..LIMITS });
    assert_eq!(dispatcher.enqueue(arrival(5, 1_000, false), 5), Err(QueueRefusal::Full));
    assert_eq!(dispatcher.queued(), 3, "after a reload, those that wait stay");
    dispatcher.add(worker("w", 3, 0));
    assert_eq!(grants(&mut dispatcher).len(), 3);
    assert_eq!(dispatcher.held(), 0);
    assert_eq!(dispatcher.enqueue(arrival(6, 1_000, false), 6), Ok(()), "one alone may hold more");
    assert_eq!(dispatcher.expire(1_500), [(6, QueueRefusal::TimedOut)]);
    assert_eq!(dispatcher.held(), 0);
}

/// Reported: a queue had 100 places, and a burst of 128 clients met 503.
#[test]
fn any_number_of_requests_may_wait() {
    let mut dispatcher = dispatcher(PoolLimits { queue: u64::MAX, queue_timeout: 0, ..LIMITS });
    dispatcher.add(worker("busy", 1, 1));
    for request in 0..100_000 {
        assert_eq!(dispatcher.enqueue(arrival(request, 1_000, false), request), Ok(()));
    }
    assert_eq!(dispatcher.expire(1_000_000), []);
    for request in (0..100_000).rev() {
        dispatcher.leave(request);
    }
    assert_eq!((dispatcher.queued(), dispatcher.held()), (0, 0));
}

#[test]
fn behind_the_backlog_a_request_waits_for_connect_timeout() {
    let mut dispatcher = dispatcher(PoolLimits { backlog: 2, queue: u64::MAX, queue_timeout: 0, ..LIMITS });
    dispatcher.add(worker("busy", 1, 1));
    enqueue(&mut dispatcher, &[11, 12, 13, 14]);
    dispatcher.enqueue(arrival(15, 1_100, false), 15).unwrap();
    // It was at a worker already, and pushes nobody out.
    dispatcher.enqueue(arrival(5, 1_000, true), 5).unwrap();
    assert_eq!(dispatcher.expire(1_199), []);
    dispatcher.leave(11);
    assert_eq!(dispatcher.expire(1_200), [(14, QueueRefusal::NoPlace)]);
    assert_eq!(dispatcher.expire(1_300), [(15, QueueRefusal::NoPlace)]);
    assert_eq!(dispatcher.expire(1_000_000), [], "those with a place wait on");
    assert_eq!(dispatcher.tickets().collect::<Vec<_>>(), [&5, &12, &13]);
}

#[test]
fn the_longest_wait_is_that_of_the_first() {
    let mut dispatcher = dispatcher(LIMITS);
    assert_eq!(dispatcher.longest_wait(9_000), 0);
    dispatcher.enqueue(arrival(7, 1_300, false), 7).unwrap();
    dispatcher.enqueue(arrival(6, 1_200, true), 6).unwrap();
    assert_eq!(dispatcher.longest_wait(1_500), 300);
}

#[test]
fn a_wait_ends_by_queue_timeout_or_without_a_worker_by_connect_timeout() {
    use QueueRefusal::{NoWorker, TimedOut};
    let long_queue = PoolLimits { queue_timeout: 0, ..LIMITS };
    let short_queue = PoolLimits { queue_timeout: 100, ..LIMITS };
    /// Limits, whether there is a (busy) worker, the time, and the refusal of a request that waits since 1000.
    type Case = (PoolLimits, bool, u64, Option<QueueRefusal>);
    let cases: [Case; 9] = [
        (LIMITS, true, 1_499, None),
        (LIMITS, true, 1_500, Some(TimedOut)),
        (long_queue, true, 1_000_000, None),
        (LIMITS, false, 1_199, None),
        (LIMITS, false, 1_200, Some(NoWorker)),
        (LIMITS, false, 1_500, Some(NoWorker)),
        (short_queue, false, 1_100, Some(TimedOut)),
        (long_queue, false, 1_199, None),
        (long_queue, false, 1_200, Some(NoWorker)),
    ];
    for (limits, has_worker, now, refusal) in cases {
        let mut dispatcher = dispatcher(limits);
        if has_worker {
            dispatcher.add(worker("busy", 1, 1));
        }
        enqueue(&mut dispatcher, &[1]);
        let want: Vec<_> = refusal.map(|why| (1, why)).into_iter().collect();
        assert_eq!(dispatcher.expire(now), want, "{limits:?}, worker: {has_worker}, at {now}");
        assert_eq!(dispatcher.queued(), usize::from(refusal.is_none()));
    }
}

#[test]
fn connect_timeout_counts_from_the_death_of_the_last_worker_and_for_each_request() {
    let mut dispatcher = dispatcher(PoolLimits { queue_timeout: 0, ..LIMITS });
    let (first, second) = (worker("first", 1, 1), worker("second", 1, 1));
    dispatcher.add(Rc::clone(&first));
    dispatcher.add(Rc::clone(&second));
    dispatcher.enqueue(arrival(1, 1_000, false), 1).unwrap();
    dispatcher.remove(|worker| Rc::ptr_eq(worker, &first), 5_000);
    assert_eq!(dispatcher.expire(9_000), [], "the other worker takes requests");
    dispatcher.remove(|worker| Rc::ptr_eq(worker, &second), 10_000);
    // A second report of the same state does not restart the time.
    dispatcher.check_workers(10_150);
    dispatcher.enqueue(arrival(2, 10_100, false), 2).unwrap();
    assert_eq!(dispatcher.expire(10_199), []);
    assert_eq!(dispatcher.expire(10_200), [(1, QueueRefusal::NoWorker)]);
    assert_eq!(dispatcher.expire(10_300), [(2, QueueRefusal::NoWorker)]);
}

#[test]
fn workers_that_drain_get_nothing_and_their_successors_serve_the_queue() {
    let mut dispatcher = dispatcher(PoolLimits { queue_timeout: 0, ..LIMITS });
    let old = worker("old", 2, 0);
    dispatcher.add(Rc::clone(&old));
    assert!(dispatcher.try_reserve(false, 0).is_some());
    // A reload: the old worker drains before the new one is ready.
    old.open.set(false);
    dispatcher.check_workers(2_000);
    assert!(dispatcher.try_reserve(false, 0).is_none());
    dispatcher.enqueue(arrival(9, 2_000, false), 9).unwrap();
    assert_eq!(grants(&mut dispatcher), []);
    dispatcher.add(worker("new", 1, 0));
    assert_eq!(grants(&mut dispatcher), [(9, "new")]);
    dispatcher.remove(|worker| Rc::ptr_eq(worker, &old), 3_000);
    dispatcher.enqueue(arrival(10, 3_000, false), 10).unwrap();
    assert_eq!(dispatcher.expire(1_000_000), [], "the new worker takes requests");
}

#[test]
fn limits_come_from_the_process_group() {
    let mut group = ProcessGroup::named("g");
    (group.socket_timeout, group.response_socket_timeout) = (0.0, 0.0);
    (group.connect_timeout, group.header_buffer_size) = (0.0, 0);
    let limits = PoolLimits::of(&group, 60.0, 1);
    assert_eq!((limits.socket_timeout, limits.write_timeout), (60_000, 60_000), "Timeout is the default");
    assert_eq!((limits.connect_timeout, limits.header_line), (1, 32_768));
    (group.socket_timeout, group.response_socket_timeout) = (2.5, 0.0);
    let limits = PoolLimits::of(&group, 60.0, 1);
    assert_eq!(
        (limits.socket_timeout, limits.write_timeout),
        (2_500, 2_500),
        "and socket-timeout that of writes"
    );
}

#[test]
fn others_pass_the_requests_of_a_barred_client() {
    let mut dispatcher = dispatcher(LIMITS);
    let worker = worker("a", 4, 1);
    dispatcher.add(Rc::clone(&worker));
    let (slow, other): (IpAddr, IpAddr) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
    for (request, client) in [(1, Some(slow)), (2, Some(slow)), (3, Some(other)), (4, None)] {
        let arrival = Arrival { client, ..arrival(request, 1_000, true) };
        dispatcher.enqueue(arrival, request).unwrap();
    }
    let barred = |client| client == Some(slow);
    assert_eq!(dispatcher.first(barred), Some(3));
    let granted: Vec<_> = std::iter::from_fn(|| dispatcher.next_grant(0, barred, |_| false))
        .map(|(ticket, _)| ticket)
        .collect();
    assert_eq!((granted, dispatcher.first(barred)), (vec![3, 4], None));
    assert_eq!(
        dispatcher.next_grant(0, |_| false, |_| false).map(|(ticket, _)| ticket),
        Some(1),
        "a thread was left for it"
    );
}

/// Reported: with thousands of requests of a barred client at the head of the queue, every request of another one searched all of
/// them. Met with a client that reads its responses slowly and goes on asking.
#[test]
fn a_search_meets_a_barred_request_once() {
    let mut dispatcher = dispatcher(PoolLimits { queue: u64::MAX, ..LIMITS });
    let (slow, other): (IpAddr, IpAddr) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
    let enqueue = |dispatcher: &mut Dispatcher<Rc<FakeWorker>, u64>, request: u64, client: IpAddr| {
        let arrival = Arrival { client: Some(client), ..arrival(request, 900 + request, false) };
        dispatcher.enqueue(arrival, request).unwrap();
    };
    (1..=1_000).for_each(|request| enqueue(&mut dispatcher, request, slow));
    let worker = worker("a", 4, 3);
    dispatcher.add(Rc::clone(&worker));
    let looks = Cell::new(0);
    for request in 1_001..=1_100 {
        enqueue(&mut dispatcher, request, other);
        let barred = |client| {
            looks.set(looks.get() + 1);
            client == Some(slow)
        };
        let granted = dispatcher.next_grant(0, barred, |_| false).map(|(ticket, _)| ticket);
        assert_eq!(granted, Some(request));
        worker.in_flight.set(3);
    }
    assert!(looks.get() < 2_000, "{} looks", looks.get());
    // They are in the queue as before.
    assert_eq!((dispatcher.queued(), dispatcher.held()), (1_000, 100_000));
    assert_eq!((dispatcher.is_empty(), dispatcher.tickets().count()), (false, 1_000));
    assert_eq!(dispatcher.longest_wait(1_001), 100);
    assert!(dispatcher.try_reserve(false, 0).is_none());
    dispatcher.leave(1);
    enqueue(&mut dispatcher, 2_000, other);
    assert_eq!(dispatcher.next_grant(0, |_| false, |_| false).map(|(ticket, _)| ticket), Some(2));
    let late = dispatcher.expire(1_500);
    assert_eq!(late.len(), 98, "those that came by 1000 have waited for 500 ms");
    assert_eq!((dispatcher.queued(), dispatcher.first(|client| client == Some(slow))), (901, Some(2_000)));
}
