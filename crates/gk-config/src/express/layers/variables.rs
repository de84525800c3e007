//! Options from the environment: `GILKEEPER_` and the option's name in capitals, `WEB_CONCURRENCY`, `PORT`; and the text of a file of
//! variables.

use super::{Entry, Known, SCRIPT, known};
use crate::express::foreign;
use crate::express::options::{self, Takes};
use std::collections::BTreeMap;
use strsim::osa_distance;

const PREFIX: &str = "GILKEEPER_";
/// Variables of other names: those that platforms set, and the one that the server root always had.
const OTHERS: [(&str, &str); 3] =
    [("PORT", "port"), ("WEB_CONCURRENCY", "processes"), (SERVER_ROOT, "server-root")];
const SERVER_ROOT: &str = "GILKEEPER_ROOT";

/// The variable of an option.
pub fn variable(option: &str) -> String {
    format!("{PREFIX}{}", option.to_ascii_uppercase().replace('-', "_"))
}

/// The options that variables give. `file`: where they come from, if not from the environment. `beside_file`: of a server with a
/// configuration file.
pub fn entries(
    variables: &BTreeMap<String, String>,
    file: Option<&str>,
    beside_file: bool,
) -> Result<Vec<Entry>, String> {
    let names = options::all().map(|option| option.name).chain([SCRIPT]);
    let own = names.map(|name| (variable(name), name));
    let others = OTHERS.into_iter().map(|(variable, name)| (variable.to_owned(), name));
    let mut found = Vec::new();
    for (variable, name) in own.chain(others) {
        let Some(value) = variables.get(&variable).filter(|value| !value.is_empty()) else { continue };
        // Kubernetes and Docker describe a service of our name so.
        if variable == "GILKEEPER_PORT" && value.contains("://") {
            continue;
        }
        let Some(option) = known(name) else { continue };
        if beside_file && !variable.starts_with(PREFIX) {
            continue;
        }
        if beside_file && !option.option.is_some_and(|option| option.with_file) {
            return Err(format!(
                "{variable} does not go with -c; say it in the file or with --set 'Directive args'"
            ));
        }
        let origin = file.map_or_else(|| variable.clone(), |file| format!("{variable} in {file}"));
        found.push(entry(&option, value, origin)?);
    }
    Ok(found)
}

fn entry(option: &Known, value: &str, origin: String) -> Result<Entry, String> {
    let values = match option.takes {
        Takes::Many | Takes::Pairs(_) => {
            words(value).ok_or_else(|| format!("{origin} has a quote without its end"))?
        }
        Takes::One | Takes::Nothing => vec![value.to_owned()],
    };
    option.entry(values, origin)
}

