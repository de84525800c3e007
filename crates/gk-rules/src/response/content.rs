//! What responses are: media types and entity tags of files, and how files are served; expiry and charset of every response;
//! compression.

pub mod compression;
pub mod expires;
pub mod files;
pub mod served;
pub mod types;

use crate::content::compression::Compression;
use crate::content::expires::Expires;
use crate::content::files::FileRules;
use serde::{Deserialize, Serialize};

/// The rules of a scope.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Content {
    /// Files.
    #[serde(skip_serializing_if = "FileRules::is_empty")]
    pub files: FileRules,
    /// `Expires*`.
    #[serde(skip_serializing_if = "Expires::is_empty")]
    pub expires: Expires,
    /// `AddDefaultCharset`; empty for `Off`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charset: Option<String>,
    /// Compression.
    #[serde(skip_serializing_if = "Compression::is_empty")]
    pub compression: Compression,
}

impl Content {
    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        let Self { files, expires, charset, compression } = self;
        files.is_empty() && expires.is_empty() && charset.is_none() && compression.is_empty()
    }

    /// Lays those of an inner scope over these.
    pub fn lay(&mut self, inner: &Self) {
        self.files.lay(&inner.files);
        self.expires.lay(&inner.expires);
        lay(&mut self.charset, &inner.charset);
        self.compression.lay(&inner.compression);
    }

    /// A media type with the default charset, if it is to get one: HTML and plain text that name none.
    pub fn with_charset(&self, media_type: &str) -> Option<String> {
        let charset = self.charset.as_deref().filter(|charset| !charset.is_empty())?;
        let (bare, parameters) = media_type.split_once(';').unwrap_or((media_type, ""));
        let text = ["text/html", "text/plain"].iter().any(|t| bare.trim().eq_ignore_ascii_case(t));
        let named = parameters.to_ascii_lowercase().contains("charset=");
        (text && !named).then(|| format!("{media_type}; charset={charset}"))
    }
}

/// Replaces a value by an inner scope's, if that has one.
fn lay<T: Clone>(outer: &mut Option<T>, inner: &Option<T>) {
    if inner.is_some() {
        outer.clone_from(inner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_and_text_get_the_default_charset() {
        let content = |charset: &str| Content { charset: Some(charset.to_owned()), ..Content::default() };
        let utf8 = content("utf-8");
        assert_eq!(utf8.with_charset("text/html").as_deref(), Some("text/html; charset=utf-8"));
        assert_eq!(utf8.with_charset("Text/Plain; a=b").as_deref(), Some("Text/Plain; a=b; charset=utf-8"));
        for kept in ["text/html; charset=koi8-r", "text/css", "application/json", ""] {
            assert_eq!(utf8.with_charset(kept), None, "{kept}");
        }
        assert_eq!(content("").with_charset("text/html"), None);
    }
}
