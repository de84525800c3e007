//! The form of a row, and the macro that expands the rows of the parent file.

use super::{Figures, Record};
use crate::histogram::Histogram;

/// Unit of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// Bytes.
    Bytes,
    /// Nanoseconds; shown in seconds.
    Nanoseconds,
}

impl Unit {
    /// The value as it is shown: nanoseconds as seconds, all else as it is.
    pub fn shown(self, value: f64) -> f64 {
        if self == Self::Nanoseconds { value / 1e9 } else { value }
    }
}

/// Name of a figure in `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// The family.
    pub name: &'static str,
    /// Name and value of a label, where several figures share the family.
    pub label: Option<(&'static str, &'static str)>,
}

/// Access to a figure's sum.
pub enum Value {
    /// A number that grows.
    Counter {
        /// Reads it.
        get: fn(&Figures) -> u64,
        /// Gives access for writing.
        get_mut: fn(&mut Figures) -> &mut u64,
    },
    /// A histogram of durations.
    Durations {
        /// Reads it.
        get: fn(&Figures) -> &Histogram,
        /// Gives access for writing.
        get_mut: fn(&mut Figures) -> &mut Histogram,
    },
}

/// A figure of one request as the API shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// True or false.
    Flag(bool),
    /// In the figure's unit.
    Number(u64),
}

/// One row.
pub struct Figure {
    /// Name in the history and in `/api/v1/totals`.
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// Unit.
    pub unit: Unit,
    /// Name in `/metrics`, where it is there.
    pub metric: Option<Metric>,
    /// Its sum.
    pub value: Value,
    /// Name in `/api/v1/requests`, where it is there.
    pub request: Option<&'static str>,
    /// Its value for one request, where it has one.
    pub of_request: Option<fn(&Record) -> Shown>,
}

/// A field of [`Record`] as a word of shared memory.
pub(crate) trait Word {
    fn word(self) -> u64;
    fn of(word: u64) -> Self;
}

impl Word for u64 {
    #[inline]
    fn word(self) -> u64 {
        self
    }
    fn of(word: u64) -> Self {
        word
    }
}

impl Word for u16 {
    #[inline]
    fn word(self) -> u64 {
        self.into()
    }
    fn of(word: u64) -> Self {
        word as Self
    }
}

impl Word for bool {
    #[inline]
    fn word(self) -> u64 {
        self.into()
    }
    fn of(word: u64) -> Self {
        word != 0
    }
}

/// First word behind the given words of a cell's head, at the beginning of a cache line. Two figures with the same word do not
/// compile.
pub(crate) const fn end_of(words: &[usize]) -> usize {
    let (mut end, mut at) = (0, 0);
    while at < words.len() {
        let mut other = at + 1;
        while other < words.len() {
            assert!(words[at] != words[other], "two figures have the same word");
            other += 1;
        }
        if words[at] >= end {
            end = words[at] + 1;
        }
        at += 1;
    }
    end.next_multiple_of(8)
}

/// The first of some expressions: the value of a key, else the one for its absence.
macro_rules! first {
    ($first:expr $(, $rest:expr)* $(,)?) => {
        $first
    };
}
pub(crate) use first;

