//! Every figure that is measured of a request, one row each. A new figure needs its row here and the code that measures it.
//!
//! From the rows come [`Record`] with its words in the ring of kept requests, the words and histograms of a cell, the sums
//! [`Figures`] that the history keeps, the [`Rates`] of charts, and [`FIGURES`], the table behind `/metrics`, the API, OTLP
//! and the reference page. The macro that expands a row is in [`row`]; figures of a route are in [`routes`].
//!
//! | key of a row | gives |
//! |---|---|
//! | doc comment | help text in `/metrics` and on the reference page |
//! | `unit` | `Count`, `Bytes` or `Nanoseconds`; durations are always nanoseconds |
//! | `word` | word of a cell's head with the counter, or with a histogram's sum |
//! | `each` | counted with this number for each request |
//! | `often`, `seldom` | field of [`Record`] that is added to it; `seldom`: zero in most requests |
//! | `flag` | the same for a field that is true or false |
//! | `waits` | field of [`Record`] that repeats what [`crate::Board::waited`] has added already |
//! | `place` | place of a histogram in a cell, see [`crate::Layout`] |
//! | `value`, `derived` | field or method of [`Record`] with a histogram's value |
//! | `zeros` | word that counts the value 0 in place of a bucket; a duration that plain requests have not needs it |
//! | `history` | name in the history and in `/api/v1/totals`, when it is not the figure's own |
//! | `metric` | name in `/metrics`; with a label where several rows share it |
//! | `request` | name in `/api/v1/requests` |
//! | `rate`, `mean`, `spread` | names in a chart's point: per second, per request, mean and percentiles |

pub mod routes;
pub mod row;
mod sums;

pub use row::{Figure, Metric, Shown, Unit, Value};
pub use sums::{Long, OTHER_KINDS};

