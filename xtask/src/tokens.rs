//! Words and punctuation of a Rust file, without comments, strings and code that is compiled for tests only.
//!
//! Enough to follow paths; it is no parser.

/// A word (`crate`, `Hub`), a number, `::`, or one other character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub text: String,
    /// From 1.
    pub line: usize,
}

impl Token {
    pub fn is_word(&self) -> bool {
        self.text.starts_with(is_word_character)
    }
}

/// The tokens of a file, without the items for tests.
pub fn product_code(text: &str) -> Vec<Token> {
    without_tests(tokens(text))
}

/// All tokens of a file.
fn tokens(text: &str) -> Vec<Token> {
    let characters: Vec<char> = text.chars().collect();
    let (mut found, mut at, mut line) = (Vec::new(), 0, 1);
    while at < characters.len() {
        let rest = &characters[at..];
        let (length, is_token) = match rest {
            ['/', '/', ..] => (rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()), false),
            ['/', '*', ..] => (comment(rest), false),
            ['"', ..] => (string(rest), false),
            ['r' | 'b' | 'c', ..] if prefixed_string(rest).is_some() => {
                (prefixed_string(rest).unwrap_or(1), false)
            }
            ['\'', '\\', ..] => (character(rest), false),
            ['\'', _, '\'', ..] => (3, false),
            // A lifetime.
            ['\'', ..] => (1 + word(&rest[1..]), false),
            [':', ':', ..] => (2, true),
            [c, ..] if is_word_character(*c) => (word(rest), true),
            [c, ..] => (1, !c.is_whitespace()),
            [] => break,
        };
        let length = length.max(1);
        if is_token {
            found.push(Token { text: rest[..length].iter().collect(), line });
        }
        line += rest[..length].iter().filter(|c| **c == '\n').count();
        at += length;
    }
    found
}

fn is_word_character(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn word(rest: &[char]) -> usize {
    rest.iter().position(|c| !is_word_character(*c)).unwrap_or(rest.len())
}

/// Length of a block comment; they nest.
fn comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match &rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// Length of a string that begins here.
fn string(rest: &[char]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != '"' {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// Length of a raw string, a byte string or a byte, where one begins here.
fn prefixed_string(rest: &[char]) -> Option<usize> {
    let letters = rest.iter().take(2).take_while(|c| matches!(c, 'r' | 'b' | 'c')).count();
    let raw = rest[..letters].contains(&'r');
    let hashes = if raw { rest[letters..].iter().take_while(|c| **c == '#').count() } else { 0 };
    match rest.get(letters + hashes)? {
        '"' if raw => {
            let mut end = vec!['"'];
            end.resize(1 + hashes, '#');
            let begin = letters + hashes + 1;
            let length = rest[begin..].windows(end.len()).position(|window| window == end)?;
            Some(begin + length + end.len())
        }
        '"' => Some(letters + string(&rest[letters..])),
        '\'' if rest[..letters] == ['b'] => Some(letters + character(&rest[letters..])),
        _ => None,
    }
}

/// Length of a character literal with an escape, or of a plain one.
fn character(rest: &[char]) -> usize {
    let escape = if rest.get(1) == Some(&'\\') { 3 } else { 2 };
    rest.iter().skip(escape).position(|c| *c == '\'').map_or(rest.len(), |end| escape + end + 1)
}

/// Leaves out each item under `#[cfg(test)]` and `#[cfg(all(test, …))]`, up to its `;` or the end of its braces.
fn without_tests(all: Vec<Token>) -> Vec<Token> {
    const MARKS: [&[&str]; 2] =
        [&["#", "[", "cfg", "(", "test", ")", "]"], &["#", "[", "cfg", "(", "all", "(", "test"]];
    let begins = |rest: &[Token], mark: &[&str]| {
        rest.len() >= mark.len() && rest.iter().zip(mark).all(|(token, wanted)| token.text == *wanted)
    };
    let (mut kept, mut at) = (Vec::new(), 0);
    while at < all.len() {
        if MARKS.iter().any(|mark| begins(&all[at..], mark)) {
            // The attribute ends with the bracket before the item.
            let attribute = all[at..].iter().position(|token| token.text == "]").unwrap_or(0) + 1;
            at += attribute + item(&all[at + attribute..]);
        } else {
            kept.push(all[at].clone());
            at += 1;
        }
    }
    kept
}

/// Number of tokens of the item that begins here.
fn item(rest: &[Token]) -> usize {
    let mut depth = 0_usize;
    for (at, token) in rest.iter().enumerate() {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => {
                depth = depth.saturating_sub(1);
                if depth == 0 && token.text == "}" {
                    return at + 1;
                }
            }
            ";" | "," if depth == 0 => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> String {
        product_code(text).iter().map(|token| token.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_and_literals_are_left_out() {
        for (text, wanted) in [
            ("a // crate::b\nc", "a c"),
            ("a /* x /* crate::b */ y */ c", "a c"),
            (r#"f("crate::b \" ", 'x', '\'', b'{', '\u{41}')"#, "f ( , , , , )"),
            ("f(r#\"crate \" ::b\"#, br\"{\", c\"{\", b\"\\\"\")", "f ( , , , )"),
            ("fn f<'a>(x: &'a T) -> bool", "fn f < > ( x : & T ) - > bool"),
            ("crate::a::<T>()", "crate :: a :: < T > ( )"),
            ("raw_r = rust", "raw_r = rust"),
        ] {
            assert_eq!(words(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_for_tests_is_left_out() {
        for (text, wanted) in [
            ("a; #[cfg(test)] mod tests { use super::*; fn f() { {} } } b", "a ; b"),
            ("#[cfg(test)]\n#[path = \"x.rs\"]\nmod tests; b", "b"),
            ("#[cfg(test)] fn f(x: [u8; 2]) -> u8 { 1 } b", "b"),
            ("struct S { #[cfg(test)] seen: Vec<u8>, b: u8 }", "struct S { b : u8 }"),
            ("#[cfg(all(test, loom))] use loom::sync::Arc; b", "b"),
            ("#[cfg(not(test))] b", "# [ cfg ( not ( test ) ) ] b"),
        ] {
            assert_eq!(words(text), wanted, "{text}");
        }
    }

    #[test]
    fn lines_are_counted_over_strings_and_comments() {
        let found = tokens("a /* \n */ \"\n\" b\nc");
        assert_eq!(found.iter().map(|token| token.line).collect::<Vec<_>>(), [1, 3, 4]);
    }
}
