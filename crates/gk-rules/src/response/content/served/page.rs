//! The page that lists a folder, in the form that mod_autoindex gives it: programs read it. Names are escaped; who may see an entry
//! is decided before.

use crate::content::served::listing::{Column, Flag, Listing, NAME_WIDTH, Order};
use crate::escape::escaped;
use crate::glob::{self, Style};
use std::cmp::Ordering;
use std::fmt::Write;

/// An entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name, without a slash.
    pub name: Vec<u8>,
    /// It is a folder.
    pub folder: bool,
    /// Bytes.
    pub size: u64,
    /// Time of change, seconds since the epoch.
    pub modified: i64,
}

/// A text that stands before or behind the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inset {
    /// The text of the file.
    pub text: String,
    /// It is HTML, else plain text.
    pub html: bool,
}

/// What a page is made of.
pub struct Page<'a> {
    /// Decoded path of the folder, with its slash.
    pub url: &'a [u8],
    /// What the query chooses.
    pub chosen: Chosen,
    /// Text before the list.
    pub header: Option<Inset>,
    /// Text behind it.
    pub readme: Option<Inset>,
    /// There are more entries than are listed.
    pub more: bool,
    /// Local time of a moment: `2001-09-09 01:46`, or with the name of its month, `09-Sep-2001 01:46`.
    pub date: &'a dyn Fn(i64, bool) -> String,
}

/// What the query of a request chooses: `?C=S;O=D;F=2;P=*.txt`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chosen {
    order: Option<Order>,
    form: Option<u8>,
    pattern: Option<String>,
    by_version: Option<bool>,
}

impl Chosen {
    /// Reads a query. What is no choice of a listing is passed over.
    pub fn read(query: &str) -> Self {
        let mut chosen = Self::default();
        let (mut column, mut descending) = (None, None);
        for pair in query.split(['&', ';']) {
            match pair.split_once('=') {
                Some(("C", letter)) => column = Column::of(letter).or(column),
                Some(("O", letter)) => {
                    descending = ["A", "D"].iter().position(|l| *l == letter).map(|at| at == 1);
                }
                Some(("F", form)) => chosen.form = form.parse().ok().filter(|form| *form <= 2),
                Some(("V", on)) => {
                    chosen.by_version = ["0", "1"].iter().position(|v| *v == on).map(|at| at == 1)
                }
                Some(("P", pattern)) => chosen.pattern = Some(pattern.to_owned()).filter(|p| !p.is_empty()),
                _ => {}
            }
        }
        if column.is_some() || descending.is_some() {
            let column = column.unwrap_or(Column::Name);
            chosen.order = Some(Order { column, descending: descending.unwrap_or(false) });
        }
        chosen
    }

    /// The choices that the links of the columns keep.
    fn kept(&self) -> String {
        let mut kept = String::new();
        if let Some(form) = self.form {
            kept.push_str(&format!(";F={form}"));
        }
        if let Some(on) = self.by_version {
            kept.push_str(&format!(";V={}", u8::from(on)));
        }
        if let Some(pattern) = &self.pattern {
            let stays = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~*?".contains(&byte);
            let pattern = escaped(pattern.as_bytes(), stays);
            kept.push_str(&format!(";P={}", String::from_utf8_lossy(&pattern)));
        }
        kept
    }
}

