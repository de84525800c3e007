//! The words of an expression: texts, variables, groups, functions.

use super::{Parser, Why};
use crate::expr::tree::{Function, Word};
use crate::server_variables::ServerVariable;

impl Parser<'_> {
    pub(super) fn word(&mut self) -> Result<Word, Why> {
        let mut parts = vec![self.part()?];
        loop {
            self.space();
            match self.eat(".") {
                true => parts.push(self.part()?),
                false => return Ok(joined(parts)),
            }
        }
    }

    fn part(&mut self) -> Result<Word, Why> {
        self.space();
        match self.peek() {
            Some(quote @ (b'"' | b'\'')) => {
                self.at += 1;
                self.string(Some(quote))
            }
            Some(b'%') if self.eat("%{") => self.variable(),
            Some(b'$') => self.group().ok_or_else(|| self.unexpected("a word")),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.call(),
        }
    }

    fn number(&mut self) -> Result<Word, Why> {
        let rest = self.rest();
        let digits = rest.strip_prefix('-').unwrap_or(rest);
        let count = digits.bytes().take_while(u8::is_ascii_digit).count();
        if count == 0 {
            return Err(self.unexpected("a word"));
        }
        let length = rest.len() - digits.len() + count;
        self.at += length;
        Ok(Word::Text(rest.as_bytes()[..length].to_vec()))
    }

    fn group(&mut self) -> Option<Word> {
        let mut bytes = self.rest().bytes();
        let digit = (bytes.next() == Some(b'$')).then(|| bytes.next())??;
        digit.is_ascii_digit().then(|| {
            self.at += 2;
            Word::Group(usize::from(digit - b'0'))
        })
    }

    /// `function(word)`
    fn call(&mut self) -> Result<Word, Why> {
        let name = self.name();
        if name.is_empty() {
            return Err(self.unexpected("a word"));
        }
        self.at += name.len();
        self.space();
        if !self.eat("(") {
            return Err(Why::new(format!("`{name}` is neither quoted nor a variable"))
                .hint("texts stand in quotes, variables in %{…}"));
        }
        let function = function(name)?;
        let argument = self.deeper(Self::word)?;
        self.space();
        match self.eat(")") {
            true => Ok(Word::Call(function, Box::new(argument))),
            false => Err(self.unexpected("`)`")),
        }
    }

    /// What follows `%{`: a name, or a function and its argument.
    fn variable(&mut self) -> Result<Word, Why> {
        let name = self.name();
        self.at += name.len();
        if self.eat("}") {
            return match ServerVariable::named(name) {
                Some(variable) => Ok(Word::Variable(variable)),
                None if name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SSL_")) => {
                    Ok(Word::Tls(name.to_ascii_uppercase()))
                }
                None => Err(Why::new(format!("there is no variable `{name}` here"))),
            };
        }
        if !self.eat(":") || name.is_empty() {
            return Err(self.unexpected("the name of a variable and `}`"));
        }
        let function = function(name)?;
        let argument = self.deeper(|parser| parser.string(Some(b'}')))?;
        Ok(Word::Call(function, Box::new(argument)))
    }

    /// A text up to its end, with variables and groups in it; `None`: up to the end of all.
    pub(super) fn string(&mut self, end: Option<u8>) -> Result<Word, Why> {
        let mut parts = Vec::new();
        let mut text = Vec::new();
        loop {
            let Some(byte) = self.peek() else {
                return match end {
                    None => {
                        parts.push(Word::Text(text));
                        Ok(joined(parts))
                    }
                    Some(_) => Err(Why::new("a text or variable is not closed")),
                };
            };
            if Some(byte) == end {
                self.at += 1;
                parts.push(Word::Text(text));
                return Ok(joined(parts));
            }
            let found = match byte {
                b'%' if self.eat("%{") => Some(self.variable()?),
                b'$' => self.group(),
                _ => None,
            };
            match found {
                Some(found) => parts.extend([Word::Text(std::mem::take(&mut text)), found]),
                None if byte == b'\\' => text.extend(self.escaped()),
                None => {
                    let c = self.rest().chars().next().map_or(1, char::len_utf8);
                    text.extend_from_slice(&self.rest().as_bytes()[..c]);
                    self.at += c;
                }
            }
        }
    }

    /// The character that a backslash and what follows stand for.
    fn escaped(&mut self) -> Vec<u8> {
        let mut chars = self.rest()[1..].chars();
        let Some(c) = chars.next() else {
            self.at += 1;
            return b"\\".to_vec();
        };
        self.at += 1 + c.len_utf8();
        match c {
            'n' => b"\n".to_vec(),
            'r' => b"\r".to_vec(),
            't' => b"\t".to_vec(),
            'b' => b"\x08".to_vec(),
            'f' => b"\x0c".to_vec(),
            c => c.to_string().into_bytes(),
        }
    }
}

fn joined(mut parts: Vec<Word>) -> Word {
    parts.retain(|part| !matches!(part, Word::Text(text) if text.is_empty()));
    match parts.pop() {
        None => Word::Text(Vec::new()),
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            Word::Joined(parts)
        }
    }
}

fn function(name: &str) -> Result<Function, Why> {
    Ok(match name.to_ascii_lowercase().as_str() {
        "req" | "http" => Function::Header,
        "req_novary" => Function::HeaderAside,
        "reqenv" => Function::RequestEnv,
        "env" => Function::Env,
        "osenv" => Function::ProcessEnv,
        "tolower" => Function::Lower,
        "toupper" => Function::Upper,
        "escape" => Function::Escape,
        "unescape" => Function::Unescape,
        "filesize" => Function::FileSize,
        known @ ("resp" | "note" | "file" | "base64" | "unbase64" | "sha1" | "md5" | "ldap") => {
            return Err(Why::new(format!("the function `{known}` is not built")));
        }
        _ => return Err(Why::new(format!("there is no function `{name}`"))),
    })
}
