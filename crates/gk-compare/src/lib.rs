//! Compares configurations of a server under the same load, and recommends one.
//!
//! * [`plan`]: a plan's text → [`plan::Plan`], with one sentence for whatever is wrong in it. [`asked`]: how requests are
//!   described there.
//! * [`variant`]: a variant → the arguments of `gilkeeper serve`. [`python`]: a Python by name → its path.
//! * [`server`]: one server that runs for a trial. [`admin`]: its own figures.
//! * [`trial`]: one load on one server → [`sample::Sample`]. [`runner`]: rounds of trials, interleaved; [`saved`]: kept after
//!   each, taken up again.
//! * [`figures`] and [`table`]: samples → medians and spread; [`remarks`]: what must be said beside them. Pure.
//! * [`report`]: terminal, Markdown, JSON, HTML. Pure.
//! * [`tune`]: searches for the best configuration.
//!
//! Sees a server as anybody does: its command line, its URL, its admin pages.
#![forbid(unsafe_code)]

pub mod admin;
pub mod asked;
pub mod figures;
pub mod machine;
pub mod plan;
pub mod python;
pub mod remarks;
pub mod report;
pub mod runner;
pub mod sample;
pub mod saved;
pub mod server;
pub mod table;
pub mod trial;
pub mod tune;
pub mod variant;
