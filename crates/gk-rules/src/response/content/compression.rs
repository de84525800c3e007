//! `SetOutputFilter`, `AddOutputFilterByType`, `GilkeeperCompress`: the responses that are compressed, and how.

use crate::Mistake;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A coding of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coding {
    /// gzip.
    Gzip,
    /// Brotli.
    Brotli,
    /// zstd.
    Zstd,
}

impl Coding {
    /// Its name in `Accept-Encoding` and `Content-Encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    /// The coding of a word of the configuration.
    pub fn named(word: &str) -> Option<Self> {
        Some(match &*word.to_ascii_lowercase() {
            "gzip" => Self::Gzip,
            "br" | "brotli" => Self::Brotli,
            "zstd" => Self::Zstd,
            _ => return None,
        })
    }

    /// The extension of files that are encoded so.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Gzip => "gz",
            Self::Brotli => "br",
            Self::Zstd => "zst",
        }
    }
}

/// Media types that `GilkeeperCompress` is about where it names none.
const USUAL: &[&str] = &[
    "text/*",
    "application/json",
    "application/javascript",
    "application/xml",
    "application/xhtml+xml",
    "application/rss+xml",
    "application/atom+xml",
    "application/manifest+json",
    "application/wasm",
    "image/svg+xml",
    "image/x-icon",
    "font/ttf",
    "font/otf",
];

/// The rules of a scope.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Compression {
    /// Codings of every response, in order of preference; empty: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all: Option<Vec<Coding>>,
    /// Codings by media type in lower case; `text/*` stands for all of a kind.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub by_type: BTreeMap<String, Vec<Coding>>,
}

impl Compression {
    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.all.is_none() && self.by_type.is_empty()
    }

    /// Lays those of an inner scope over these.
    pub fn lay(&mut self, inner: &Self) {
        super::lay(&mut self.all, &inner.all);
        self.by_type
            .extend(inner.by_type.iter().map(|(media_type, codings)| (media_type.clone(), codings.clone())));
    }

    /// `AddOutputFilterByType filter;… media-type …`.
    pub fn add_by_type(&mut self, words: &[&str]) -> Result<(), Mistake> {
        let [names, types @ ..] = words else {
            return Err(Mistake::new("filters and media types are needed"));
        };
        let codings = filters(names)?;
        self.put(types.iter().copied(), &codings);
        Ok(())
    }

    /// `GilkeeperCompress coding … [media-type …]`.
    pub fn add_ours(&mut self, words: &[&str]) -> Result<(), Mistake> {
        if let [off] = words
            && off.eq_ignore_ascii_case("off")
        {
            (self.all, self.by_type) =
                (Some(Vec::new()), self.by_type.keys().map(|t| (t.clone(), Vec::new())).collect());
            self.put(USUAL.iter().copied(), &[]);
            return Ok(());
        }
        let mut codings = Vec::new();
        let mut rest = words;
        while let [word, more @ ..] = rest
            && !word.contains('/')
        {
            codings.push(Coding::named(word).ok_or_else(|| {
                let message = format!("`{word}` is no coding");
                Mistake::new(message).at(words.len() - rest.len()).hint("known: gzip, br, zstd, Off")
            })?);
            rest = more;
        }
        if codings.is_empty() {
            return Err(Mistake::new("a coding is missing").hint("known: gzip, br, zstd, Off"));
        }
        self.put(if rest.is_empty() { USUAL } else { rest }.iter().copied(), &codings);
        Ok(())
    }

    fn put<'t>(&mut self, types: impl Iterator<Item = &'t str>, codings: &[Coding]) {
        for media_type in types {
            self.by_type.insert(media_type.to_ascii_lowercase(), codings.to_vec());
        }
    }

    /// Codings for a media type, in order of preference.
    pub fn of(&self, media_type: &str) -> &[Coding] {
        let bare = media_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        let kind = || bare.split_once('/').map(|(kind, _)| format!("{kind}/*"));
        let typed = self.by_type.get(&bare).or_else(|| self.by_type.get(&kind()?));
        typed.or(self.all.as_ref()).map_or(&[], Vec::as_slice)
    }
}

/// Output filters by Apache's names: those that compress.
pub fn filters(names: &str) -> Result<Vec<Coding>, Mistake> {
    let coding = |name: &str| match &*name.trim().to_ascii_uppercase() {
        "DEFLATE" => Ok(Coding::Gzip),
        "BROTLI_COMPRESS" => Ok(Coding::Brotli),
        _ => {
            let message = format!("the output filter `{name}` is not there");
            Err(Mistake::new(message).at(0).hint("known: DEFLATE, BROTLI_COMPRESS"))
        }
    };
    names.split(';').map(coding).collect()
}

