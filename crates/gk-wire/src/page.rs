//! The layout of the page of memory that the two ends of a link share. Mapping it is `gk-sys`'s work.

/// Bytes of the page.
pub const PAGE_LEN: usize = 4096;

/// Index, in 64-bit words, of `started`: the ordinal of the last `Request` frame of this link that a thread began. Written by
/// the worker (release) before the application is called, read by the front (acquire) when the link ends: a request
/// whose ordinal (from 1) is larger was never started and may be given to another worker.
pub const STARTED: usize = 0;

/// Index of `service`: smoothed nanoseconds that one request keeps a request thread, 0 before the first one. Written by the
/// worker after each request; the front reads it to decide how many requests the worker may hold ahead.
pub const SERVICE: usize = 1;

/// The highest bit of `started`, which the front sets by exchange with the word that it has read, and the worker takes off: since then no
/// thread can begin what came before, because the worker begins a request by exchange, too. See [`VOID`].
pub const TAKEN_BACK: u64 = 1 << 63;

/// Index of `void`: ordinal of the last request that the front took back, written by the front before it sets [`TAKEN_BACK`]. The worker
/// reads it when it meets that bit, and begins no request of an ordinal up to it that it has not begun before.
pub const VOID: usize = 2;

/// Index of `beat`: counts up each millisecond or so while the worker has a request, whatever Python does; 0 before the first one.
pub const BEAT: usize = 3;

/// Index of `load`: requests that the worker has from other fronts and has not ended; 0 with one front. Written by the worker when
/// requests come and end; a front reads it to choose the least busy worker.
pub const LOAD: usize = 4;

/// Index of `wanted`: the front sets it to 1 when it finds this worker busy with other fronts' requests; when one of those ends, the worker
/// sets it to 0 and sends `Room`. Both write it and [`LOAD`] in one order that all processes see, so that neither misses the other.
pub const WANTED: usize = 5;

/// Index of `waits`: the mark of the client whose request has waited in this front's queue long enough for a slow reader to give way; 0:
/// nobody has. Written by the front a few times a second; the worker passes it on as [`WAITS_ELSEWHERE`].
pub const WAITS: usize = 6;

/// Index of `holds`: the mark of the client whose slow reading holds this front's share of the threads, or did a moment ago; 0: none does.
/// As [`WAITS`]; the worker passes it on as [`HOLDS_ELSEWHERE`].
pub const HOLDS: usize = 7;

/// Index of `waits elsewhere`: [`WAITS`] of another front, 0: of none. Written by the worker.
pub const WAITS_ELSEWHERE: usize = 8;

/// Index of `holds elsewhere`: [`HOLDS`] of another front, 0: of none. Written by the worker.
pub const HOLDS_ELSEWHERE: usize = 9;