row::describe! {
    durations {
        /// From the request's arrival to the end of the application.
        Response response {
            word: 1, place: 2, value: response,
            metric: "gilkeeper_request_seconds", request: "response", spread: response,
        }
        /// In the process group's queue.
        Queue queue {
            word: 2, place: 3, value: queue,
            metric: "gilkeeper_queue_seconds", request: "queue", spread: queue,
        }
        /// Inside the application.
        Application application {
            word: 4, place: 0, value: application, history: "application_time",
            metric: "gilkeeper_application_seconds", request: "application", spread: application,
        }
        /// On CPU, by the request thread's clock.
        Cpu cpu {
            word: 5, place: 1, value: cpu,
            metric: "gilkeeper_request_cpu_seconds", request: "cpu", rate: on_cpu, mean: cpu_per_request,
        }
        /// Waiting for the GIL, all waits of a request together.
        GilWait gil_wait {
            word: 13, place: 4, derived: gil_wait, zeros: NO_WAIT,
            metric: "gilkeeper_request_gil_wait_seconds", request: "gil_wait", mean: gil_per_request,
        }
        /// Neither on CPU nor waiting for GIL or CPU.
        Blocked blocked {
            word: 14, place: 5, value: blocked, zeros: NOT_BLOCKED,
            metric: "gilkeeper_request_blocked_seconds", request: "blocked", rate: blocked,
        }
        /// One wait for the GIL.
        SingleWait single_wait {
            word: 23, place: 6,
            metric: "gilkeeper_gil_single_wait_seconds", spread: single_wait,
        }
    }
    counters {
        /// Requests finished.
        REQUESTS requests { unit: Count, word: 0, each: 1, rate: requests, }
        /// Request threads' waiting for the GIL, by where they waited.
        GIL_APPLICATION gil_application {
            unit: Nanoseconds, word: 20, waits: gil_application,
            metric: "gilkeeper_gil_wait_seconds_total" { "site" = "application" },
        }
        /// Request threads' waiting for the GIL, by where they waited.
        GIL_SERVER gil_server {
            unit: Nanoseconds, word: 21, waits: gil_server,
            metric: "gilkeeper_gil_wait_seconds_total" { "site" = "server" },
            request: "gil_wait_server", rate: gil_wait_server,
        }
        /// Request threads' waits for the GIL.
        WAITS waits {
            unit: Count, word: 22, waits: waits,
            metric: "gilkeeper_gil_waits_total", request: "gil_waits", rate: gil_waits,
        }
        /// Requests that ended with a status from 500 on or with an exception.
        ERRORS errors {
            unit: Count, word: 15, flag: error,
            metric: "gilkeeper_request_errors_total", request: "error", rate: errors,
        }
        /// Requests in which an exception left the application.
        EXCEPTIONS exceptions {
            unit: Count, word: 25, flag: exception, request: "exception", rate: exceptions,
        }
        /// Runnable without running, outside the waits.
        RUNNABLE runnable {
            unit: Nanoseconds, word: 16, seldom: runnable,
            metric: "gilkeeper_request_runnable_seconds_total", request: "runnable", rate: runnable,
        }
        /// Body bytes that applications read.
        BYTES_IN bytes_in {
            unit: Bytes, word: 17, seldom: bytes_in,
            metric: "gilkeeper_request_body_bytes_total", request: "bytes_in", rate: bytes_in,
        }
        /// Body bytes that applications gave.
        BYTES_OUT bytes_out {
            unit: Bytes, word: 6, often: bytes_out,
            metric: "gilkeeper_response_body_bytes_total", request: "bytes_out", rate: bytes_out,
        }
        /// Reads of the request body.
        READS reads { unit: Count, word: 18, seldom: reads, }
        /// Pieces of the response body.
        WRITES writes { unit: Count, word: 11, often: writes, }
        /// Time inside the reads of the request body.
        INPUT input { unit: Nanoseconds, word: 19, seldom: input, request: "input", }
        /// Time inside the writes of the response body.
        OUTPUT output { unit: Nanoseconds, word: 24, seldom: output, request: "output", }
        /// From the request's arrival to the queue.
        SERVER server { unit: Nanoseconds, word: 12, seldom: server, request: "server", }
        /// From the queue's end to the application.
        DAEMON daemon { unit: Nanoseconds, word: 3, often: daemon, request: "daemon", }
        /// Waiting for locks of free-threaded Python, by what was waited for; part of blocked.
        LOCK_DICT lock_dict {
            unit: Nanoseconds, word: 26, seldom: lock_dict,
            metric: "gilkeeper_request_lock_wait_seconds_total" { "for" = "dict" },
            request: "lock_dict", rate: lock_dict,
        }
        /// Waiting for locks of free-threaded Python, by what was waited for; part of blocked.
        LOCK_LIST lock_list {
            unit: Nanoseconds, word: 27, seldom: lock_list,
            metric: "gilkeeper_request_lock_wait_seconds_total" { "for" = "list" },
            request: "lock_list", rate: lock_list,
        }
        /// Waiting for locks of free-threaded Python, by what was waited for; part of blocked.
        LOCK_SET lock_set {
            unit: Nanoseconds, word: 28, seldom: lock_set,
            metric: "gilkeeper_request_lock_wait_seconds_total" { "for" = "set" },
            request: "lock_set", rate: lock_set,
        }
        /// Waiting for locks of free-threaded Python, by what was waited for; part of blocked.
        LOCK_OBJECT lock_object {
            unit: Nanoseconds, word: 29, seldom: lock_object,
            metric: "gilkeeper_request_lock_wait_seconds_total" { "for" = "object" },
            request: "lock_object", rate: lock_object,
        }
        /// Waiting for locks of free-threaded Python, by what was waited for; part of blocked.
        LOCK_LOCK lock_lock {
            unit: Nanoseconds, word: 30, seldom: lock_lock,
            metric: "gilkeeper_request_lock_wait_seconds_total" { "for" = "lock" },
            request: "lock_lock", rate: lock_lock,
        }
        /// Waiting for locks of free-threaded Python, by what was waited for; part of blocked.
        LOCK_WORLD lock_world {
            unit: Nanoseconds, word: 31, seldom: lock_world,
            metric: "gilkeeper_request_lock_wait_seconds_total" { "for" = "world" },
            request: "lock_world", rate: lock_world,
        }
        /// Waiting for locks of free-threaded Python, by what was waited for; part of blocked.
        LOCK_IMPORT lock_import {
            unit: Nanoseconds, word: 32, seldom: lock_import,
            metric: "gilkeeper_request_lock_wait_seconds_total" { "for" = "import" },
            request: "lock_import", rate: lock_import,
        }
        /// Waiting for locks of free-threaded Python, by what was waited for; part of blocked.
        LOCK_OTHER lock_other {
            unit: Nanoseconds, word: 33, seldom: lock_other,
            metric: "gilkeeper_request_lock_wait_seconds_total" { "for" = "other" },
            request: "lock_other", rate: lock_other,
        }
    }
    // The first eight words of a cell's head are the cache line of plain requests; all others add to the next eight as well.
    words {
        /// Plain requests: each is one more in `OF_EACH_PLAIN`.
        PLAIN 7
        /// Requests with the status 200.
        OK 8
        /// Requests that did not wait for a GIL: the value 0 of that histogram.
        NO_WAIT 9
        /// Requests that were not blocked: the value 0 of that histogram.
        NOT_BLOCKED 10
    }
}