/// The coding that a client takes: the one it likes best, among equals the first of `codings`.
pub fn accepted(codings: &[Coding], accept: &str) -> Option<Coding> {
    let weight = |coding: Coding| {
        accept.split(',').find_map(|element| {
            let (name, parameters) = element.split_once(';').unwrap_or((element, ""));
            let name = name.trim();
            let named = name.eq_ignore_ascii_case(coding.name())
                || (coding == Coding::Gzip && name.eq_ignore_ascii_case("x-gzip"));
            let weight =
                parameters.trim().strip_prefix("q=").or_else(|| parameters.trim().strip_prefix("Q="));
            named.then(|| weight.and_then(|w| w.trim().parse::<f32>().ok()).unwrap_or(1.0))
        })
    };
    let mut best: Option<(Coding, f32)> = None;
    for &coding in codings {
        if let Some(weight) = weight(coding).filter(|weight| *weight > 0.0)
            && best.is_none_or(|(_, before)| weight > before)
        {
            best = Some((coding, weight));
        }
    }
    best.map(|(coding, _)| coding)
}

/// An entity tag with the suffix of a coding, as Apache writes it.
pub fn tagged(tag: &str, coding: Coding) -> Option<String> {
    Some(format!("{}-{}\"", tag.strip_suffix('"').filter(|bare| bare.contains('"'))?, coding.name()))
}

/// A list of entity tags, with each that has a suffix of ours also without it.
pub fn untagged(list: &str) -> Option<String> {
    let mut found = false;
    let mut out = String::new();
    for tag in list.split(',').map(str::trim) {
        if !out.is_empty() {
            out.push_str(", ");
        }
        out.push_str(tag);
        let suffixed = ["-gzip\"", "-br\"", "-zstd\""].iter().find_map(|suffix| tag.strip_suffix(suffix));
        if let Some(bare) = suffixed {
            found = true;
            out.push_str(&format!(", {bare}\""));
        }
    }
    found.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        let mut rules = Compression::default();
        rules.add_by_type(&["DEFLATE", "text/css", "Application/JSON"]).unwrap();
        assert_eq!(rules.of("text/css; charset=utf-8"), [Coding::Gzip]);
        assert_eq!(rules.of("text/html"), []);
        rules.add_ours(&["zstd", "br", "text/*"]).unwrap();
        assert_eq!(rules.of("text/html"), [Coding::Zstd, Coding::Brotli]);
        assert_eq!(rules.of("text/css"), [Coding::Gzip]);
        rules.all = Some(filters("BROTLI_COMPRESS;DEFLATE").unwrap());
        assert_eq!(rules.of("image/png"), [Coding::Brotli, Coding::Gzip]);
        let mut off = Compression::default();
        off.add_ours(&["Off"]).unwrap();
        rules.lay(&off);
        assert_eq!((rules.of("text/html"), rules.of("image/png")), (&[][..], &[][..]));
        assert_eq!(rules.add_ours(&["gzip", "lzw"]).unwrap_err().word, Some(1));
        assert!(rules.add_ours(&["text/css"]).is_err() && filters("INCLUDES").is_err());
    }

    #[test]
    fn the_client_chooses() {
        let all = [Coding::Zstd, Coding::Brotli, Coding::Gzip];
        let table = [
            ("gzip, deflate, br", Some(Coding::Brotli)),
            ("gzip, deflate, br, zstd", Some(Coding::Zstd)),
            ("br;q=0.5, gzip;q=0.8", Some(Coding::Gzip)),
            ("gzip;q=0", None),
            ("X-GZIP", Some(Coding::Gzip)),
            ("*", None),
            ("", None),
        ];
        for (accept, want) in table {
            assert_eq!(accepted(&all, accept), want, "{accept}");
        }
    }

    #[test]
    fn tags_tell_the_coding() {
        assert_eq!(tagged("\"x\"", Coding::Gzip).as_deref(), Some("\"x-gzip\""));
        assert_eq!(tagged("W/\"x\"", Coding::Brotli).as_deref(), Some("W/\"x-br\""));
        assert_eq!(tagged("x", Coding::Gzip), None);
        assert_eq!(
            untagged("\"a-gzip\", W/\"b-br\", \"c\"").as_deref(),
            Some("\"a-gzip\", \"a\", W/\"b-br\", W/\"b\", \"c\"")
        );
        assert_eq!(untagged("\"a\""), None);
    }
}
