//! Words of a slot. Only its thread writes it. The first cache line is written at the beginning of every request, some words
//! from `LATER` on at the end of every plain one, the others seldom. Words from `GUARD` to `PATH` are read together.

use super::COUNTED;
use std::ops::Range;

/// Odd while a request begins, that is while the words up to `PATH` are being written.
pub(crate) const GUARD: usize = 0;
/// [`crate::ThreadStage`]; the words of the request are valid while it is not idle.
pub(crate) const STATE: usize = 1;
/// The front's number of the request.
pub(crate) const REQUEST: usize = 2;
/// Epoch time at which the front had the request's head.
pub(crate) const START: usize = 3;
/// Monotonic time at which the thread took it.
pub(crate) const BEGUN: usize = 4;
/// Application group, from bit 16 on the route, and [`WAITED`].
pub(crate) const PLACE: usize = 5;
/// Time in the queue.
pub(crate) const QUEUE: usize = 6;
/// The thread's CPU clock at `BEGUN`; 0 when it was not read.
pub(crate) const CPU_BEGUN: usize = 7;
/// Method; kept as it is when the next request has the same.
pub(crate) const METHOD: Range<usize> = 8..10;
/// Path without query string; kept as it is when the next request has the same.
pub(crate) const PATH: Range<usize> = 10..28;
/// Time the request has waited for a GIL so far; valid with [`WAITED`], as the next three.
pub(crate) const GIL: usize = 28;
/// Waits so far.
pub(crate) const WAITS: usize = 29;
/// Its longest wait.
pub(crate) const LONGEST_WAIT: usize = 30;
/// Route that held the GIL in the longest wait.
pub(crate) const CULPRIT: usize = 31;
/// Once: the operating system's number of the thread.
pub(crate) const TID: usize = 32;
/// Requests that the thread finished outside its own cell.
pub(crate) const COMPLETED: usize = 33;
/// Time it was busy with them.
pub(crate) const BUSY: usize = 34;
/// Once, at its first request: one more than the application group of its own cell; 0 before.
pub(crate) const HOME: usize = 35;
/// One more than the entry of the exception's type that left the application; 0: none did since a request was kept.
pub(crate) const RAISED: usize = 36;
/// Odd while the words from `ROUTE` to `SETTLED` are written, or plain requests move from here to the own cell.
pub(crate) const SETTLING: usize = 40;
/// The route of what the own cell has counted since it held `SETTLED`.
pub(crate) const ROUTE: usize = 41;
/// What the own cell held when its figures were last given to a route, in the order of [`COUNTED`].
pub(crate) const SETTLED: Range<usize> = 42..42 + COUNTED.len();
/// Number of plain requests in `PLAIN`. Written after them.
pub(crate) const LATER: usize = 55;
/// Plain requests that are not in the own cell yet: [`PLAIN_WORDS`] words each.
pub(crate) const PLAIN: Range<usize> = 56..104;
/// Words of a plain request.
pub(crate) const PLAIN_WORDS: usize = 3;
/// Response times that `ROUTE` has not been given yet: a byte for each bucket of a route's response times.
pub(crate) const TIMES: Range<usize> = 104..136;

/// In `PLACE`: the request has waited for a GIL; the words from `GIL` to `CULPRIT` are in use.
pub(crate) const WAITED: u64 = 1 << 32;
