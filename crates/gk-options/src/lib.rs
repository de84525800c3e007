//! The options of WSGIDaemonProcess, one row each, and [`ProcessGroup`], which holds their values.
//!
//! A row in [`rows`] gives name, type, default, range, help text and the `serve` option of one option. The struct's
//! field, the parser, `--help`, the generated configuration, the reference page, the shell completion and the manual
//! page come from that row. The whole struct travels to the front and to the workers, so the code that uses a new
//! option is the only other place to change. Directives and their syntax are in gk-config.
#![forbid(unsafe_code)]

mod field;
pub mod kind;
mod row;
pub mod rows;
mod status;
mod value;

pub use kind::{Kind, Refusal};
pub use row::{Row, Serve};
pub use rows::{FRONTS, OPTIONS, ProcessGroup, ProcessOption};
pub use status::Status;
pub use value::Value;
