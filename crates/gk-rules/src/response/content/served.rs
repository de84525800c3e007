//! Files that the server itself sends, beside what their names say of them: links that may be followed, parts of a file, listings
//! of folders, compressed neighbours. A place without any of these pays nothing for them.

pub mod listing;
pub mod page;
pub mod ranges;

use crate::Mistake;
use crate::content::compression::Coding;
use crate::content::served::listing::Listing;
use crate::content::served::ranges::RangeBounds;
use serde::{Deserialize, Serialize};

/// What a scope says of its files.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Served {
    /// `Options Indexes`: a folder without an index is listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub indexes: Option<bool>,
    /// `Options FollowSymLinks`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follow_links: Option<bool>,
    /// `Options SymLinksIfOwnerMatch`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follow_own_links: Option<bool>,
    /// `MaxRanges` and its relatives.
    #[serde(skip_serializing_if = "RangeBounds::is_empty")]
    pub ranges: RangeBounds,
    /// `GilkeeperPrecompressed`: codings whose files are looked for, in order of preference; empty for `Off`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precompressed: Option<Vec<Coding>>,
    /// The look of listings. Boxed, as few places have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listing: Option<Box<Listing>>,
}

/// Which symbolic links are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// All.
    Follow,
    /// Those whose owner also owns what they lead to.
    OfOwner,
    /// None.
    Refuse,
}

impl Served {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Lays what an inner scope says over this.
    pub fn lay(&mut self, inner: &Self) {
        super::lay(&mut self.indexes, &inner.indexes);
        super::lay(&mut self.follow_links, &inner.follow_links);
        super::lay(&mut self.follow_own_links, &inner.follow_own_links);
        self.ranges.lay(&inner.ranges);
        super::lay(&mut self.precompressed, &inner.precompressed);
        if let Some(inner) = &inner.listing {
            self.listing.get_or_insert_default().lay(inner);
        }
    }

    /// The links that are followed. Without a word about it all are, as with Apache; the narrower word counts.
    pub fn links(&self) -> Links {
        match (self.follow_own_links.unwrap_or(false), self.follow_links.unwrap_or(true)) {
            (true, _) => Links::OfOwner,
            (false, true) => Links::Follow,
            (false, false) => Links::Refuse,
        }
    }

    /// Whether it speaks of links.
    pub fn names_links(&self) -> bool {
        self.follow_links.is_some() || self.follow_own_links.is_some()
    }

    /// `GilkeeperPrecompressed coding … | Off`.
    pub fn add_precompressed(&mut self, words: &[&str]) -> Result<(), Mistake> {
        let mut codings = Vec::new();
        if !matches!(words, [only] if only.eq_ignore_ascii_case("off")) {
            for (at, word) in words.iter().enumerate() {
                codings.push(Coding::named(word).ok_or_else(|| {
                    Mistake::new(format!("`{word}` is no coding")).at(at).hint("known: br, gzip, zstd, Off")
                })?);
            }
        }
        self.precompressed = Some(codings);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrower_word_about_links_counts() {
        let links =
            |follow, own| Served { follow_links: follow, follow_own_links: own, ..Served::default() }.links();
        assert_eq!(links(None, None), Links::Follow);
        assert_eq!(links(Some(true), Some(true)), Links::OfOwner);
        assert_eq!(links(None, Some(true)), Links::OfOwner);
        assert_eq!(links(Some(false), Some(true)), Links::OfOwner);
        assert_eq!(links(Some(false), None), Links::Refuse);
        assert_eq!(links(Some(false), Some(false)), Links::Refuse);
    }

    #[test]
    fn what_is_said_is_handed_on_whole() {
        let mut served = Served { follow_links: Some(false), indexes: Some(true), ..Served::default() };
        served.ranges.parts = ranges::Bound::parse("unlimited", 200).ok();
        served.add_precompressed(&["off"]).unwrap();
        served.listing.get_or_insert_default().add_options(&["FancyIndexing", "NameWidth=*"]).unwrap();
        let text = serde_json::to_string(&served).unwrap();
        assert_eq!(serde_json::from_str::<Served>(&text).unwrap(), served);
    }

    #[test]
    fn codings_of_neighbours() {
        let mut served = Served::default();
        served.add_precompressed(&["BR", "gzip"]).unwrap();
        assert_eq!(served.precompressed.as_deref(), Some(&[Coding::Brotli, Coding::Gzip][..]));
        served.add_precompressed(&["off"]).unwrap();
        assert_eq!(served.precompressed.as_deref(), Some(&[][..]));
        assert_eq!(served.add_precompressed(&["gzip", "lzw"]).unwrap_err().word, Some(1));
    }
}
