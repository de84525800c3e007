//! `ExpiresActive`, `ExpiresByType`, `ExpiresDefault`: how long a response may be kept.

use crate::Mistake;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The rules of a scope.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Expires {
    /// `ExpiresActive`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    /// `ExpiresByType`, by media type in lower case; `image/*` stands for all of a kind.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub by_type: BTreeMap<String, Expiry>,
    /// `ExpiresDefault`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard: Option<Expiry>,
}

/// An end of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expiry {
    /// It is counted from the file's change, not from the request.
    pub from_change: bool,
    /// Seconds.
    pub seconds: i64,
}

impl Expires {
    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Lays those of an inner scope over these.
    pub fn lay(&mut self, inner: &Self) {
        super::lay(&mut self.active, &inner.active);
        self.by_type.extend(inner.by_type.iter().map(|(media_type, expiry)| (media_type.clone(), *expiry)));
        super::lay(&mut self.standard, &inner.standard);
    }

    /// The rule for a media type.
    pub fn of(&self, media_type: &str) -> Option<Expiry> {
        if self.active != Some(true) {
            return None;
        }
        let bare = media_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        let kind = || bare.split_once('/').map(|(kind, _)| format!("{kind}/*"));
        let typed = self.by_type.get(&bare).or_else(|| self.by_type.get(&kind()?));
        typed.copied().or(self.standard)
    }
}

impl Expiry {
    /// `A3600`, `M3600` or `access plus 1 month 2 days`.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        let wrong = || {
            let message = format!("`{text}` is no expiry");
            Mistake::new(message)
                .hint("write `access plus 1 month`, `modification plus 2 hours 30 minutes`, or A2592000")
        };
        if let Some(seconds) =
            text.get(1..).filter(|_| text.starts_with(['A', 'M', 'a', 'm'])).and_then(|n| n.parse().ok())
        {
            return Ok(Self { from_change: text.starts_with(['M', 'm']), seconds });
        }
        let mut words = text.split_whitespace();
        let from_change = match words.next().map(str::to_ascii_lowercase).as_deref() {
            Some("access" | "now") => false,
            Some("modification") => true,
            _ => return Err(wrong()),
        };
        let mut seconds = 0i64;
        let mut words = words.skip_while(|word| word.eq_ignore_ascii_case("plus")).peekable();
        if words.peek().is_none() {
            return Err(wrong());
        }
        while let Some(number) = words.next() {
            let number: i64 = number.parse().map_err(|_| wrong())?;
            let unit = words.next().ok_or_else(wrong)?.to_ascii_lowercase();
            let unit = match unit.as_str() {
                unit if unit.starts_with('y') => 365 * 86_400,
                unit if unit.starts_with("mo") => 30 * 86_400,
                unit if unit.starts_with('w') => 7 * 86_400,
                unit if unit.starts_with('d') => 86_400,
                unit if unit.starts_with('h') => 3_600,
                unit if unit.starts_with("mi") => 60,
                unit if unit.starts_with('s') => 1,
                _ => return Err(wrong()),
            };
            seconds =
                number.checked_mul(unit).and_then(|more| seconds.checked_add(more)).ok_or_else(wrong)?;
        }
        Ok(Self { from_change, seconds })
    }

    /// The epoch second of the end, never before now. `changed`: the epoch second of the file's change; without one there is no end
    /// that counts from it.
    pub fn end(self, now: i64, changed: Option<i64>) -> Option<i64> {
        let base = if self.from_change { changed? } else { now };
        Some(base.saturating_add(self.seconds).max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiries() {
        let table: &[(&str, Option<(bool, i64)>)] = &[
            ("A3600", Some((false, 3600))),
            ("M60", Some((true, 60))),
            ("access plus 1 month", Some((false, 2_592_000))),
            ("now plus 1 year 1 day", Some((false, 31_622_400))),
            ("modification plus 2 hours 30 minutes", Some((true, 9_000))),
            ("access 5 seconds", Some((false, 5))),
            ("access plus 0 seconds", Some((false, 0))),
            ("access", None),
            ("access plus month", None),
            ("access plus 1", None),
            ("later plus 1 day", None),
            ("access plus 9223372036854775807 years", None),
        ];
        for (text, want) in table {
            let found = Expiry::parse(text).ok().map(|expiry| (expiry.from_change, expiry.seconds));
            assert_eq!(found, *want, "{text}");
        }
    }

    #[test]
    fn the_nearest_rule_counts() {
        let expiry = |seconds| Expiry { from_change: false, seconds };
        let by_type = [("text/css".to_owned(), expiry(1)), ("image/*".to_owned(), expiry(2))].into();
        let mut rules = Expires { active: Some(true), by_type, standard: Some(expiry(3)) };
        assert_eq!(rules.of("text/css; charset=utf-8"), Some(expiry(1)));
        assert_eq!(rules.of("Image/PNG"), Some(expiry(2)));
        assert_eq!(rules.of("text/html"), Some(expiry(3)));
        rules.lay(&Expires { active: Some(false), ..Expires::default() });
        assert_eq!(rules.of("text/css"), None);
        let changed = Expiry { from_change: true, seconds: 10 };
        assert_eq!(
            (changed.end(100, Some(50)), changed.end(55, Some(50)), changed.end(1, None)),
            (Some(100), Some(60), None)
        );
    }
}