/// Makes the page.
pub fn render(listing: &Listing, mut page: Page<'_>, mut entries: Vec<Entry>) -> String {
    if listing.has(Flag::IgnoreClient) {
        page.chosen = Chosen::default();
    }
    if let Some(pattern) = &page.chosen.pattern {
        entries.retain(|entry| glob::matches(pattern.as_bytes(), &entry.name, Style::Path));
    }
    let fancy = page.chosen.form.map_or_else(|| listing.has(Flag::Fancy), |form| form > 0);
    let mut order = page.chosen.order.or(listing.order).unwrap_or_default();
    if !fancy {
        // There are names only.
        order.column = Column::Name;
    }
    let by_version = page.chosen.by_version.unwrap_or_else(|| listing.has(Flag::VersionSort));
    sort(listing, order, by_version, &mut entries);
    let table = page.chosen.form.map_or_else(|| listing.has(Flag::Table), |form| form == 2);
    let parent = (page.url != b"/" && !listing.ignores(b"..")).then(|| parent(page.url));
    let mut out = String::new();
    begin(&mut out, listing, &page);
    let columns = Columns { listing, page: &page, order, width: width(listing, &entries, parent.is_some()) };
    match (fancy, table) {
        (false, _) => bare(&mut out, parent.as_deref(), &entries),
        (true, false) => columns.text(&mut out, parent.as_deref(), &entries),
        (true, true) => columns.table(&mut out, parent.as_deref(), &entries),
    }
    if page.more {
        out.push_str("<p>There are more entries than are listed here.</p>\n");
    }
    if let Some(readme) = &page.readme {
        inset(&mut out, readme);
    }
    out.push_str("</body></html>\n");
    out
}

/// The page up to the list.
fn begin(out: &mut String, listing: &Listing, page: &Page<'_>) {
    let bare = page.url.strip_suffix(b"/").filter(|bare| !bare.is_empty()).unwrap_or(b"/");
    let title = html(bare);
    let own = page.header.as_ref().is_some_and(|header| header.html) && listing.has(Flag::NoPreamble);
    if !own {
        out.push_str(
            "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 4.01//EN\" \"http://www.w3.org/TR/html4/strict.dtd\">\n\
             <html>\n <head>\n",
        );
        let _ = writeln!(out, "  <title>Index of {title}</title>");
        if let Some(sheet) = &listing.style_sheet {
            let sheet = html(sheet.as_bytes());
            let _ = writeln!(out, "  <link rel=\"stylesheet\" href=\"{sheet}\" type=\"text/css\">");
        }
        if let Some(text) = &listing.head_insert {
            out.push_str(text);
            out.push('\n');
        }
        out.push_str(" </head>\n <body>\n");
    }
    match &page.header {
        Some(header) => inset(out, header),
        None => {
            let _ = writeln!(out, "<h1>Index of {title}</h1>");
        }
    }
}

fn inset(out: &mut String, inset: &Inset) {
    if inset.html {
        out.push_str(&inset.text);
        return;
    }
    out.push_str("<pre>\n");
    out.push_str(&html(inset.text.as_bytes()));
    out.push_str("</pre>\n");
}

/// A list of names.
fn bare(out: &mut String, parent: Option<&str>, entries: &[Entry]) {
    out.push_str("<ul>");
    if let Some(parent) = parent {
        let _ = writeln!(out, "<li><a href=\"{parent}\"> Parent Directory</a></li>");
    }
    for entry in entries {
        let (to, name) = named(entry);
        let _ = writeln!(out, "<li><a href=\"{to}\"> {}</a></li>", html(name.as_bytes()));
    }
    out.push_str("</ul>\n");
}

/// Characters of a line before its name, where Apache has an icon.
const NO_ICON: &str = "      ";

/// Names with size and time.
struct Columns<'a> {
    listing: &'a Listing,
    page: &'a Page<'a>,
    order: Order,
    width: usize,
}

