//! `ErrorDocument`: what is sent in place of the server's own page for an error.

use crate::{Mistake, redirects};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The documents of a scope, by status. `Standard` takes an outer one back.
pub type Documents = BTreeMap<u16, Document>;

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Document {
    /// The server's own page.
    Standard,
    /// A text, as HTML.
    Text(String),
    /// A path of this server: another request for it is answered.
    Local(String),
    /// An address that the client is redirected to.
    Elsewhere(String),
}

/// `ErrorDocument status document`. `None`: Apache ignores the directive.
pub fn parse(words: &[&str]) -> Result<Option<(u16, Document)>, Mistake> {
    let [status, text] = words else { return Err(Mistake::new("a status and a document are needed")) };
    let number = status.parse::<u16>().ok().filter(|n| (400..=599).contains(n));
    let number = number.ok_or_else(|| Mistake::new(format!("`{status}` is no status of an error")).at(0))?;
    let document = match *text {
        "default" => Document::Standard,
        text if text.contains(' ') => Document::Text(text.to_owned()),
        text if text.starts_with('/') => Document::Local(text.to_owned()),
        text if redirects::is_url(text.as_bytes()) => Document::Elsewhere(text.to_owned()),
        text => Document::Text(text.to_owned()),
    };
    // The redirection would hide the challenge, and nobody could log in.
    Ok(Some((number, document)).filter(|(number, d)| *number != 401 || !matches!(d, Document::Elsewhere(_))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents() {
        let table: &[(&str, &str, Option<Document>)] = &[
            ("404", "/missing.html", Some(Document::Local("/missing.html".into()))),
            ("500", "Sorry, no", Some(Document::Text("Sorry, no".into()))),
            ("500", "/a b", Some(Document::Text("/a b".into()))),
            ("403", "https://e.example/", Some(Document::Elsewhere("https://e.example/".into()))),
            ("404", "default", Some(Document::Standard)),
            ("404", "gone", Some(Document::Text("gone".into()))),
            ("401", "https://e.example/", None),
        ];
        for (status, text, want) in table {
            let found = parse(&[status, text]).unwrap().map(|(_, document)| document);
            assert_eq!(found, *want, "{status} {text}");
        }
        assert_eq!(parse(&["200", "x"]).unwrap_err().word, Some(0));
        assert_eq!(parse(&["4o4", "x"]).unwrap_err().word, Some(0));
    }
}
