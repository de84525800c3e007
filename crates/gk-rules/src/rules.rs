//! All families of rules of one place.

use crate::answers::Documents;
use crate::content::Content;
use crate::headers::Headers;
use crate::redirects::Redirects;
use crate::rewrite::Rewrite;
use crate::variables::Variables;
use serde::{Deserialize, Serialize};

/// The rules of a scope or, after [`Rules::lay`], of a place. Each family has one field.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    /// `SetEnvIf` and its relatives.
    #[serde(skip_serializing_if = "Variables::is_empty")]
    pub variables: Variables,
    /// `Redirect` and its relatives.
    #[serde(skip_serializing_if = "Redirects::is_empty")]
    pub redirects: Redirects,
    /// `RequestHeader`, `Header`.
    #[serde(skip_serializing_if = "Headers::is_empty")]
    pub headers: Headers,
    /// `ErrorDocument`, by status.
    #[serde(skip_serializing_if = "Documents::is_empty")]
    pub documents: Documents,
    /// `RewriteRule` and its relatives.
    #[serde(skip_serializing_if = "Rewrite::is_empty")]
    pub rewrite: Rewrite,
    /// Types, indexes, expiry, charset, compression.
    #[serde(skip_serializing_if = "Content::is_empty")]
    pub content: Content,
}

impl Rules {
    /// Whether there is no rule of any family: a request of such a place pays nothing.
    pub fn is_empty(&self) -> bool {
        let Self { variables, redirects, headers, documents, rewrite, content } = self;
        variables.is_empty()
            && redirects.is_empty()
            && headers.is_empty()
            && documents.is_empty()
            && rewrite.is_empty()
            && content.is_empty()
    }

    /// Lays the rules of an inner scope over these, each family in its own way.
    pub fn lay(&mut self, inner: &Self) {
        self.variables.lay(&inner.variables);
        self.redirects.lay(&inner.redirects);
        self.headers.lay(&inner.headers);
        self.rewrite.lay(&inner.rewrite);
        self.documents.extend(inner.documents.iter().map(|(status, document)| (*status, document.clone())));
        self.content.lay(&inner.content);
    }
}
