//! Options from `gilkeeper.toml` and from `[tool.gilkeeper]` of `pyproject.toml`: keys are the names of options.

use super::{Entry, FILES, SCRIPT, known};
use crate::express::foreign;
use crate::express::options::{self, Takes};
use crate::nearest::nearest;
use toml::{Table, Value};

/// The options in the text of one of [`FILES`].
pub fn entries(file: &str, text: &str) -> Result<Vec<Entry>, String> {
    let mut table: Table = text.parse().map_err(|why: toml::de::Error| {
        let line = why.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        format!("{file} is no TOML: line {line}: {}", why.message().lines().collect::<Vec<_>>().join(" "))
    })?;
    if file != FILES[0] {
        let Some(Value::Table(mut tools)) = table.remove("tool") else { return Ok(Vec::new()) };
        table = match tools.remove("gilkeeper") {
            Some(Value::Table(own)) => own,
            Some(_) => return Err(format!("tool.gilkeeper in {file} is no table")),
            None => return Ok(Vec::new()),
        };
    }
    table.into_iter().map(|(key, value)| entry(file, &key, value)).collect()
}

fn entry(file: &str, key: &str, value: Value) -> Result<Entry, String> {
    let Some(option) = known(key) else {
        let table = match (key, &value) {
            ("tool", Value::Table(tools)) if tools.contains_key("gilkeeper") => Some("tool.gilkeeper"),
            ("gilkeeper" | "serve", Value::Table(_)) => Some(key),
            _ => None,
        };
        if let Some(table) = table {
            let top = if file == FILES[0] { file } else { "[tool.gilkeeper]" };
            return Err(format!("options stand at the top of {top}, not in a table `[{table}]`"));
        }
        let names = options::all().map(|option| option.name).chain([SCRIPT]);
        let names: Vec<&str> = names.collect();
        if let Some(here) = foreign::key(key) {
            return Err(format!("`{key}` in {file} {here}"));
        }
        let near = nearest(key, names).map_or_else(
            || "`gilkeeper serve --help` lists them".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        return Err(format!("`{key}` in {file} is no option of serve; {near}"));
    };
    let origin = format!("{key} in {file}");
    let strange = |expected: &str, value: &Value| {
        let found = match value {
            Value::Array(_) => "list",
            Value::Datetime(_) => "date",
            _ => "table",
        };
        Err(format!("{origin} takes {expected}, not a {found}"))
    };
    let values = match (option.takes, value) {
        (Takes::Pairs(_), Value::Table(table)) => {
            let pair = |(name, value): (String, Value)| match value {
                // The application gets the word that stands in the file.
                Value::Boolean(on) => Some([name, on.to_string()]),
                value => Some([name, text(&value)?]),
            };
            let pairs: Option<Vec<_>> = table.into_iter().map(pair).collect();
            match pairs {
                Some(pairs) => pairs.into_iter().flatten().collect(),
                None => return Err(format!("{origin} takes a table of texts")),
            }
        }
        (Takes::Many | Takes::Pairs(_), Value::Array(list)) => {
            let flat = list.iter().flat_map(|value| match value {
                Value::Array(inner) => inner.iter().map(text).collect(),
                value => vec![text(value)],
            });
            match flat.collect::<Option<Vec<_>>>() {
                Some(values) => values,
                None => return Err(format!("{origin} takes a list of texts")),
            }
        }
        (Takes::Many, value @ Value::Table(_)) => return strange("a list of texts", &value),
        (_, value) => match text(&value) {
            Some(value) => vec![value],
            None => return strange("one value", &value),
        },
    };
    option.entry(values, origin)
}

/// A plain value as it would be typed.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(on) => Some(if *on { "on" } else { "off" }.to_owned()),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => None,
    }
}
