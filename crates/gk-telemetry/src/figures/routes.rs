//! The figures of a route, or of a thread of the application's own, one row each. From the rows come the words of a route's
//! entry, [`RouteSample`] as the reader gives it, and [`RouteSums`] as charts and the history have it.

use super::{Timed, counter};
use crate::histogram::Histogram;
use crate::saturating::Plus;
use serde::{Deserialize, Serialize};

/// Nanoseconds or a number of things, as a field of [`RouteSums`].
trait Sum {
    fn of(sum: u64) -> Self;
}

impl Sum for u64 {
    fn of(sum: u64) -> Self {
        sum
    }
}

/// Seconds.
impl Sum for f64 {
    fn of(sum: u64) -> Self {
        sum as Self / 1e9
    }
}

macro_rules! describe_routes {
    (
        counted { $( #[doc = $help:literal] $name:ident: $type:ty, word $word:literal, cell $cell:expr; )* }
        booked { $( #[doc = $b_help:literal] $WORD:ident $b_name:ident: $b_type:ty, word $b_word:literal; )* }
    ) => {
        /// A route, or a thread of the application's own. Times are nanoseconds.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct RouteSample {
            /// Number on this scoreboard.
            pub number: u16,
            /// Name.
            pub name: String,
            /// It is a thread of the application's own.
            pub thread: bool,
            $(#[doc = $help] pub $name: u64,)*
            $(#[doc = $b_help] pub $b_name: u64,)*
            /// Response times; their sum is not in it.
            pub times: Histogram,
        }

        impl RouteSample {
            /// The figures in the words of a route's entry.
            pub(crate) fn read(number: u16, name: String, thread: bool, at: impl Fn(usize) -> u64) -> Self {
                let times = Histogram::default();
                Self { number, name, thread, $($name: at($word),)* $($b_name: at($b_word),)* times }
            }

            /// The figures in the order of [`COUNTED`].
            pub(crate) fn counted_mut(&mut self) -> [&mut u64; COUNTED.len()] {
                [$(&mut self.$name),*]
            }

            /// The difference to an earlier reading.
            pub(crate) fn since(&self, earlier: &Self) -> Self {
                Self {
                    $($name: self.$name.saturating_sub(earlier.$name),)*
                    $($b_name: self.$b_name.saturating_sub(earlier.$b_name),)*
                    times: self.times.since(&earlier.times),
                    ..self.clone()
                }
            }
        }

        /// A route, or a thread of the application's own, in a span of time. Times are seconds.
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct RouteSums {
            /// It is a thread of the application's own.
            pub thread: bool,
            $(#[doc = $help] pub $name: $type,)*
            $(#[doc = $b_help] pub $b_name: $b_type,)*
            /// Response times.
            #[serde(skip_serializing_if = "Histogram::is_empty")]
            pub times: Histogram,
        }

        impl RouteSums {
            /// Adds another one's.
            pub(crate) fn add(&mut self, other: &Self) {
                self.thread |= other.thread;
                $(self.$name = self.$name.plus(other.$name);)*
                $(self.$b_name = self.$b_name.plus(other.$b_name);)*
                self.times.merge(&other.times);
            }
        }

        impl From<&RouteSample> for RouteSums {
            fn from(route: &RouteSample) -> Self {
                Self {
                    thread: route.thread,
                    $($name: Sum::of(route.$name),)*
                    $($b_name: Sum::of(route.$b_name),)*
                    times: route.times.clone(),
                }
            }
        }

        /// The figures that a route has in common with a cell: their words in the cell's head and in the route's entry.
        pub(crate) const COUNTED: [(usize, usize); [$($word),*].len()] = [$(($cell, $word)),*];

        $(#[doc = $b_help] pub(crate) const $WORD: usize = $b_word;)*
    };
}

describe_routes! {
    counted {
        /// Requests finished.
        requests: u64, word 3, cell counter::REQUESTS;
        /// Requests that ended with a status from 500 on or with an exception.
        errors: u64, word 4, cell counter::ERRORS;
        /// Sum of response times.
        response: f64, word 5, cell Timed::Response.sum();
        /// Sum on CPU.
        cpu: f64, word 6, cell Timed::Cpu.sum();
        /// Sum of GIL waits of finished requests.
        gil_wait: f64, word 7, cell Timed::GilWait.sum();
        /// Sum blocked.
        blocked: f64, word 8, cell Timed::Blocked.sum();
    }
    booked {
        /// Time it waited for others to release the GIL.
        SUFFERED suffered: f64, word 9;
        /// Time others waited for it to release the GIL.
        CAUSED caused: f64, word 10;
    }
}
