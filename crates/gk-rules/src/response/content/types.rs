//! `AddType` and its relatives: what the name of a file says about it.

use crate::Mistake;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The sense of extensions, in lower case without their dot. An empty text takes an outer one back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Types {
    /// `AddType`, `RemoveType`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub types: BTreeMap<String, String>,
    /// `AddCharset`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub charsets: BTreeMap<String, String>,
    /// `AddEncoding`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub encodings: BTreeMap<String, String>,
    /// `AddLanguage`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub languages: BTreeMap<String, String>,
    /// `ForceType`; empty for `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force: Option<String>,
}

/// What is said of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Described {
    /// `Content-Type`.
    pub media_type: Option<String>,
    /// `Content-Encoding`.
    pub encoding: Option<String>,
    /// `Content-Language`.
    pub language: Option<String>,
}

impl Types {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        let Self { types, charsets, encodings, languages, force } = self;
        [types, charsets, encodings, languages].iter().all(|map| map.is_empty()) && force.is_none()
    }

    /// Lays those of an inner scope over these.
    pub fn lay(&mut self, inner: &Self) {
        for (outer, inner) in [
            (&mut self.types, &inner.types),
            (&mut self.charsets, &inner.charsets),
            (&mut self.encodings, &inner.encodings),
            (&mut self.languages, &inner.languages),
        ] {
            outer.extend(inner.iter().map(|(extension, sense)| (extension.clone(), sense.clone())));
        }
        super::lay(&mut self.force, &inner.force);
    }

    /// What the extensions of a file's name say, each in its turn. `standard`: the built-in type of an extension. As with Apache, an
    /// extension that says nothing takes back what those before it said: `page.html.bak` is no page.
    pub fn describe(&self, name: &str, standard: impl Fn(&str) -> Option<&'static str>) -> Described {
        let mut found = Described::default();
        let mut charset = None;
        for extension in name.split('.').skip(1).map(str::to_ascii_lowercase) {
            let said =
                |map: &BTreeMap<String, String>| map.get(&extension).filter(|s| !s.is_empty()).cloned();
            let built_in =
                || standard(&extension).filter(|_| !self.types.contains_key(&extension)).map(str::to_owned);
            let mut known = false;
            if let Some(media_type) = said(&self.types).or_else(built_in) {
                (found.media_type, known) = (Some(media_type), true);
            }
            if let Some(set) = said(&self.charsets) {
                (charset, known) = (Some(set), true);
            }
            if let Some(language) = said(&self.languages) {
                (found.language, known) = (Some(language), true);
            }
            if let Some(encoding) = said(&self.encodings) {
                let before = found.encoding.take().map(|before| format!("{before}, "));
                (found.encoding, known) = (Some(before.unwrap_or_default() + &encoding), true);
            }
            if !known {
                (found, charset) = (Described::default(), None);
            }
        }
        if let Some(force) = self.force.as_ref().filter(|force| !force.is_empty()) {
            found.media_type = Some(force.clone());
        } else if let (Some(media_type), Some(charset)) = (&mut found.media_type, charset) {
            let bare = media_type.split("; charset=").next().unwrap_or_default().to_owned();
            *media_type = format!("{bare}; charset={charset}");
        }
        found
    }
}

/// `AddType sense extension …` and its relatives: pairs of extension and sense.
pub fn parse(words: &[&str]) -> Result<Vec<(String, String)>, Mistake> {
    let [sense, extensions @ ..] = words else {
        return Err(Mistake::new("a value and extensions are needed"));
    };
    if extensions.is_empty() {
        return Err(Mistake::new("the extensions are missing"));
    }
    if sense.is_empty() || sense.bytes().any(|b| b.is_ascii_control()) {
        return Err(Mistake::new(format!("`{}` is no value of a header", sense.escape_debug())).at(0));
    }
    Ok(extensions.iter().map(|word| (extension(word), (*sense).to_owned())).collect())
}

/// An extension as it is kept.
pub fn extension(word: &str) -> String {
    word.trim_start_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_files_are() {
        let standard = |extension: &str| match extension {
            "html" => Some("text/html; charset=utf-8"),
            "js" => Some("text/javascript"),
            _ => None,
        };
        let pairs =
            |list: &[(&str, &str)]| list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let types = Types {
            types: pairs(&[("py", "text/plain"), ("js", "")]),
            charsets: pairs(&[("latin", "iso-8859-1")]),
            encodings: pairs(&[("gz", "x-gzip")]),
            languages: pairs(&[("de", "de")]),
            force: None,
        };
        let told = |name: &str| {
            let Described { media_type, encoding, language } = types.describe(name, standard);
            [media_type, encoding, language].map(Option::unwrap_or_default).join("|")
        };
        let table = [
            ("a.html", "text/html; charset=utf-8||"),
            ("a.html.latin", "text/html; charset=iso-8859-1||"),
            ("a.PY", "text/plain||"),
            ("a.py.gz", "text/plain|x-gzip|"),
            ("a.html.de", "text/html; charset=utf-8||de"),
            ("a.html.bak", "||"),
            ("a.min.html", "text/html; charset=utf-8||"),
            ("a.js", "||"),
            ("html", "||"),
        ];
        for (name, want) in table {
            assert_eq!(told(name), want, "{name}");
        }
        let forced = Types { force: Some("application/json".into()), ..Types::default() };
        assert_eq!(forced.describe("a.html", standard).media_type.as_deref(), Some("application/json"));
    }
}