/// Words with spaces between them; a part in quotes is kept as it is.
fn words(text: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in text.chars() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// Variables of ours that are nearly an option, or an option of another server, as sentences. `file`: where they come from, if not from
/// the environment.
pub fn misspelt(variables: &BTreeMap<String, String>, file: Option<&str>) -> Vec<String> {
    let place = file.map_or_else(String::new, |file| format!(" in {file}"));
    let known: Vec<String> = options::all()
        .map(|option| variable(option.name))
        .chain([variable(SCRIPT), SERVER_ROOT.to_owned()])
        .collect();
    let near = |name: &String| {
        let rest = name.strip_prefix(PREFIX).filter(|_| !known.contains(name))?;
        // Some are no options of ours in anybody's eyes, such as the folder of an installation.
        let theirs = rest.to_ascii_lowercase();
        let is_plain = |here: &String| {
            theirs.len() > 1 && here.ends_with(" here") && !["home", "name"].contains(&theirs.as_str())
        };
        if let Some(here) = foreign::key(&theirs).filter(is_plain) {
            return Some(format!("{name}{place} is no option: `{theirs}` {here}"));
        }
        let distance = |other: &&String| osa_distance(rest, &other[PREFIX.len()..]);
        // One letter in six may be wrong.
        let near = known.iter().min_by_key(distance).filter(|other| distance(other) * 6 <= rest.len())?;
        Some(format!("{name}{place} is no option; did you mean {near}?"))
    };
    variables.keys().filter_map(near).collect()
}

/// The variables in the text of a file `name`: a line `NAME=VALUE` each, in the form that shells and Docker read, too. An error does not
/// repeat what stands there: it may be a secret.
pub fn of_file(text: &str, name: &str) -> Result<BTreeMap<String, String>, String> {
    let mut all = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let number = index + 1;
        let bare = line.strip_prefix("export ").unwrap_or(line);
        let cut = bare.split_once('=').map(|(key, value)| (key.trim(), value));
        let is_name = |key: &str| {
            !key.is_empty()
                && !key.starts_with(|c: char| c.is_ascii_digit())
                && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        let Some((key, value)) = cut.filter(|(key, _)| is_name(key)) else {
            return Err(format!(
                "line {number} of {name} is no NAME=VALUE; a name has letters, digits and _"
            ));
        };
        let value = plain(value).map_err(|what| format!("line {number} of {name} has {what}"))?;
        all.insert(key.to_owned(), value);
    }
    Ok(all)
}

/// A value without its quotes, and without a comment behind it. The error: what cannot stand there.
fn plain(value: &str) -> Result<String, &'static str> {
    let bare = value.trim();
    let quoted = match bare.chars().next() {
        Some(quote @ ('"' | '\'')) => Some(quoted(&bare[1..], quote).ok_or("a quote without its end")?),
        _ => None,
    };
    let (value, rest) = match quoted {
        Some((value, rest)) => (value, rest),
        None => (without_comment(value).trim().to_owned(), ""),
    };
    if !without_comment(rest).trim().is_empty() {
        return Err("more text behind a value in quotes");
    }
    if value.contains('\0') { Err("a zero byte") } else { Ok(value) }
}

/// The text up to a quote, and what stands behind it. Within `"` a backslash keeps `"`, `\`, `$` and "`" as they are, as for a shell.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let (mut value, mut chars) = (String::new(), text.char_indices().peekable());
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Some((value, &text[at + c.len_utf8()..])),
            '\\' if quote == '"' => {
                let kept = chars.next_if(|(_, next)| matches!(next, '"' | '\\' | '$' | '`'));
                value.push(kept.map_or('\\', |(_, next)| next));
            }
            c => value.push(c),
        }
    }
    None
}

/// The text before a `#` with a space in front of it.
fn without_comment(text: &str) -> &str {
    let begins = |(at, _): &(usize, &str)| text[..*at].ends_with(char::is_whitespace);
    text.match_indices('#').find(begins).map_or(text, |(at, _)| &text[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reported: `"a\"b"` was `a\`, and what stood behind a quote was dropped without a word. Met with generated passwords.
    #[test]
    fn values_are_what_a_shell_makes_of_them() {
        for (line, value) in [
            ("A=x", "x"),
            ("A= x # y", "x"),
            ("A=x\t# y", "x"),
            ("A=x#y", "x#y"),
            ("A=#x", "#x"),
            ("A= # x", ""),
            ("A=", ""),
            ("A=\"\"", ""),
            ("A='x # y'  # z", "x # y"),
            (r#"A="a\"b""#, r#"a"b"#),
            (r#"A="a\\b\$c\`d\n""#, r"a\b$c`d\n"),
            (r"A='a\b'", r"a\b"),
            ("export A=\u{e4}", "\u{e4}"),
        ] {
            assert_eq!(of_file(line, "e").unwrap()["A"], value, "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_not_repeated_as_it_may_be_a_secret() {
        let name = "is no NAME=VALUE; a name has letters, digits and _";
        for (text, expected) in [
            ("SECRET-KEY=hunter2", name),
            ("MII/hunter2==", name),
            ("hunter2", name),
            ("A='hunter2", "has a quote without its end"),
            ("A=\"hunter2\\\"", "has a quote without its end"),
            ("A='it'\\''s hunter2'", "has more text behind a value in quotes"),
            ("A=\"hunter\" 2", "has more text behind a value in quotes"),
            ("A='hunter'#2", "has more text behind a value in quotes"),
            ("A=\0hunter2", "has a zero byte"),
        ] {
            let error = of_file(&format!("B=1\n{text}\n"), "e").unwrap_err();
            assert_eq!(error, format!("line 2 of e {expected}"), "{text}");
        }
    }
}
