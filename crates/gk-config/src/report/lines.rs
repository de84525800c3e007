//! Lines of the text report: indentation, and any value as pairs of name and text.

use crate::site::MountTarget;
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write as _;

/// Text that grows line by line.
#[derive(Default)]
pub struct Lines {
    out: String,
}

impl Lines {
    /// A headline.
    pub fn head(&mut self, text: &str) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        self.line(0, text);
    }

    /// A line.
    pub fn line(&mut self, indent: usize, text: &str) {
        let _ = writeln!(self.out, "{:1$}{text}", "", indent * 2);
    }

    /// A name and its value.
    pub fn pair(&mut self, indent: usize, name: &str, value: &str) {
        self.line(indent, &format!("{name}: {value}"));
    }

    /// Many pairs; those that `standard` has not are marked.
    pub fn fields(
        &mut self,
        indent: usize,
        fields: &[(String, String)],
        standard: Option<&[(String, String)]>,
    ) {
        for (name, value) in fields {
            let own = standard.is_some_and(|s| !s.iter().any(|(n, v)| n == name && v == value));
            let mark = if own { " *" } else { "" };
            self.line(indent, &format!("{name}: {value}{mark}"));
        }
    }

    /// Text as it is.
    pub fn raw(&mut self, text: &str) {
        self.out.push_str(text);
    }

    /// The whole text.
    pub fn finish(self) -> String {
        self.out
    }
}

/// The fields of a value as they would be written in a configuration; those without a value are left out.
pub fn fields(value: &impl Serialize) -> Vec<(String, String)> {
    let Ok(Value::Object(object)) = serde_json::to_value(value) else { return Vec::new() };
    let pairs = object.into_iter().filter_map(|(name, value)| {
        let octal = name == "umask";
        let text = match value {
            Value::Null => return None,
            Value::Bool(on) => if on { "On" } else { "Off" }.to_owned(),
            Value::Number(n) if octal => format!("{:03o}", n.as_u64().unwrap_or(0)),
            Value::Number(n) => {
                n.as_f64().filter(|f| f.fract() == 0.0).map_or(n.to_string(), |f| format!("{f}"))
            }
            Value::String(text) if name == "application_group" => interpreter(&text),
            Value::String(text) if text.is_empty() => "%{GLOBAL}".to_owned(),
            Value::String(text) => text,
            Value::Array(items) if items.is_empty() => return None,
            Value::Array(items) => items.iter().filter_map(part).collect::<Vec<_>>().join(" "),
            Value::Object(map) if map.is_empty() => return None,
            Value::Object(map) => {
                let pairs: Vec<String> =
                    map.iter().filter_map(|(k, v)| Some(format!("{k}={}", part(v)?))).collect();
                match pairs.is_empty() {
                    true => return None,
                    false => pairs.join(" "),
                }
            }
        };
        // Rules are no pairs of name and value; their directives are listed by themselves, and so is what is asked of TLS.
        (!["name", "host", "rules", "access", "dispatch", "ssl"].contains(&name.as_str()))
            .then(|| (name.replace('_', "-"), text))
    });
    pairs.collect()
}

/// A value within a value; `None`: it is not set.
fn part(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(on) => if *on { "On" } else { "Off" }.to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Array(items) => items.iter().filter_map(part).collect::<Vec<_>>().join(","),
        Value::Object(map) => match map.get("path") {
            Some(path) => part(path)?,
            None => {
                let pairs =
                    map.iter().filter_map(|(k, v)| Some(format!("{}:{}", k.replace('_', "-"), part(v)?)));
                pairs.collect::<Vec<_>>().join(",")
            }
        },
    })
}

/// A script as it is written on an alias.
pub fn target(target: &MountTarget) -> String {
    match target {
        MountTarget::File(path) => path.display().to_string(),
        MountTarget::Directory(path) => format!("{}/", path.display().to_string().trim_end_matches('/')),
        MountTarget::Pattern(pattern) => pattern.clone(),
        MountTarget::Module(name) => format!("module:{name}"),
    }
}

/// A group's name, with the empty one spelt out.
pub fn group(name: &str) -> &str {
    if name.is_empty() { "%{GLOBAL}" } else { name }
}

/// The interpreter of an application group, in words.
pub fn interpreter(group: &str) -> String {
    match group {
        "" | "%{GLOBAL}" => "the main interpreter (%{GLOBAL})".to_owned(),
        "%{RESOURCE}" => "a sub-interpreter for each host, port and mount point (%{RESOURCE})".to_owned(),
        "%{SERVER}" => "a sub-interpreter for each host and port (%{SERVER})".to_owned(),
        "%{HOST}" => "a sub-interpreter for each host name that clients ask for (%{HOST})".to_owned(),
        name if name.contains("%{") => format!("a sub-interpreter that the request names ({name})"),
        name => format!("the sub-interpreter `{name}`"),
    }
}
