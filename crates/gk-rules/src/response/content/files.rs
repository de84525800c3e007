//! Files that the server itself sends: `FallbackResource`, `FileETag`, and what names say.

use crate::Mistake;
use crate::content::types::Types;
use serde::{Deserialize, Serialize};

/// The rules of a scope.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FileRules {
    /// What names say.
    #[serde(skip_serializing_if = "Types::is_empty")]
    pub types: Types,
    /// `FallbackResource`; empty for `disabled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    /// `FileETag`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<TagParts>,
}

/// The parts of a file that its entity tag is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagParts {
    /// The number of its inode.
    pub inode: bool,
    /// Its time of change.
    pub time: bool,
    /// Its size.
    pub size: bool,
}

impl Default for TagParts {
    fn default() -> Self {
        Self { inode: false, time: true, size: true }
    }
}

impl FileRules {
    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Lays those of an inner scope over these.
    pub fn lay(&mut self, inner: &Self) {
        self.types.lay(&inner.types);
        super::lay(&mut self.fallback, &inner.fallback);
        super::lay(&mut self.tag, &inner.tag);
    }
}

impl TagParts {
    /// `FileETag component …`.
    pub fn parse(words: &[&str], outer: Option<Self>) -> Result<Self, Mistake> {
        let mut parts = if words.iter().all(|word| word.starts_with(['+', '-'])) {
            outer.unwrap_or_default()
        } else {
            Self { inode: false, time: false, size: false }
        };
        for (at, word) in words.iter().enumerate() {
            let (on, name) = match word.strip_prefix('-') {
                Some(name) => (false, name),
                None => (true, word.strip_prefix('+').unwrap_or(word)),
            };
            match &*name.to_ascii_lowercase() {
                "inode" => parts.inode = on,
                "mtime" => parts.time = on,
                "size" => parts.size = on,
                "all" if on => parts = Self { inode: true, time: true, size: true },
                "none" if on => parts = Self { inode: false, time: false, size: false },
                _ => {
                    let hint = "known: INode, MTime, Size, All, None";
                    return Err(Mistake::new(format!("`{word}` is no part of an entity tag"))
                        .at(at)
                        .hint(hint));
                }
            }
        }
        Ok(parts)
    }

    /// The tag of a file. `micros`: its time of change; `fresh`: it changed within the last second and may do so again unnoticed.
    pub fn tag(self, inode: u64, size: u64, micros: u64, fresh: bool) -> Option<String> {
        let parts = [self.inode.then_some(inode), self.size.then_some(size), self.time.then_some(micros)];
        let parts: Vec<String> = parts.into_iter().flatten().map(|part| format!("{part:x}")).collect();
        (!parts.is_empty()).then(|| format!("{}\"{}\"", if fresh { "W/" } else { "" }, parts.join("-")))
    }
}

/// Whether a list of `If-None-Match` names a tag. The comparison is the weak one.
pub fn names_tag(list: &str, tag: &str) -> bool {
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    list.trim() == "*" || list.split(',').any(|one| bare(one) == bare(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags() {
        let tag = |words: &[&str]| {
            TagParts::parse(words, None).unwrap().tag(0x1f, 10, 0x5000, false).unwrap_or_default()
        };
        assert_eq!(tag(&["MTime", "size"]), "\"a-5000\"");
        assert_eq!(tag(&["All"]), "\"1f-a-5000\"");
        assert_eq!(tag(&["None"]), "");
        assert_eq!(tag(&["+INode", "-Size"]), "\"1f-5000\"");
        assert_eq!(TagParts::default().tag(1, 2, 3, true).as_deref(), Some("W/\"2-3\""));
        assert_eq!(TagParts::parse(&["Size", "Colour"], None).unwrap_err().word, Some(1));
        assert!(
            names_tag("\"x\", W/\"a-5\"", "\"a-5\"")
                && names_tag("*", "\"b\"")
                && !names_tag("\"x\"", "\"b\"")
        );
    }
}
