//! `AllowEncodedSlashes`: what `%2F` in a path means.

use serde::{Deserialize, Serialize};

/// What `%2F` in a path means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EncodedSlashes {
    /// `Off`: the path is answered 404.
    #[default]
    Refused,
    /// `On`: it is a slash.
    Decoded,
    /// `NoDecode`: it stays as it was sent, and is no border of a component.
    Kept,
}

impl EncodedSlashes {
    /// Whether the default holds.
    pub fn are_refused(&self) -> bool {
        *self == Self::Refused
    }
}
