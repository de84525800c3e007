//! `IndexOptions` and its relatives: the look of a folder's listing.

use crate::Mistake;
use crate::glob::{self, Style};
use serde::{Deserialize, Serialize};

/// What a scope says of listings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Listing {
    /// Options that a scope sets without `+` and `-`: they replace what is inherited.
    #[serde(skip_serializing_if = "Option::is_none")]
    set: Option<u32>,
    /// `+option`.
    added: u32,
    /// `-option`.
    removed: u32,
    /// `NameWidth=`: characters of a name; 0 for `*`, as many as the longest has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_width: Option<usize>,
    /// `Charset=`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charset: Option<String>,
    /// `IndexOrderDefault`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// `IndexIgnore`: patterns of names that are left out.
    pub ignored: Vec<String>,
    /// `IndexIgnoreReset On`: those inherited do not count.
    pub reset: bool,
    /// `HeaderName`: the file that stands before the list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// `ReadmeName`: the file that stands behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readme: Option<String>,
    /// `IndexStyleSheet`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub style_sheet: Option<String>,
    /// `IndexHeadInsert`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_insert: Option<String>,
}

/// An order of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// By which column.
    pub column: Column,
    /// The greatest first.
    pub descending: bool,
}

impl Default for Order {
    fn default() -> Self {
        Self { column: Column::Name, descending: false }
    }
}

/// A column that entries are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Column {
    /// Name.
    Name,
    /// Time of change.
    Modified,
    /// Size.
    Size,
    /// Description, which no entry has.
    Description,
}

impl Column {
    /// Its letter in a query.
    pub fn letter(self) -> char {
        match self {
            Self::Name => 'N',
            Self::Modified => 'M',
            Self::Size => 'S',
            Self::Description => 'D',
        }
    }

    /// The column of a letter.
    pub fn of(letter: &str) -> Option<Self> {
        [Self::Name, Self::Modified, Self::Size, Self::Description]
            .into_iter()
            .find(|column| letter.starts_with(column.letter()))
    }
}

/// An option of `IndexOptions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    /// Columns, in place of a bare list.
    Fancy = 1,
    /// Columns as a table.
    Table = 1 << 1,
    /// Folders stand before files.
    FoldersFirst = 1 << 2,
    /// Names are ordered without regard to case.
    IgnoreCase = 1 << 3,
    /// Numbers within names count as numbers.
    VersionSort = 1 << 4,
    /// The query does not choose the order.
    IgnoreClient = 1 << 5,
    /// No size.
    NoSize = 1 << 6,
    /// No time.
    NoTime = 1 << 7,
    /// No description.
    NoDescription = 1 << 8,
    /// No links that sort.
    NoSorting = 1 << 9,
    /// The header is the beginning of the page.
    NoPreamble = 1 << 10,
    /// No lines before and behind the list.
    NoRules = 1 << 11,
    /// Dates with the name of the month.
    OldDate = 1 << 12,
}

/// Options that change the page.
const FLAGS: [(&str, Flag); 13] = [
    ("FancyIndexing", Flag::Fancy),
    ("HTMLTable", Flag::Table),
    ("FoldersFirst", Flag::FoldersFirst),
    ("IgnoreCase", Flag::IgnoreCase),
    ("VersionSort", Flag::VersionSort),
    ("IgnoreClient", Flag::IgnoreClient),
    ("SuppressSize", Flag::NoSize),
    ("SuppressLastModified", Flag::NoTime),
    ("SuppressDescription", Flag::NoDescription),
    ("SuppressColumnSorting", Flag::NoSorting),
    ("SuppressHTMLPreamble", Flag::NoPreamble),
    ("SuppressRules", Flag::NoRules),
    ("UseOldDateFormat", Flag::OldDate),
];
/// Options that are about icons and the like, which a page here has not.
const IDLE: [&str; 11] = [
    "AddAltClass",
    "DescriptionWidth",
    "IconHeight",
    "IconsAreLinks",
    "IconWidth",
    "ScanHTMLTitles",
    "ShowForbidden",
    "SuppressIcon",
    "TrackModified",
    "Type",
    "XHTML",
];