/// Expands the rows.
macro_rules! describe {
    (
        durations { $(
            #[doc = $d_help:literal]
            $Timed:ident $d_name:ident {
                word: $d_word:literal, place: $place:literal,
                $(value: $d_value:ident,)? $(derived: $derived:ident,)? $(zeros: $zeros:ident,)?
                $(history: $d_history:literal,)?
                $(metric: $d_metric:literal,)? $(request: $d_request:literal,)?
                $(rate: $d_rate:ident,)? $(mean: $mean:ident,)? $(spread: $spread:ident,)?
            }
        )* }
        counters { $(
            #[doc = $c_help:literal]
            $WORD:ident $c_name:ident {
                unit: $unit:ident, word: $c_word:literal,
                $(each: $each:literal,)? $(often: $often:ident,)? $(seldom: $seldom:ident,)? $(flag: $flag:ident,)?
                $(waits: $waits:ident,)?
                $(metric: $c_metric:literal $({ $label:literal = $site:literal })?,)? $(request: $c_request:literal,)?
                $(rate: $c_rate:ident,)?
            }
        )* }
        words { $( #[doc = $w_help:literal] $EXTRA:ident $w_word:literal )* }
    ) => {
        use $crate::figures::row::{Word, end_of, first};
        use $crate::histogram::{Histogram, Spread};
        use serde::{Deserialize, Serialize};
        use std::collections::BTreeMap;

        /// The figures of a finished request. All times are nanoseconds.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct Record {
            /// HTTP status; 0 when there was none.
            pub status: u16,
            $(
                $(#[doc = $c_help] pub $flag: bool,)?
                $(#[doc = $c_help] pub $often: u64,)?
                $(#[doc = $c_help] pub $seldom: u64,)?
                $(#[doc = $c_help] pub $waits: u64,)?
            )*
            $($(#[doc = $d_help] pub $d_value: u64,)?)*
        }

        impl Record {
            /// Number of words that a record takes in shared memory.
            pub const WORDS: usize = [
                "status",
                $(
                    $(stringify!($flag),)? $(stringify!($often),)? $(stringify!($seldom),)? $(stringify!($waits),)?
                )*
                $($(stringify!($d_value),)?)*
            ]
            .len();

            /// The record as words of shared memory.
            pub fn words(&self) -> [u64; Self::WORDS] {
                [
                    self.status.word(),
                    $(
                        $(self.$flag.word(),)? $(self.$often.word(),)? $(self.$seldom.word(),)? $(self.$waits.word(),)?
                    )*
                    $($(self.$d_value.word(),)?)*
                ]
            }

            /// The record in such words; `load` gives each by its number.
            pub fn of_words(load: impl Fn(usize) -> u64) -> Self {
                let mut words = (0..Self::WORDS).map(load);
                let mut next = || words.next().unwrap_or(0);
                Self {
                    status: Word::of(next()),
                    $(
                        $($flag: Word::of(next()),)? $($often: Word::of(next()),)? $($seldom: Word::of(next()),)?
                        $($waits: Word::of(next()),)?
                    )*
                    $($($d_value: Word::of(next()),)?)*
                }
            }

            /// Gives each counter that nearly every request adds to, and what this one adds.
            #[inline(always)]
            pub(crate) fn each_often(&self, mut add: impl FnMut(usize, u64)) {
                $(
                    $(add(counter::$WORD, $each);)?
                    $(add(counter::$WORD, self.$often);)?
                )*
            }

            /// Gives each counter that few requests add to, and what this one adds.
            #[inline(always)]
            pub(crate) fn each_seldom(&self, mut add: impl FnMut(usize, u64)) {
                $(
                    $(add(counter::$WORD, self.$flag.word());)?
                    $(add(counter::$WORD, self.$seldom);)?
                )*
            }

            /// Not 0 when [`Record::each_seldom`] adds anything.
            #[inline(always)]
            pub(crate) fn any_seldom(&self) -> u64 {
                0 $($(| self.$flag.word())? $(| self.$seldom)?)*
            }

            /// Gives each histogram that a finished request has a value for, and the value.
            #[inline(always)]
            pub(crate) fn each_duration(&self, mut count: impl FnMut(Timed, u64)) {
                $(
                    $(count(Timed::$Timed, self.$d_value);)?
                    $(count(Timed::$Timed, self.$derived());)?
                )*
            }

            /// The addition of this request to a word of a cell's head: to a counter, or to the sum of a histogram.
            pub(crate) fn adds(&self, word: usize) -> u64 {
                let mut sum = 0;
                let mut add = |at, by| {
                    if at == word {
                        sum = by;
                    }
                };
                self.each_often(&mut add);
                self.each_seldom(&mut add);
                self.each_duration(|which, ns| add(which.sum(), ns));
                sum
            }
        }

        /// Sums of finished requests: counters and histograms. Times are nanoseconds.
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct Figures {
            $(#[doc = $c_help] pub $c_name: u64,)*
            /// Requests by status code, 0: none.
            pub statuses: BTreeMap<u16, u64>,
            /// Exceptions that left the application, by type. Types without a place on the scoreboard are in `exceptions` alone.
            #[serde(skip_serializing_if = "BTreeMap::is_empty")]
            pub raised: BTreeMap<String, u64>,
            $(#[doc = $d_help] $(#[serde(rename = $d_history)])? pub $d_name: Histogram,)*
            /// Requests by mod_wsgi's buckets of the phases [`Long`], without the first bucket, phase after phase; empty when
            /// all are zero. Not kept in the history.
            #[serde(skip)]
            pub long: Vec<u64>,
        }

        impl Figures {
            pub(crate) const COUNTERS: usize = [$($c_word),*].len();

            pub(crate) fn counters(&self) -> [u64; Self::COUNTERS] {
                [$(self.$c_name),*]
            }

            /// The counters in the order of [`COUNTER_WORDS`].
            pub(crate) fn counters_mut(&mut self) -> [&mut u64; Self::COUNTERS] {
                [$(&mut self.$c_name),*]
            }

            pub(crate) fn histograms(&self) -> [&Histogram; Timed::COUNT] {
                [$(&self.$d_name),*]
            }

            /// The histograms in the order of [`Timed::ALL`].
            pub(crate) fn histograms_mut(&mut self) -> [&mut Histogram; Timed::COUNT] {
                [$(&mut self.$d_name),*]
            }
        }

        /// Figures as rates per second and as durations in seconds.
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct Rates {
            $($(#[doc = $c_help] pub $c_rate: f64,)?)*
            $(
                $(#[doc = $d_help] #[doc = " Thread-seconds in each second."] pub $d_rate: f64,)?
                $(#[doc = $d_help] #[doc = " Mean of a request."] pub $mean: f64,)?
                $(#[doc = $d_help] #[doc = " Mean and percentiles."] pub $spread: Spread,)?
            )*
        }

        impl Rates {
            /// Of the sums of so many seconds.
            pub fn of(figures: &Figures, span: f64) -> Self {
                Self {
                    $($($c_rate: Unit::$unit.shown(figures.$c_name as f64 / span),)?)*
                    $(
                        $($d_rate: Unit::Nanoseconds.shown(figures.$d_name.sum as f64 / span),)?
                        $($mean: Unit::Nanoseconds.shown(figures.$d_name.mean()),)?
                        $($spread: Spread::of(&figures.$d_name),)?
                    )*
                }
            }
        }

        /// Words of a cell's head.
        pub(crate) mod counter {
            $(#[doc = $c_help] pub(crate) const $WORD: usize = $c_word;)*
            $(#[doc = $w_help] pub(crate) const $EXTRA: usize = $w_word;)*
        }

        /// The words of the counters.
        pub(crate) const COUNTER_WORDS: [usize; Figures::COUNTERS] = [$($c_word),*];

        /// The word behind those of all figures in a cell's head.
        pub(crate) const FIGURES_END: usize = end_of(&[$($c_word,)* $($d_word,)* $($w_word,)*]);

        /// Histograms of a cell, numbered by their places.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Timed {
            $(#[doc = $d_help] $Timed = $place,)*
        }

        impl Timed {
            pub(crate) const COUNT: usize = [$($place),*].len();
            pub(crate) const ALL: [Self; Self::COUNT] = [$(Self::$Timed),*];

            /// The word of a cell's head with the sum of the values.
            pub(crate) const fn sum(self) -> usize {
                match self {
                    $(Self::$Timed => $d_word,)*
                }
            }

            /// The word of a cell's head that counts the value 0, where nearly every request has that value.
            pub(crate) const fn zeros(self) -> Option<usize> {
                match self {
                    $(Self::$Timed => first!($(Some(counter::$zeros),)? None),)*
                }
            }
        }

        /// Counters in which each plain request is one more: [`counter::PLAIN`] holds their number.
        pub(crate) const OF_EACH_PLAIN: &[usize] =
            &[counter::REQUESTS, counter::WRITES, counter::OK, $($(counter::$zeros,)?)*];

        /// All rows, in the order of `/metrics`.
        pub const FIGURES: [Figure; Timed::COUNT + Figures::COUNTERS] = [
            $(Figure {
                name: first!($($d_history,)? stringify!($d_name)),
                help: $d_help.trim_ascii(),
                unit: Unit::Nanoseconds,
                metric: first!($(Some(Metric { name: $d_metric, label: None }),)? None),
                value: Value::Durations { get: |f| &f.$d_name, get_mut: |f| &mut f.$d_name },
                request: first!($(Some($d_request),)? None),
                of_request: first!(
                    $(Some(|r| Shown::Number(r.$d_value)),)? $(Some(|r| Shown::Number(r.$derived())),)? None
                ),
            },)*
            $(Figure {
                name: stringify!($c_name),
                help: $c_help.trim_ascii(),
                unit: Unit::$unit,
                metric: first!(
                    $(Some(Metric { name: $c_metric, label: first!($(Some(($label, $site)),)? None) }),)?
                    None
                ),
                value: Value::Counter { get: |f| f.$c_name, get_mut: |f| &mut f.$c_name },
                request: first!($(Some($c_request),)? None),
                of_request: first!(
                    $(Some(|r| Shown::Flag(r.$flag)),)?
                    $(Some(|r| Shown::Number(r.$often)),)?
                    $(Some(|r| Shown::Number(r.$seldom)),)?
                    $(Some(|r| Shown::Number(r.$waits)),)?
                    None
                ),
            },)*
        ];
    };
}
pub(crate) use describe;
