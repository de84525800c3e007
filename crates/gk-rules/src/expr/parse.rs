//! The text of an expression to its tree. Precedence: `!` before `&&` before `||`, as in Apache.

mod words;

use super::tree::{Condition, Glob, Order, Test, Word};
use crate::network::Network;
use crate::regexp::Regexp;

/// Conditions within conditions and calls within calls, at most.
const DEPTH: usize = 20;
/// Delimiters of a pattern behind its `m`.
const DELIMITERS: &[u8] = b"/#$%^|?!'\",;:._-";

/// Why a text is no expression.
pub(super) struct Why {
    pub(super) message: String,
    pub(super) hint: Option<&'static str>,
}

impl Why {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    fn hint(self, hint: &'static str) -> Self {
        Self { hint: Some(hint), ..self }
    }
}

/// Reads a condition.
pub(super) fn condition(text: &str) -> Result<Condition, Why> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let tree = parser.any()?;
    parser.space();
    match parser.rest() {
        "" => Ok(tree),
        _ => Err(parser.unexpected("the end")),
    }
}

/// Reads a text with variables.
pub(super) fn text(text: &str) -> Result<Word, Why> {
    Parser { text, at: 0, depth: 0 }.string(None)
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.rest().bytes().next()
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start_matches([' ', '\t', '\n']).len();
    }

    /// Takes a text that stands here.
    fn eat(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    /// The name that stands here.
    fn name(&self) -> &'t str {
        let rest = self.rest();
        let ends = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
        match rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
            true => &rest[..rest.find(ends).unwrap_or(rest.len())],
            false => "",
        }
    }

    /// Takes one of two spellings of an operator: a sign, or a name.
    fn operator(&mut self, sign: &str, name: &str) -> bool {
        self.space();
        self.eat(sign) || (self.name() == name && self.eat(name))
    }

    fn unexpected(&self, wanted: &str) -> Why {
        let found: String = self.rest().chars().take(20).collect();
        match found.as_str() {
            "" => Why::new(format!("it ends where {wanted} is expected")),
            found => Why::new(format!("{wanted} is expected at `{found}`")),
        }
    }

    /// Reads one level deeper.
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Why>) -> Result<T, Why> {
        if self.depth >= DEPTH {
            return Err(Why::new(format!("it is nested deeper than {DEPTH} levels")));
        }
        self.depth += 1;
        let found = read(self);
        self.depth -= 1;
        found
    }

    // === conditions ===

    fn any(&mut self) -> Result<Condition, Why> {
        let mut parts = vec![self.all()?];
        while self.operator("||", "or") {
            parts.push(self.all()?);
        }
        Ok(alone(parts, Condition::Any))
    }

    fn all(&mut self) -> Result<Condition, Why> {
        let mut parts = vec![self.not()?];
        while self.operator("&&", "and") {
            parts.push(self.not()?);
        }
        Ok(alone(parts, Condition::All))
    }

    fn not(&mut self) -> Result<Condition, Why> {
        self.space();
        match self.operator("!", "not") {
            true => Ok(Condition::Not(Box::new(self.deeper(Self::not)?))),
            false => self.single(),
        }
    }

    fn single(&mut self) -> Result<Condition, Why> {
        if self.eat("(") {
            let inner = self.deeper(Self::any)?;
            self.space();
            return if self.eat(")") { Ok(inner) } else { Err(self.unexpected("`)`")) };
        }
        for (name, value) in [("true", true), ("false", false)] {
            if self.name() == name {
                self.at += name.len();
                return Ok(Condition::Constant(value));
            }
        }
        if self.rest().starts_with('-') && !self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) {
            return self.test();
        }
        let left = self.word()?;
        self.comparison(left)
    }

    /// `-f word` and its relatives.
    fn test(&mut self) -> Result<Condition, Why> {
        self.at += 1;
        let name = self.name();
        self.at += name.len();
        let test = match name {
            "n" => Test::Filled,
            "z" => Test::Empty,
            "T" => Test::True,
            "d" => Test::Directory,
            "e" => Test::Exists,
            "f" => Test::File,
            "s" => Test::FileWithContent,
            "h" | "L" => Test::Link,
            "x" => Test::Executable,
            "R" => return Ok(Condition::Client(self.network("-R")?)),
            "F" | "U" | "A" => {
                let why = Why::new(format!("the operator `-{name}` is not built"));
                return Err(why.hint("`-f` and `-d` ask whether a file or a directory is there"));
            }
            _ => return Err(Why::new(format!("there is no operator `-{name}` before a word"))),
        };
        Ok(Condition::Test(test, self.word()?))
    }

    /// What follows a word.
    fn comparison(&mut self, left: Word) -> Result<Condition, Why> {
        self.space();
        if self.eat("=~") || self.eat("!~") {
            let differs = self.text[..self.at].ends_with("!~");
            return Ok(Condition::Match(left, differs, self.regex()?));
        }
        let orders = [
            ("==", Order::Equal),
            ("!=", Order::Differs),
            ("<=", Order::LessOrEqual),
            (">=", Order::GreaterOrEqual),
            ("=", Order::Equal),
            ("<", Order::Less),
            (">", Order::Greater),
        ];
        for (sign, order) in orders {
            if self.eat(sign) {
                return Ok(Condition::Compare(left, order, self.word()?));
            }
        }
        let start = self.at;
        let minus = self.eat("-");
        let name = self.name();
        self.at += name.len();
        let order = match name.to_ascii_lowercase().as_str() {
            "eq" => Order::Equal,
            "ne" => Order::Differs,
            "lt" => Order::Less,
            "le" => Order::LessOrEqual,
            "gt" => Order::Greater,
            "ge" => Order::GreaterOrEqual,
            "in" => return Ok(Condition::In(left, self.list()?)),
            "ipmatch" if minus => return Ok(Condition::Address(left, self.network("-ipmatch")?)),
            "strmatch" if minus => return Ok(Condition::Glob(left, Glob::Text, self.word()?)),
            "strcmatch" if minus => return Ok(Condition::Glob(left, Glob::AnyCase, self.word()?)),
            "fnmatch" if minus => return Ok(Condition::Glob(left, Glob::Path, self.word()?)),
            _ if minus => return Err(Why::new(format!("there is no operator `-{name}` between two words"))),
            _ => {
                self.at = start;
                return Err(self.unexpected("an operator such as `==` or `=~`"));
            }
        };
        Ok(Condition::Number(left, order, self.word()?))
    }

    /// `{ 'a', 'b' }`
    fn list(&mut self) -> Result<Vec<Word>, Why> {
        self.space();
        if !self.name().is_empty() {
            return Err(Why::new(format!("the list function `{}` is not built", self.name())));
        }
        if !self.eat("{") {
            return Err(self.unexpected("`{`"));
        }
        let mut words = vec![self.word()?];
        loop {
            self.space();
            match (self.eat(","), self.eat("}")) {
                (true, _) => words.push(self.word()?),
                (_, true) => return Ok(words),
                _ => return Err(self.unexpected("`,` or `}`")),
            }
        }
    }

    /// A word that is a network.
    fn network(&mut self, operator: &str) -> Result<Network, Why> {
        let network = match self.word()? {
            Word::Text(text) => std::str::from_utf8(&text).ok().and_then(Network::parse),
            _ => None,
        };
        network.ok_or_else(|| {
            Why::new(format!("`{operator}` takes an address or a network in quotes, such as '10.0.0.0/8'"))
        })
    }

    /// `/pattern/i` or `m#pattern#i`. Nothing takes the delimiter's meaning away.
    fn regex(&mut self) -> Result<Regexp, Why> {
        self.space();
        let mut bytes = self.rest().bytes();
        let (delimiter, skip) = match (bytes.next(), bytes.next()) {
            (Some(b'/'), _) => (b'/', 1),
            (Some(b'm'), Some(delimiter)) if DELIMITERS.contains(&delimiter) => (delimiter, 2),
            _ => return Err(self.unexpected("a pattern such as `m#^/a#` or `/a/`")),
        };
        self.at += skip;
        let Some(end) = self.rest().find(char::from(delimiter)) else {
            return Err(Why::new("the pattern is not closed"));
        };
        let pattern = &self.rest()[..end];
        self.at += end + 1;
        let nocase = self.eat("i");
        let pattern = Regexp::new(pattern, nocase).map_err(|mistake| {
            Why::new(mistake.message)
                .hint("a pattern with slashes in it is written m#…#, as `\\/` ends it in Apache")
        })?;
        match self.name() {
            "" => Ok(pattern),
            flags => Err(Why::new(format!("the pattern has a flag `{flags}`")).hint("`i` is the only one")),
        }
    }
}

fn alone(mut parts: Vec<Condition>, several: fn(Vec<Condition>) -> Condition) -> Condition {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            several(parts)
        }
    }
}