impl Columns<'_> {
    /// The columns that are shown, beside the name, and the sense of each.
    fn shown(&self) -> [bool; 3] {
        [Flag::NoTime, Flag::NoSize, Flag::NoDescription].map(|flag| !self.listing.has(flag))
    }

    /// The word over a column, as a link that orders by it.
    fn head(&self, word: &str, column: Column) -> String {
        if self.listing.has(Flag::NoSorting) || self.listing.has(Flag::IgnoreClient) {
            return word.to_owned();
        }
        let Order { column: by, descending } = self.order;
        let letter = if by == column && !descending { 'D' } else { 'A' };
        format!("<a href=\"?C={};O={letter}{}\">{word}</a>", column.letter(), self.page.chosen.kept())
    }

    /// A name as it is shown, and the blanks behind it.
    fn name(&self, name: &str) -> (String, usize) {
        let length = name.chars().count();
        if length <= self.width {
            return (html(name.as_bytes()), self.width - length);
        }
        let short: String = name.chars().take(self.width - 3).collect();
        (format!("{}..&gt;", html(short.as_bytes())), 0)
    }

    fn date(&self, entry: &Entry) -> String {
        (self.page.date)(entry.modified, self.listing.has(Flag::OldDate))
    }

    fn text(&self, out: &mut String, parent: Option<&str>, entries: &[Entry]) {
        let [time, size, description] = self.shown();
        let _ = write!(out, "<pre>{NO_ICON}{}{:2$}", self.head("Name", Column::Name), "", self.width - 3);
        if time {
            let _ = write!(out, "{}      ", self.head("Last modified", Column::Modified));
        }
        if size {
            let _ = write!(out, "{}  ", self.head("Size", Column::Size));
        }
        if description {
            out.push_str(&self.head("Description", Column::Description));
        }
        let rules = !self.listing.has(Flag::NoRules);
        out.push_str(if rules { "<hr>" } else { "\n" });
        let line = |out: &mut String, to: &str, name: &str, date: &str, bytes: &str| {
            let (name, blanks) = self.name(name);
            let _ = write!(out, "{NO_ICON}<a href=\"{to}\">{name}</a>{:1$} ", "", blanks);
            if time {
                // The folder above has none, and Apache's blanks for it.
                let _ = if date.is_empty() { write!(out, "{:19}", "") } else { write!(out, "{date}  ") };
            }
            if size {
                let _ = write!(out, "{bytes}  ");
            }
            out.push('\n');
        };
        if let Some(parent) = parent {
            line(out, parent, "Parent Directory", "", "  - ");
        }
        for entry in entries {
            let (to, name) = named(entry);
            line(out, &to, &name, &self.date(entry), &size_of(entry));
        }
        out.push_str(if rules { "<hr></pre>\n" } else { "</pre>\n" });
    }

    fn table(&self, out: &mut String, parent: Option<&str>, entries: &[Entry]) {
        let [time, size, description] = self.shown();
        let mut heads = vec![self.head("Name", Column::Name)];
        heads.extend(time.then(|| self.head("Last modified", Column::Modified)));
        heads.extend(size.then(|| self.head("Size", Column::Size)));
        heads.extend(description.then(|| self.head("Description", Column::Description)));
        let rule = match self.listing.has(Flag::NoRules) {
            true => String::new(),
            false => format!("   <tr><th colspan=\"{}\"><hr></th></tr>\n", heads.len() + 1),
        };
        let _ = writeln!(
            out,
            "  <table>\n   <tr><th valign=\"top\">&nbsp;</th><th>{}</th></tr>",
            heads.join("</th><th>")
        );
        out.push_str(&rule);
        let line = |out: &mut String, to: &str, name: &str, date: Option<String>, bytes: &str| {
            let (name, blanks) = self.name(name);
            let blanks = if self.listing.name_width == Some(0) { 0 } else { blanks };
            let _ = write!(
                out,
                "<tr><td valign=\"top\">&nbsp;</td><td><a href=\"{to}\">{name}</a>{:1$}</td>",
                "", blanks
            );
            if time {
                match date {
                    Some(date) => drop(write!(out, "<td align=\"right\">{date}  </td>")),
                    None => out.push_str("<td>&nbsp;</td>"),
                }
            }
            if size {
                let _ = write!(out, "<td align=\"right\">{bytes}</td>");
            }
            if description {
                out.push_str("<td>&nbsp;</td>");
            }
            out.push_str("</tr>\n");
        };
        if let Some(parent) = parent {
            line(out, parent, "Parent Directory", None, "  - ");
        }
        for entry in entries {
            let (to, name) = named(entry);
            line(out, &to, &name, Some(self.date(entry)), &size_of(entry));
        }
        let _ = writeln!(out, "{rule}</table>");
    }
}

/// Characters of the column of names.
fn width(listing: &Listing, entries: &[Entry], parent: bool) -> usize {
    match listing.name_width {
        None => NAME_WIDTH,
        Some(0) => {
            let names = entries.iter().map(|entry| named(entry).1.chars().count());
            names.max().unwrap_or(0).max(if parent { "Parent Directory".len() } else { "Name".len() })
        }
        Some(width) => width,
    }
}

