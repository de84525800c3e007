//! Commands that put a server under load: `load`, `compare` and `tune`.

pub mod compare;
pub mod load_generator;
pub mod tune;
