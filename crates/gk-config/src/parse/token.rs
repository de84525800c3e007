//! Characters to words: physical lines are joined to logical ones, words are cut by Apache's quoting rules. Every
//! character keeps the place it came from, so that a message can point at it after joining and expanding. The
//! meaning of the words is not known here.

/// A place in one of the files of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// Index of the file in the order of reading.
    pub file: u32,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// One character with its place.
pub type Glyph = (char, Place);

/// One word of a line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Word {
    /// The text without quotes and escapes.
    pub text: String,
    /// Where it begins.
    pub place: Place,
    /// Columns that it takes, at least 1.
    pub width: u32,
}

/// A word that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadWord {
    /// Where it begins.
    pub place: Place,
    /// The problem, as a sentence without full stop.
    pub message: String,
}

/// How words are split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// A quote counts at the start of a word.
    Words,
    /// A quote counts at the start of a word and after its first `=` (`home="/a b"`).
    Options,
    /// A quote counts at the start of a word; a backslash is a character like others, and keeps a blank behind it in the word
    /// (`RewriteRule`).
    Raw,
    /// A quote counts at the start of a word; what stands behind the word `expr` is one word as it is written, without `"` around it
    /// (`Require expr`).
    Expression,
}

/// The logical lines of a text: a backslash at the end of a line joins the next one; comments and empty lines are
/// left out; surrounding blanks are cut.
pub fn logical_lines(text: &str, file: u32) -> Vec<Vec<Glyph>> {
    let mut lines = Vec::new();
    let mut current: Vec<Glyph> = Vec::new();
    for (index, physical) in text.split('\n').enumerate() {
        let physical = physical.strip_suffix('\r').unwrap_or(physical);
        let line = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let (body, continued) = match physical.strip_suffix('\\') {
            Some(body) => (body, true),
            None => (physical, false),
        };
        let glyphs = body.chars().zip(1u32..).map(|(c, column)| (c, Place { file, line, column }));
        current.extend(glyphs);
        if !continued {
            push_line(&mut lines, std::mem::take(&mut current));
        }
    }
    push_line(&mut lines, current);
    lines
}

fn push_line(lines: &mut Vec<Vec<Glyph>>, glyphs: Vec<Glyph>) {
    let trimmed = trim(&glyphs);
    if !trimmed.is_empty() && trimmed[0].0 != '#' {
        lines.push(trimmed.to_vec());
    }
}

/// Cuts blanks from both ends.
pub fn trim(glyphs: &[Glyph]) -> &[Glyph] {
    let start = glyphs.iter().position(|g| !g.0.is_whitespace()).unwrap_or(glyphs.len());
    let end = glyphs.iter().rposition(|g| !g.0.is_whitespace()).map_or(start, |i| i + 1);
    &glyphs[start..end]
}

/// Cuts a line into words.
pub fn words(glyphs: &[Glyph], split: Split) -> Result<Vec<Word>, BadWord> {
    let mut words = Vec::new();
    let mut rest = trim(glyphs);
    while !rest.is_empty() {
        let (word, used) = match split {
            Split::Raw => raw_word(rest)?,
            Split::Expression if words.last().is_some_and(is_expr) => (whole(rest), rest.len()),
            _ => one_word(rest, split)?,
        };
        words.push(word);
        rest = trim(&rest[used..]);
    }
    Ok(words)
}

/// Reads the word at the start of `glyphs` (not empty, no leading blank): the word and how many characters it took.
fn one_word(glyphs: &[Glyph], split: Split) -> Result<(Word, usize), BadWord> {
    let place = glyphs[0].1;
    let mut text = String::new();
    let mut at = 0;
    let mut quote = None;
    let mut key_seen = false;
    if is_quote(glyphs[0].0) {
        quote = Some(glyphs[0]);
        at = 1;
    }
    while at < glyphs.len() {
        let c = glyphs[at].0;
        let next = glyphs.get(at + 1).map(|g| g.0);
        match quote {
            Some((q, _)) if c == '\\' && next.is_some_and(|n| n == q || n == '\\') => {
                text.extend(next);
                at += 2;
            }
            Some((q, _)) if c == q => {
                quote = None;
                at += 1;
                if split != Split::Options || key_seen {
                    break;
                }
                key_seen = true;
            }
            Some(_) => {
                text.push(c);
                at += 1;
            }
            None if c.is_whitespace() => break,
            None if c == '\\' && next == Some('\\') => {
                text.push('\\');
                at += 2;
            }
            None if split == Split::Options && c == '=' && !key_seen => {
                key_seen = true;
                text.push(c);
                at += 1;
                if let Some(&opening) = glyphs.get(at).filter(|g| is_quote(g.0)) {
                    quote = Some(opening);
                    at += 1;
                }
            }
            None => {
                text.push(c);
                at += 1;
            }
        }
    }
    if let Some((q, place)) = quote {
        return Err(BadWord { place, message: format!("the quote {q} is not closed on this line") });
    }
    let last = glyphs[at - 1].1;
    let width =
        if last.line == place.line { (last.column + 1).saturating_sub(place.column).max(1) } else { 1 };
    Ok((Word { text, place, width }, at))
}

