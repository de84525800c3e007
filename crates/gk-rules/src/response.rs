//! What rules make of responses.

pub mod answers;
pub mod content;
pub mod headers;