impl Record {
    /// All waiting for the GIL.
    pub fn gil_wait(&self) -> u64 {
        self.gil_application.saturating_add(self.gil_server)
    }
}

impl Figure {
    /// For a row of waits for locks, where there is no GIL: what is waited for.
    pub fn lock(&self) -> Option<&'static str> {
        let metric =
            self.metric.filter(|metric| metric.name == "gilkeeper_request_lock_wait_seconds_total")?;
        metric.label.map(|(_, what)| what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record with another number in each field.
    fn record() -> Record {
        Record::of_words(|word| if word == 1 { 1 } else { word as u64 + 2 })
    }

    #[test]
    fn a_record_comes_back_from_its_words() {
        let record = record();
        let words = record.words();
        assert_eq!(Record::of_words(|word| words[word]), record);
        // Both flags are 1.
        assert_eq!(words[2..].iter().collect::<std::collections::BTreeSet<_>>().len(), Record::WORDS - 3);
    }

    #[test]
    fn each_row_adds_its_own_figure() {
        for (index, row) in FIGURES.iter().enumerate() {
            let mut figures = Figures::default();
            match &row.value {
                Value::Counter { get_mut, .. } => *get_mut(&mut figures) = 7,
                Value::Durations { get_mut, .. } => get_mut(&mut figures).record(7_000),
            }
            let mut twice = figures.clone();
            twice.merge(&figures);
            assert_eq!(twice.since(&figures), figures, "{}", row.name);
            assert_eq!(twice.scaled(0.5), figures, "{}", row.name);
            let set = |row: &Figure| match &row.value {
                Value::Counter { get, .. } => get(&figures) > 0,
                Value::Durations { get, .. } => get(&figures).count() > 0,
            };
            let there: Vec<usize> =
                FIGURES.iter().enumerate().filter(|(_, row)| set(row)).map(|(n, _)| n).collect();
            assert_eq!(there, [index], "{}", row.name);
            let kept = serde_json::to_value(&figures).unwrap();
            let value = &kept[row.name];
            assert!(value == 7 || value["sum"] == 7_000, "{}: {value}", row.name);
        }
    }

    #[test]
    fn names_are_given_once() {
        let metrics: Vec<_> = FIGURES.iter().filter_map(|row| row.metric).collect();
        for (index, metric) in metrics.iter().enumerate() {
            assert!(!metrics[..index].contains(metric), "{metric:?}");
            assert!(metric.name.starts_with("gilkeeper_"), "{metric:?}");
        }
        for row in &FIGURES {
            let counter = matches!(row.value, Value::Counter { .. });
            let suffix = match (counter, row.unit) {
                (true, Unit::Nanoseconds) => "_seconds_total",
                (true, Unit::Bytes) => "_bytes_total",
                (true, Unit::Count) => "_total",
                (false, _) => "_seconds",
            };
            assert!(row.metric.is_none_or(|metric| metric.name.ends_with(suffix)), "{}", row.name);
        }
    }

    #[test]
    fn a_row_of_the_history_without_a_newer_figure_is_read() {
        let figures: Figures = serde_json::from_str(r#"{"requests": 3, "of another version": 1}"#).unwrap();
        assert_eq!(figures, Figures { requests: 3, ..Figures::default() });
    }
}