/// Characters of a name without `NameWidth`.
pub const NAME_WIDTH: usize = 23;
/// The narrowest column of names.
const LEAST_WIDTH: usize = 5;
/// The widest one: padding of each line is memory.
const MOST_WIDTH: usize = 1024;

impl Listing {
    /// Whether an option holds.
    pub fn has(&self, flag: Flag) -> bool {
        ((self.set.unwrap_or(0) & !self.removed) | self.added) & flag as u32 != 0
    }

    /// Lays what an inner scope says over this.
    pub fn lay(&mut self, inner: &Self) {
        if inner.set.is_some() {
            (self.set, self.added, self.removed) = (inner.set, 0, 0);
        }
        self.added = (self.added & !inner.removed) | inner.added;
        self.removed = (self.removed & !inner.added) | inner.removed;
        self.name_width = inner.name_width.or(self.name_width);
        self.order = inner.order.or(self.order);
        crate::content::lay(&mut self.charset, &inner.charset);
        if inner.reset {
            self.ignored.clear();
        }
        self.ignored.extend(inner.ignored.iter().cloned());
        crate::content::lay(&mut self.header, &inner.header);
        crate::content::lay(&mut self.readme, &inner.readme);
        crate::content::lay(&mut self.style_sheet, &inner.style_sheet);
        crate::content::lay(&mut self.head_insert, &inner.head_insert);
    }

    /// `IndexOptions [+|-]option …`. Lines of one scope add up.
    pub fn add_options(&mut self, words: &[&str]) -> Result<(), Mistake> {
        for (at, word) in words.iter().enumerate() {
            let (sign, bare) = match word.as_bytes().first() {
                Some(b'+') => (Some(true), &word[1..]),
                Some(b'-') => (Some(false), &word[1..]),
                _ => (None, *word),
            };
            let (name, value) =
                bare.split_once('=').map_or((bare, None), |(name, value)| (name, Some(value)));
            let known = |other: &str| other.eq_ignore_ascii_case(name);
            if let Some((_, flag)) = FLAGS.iter().find(|(other, _)| known(other)) {
                let bit = *flag as u32;
                match sign {
                    None => {
                        (self.added, self.removed) = (0, 0);
                        *self.set.get_or_insert(0) |= bit;
                    }
                    Some(true) => (self.added, self.removed) = (self.added | bit, self.removed & !bit),
                    Some(false) => (self.removed, self.added) = (self.removed | bit, self.added & !bit),
                }
            } else if known("NameWidth") {
                self.name_width = match (sign, value) {
                    (Some(false), None) => Some(NAME_WIDTH),
                    (_, Some("*")) => Some(0),
                    (_, Some(number)) => Some(number.parse().ok().filter(|n| *n <= MOST_WIDTH).map_or_else(
                        || Err(Mistake::new(format!("`{number}` is no width of a name")).at(at)),
                        |width: usize| Ok(width.max(LEAST_WIDTH)),
                    )?),
                    _ => return Err(Mistake::new("NameWidth takes a number or *: NameWidth=40").at(at)),
                };
            } else if known("Charset") {
                self.charset = value.filter(|_| sign != Some(false)).map(str::to_owned);
            } else if name.eq_ignore_ascii_case("None") {
                (self.set, self.added, self.removed) = (Some(0), 0, 0);
            } else if !IDLE.iter().any(|other| known(other)) {
                let names: Vec<&str> = FLAGS.iter().map(|(name, _)| *name).collect();
                let hint =
                    format!("known: {}, NameWidth=, Charset=, and those about icons", names.join(", "));
                return Err(Mistake::new(format!("IndexOptions has no option `{bare}`")).at(at).hint(hint));
            }
        }
        Ok(())
    }