fn is_expr(word: &Word) -> bool {
    word.text.eq_ignore_ascii_case("expr")
}

/// All of `glyphs` as one word, without the `"` around it.
fn whole(glyphs: &[Glyph]) -> Word {
    let inner = match glyphs {
        [('"', _), inner @ .., ('"', _)] => inner,
        all => all,
    };
    let text = inner.iter().map(|glyph| glyph.0).collect();
    Word { text, place: glyphs[0].1, width: u32::try_from(glyphs.len()).unwrap_or(1) }
}

/// Reads the word at the start of `glyphs` as it stands there.
fn raw_word(glyphs: &[Glyph]) -> Result<(Word, usize), BadWord> {
    let place = glyphs[0].1;
    let quote = glyphs[0].0;
    let quoted = is_quote(quote);
    let first = usize::from(quoted);
    let mut at = first;
    while let Some(&(c, _)) = glyphs.get(at) {
        let blank_next = glyphs.get(at + 1).is_some_and(|glyph| glyph.0.is_whitespace());
        match c {
            '\\' if blank_next => at += 1,
            c if quoted && c == quote => break,
            c if !quoted && c.is_whitespace() => break,
            _ => {}
        }
        at += 1;
    }
    let end = at.min(glyphs.len());
    if quoted && glyphs.get(end).is_none() {
        return Err(BadWord { place, message: format!("the quote {quote} is not closed on this line") });
    }
    let text = glyphs[first..end].iter().map(|glyph| glyph.0).collect();
    let used = end + first;
    let width = u32::try_from(used).unwrap_or(u32::MAX).max(1);
    Ok((Word { text, place, width }, used))
}

fn is_quote(c: char) -> bool {
    c == '"' || c == '\''
}

/// Writes a value so that [`words`] reads exactly it back: quoted where it must be.
pub fn quote(value: &str) -> String {
    let plain = !value.is_empty()
        && !value.starts_with(['"', '\'', '#', '<'])
        && !value.contains(|c: char| c.is_whitespace() || c == '\\' || c == '"' || c == '\'');
    if plain {
        return value.to_owned();
    }
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Cuts `key=value`; the key comes in lower case.
pub fn key_value(word: &Word) -> Option<(String, &str)> {
    let (key, value) = word.text.split_once('=')?;
    Some((key.to_ascii_lowercase(), value))
}

/// The word of the last option of that name.
pub fn option_word<'a>(options: &'a [Word], name: &str) -> Option<&'a Word> {
    options.iter().rev().find(|word| key_value(word).is_some_and(|(key, _)| key == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(line: &str, split: Split) -> Vec<String> {
        let lines = logical_lines(line, 0);
        words(&lines[0], split).unwrap().into_iter().map(|w| w.text).collect()
    }

    #[test]
    fn quoting_follows_apache() {
        assert_eq!(cut(r#"A "b c" 'd "e' f\\g h\.i"#, Split::Words), ["A", "b c", "d \"e", "f\\g", "h\\.i"]);
        assert_eq!(cut(r#"A "x \"y\" \\ \n" """#, Split::Words), ["A", "x \"y\" \\ \\n", ""]);
        assert_eq!(cut(r#"A home="/a b" x=y=z"#, Split::Options), ["A", "home=/a b", "x=y=z"]);
        assert_eq!(cut(r#"A x="y"#, Split::Words), ["A", "x=\"y"]);
        assert_eq!(
            cut(r#"not expr "a == 'b c' && \"x\"" "#, Split::Expression),
            ["not", "expr", r#"a == 'b c' && \"x\""#]
        );
        assert_eq!(cut("expr 'a b' == 'c'", Split::Expression), ["expr", "'a b' == 'c'"]);
        assert_eq!(cut("user 'a b' c", Split::Expression), ["user", "a b", "c"]);
    }

    #[test]
    fn raw_words_stand_as_they_are() {
        let cut = |line| cut(line, Split::Raw);
        assert_eq!(cut(r#"A ^/a\.b\.c "x y" [R,L]"#), ["A", r"^/a\.b\.c", "x y", "[R,L]"]);
        assert_eq!(cut(r#"A a\ b 'c"d' "" e"#), ["A", r"a\ b", "c\"d", "", "e"]);
        let lines = logical_lines("A \"b c", 0);
        assert_eq!(words(&lines[0], Split::Raw).unwrap_err().place.column, 3);
    }

    #[test]
    fn lines_are_joined_and_places_kept() {
        let lines = logical_lines("# no\\\n still comment\n\n  One \\\n   two\r\nThree", 3);
        assert_eq!(lines.len(), 2);
        let w = words(&lines[0], Split::Words).unwrap();
        assert_eq!((w[1].text.as_str(), w[1].place), ("two", Place { file: 3, line: 5, column: 4 }));
        assert_eq!(lines[1][0].1.line, 6);
    }

    #[test]
    fn an_open_quote_is_refused_where_it_opens() {
        let lines = logical_lines("A b=\"c d", 0);
        assert_eq!(words(&lines[0], Split::Options).unwrap_err().place.column, 5);
    }
}