/// The link to an entry, and its name with the slash of a folder.
fn named(entry: &Entry) -> (String, String) {
    let slash: &[u8] = if entry.folder { b"/" } else { b"" };
    let name = [&entry.name, slash].concat();
    // Neither an end of the attribute nor the scheme of another address stays.
    let stays = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/$+!*'(),@=".contains(&byte);
    let to = escaped(&name, stays);
    (String::from_utf8_lossy(&to).into_owned(), String::from_utf8_lossy(&name).into_owned())
}

/// The link to the folder above.
fn parent(url: &[u8]) -> String {
    let bare = url.strip_suffix(b"/").unwrap_or(url);
    let end = bare.iter().rposition(|&b| b == b'/').map_or(0, |at| at + 1);
    let stays = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/$+!*'(),:@=".contains(&byte);
    String::from_utf8_lossy(&escaped(&bare[..end], stays)).into_owned()
}

/// Four characters, as `ls -h` has them.
fn size_of(entry: &Entry) -> String {
    if entry.folder {
        return "  - ".to_owned();
    }
    let mut size = entry.size;
    if size < 973 {
        return format!("{size:3} ");
    }
    for unit in ["K", "M", "G", "T", "P", "E"] {
        let rest = size & 1023;
        size >>= 10;
        if size >= 973 {
            continue;
        }
        if size < 9 || (size == 9 && rest < 973) {
            let (tenth, whole) = match (rest * 5 + 256) / 512 {
                10.. => (0, size + 1),
                tenth => (tenth, size),
            };
            return format!("{whole}.{tenth}{unit}");
        }
        return format!("{:3}{unit}", size + u64::from(rest >= 512));
    }
    "****".to_owned()
}

fn sort(listing: &Listing, order: Order, by_version: bool, entries: &mut [Entry]) {
    let any_case = listing.has(Flag::IgnoreCase);
    let name = |a: &Entry, b: &Entry| match (by_version, any_case) {
        (true, _) => versions(&a.name, &b.name),
        (false, true) => a.name.to_ascii_lowercase().cmp(&b.name.to_ascii_lowercase()),
        (false, false) => a.name.cmp(&b.name),
    };
    let weight = |entry: &Entry| if entry.folder { None } else { Some(entry.size) };
    entries.sort_by(|a, b| {
        let folders = b.folder.cmp(&a.folder);
        if listing.has(Flag::FoldersFirst) && folders != Ordering::Equal {
            return folders;
        }
        let found = match order.column {
            Column::Name | Column::Description => Ordering::Equal,
            Column::Modified => a.modified.cmp(&b.modified),
            Column::Size => weight(a).cmp(&weight(b)),
        };
        let found = found.then_with(|| name(a, b)).then_with(|| a.name.cmp(&b.name));
        if order.descending { found.reverse() } else { found }
    });
}

/// Names whose runs of digits count as numbers.
fn versions(a: &[u8], b: &[u8]) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        match (a.first(), b.first()) {
            (Some(x), Some(y)) if x.is_ascii_digit() && y.is_ascii_digit() => {
                let run = |text: &[u8]| text.iter().take_while(|b| b.is_ascii_digit()).count();
                let ((one, a_rest), (other, b_rest)) = (a.split_at(run(a)), b.split_at(run(b)));
                let bare =
                    |text: &[u8]| text.iter().skip_while(|b| **b == b'0').copied().collect::<Vec<u8>>();
                let (one, other) = (bare(one), bare(other));
                let found = one.len().cmp(&other.len()).then_with(|| one.cmp(&other));
                if found != Ordering::Equal {
                    return found;
                }
                (a, b) = (a_rest, b_rest);
            }
            (Some(x), Some(y)) if x == y => (a, b) = (&a[1..], &b[1..]),
            (x, y) => return x.cmp(&y),
        }
    }
}

/// A text within a page or an attribute of it.
fn html(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in String::from_utf8_lossy(text).chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Neither a line's end nor a sequence for a terminal.
            letter if letter.is_control() && letter != '\n' && letter != '\t' => out.push('\u{fffd}'),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