    /// `IndexOrderDefault Ascending|Descending Name|Date|Size|Description`.
    pub fn set_order(&mut self, words: &[&str]) -> Result<(), Mistake> {
        let [direction, column] = words else {
            return Err(Mistake::new("a direction and a column are needed"));
        };
        let descending = match &*direction.to_ascii_lowercase() {
            "ascending" => false,
            "descending" => true,
            _ => {
                let mistake = Mistake::new(format!("`{direction}` is no direction")).at(0);
                return Err(mistake.hint("known: Ascending, Descending"));
            }
        };
        let column = match &*column.to_ascii_lowercase() {
            "name" => Column::Name,
            "date" => Column::Modified,
            "size" => Column::Size,
            "description" => Column::Description,
            _ => {
                let mistake = Mistake::new(format!("`{column}` is no column")).at(1);
                return Err(mistake.hint("known: Name, Date, Size, Description"));
            }
        };
        self.order = Some(Order { column, descending });
        Ok(())
    }

    /// Whether a name is left out.
    pub fn ignores(&self, name: &[u8]) -> bool {
        self.ignored.iter().any(|pattern| glob::matches(pattern.as_bytes(), name, Style::Path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(words: &[&str]) -> Listing {
        let mut listing = Listing::default();
        listing.add_options(words).unwrap();
        listing
    }

    #[test]
    fn options_replace_or_change_what_is_inherited() {
        let merged = |outer: &[&str], inner: &[&str]| {
            let mut merged = listing(outer);
            merged.lay(&listing(inner));
            [Flag::Fancy, Flag::Table, Flag::NoSize].map(|flag| merged.has(flag))
        };
        assert_eq!(merged(&["FancyIndexing"], &["HTMLTable"]), [false, true, false]);
        assert_eq!(merged(&["FancyIndexing"], &["+HTMLTable"]), [true, true, false]);
        assert_eq!(merged(&["FancyIndexing", "SuppressSize"], &["-SuppressSize"]), [true, false, false]);
        assert_eq!(merged(&["+FancyIndexing"], &["-FancyIndexing"]), [false, false, false]);
        assert_eq!(merged(&["FancyIndexing"], &["None"]), [false, false, false]);
        let mut lines = listing(&["FancyIndexing"]);
        lines.add_options(&["SuppressSize"]).unwrap();
        assert!(lines.has(Flag::Fancy) && lines.has(Flag::NoSize));
    }

    #[test]
    fn values_and_mistakes() {
        let found = listing(&["NameWidth=40", "Charset=UTF-8", "IconHeight=20", "ShowForbidden"]);
        assert_eq!((found.name_width, found.charset.as_deref()), (Some(40), Some("UTF-8")));
        assert_eq!(listing(&["NameWidth=*"]).name_width, Some(0));
        for wrong in ["NameWidth", "NameWidth=x", "NameWidth=100000", "Fancy"] {
            assert!(Listing::default().add_options(&["FancyIndexing", wrong]).is_err(), "{wrong}");
        }
        let mut listing = Listing::default();
        assert_eq!(listing.set_order(&["Descending", "Colour"]).unwrap_err().word, Some(1));
        listing.set_order(&["descending", "DATE"]).unwrap();
        assert_eq!(listing.order, Some(Order { column: Column::Modified, descending: true }));
    }

    #[test]
    fn names_that_are_left_out() {
        let mut outer = Listing { ignored: vec![".??*".into(), "*~".into()], ..Listing::default() };
        assert!(outer.ignores(b".hidden") && outer.ignores(b"a~") && !outer.ignores(b"a"));
        outer.lay(&Listing { ignored: vec!["x*".into()], reset: true, ..Listing::default() });
        assert!(!outer.ignores(b"a~") && outer.ignores(b"xyz"));
    }
}
