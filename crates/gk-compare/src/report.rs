//! A comparison for people and for programs. All pure: the same values, printed four ways.

mod chart;
mod html;
mod json;
mod text;

pub use html::page as html;
pub use json::value as json;
pub use text::{markdown, terminal};
