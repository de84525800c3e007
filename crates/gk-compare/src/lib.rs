//! Compares configurations of a server under the same load, and recommends one.
//!
//! * [`plan`]: a plan's text → [`plan::Plan`], with one sentence for each mistake in it; in `plan/` its requests, its
//!   variants (→ the arguments of `gilkeeper serve`) and its Pythons (→ their paths).
//! * [`trial`]: one load on one server → [`trial::sample::Sample`]; in `trial/` the server's process, its own figures, the machine.
//! * [`runner`]: rounds of trials, interleaved; [`saved`]: each result on disk at once, so that a run can be resumed.
//! * [`table`]: samples → rows with medians and spread, and the remarks below them. Pure.
//! * [`report`]: terminal, Markdown, JSON, HTML. Pure.
//! * [`tune`]: searches for the best configuration.
//!
//! Uses only what any user of a server can: its command line, its URL, its admin pages.
#![forbid(unsafe_code)]

pub mod plan;
pub mod report;
pub mod runner;
pub mod saved;
pub mod table;
pub mod trial;
pub mod tune;
